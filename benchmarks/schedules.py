"""Schedules of editing compared: the avatars that one editor makes by each of them.

It starts from an avatar that the workflow made of a procedural head, as after `make demo`:

    python benchmarks/schedules.py results/demo/A/avatars/P3_low

Each schedule takes the avatar's baseline, prompt, strength and seed, the settings of the
configuration file, and a 25th of its own number of iterations. It is scored by the headline, and by
its distance to the true edit: the head that was edited in three dimensions and photographed by the
same cameras. Seconds are those of the processor, all threads together, with the loading of the
weights and without that of the libraries.
"""

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from headstyle.avatars.files import AvatarFolder, Order
from headstyle.avatars.job import Job, read_subject
from headstyle.avatars.schedules import make_schedule
from headstyle.avatars.settings import check_stylization
from headstyle.avatars.subject import Subject
from headstyle.base.devices import use_threads
from headstyle.base.errors import InputError
from headstyle.base.images import RgbaImage, read_views, resize_rgba
from headstyle.base.settings import laid_over
from headstyle.calibration.trained.making import distance_to_truth
from headstyle.consistency.scoring import score, view_means
from headstyle.editing.registry import avatar_editing, editor_device, machine_editing, make_editor
from headstyle.rendering.devices import best_device
from headstyle.rendering.renderer import render_views
from headstyle.workflow.configuration import fill_in_declared, read_defaults
from machine import describe_machine

CONFIG = Path(__file__).parents[1] / "config"
SCHEDULES = ("once", "anchor", "sequential", "thesis", "igs2gs", "in2n")
SHORTER = 25
"""Times fewer iterations than the schedules' own, as in `config/demo.yaml`."""
COLUMNS = ("headline", "truth_flip", "truth_lpips_mini", "truth_psnr", "cpu_s")

Row = dict[str, Any]


def main() -> None:
    """Make an avatar by each schedule, print a table, and write it as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("avatar", type=Path, help="folder of an avatar of a procedural head")
    parser.add_argument(
        "--configfile", type=Path, default=CONFIG / "demo.yaml", help="what it was made with"
    )
    parser.add_argument("--schedules", nargs="+", default=SCHEDULES, metavar="NAME")
    parser.add_argument("--size-px", type=int, help="longer side of the views; default: as made")
    parser.add_argument("--shorter", type=int, default=SHORTER, help="times fewer iterations")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    use_threads(options.threads)
    comparison = Comparison(options.avatar, read_settings(options.configfile), options.size_px)
    rows = [comparison.unedited()]
    print(in_columns("schedule", COLUMNS), *map(as_line, rows), sep="\n", flush=True)
    for name in options.schedules:
        rows.append(comparison.row(name, options.shorter))
        print(as_line(rows[-1]), flush=True)
        if options.json:
            described = {"machine": describe_machine("cpu"), "scene": comparison.described()}
            options.json.write_text(json.dumps(described | {"rows": rows}, indent=2) + "\n")


def read_settings(configfile: Path) -> Row:
    """A configuration file's settings, with the defaults of those that it lacks."""
    settings = laid_over(read_defaults(CONFIG / "config.yaml"), read_defaults(configfile))
    fill_in_declared(settings)
    return settings


