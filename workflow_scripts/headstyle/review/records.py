"""What a run says of itself: its settings, the versions of its packages, and its models."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError
from headstyle.base.files import read_json
from headstyle.report.pages import flat_settings
from headstyle.review.plans import read_plan

_OF_AVATARS = ("editing", "stylization", "baseline")
"""Sections of the configuration that stand in the records of avatars."""
_MOST_VALUES = 4


@dataclass(frozen=True)
class Records:
    """What a run says of itself. All values are text for readers."""

    settings: Mapping[str, str]
    """Values by dotted key. Without a plan only those that avatars record."""
    versions: Mapping[str, str]
    """Version of each package that the avatars were made with, and headstyle's own digest."""
    models: Mapping[str, str]
    """Revision and checksum of each model, by its purpose and name."""
    instructions: Mapping[str, str]
    """The text of each avatar, by subject and prompt."""
    has_plan: bool
    """Whether the settings are all of them."""
    notes: tuple[str, ...]
    """What could not be read."""


def records_of(folder: Path) -> Records:
    """Read the records of a run; damaged ones are noted and left out."""
    notes: list[str] = []
    plan = _or_note(lambda: read_plan(folder), notes)
    avatars = []
    for path in sorted(folder.glob("*/avatars/*/run.json")):
        content = _or_note(partial(read_json, path), notes)
        if isinstance(content, dict):
            avatars.append((path, content))
    recorded = {
        "settings": _merged(_settings_of(avatar) for _, avatar in avatars),
        "versions": _merged(_versions_of(avatar) for _, avatar in avatars),
    }
    settings = dict(recorded["settings"])
    if plan:
        settings = {row["key"]: row["value"] for row in flat_settings(plan.settings)}
        # Where the results lie changes nothing.
        settings.pop("results_dir", None)
    instructions = {
        f"{path.parents[2].name} {path.parent.name}": str(avatar.get("prompt_text", ""))
        for path, avatar in avatars
    }
    models = _models(_or_note(lambda: read_json(folder / "models.json"), notes))
    return Records(
        settings, recorded["versions"], models, instructions, plan is not None, tuple(notes)
    )


def differing(
    first: Mapping[str, str], second: Mapping[str, str]
) -> list[tuple[str, str | None, str | None]]:
    """Key and both values wherever two mappings differ; None where one lacks the key."""
    keys = dict.fromkeys([*first, *second])
    pairs = [(key, first.get(key), second.get(key)) for key in keys]
    return [(key, a, b) for key, a, b in pairs if a != b]


def _settings_of(avatar: Mapping[str, Any]) -> dict[str, str]:
    chosen = {key: avatar[key] for key in (*_OF_AVATARS, "seed") if key in avatar}
    return {row["key"]: row["value"] for row in flat_settings(chosen)}


def _versions_of(avatar: Mapping[str, Any]) -> dict[str, str]:
    versions = avatar.get("versions")
    told = {str(k): str(v) for k, v in versions.items()} if isinstance(versions, dict) else {}
    more = {"code of stylize_avatar": avatar.get("library"), "device": avatar.get("device")}
    return told | {key: str(value) for key, value in more.items() if value is not None}


def _merged(records: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """One value for each key; all of them where the records disagree."""
    values: dict[str, dict[str, None]] = {}
    for record in records:
        for key, value in record.items():
            values.setdefault(key, {})[value] = None
    return {key: " or ".join(_first(list(found), _MOST_VALUES)) for key, found in values.items()}


def _models(content: Any) -> dict[str, str]:
    models = content.get("models") if isinstance(content, dict) else None
    found: dict[str, str] = {}
    for model in models if isinstance(models, list) else []:
        if not isinstance(model, dict):
            continue
        files = [file for file in model.get("files") or [] if isinstance(file, dict)]
        # One checksum is enough to see a difference; a folder of files is told by all of theirs.
        digests = sorted(str(file.get("sha256", ""))[:12] for file in files)
        told = [f"revision {model['revision']}"] if model.get("revision") else []
        told += [f"sha256 {' '.join(_first(digests, 3))}"] if digests else []
        found[f"{model.get('purpose')}: {model.get('name')}"] = ", ".join(told)
    return found


def _first(items: list[str], most: int) -> list[str]:
    return [*items[:most], "…"] if len(items) > most else items


def _or_note(read: Callable[[], Any], notes: list[str]) -> Any:
    try:
        return read()
    except InputError as error:
        notes.append(str(error))
        return None
