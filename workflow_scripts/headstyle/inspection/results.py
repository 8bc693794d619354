"""A look at a folder of results."""

from pathlib import Path

from headstyle.base.cameras import read_cameras
from headstyle.base.files import read_json
from headstyle.inspection.findings import Findings, counted, named


def subjects_of(folder: Path) -> list[Path]:
    """The folders of subjects in a folder of results, sorted; empty where it is none."""
    return sorted(path.parents[1] for path in folder.glob("*/views/cameras.json"))


def look_at_results(folder: Path) -> Findings:
    """Which subjects a folder of results has, and how far each one is.

    Raises:
        InputError: a file of the results is damaged.
    """
    subjects = subjects_of(folder)
    found = Findings(f"{folder}: results of {len(subjects)} subjects")
    for subject in subjects:
        found.say(subject.name, "; ".join(_told(subject)))
    found.say("tables", named(sorted(path.name for path in (folder / "tables").glob("*.csv")), 8))
    first = subjects[0] / "views"
    found.cameras = read_cameras(first / "cameras.json")
    found.pictures = {
        view: path for view in found.cameras.names if (path := first / f"{view}.png").is_file()
    }
    return found


def _told(subject: Path) -> list[str]:
    cameras = read_cameras(subject / "views" / "cameras.json")
    told = [f"{len(cameras)} views, {counted(f'of {w}x{h} px' for w, h in cameras.sizes)}"]
    scores = subject / "baseline" / "metrics.json"
    if scores.is_file():
        content = read_json(scores)
        told.append(f"baseline of {content.get('splats', 0):,} splats{_psnr(content)}")
    avatars = [path.parent.name for path in sorted(subject.glob("avatars/*/splats.ply"))]
    if avatars:
        told.append(f"{len(avatars)} avatars: {named(avatars, 4)}")
    return told


def _psnr(content: dict[str, object]) -> str:
    for key, words in (("heldout_psnr", " held out"), ("psnr", "")):
        value = content.get(key)
        if isinstance(value, float):
            return f", {value:.1f} dB{words}"
    return ""
