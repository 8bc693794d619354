"""The small models that the project trained itself and ships in `resources/models/`."""

from pathlib import Path

from headstyle.base.errors import InputError

EMBEDDED_MODELS = Path(__file__).parents[3] / "resources" / "models"


def embedded_file(name: str) -> Path:
    """A file of a shipped model, such as `matting/model.onnx`.

    Raises:
        InputError: the file does not exist.
    """
    path = EMBEDDED_MODELS / name
    if not path.is_file():
        model = Path(name).parts[0]
        raise InputError(
            f"{path} is missing: get it from headstyle's repository where that has it, or make it "
            f"with `snakemake --cores all train_{model}` and copy results/models/{model} there"
        )
    return path
