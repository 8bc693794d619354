"""How far cheaper edits of the mini editor are from exact ones, and what they cost.

    python benchmarks/approximate_edits.py --results results/demo --subject A
    python benchmarks/approximate_edits.py --json approximate_edits.json

An exact edit has 20 steps of DDIM and a full guidance at each. The distance is the mean CIEDE2000
over the foreground. Beside it stands what another seed of the noise changes. The UNet's rows are
the cost: one row is one prediction for one view. The mini editor makes a whole edit at a guidance
of 1, so that the study's 7.5 would be far too much.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import headstyle  # noqa: F401  (before torch: it sets how idle threads wait)
import numpy as np
import torch
import yaml
from headstyle.base.cameras import read_cameras
from headstyle.base.files import write_json
from headstyle.base.images import RgbaImage, read_views
from headstyle.consistency.parts.color_difference import delta_e, lab_from_srgb
from headstyle.editing.base import Instruction, View
from headstyle.editing.registry import make_editor
from machine import describe_machine

ROOT = Path(__file__).parents[1]
EXACT = {"solver": "ddim", "diffusion_steps": 20, "guidance_every": 1}
WAYS: dict[str, dict[str, Any]] = {
    "guidance at every 2nd step": {"guidance_every": 2},
    "guidance at every 4th step": {"guidance_every": 4},
    "10 steps": {"diffusion_steps": 10},
    "dpm_solver, 10 steps": {"solver": "dpm_solver", "diffusion_steps": 10},
    "dpm_solver, 10 steps, guidance at every 2nd step": {
        "solver": "dpm_solver",
        "diffusion_steps": 10,
        "guidance_every": 2,
    },
    "dpm_solver, 8 steps, guidance at every 2nd step": {
        "solver": "dpm_solver",
        "diffusion_steps": 8,
        "guidance_every": 2,
    },
    "dpm_solver, 9 steps, guidance at every 3rd step": {
        "solver": "dpm_solver",
        "diffusion_steps": 9,
        "guidance_every": 3,
    },
}
TEXTS = ("Turn him into a stone statue", "Make him look like a Van Gogh painting")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "demo")
    parser.add_argument("--subject", default="A")
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--guidance", type=float, nargs=2, default=(1.5, 1.25), help="s_P, s_I")
    parser.add_argument("--json", type=Path, help="write the rows here, too")
    options = parser.parse_args()
    folder = options.results / options.subject / "views"
    cameras = read_cameras(folder / "cameras.json")
    chosen = np.linspace(0, len(cameras) - 1, options.views).round().astype(int)
    images = read_views(folder, cameras)
    views = [View(cameras.names[i], images[i], images[i]) for i in chosen]
    rows = measure(views, options.guidance)
    for name, row in rows.items():
        print(f"{name:40s} {row['delta_e']:6.2f} ΔE00, {row['rows']:3d} rows a view")
    if options.json:
        write_json(options.json, {"machine": describe_machine("cpu"), "ways": rows})


def measure(views: Sequence[View], guidance: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Distance and cost of each way, over all texts."""
    exact = edits(views, guidance, EXACT)
    other = edits(views, guidance, EXACT, seed=1)
    rows = {"exact, another seed": row_of(exact, other, EXACT)}
    for name, changes in WAYS.items():
        way = EXACT | changes
        rows[name] = row_of(exact, edits(views, guidance, way), way)
    return rows


def row_of(
    exact: Sequence[RgbaImage], found: Sequence[RgbaImage], way: Mapping[str, Any]
) -> dict[str, Any]:
    """The distance of edits from exact ones, and the UNet's rows for a view."""
    steps, every = way["diffusion_steps"], way["guidance_every"]
    full = len(range(0, steps, every))
    pairs = zip(exact, found, strict=True)
    return {
        "delta_e": statistics.fmean(distance(one, two) for one, two in pairs),
        "rows": 3 * full + (steps - full),
    }


def edits(
    views: Sequence[View], guidance: Sequence[float], way: Mapping[str, Any], seed: int = 0
) -> list[RgbaImage]:
    """The views edited by all texts."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    editor = make_editor(config["editing"] | {"model": "mini", "revision": None, **way}, "cpu")
    on_text, on_image = guidance
    return [
        image
        for text in TEXTS
        for image in editor.edit(
            views, Instruction("P", text, on_text, on_image, 0.9, cycle=0, seed=seed)
        )
    ]


def distance(one: RgbaImage, two: RgbaImage) -> float:
    """Mean CIEDE2000 between two edits over their foreground."""
    first, second = (lab_from_srgb(torch.from_numpy(image[None, ..., :3])) for image in (one, two))
    return float(delta_e(first, second)[0][torch.from_numpy(one[..., 3] > 0.5)].mean())


if __name__ == "__main__":
    main()
