"""The small models that the project trained itself and ships in `resources/models/`."""

from pathlib import Path

from headstyle.errors import InputError

EMBEDDED_MODELS = Path(__file__).parents[2] / "resources" / "models"


def embedded_file(name: str) -> Path:
    """A file of a shipped model, such as `matting/model.onnx`.

    Raises:
        InputError: it is not there.
    """
    path = EMBEDDED_MODELS / name
    if not path.is_file():
        raise InputError(
            f"{path} is missing: it comes with headstyle's repository; get it from there again, or "
            f"make it anew with the rule train_{Path(name).parts[0]}"
        )
    return path