class Comparison:
    """The inputs that all schedules share, and how an avatar is scored."""

    def __init__(self, avatar: Path, settings: Mapping[str, Any], size_px: int | None) -> None:
        """Read the scene that an avatar was made from."""
        self.settings = settings
        self.run: Mapping[str, Any] = json.loads((avatar / "run.json").read_text())
        folder = avatar.parents[1]
        subject = read_subject(
            folder / "views" / "cameras.json",
            folder / "baseline" / "splats.ply",
            folder / "adjacency.csv",
            best_device(),
        )
        truth = read_views(folder / "true_edits" / self.run["prompt"], subject.cameras)
        self.subject, self.truth = with_size(subject, truth, size_px)
        # Loads the libraries, so that the first schedule's seconds are as long as the others'.
        make_editor(settings["editing"], best_device())
        found = list(render_views(self.subject.splats, self.subject.cameras))
        self.baseline = [image for _, image, _, _ in found]
        self.depths = [median for _, _, median, _ in found]

    def described(self) -> Row:
        """What the avatars were made of."""
        cameras = self.subject.cameras
        return {
            **{key: self.run[key] for key in ("subject", "prompt", "strength", "seed")},
            "views": len(cameras),
            "size_px": int(cameras.sizes.max()),
            "editor": self.run["editor"],
        }

    def unedited(self) -> Row:
        """The scores of the baseline, from which all start."""
        return {"schedule": "(unedited)", **self._scores(self.baseline)}

    def row(self, name: str, shorter: int) -> Row:
        """Make an avatar by a schedule and score it; or why the editor cannot."""
        stylization = shortened({**self.settings["stylization"], "schedule": name}, shorter)
        try:
            check_stylization(stylization, self.settings["editing"])
        except InputError as error:
            return {"schedule": name, "refused": str(error)}
        with tempfile.TemporaryDirectory() as folder:
            order = self._order(stylization, Path(folder) / name)
            wall, processor = time.monotonic(), time.process_time()
            self._job().make(order)
            spent = {"cpu_s": time.process_time() - processor, "wall_s": time.monotonic() - wall}
            made = AvatarFolder(order.folder, order.task("benchmark")).finished
            images = read_views(made / "renders", self.subject.cameras)
            edits = sum(1 for _ in made.glob("edits/*/*.png"))
        numbers = {key: stylization[key] for key in ("iterations", "edit_every")}
        return {"schedule": name, **numbers, "edits_kept": edits, **self._scores(images), **spent}

    def _order(self, stylization: Mapping[str, Any], folder: Path) -> Order:
        names = ("subject", "prompt", "strength")
        params = {
            **{key: self.run[key] for key in ("prompt_text", "seed")},
            "editing": avatar_editing(self.settings["editing"], self.run["prompt"]),
            "baseline": self.settings["baseline"],
            "strength": {k: v for k, v in self.run["edits"][0].items() if k.endswith("_guidance")},
            "stylization": stylization,
            "library": "benchmark",
        }
        return Order(*(self.run[name] for name in names), params, folder)

    def _job(self) -> Job:
        machine = machine_editing(self.settings["editing"])
        device = editor_device(machine, self.subject.device)
        return Job(self.subject, "benchmark", machine, device)

    def _scores(self, images: Sequence[RgbaImage]) -> Row:
        cameras = self.subject.cameras
        pairs = [
            (cameras.names[target], cameras.names[source])
            for target, sources in enumerate(self.subject.neighbors)
            for source in sources
        ]
        settings = {"names": ("headline",)}
        table = score(
            images, self.depths, cameras, pairs, unedited=self.baseline, settings=settings
        )
        headline = view_means(table, ("headline",), cameras.names)["headline"].mean()
        return {"headline": float(headline), **distance_to_truth(images, self.truth)}


def with_size(
    subject: Subject, truth: Sequence[RgbaImage], size_px: int | None
) -> tuple[Subject, list[RgbaImage]]:
    """The subject and the true edits with views of another size."""
    cameras = subject.cameras
    if size_px is None:
        return subject, list(truth)
    sizes = np.rint(cameras.sizes * (size_px / cameras.sizes.max())).astype(np.int64)
    resized = [
        [resize_rgba(image, *size) for image, size in zip(images, sizes.tolist(), strict=True)]
        for images in ([subject.photographs[name] for name in cameras.names], truth)
    ]
    photographs = dict(zip(cameras.names, resized[0], strict=True))
    smaller = Subject(
        cameras.scaled(sizes), photographs, subject.splats, subject.neighbors, subject.device
    )
    return smaller, resized[1]


def shortened(stylization: Mapping[str, Any], shorter: int) -> Row:
    """A schedule's own numbers, divided; intervals below 100 iterations are kept."""
    own = make_schedule({**stylization, "iterations": None, "edit_every": None})
    every = own.edit_every if own.edit_every < 100 else max(1, own.edit_every // shorter)
    return {**stylization, "iterations": max(1, own.iterations // shorter), "edit_every": every}


def in_columns(first: str, others: Sequence[str]) -> str:
    """A line of the table."""
    return f"{first:12}" + "".join(f"{text:>18}" for text in others)


def as_line(row: Row) -> str:
    """A row of the table; a refused schedule's reason."""
    if "refused" in row:
        return f"{row['schedule']:12}  {row['refused']}"
    values = [f"{row[name]:.3f}" if name in row else "–" for name in COLUMNS]
    return in_columns(row["schedule"], values)


if __name__ == "__main__":
    main()
