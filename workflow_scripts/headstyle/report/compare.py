"""A page that moves through the views of one subject and shows all its layers side by side.

It shows the changes from one view to the next, in the edits and in the avatars. The consistency
metrics measure the changes in the avatars.
"""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from headstyle.report import pictures
from headstyle.report.pages import data_uri, page
from headstyle.report.sheets import Avatar, Subject

_LONG_SIDES_PX = (320, 256, 208, 160)
_ENOUGH_VIEWS = 15
_QUALITY = 66
_TRUE_EDIT = "For the true edit, the head was edited in three dimensions and photographed again."


def compare_page(subject: Subject, avatars: Sequence[Avatar], max_bytes: int) -> str:
    """The page of one subject's avatars, with the pictures inside.

    Args:
        subject: The subject.
        avatars: At least one; usually all strengths of one prompt.
        max_bytes: Largest size of the page. To stay below it, first the pictures get smaller. Then
            the page shows fewer views, evenly spaced.

    Successive views are near each other.
    """
    cameras = subject.cameras
    folders = [subject.views, subject.baseline / "renders"]
    folders += [folder for avatar in avatars for _, folder in _stages(avatar)]
    truth = _true_edit(avatars)
    folders += [folder for _, folder in truth]
    walk = pictures.walk_along_rig(cameras)
    names, long_side_px = _fitting(walk, folders, max_bytes)
    width, height = cameras.sizes[[cameras.index(name) for name in names]].max(axis=0)
    shared = [("photograph", subject.views), ("baseline", subject.baseline / "renders")]
    data = {
        "views": names,
        "aspect": f"{width} / {height}",
        "layers": [_layer(*stage, names, long_side_px) for stage in shared],
        "avatars": {
            avatar.name: {
                "text": avatar.prompt_text,
                "strength": avatar.strength,
                "layers": [_layer(*stage, names, long_side_px) for stage in _stages(avatar)],
            }
            for avatar in avatars
        },
        "references": [_layer(*stage, names, long_side_px) for stage in truth],
    }
    body = _body(subject, avatars, data)
    return page(f"{subject.name}: views compared", body, ["compare.js"], ["compare.css"])


def _stages(avatar: Avatar) -> list[tuple[str, Path]]:
    """Name and folder of each layer of an avatar."""
    edits = [
        (f"edit, {folder.name.replace('cycle', 'cycle ')}", folder)
        for folder in pictures.evenly_spaced(avatar.cycles, 2)
    ]
    return [*edits, ("avatar", avatar.folder / "renders")]


def _true_edit(avatars: Sequence[Avatar]) -> list[tuple[str, Path]]:
    """Name and folder of the true edit, if all avatars share it."""
    found = {avatar.true_edit for avatar in avatars}
    return [("true edit", folder) for folder in found if folder and len(found) == 1]


def _fitting(walk: Sequence[str], folders: Sequence[Path], max_bytes: int) -> tuple[list[str], int]:
    """The views and the size of the pictures that keep a page within its limit."""
    wanted = min(len(walk), _ENOUGH_VIEWS)
    sample = pictures.evenly_spaced(walk, 3)
    for long_side_px in _LONG_SIDES_PX:
        layers = [_layer("", folder, sample, long_side_px)["pictures"] for folder in folders]
        sizes = [max((len(uri) for uri in layer if uri), default=0) for layer in layers]
        # Leave a tenth for the rest of the page, and for pictures larger than those of the sample.
        views = int(0.9 * max_bytes / max(1, sum(sizes)))
        if views >= wanted:
            break
    return pictures.evenly_spaced(walk, max(3, views)), long_side_px


def _layer(name: str, folder: Path, names: Sequence[str], long_side_px: int) -> dict[str, Any]:
    """One picture per view; null if this layer lacks the view."""
    paths = [folder / f"{view}.png" for view in names]
    shown = [
        data_uri(pictures.cutout(path, long_side_px), _QUALITY) if path.exists() else None
        for path in paths
    ]
    return {"name": name, "pictures": shown}


def _body(subject: Subject, avatars: Sequence[Avatar], data: dict[str, Any]) -> str:
    options = "".join(
        f'<option value="{escape(a.name)}">{escape(_choice(a))}</option>' for a in avatars
    )
    # "</script" would end the script element, and "<!--<script" would keep it open.
    content = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return f"""<h1>{escape(subject.name)}: views compared</h1>
<p class="lead">Walk along the rig with the slider, the arrow keys or Play. Details that change
from one view to the next in the edits cannot all be true of one head. The avatar shows what the
splats kept of them. The training began with the edits of cycle 0; later cycles replaced them.
{_TRUE_EDIT if data["references"] else ""}</p>
<div class="controls">
<label>Avatar <select id="avatar">{options}</select></label>
<label>View <input id="slider" type="range" min="0" max="0" value="0"></label>
<button id="play" type="button" aria-pressed="false">Play</button>
<output id="view"></output>
</div>
<p class="prompt" id="prompt"></p>
<div class="panes" id="panes"></div>
<script type="application/json" id="data">{content}</script>"""


def _choice(avatar: Avatar) -> str:
    words = [avatar.prompt, avatar.prompt_name and f"({avatar.prompt_name})", avatar.strength]
    return " ".join(filter(None, words))
