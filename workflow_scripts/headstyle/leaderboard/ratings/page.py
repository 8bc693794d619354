"""The page on which people compare methods without knowing them: pairs of turning heads.

The page holds pictures and numbers of pairs only. Which methods stand behind a pair is in the key,
a file of its own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from headstyle.report import pictures
from headstyle.report.pages import data_uri, page

WORST, BEST = 0, 3
"""Ends of the scale of ratings, as in the study."""
_PICTURE_PX, _QUALITY = 260, 62


@dataclass(frozen=True)
class Item:
    """Two methods on one scene, side by side."""

    item: str
    """Number on the page."""
    subject: str
    prompt: str
    left: str
    """Method on the left."""
    right: str
    """Method on the right."""


Scene = tuple[str, str]
"""Subject and prompt."""


def choose_items(scenes: Mapping[Scene, Sequence[str]], count: int, seed: int) -> list[Item]:
    """Pairs of methods to be judged, in random order with random sides.

    Each pair of methods comes about equally often: all of them once, on a random scene that both
    have and that they were not judged on, before any comes again.

    Args:
        scenes: The methods that each scene has.
        count: Largest number of items.
        seed: Seed of the draws.
    """
    random = np.random.default_rng(seed)
    left: dict[tuple[str, str], list[Scene]] = {}
    for scene, methods in scenes.items():
        for pair in combinations(sorted(methods), 2):
            left.setdefault(pair, []).append(scene)
    chosen: list[tuple[tuple[str, str], Scene]] = []
    while len(chosen) < count and any(left.values()):
        pairs = [pair for pair, free in left.items() if free]
        for place in random.permutation(len(pairs))[: count - len(chosen)]:
            free = left[pairs[place]]
            chosen.append((pairs[place], free.pop(int(random.integers(len(free))))))
    items = []
    for number, place in enumerate(random.permutation(len(chosen)), start=1):
        pair, (subject, prompt) = chosen[place]
        first, second = pair if random.random() < 0.5 else pair[::-1]
        items.append(Item(str(number), subject, prompt, first, second))
    return items


def turning(folder: str | Path, walk: Sequence[str], frames: int) -> list[str]:
    """Data addresses of pictures of a scene along its rig.

    Args:
        folder: Folder `{view}.png`.
        walk: The views, each near the one before.
        frames: Largest number of pictures.
    """
    names = pictures.evenly_spaced(walk, frames)
    paths = [Path(folder, f"{name}.png") for name in names]
    return [data_uri(pictures.cutout(path, _PICTURE_PX), _QUALITY) for path in paths]


def ratings_page(
    items: Sequence[Item],
    clips: Mapping[tuple[str, str, str], Sequence[str]],
    texts: Mapping[Scene, str],
) -> str:
    """The page.

    Args:
        items: The pairs.
        clips: Pictures from `turning`, by method, subject and prompt.
        texts: The instruction of each scene.
    """
    numbers: dict[tuple[str, str, str], int] = {}
    shown = []
    for item in items:
        sides = [(method, item.subject, item.prompt) for method in (item.left, item.right)]
        for side in sides:
            numbers.setdefault(side, len(numbers))
        shown.append(
            {
                "item": item.item,
                "clips": [numbers[side] for side in sides],
                "text": texts[item.subject, item.prompt],
            }
        )
    data = {
        "items": shown,
        "clips": [list(clips[side]) for side in numbers],
        "scale": [WORST, BEST],
    }
    # "</script" would end the script element, and "<!--<script" would keep it open.
    content = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return page(
        "Which head holds together?",
        _BODY.format(content=content),
        ["ratings.js"],
        ["leaderboard.css", "ratings.css"],
        strict=True,
    )


_BODY = """<h1>Which head holds together?</h1>
<p class="lead">Two edits of one head turn side by side. Look for what changes with the view:
colors, patterns, features that move, blur that comes and goes. How much was edited does not matter.
</p>
<form id="start">
<label>Your name or a code <input id="rater" required maxlength="40" autocomplete="off"></label>
<button type="submit">Begin</button>
</form>
<section id="task" hidden>
<p class="prompt"><output id="place"></output> <q id="text"></q></p>
<div class="sides">
<figure><div class="well"><img id="picture-0" alt="left head"></div>
<figcaption>Left</figcaption><fieldset id="scale-0"></fieldset></figure>
<figure><div class="well"><img id="picture-1" alt="right head"></div>
<figcaption>Right</figcaption><fieldset id="scale-1"></fieldset></figure>
</div>
<fieldset id="choice"><legend>Which one is the same head in all views?</legend>
<label><input type="radio" name="choice" value="left"> Left</label>
<label><input type="radio" name="choice" value="equal"> No difference</label>
<label><input type="radio" name="choice" value="right"> Right</label>
</fieldset>
<p class="controls"><button id="back" type="button">Back</button>
<button id="next" type="button" disabled>Next</button>
<button id="play" type="button" aria-pressed="true">Pause</button></p>
</section>
<section id="end" hidden><h2>Thank you</h2>
<p>Download your answers and send the file to who asked you.</p></section>
<p><button id="download" type="button" hidden>Download the answers so far (CSV)</button></p>
<script type="application/json" id="data">{content}</script>"""
