"""A page that walks through the views of one subject with all its layers side by side.

What flickers from one view to the next in the edits, and what the splats made of it, is what the
consistency metrics measure.
"""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from headstyle import pictures
from headstyle.pages import data_uri, page
from headstyle.sheets import Avatar, Subject

_MOST_PICTURES = 900
"""Bounds the page to a few megabytes, which browsers open at once."""
_LONG_SIDE_PX = 300


def compare_page(subject: Subject, avatars: Sequence[Avatar]) -> str:
    """The page of one subject, pictures included.

    Views come in an order in which successive ones are near each other; with many avatars fewer
    views are shown, evenly spaced.
    """
    cameras = subject.cameras
    layers_in_all = 2 + sum(1 + min(2, len(avatar.cycles)) for avatar in avatars)
    walk = pictures.walk_along_rig(cameras)
    names = pictures.evenly_spaced(walk, max(8, _MOST_PICTURES // layers_in_all))
    baseline = subject.baseline / "renders"
    width, height = cameras.sizes[[cameras.index(name) for name in names]].max(axis=0)
    data = {
        "views": names,
        "aspect": f"{width} / {height}",
        "layers": [
            _layer("photograph", subject.views, names),
            _layer("baseline", baseline, names),
        ],
        "avatars": {avatar.name: _avatar_layers(avatar, names) for avatar in avatars},
    }
    return page(
        f"{subject.name}: views compared",
        _body(subject, avatars, data),
        ["compare.js"],
        ["compare.css"],
    )


def _avatar_layers(avatar: Avatar, names: Sequence[str]) -> dict[str, Any]:
    cycles = pictures.evenly_spaced(avatar.cycles, 2)
    layers = [
        _layer(f"edit, {folder.name.replace('cycle', 'cycle ')}", folder, names)
        for folder in cycles
    ]
    layers.append(_layer("avatar", avatar.folder / "renders", names))
    return {"text": avatar.prompt_text, "strength": avatar.strength, "layers": layers}


def _layer(name: str, folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """One picture per view; null where this layer lacks the view."""
    paths = [folder / f"{view}.png" for view in names]
    shown = [
        data_uri(pictures.cutout(path, _LONG_SIDE_PX), 78) if path.exists() else None
        for path in paths
    ]
    return {"name": name, "pictures": shown}


def _body(subject: Subject, avatars: Sequence[Avatar], data: dict[str, Any]) -> str:
    options = "".join(
        f'<option value="{escape(a.name)}">{escape(_choice(a))}</option>' for a in avatars
    )
    # In a script element only "</" could end the data early.
    content = json.dumps(data, ensure_ascii=False).replace("</", "<\\/")
    return f"""<h1>{escape(subject.name)}: views compared</h1>
<p class="lead">Walk along the rig with the slider, the arrow keys or Play. Details that change
from one view to the next in the edits cannot all be true of one head; the avatar shows what the
splats kept of them.</p>
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
