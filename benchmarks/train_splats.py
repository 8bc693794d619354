"""Train splats on one set of views by a plain loop and by headstyle; score views held out.

    python benchmarks/train_splats.py --json train_splats.json
    python benchmarks/train_splats.py --views results/A/views --variants ours,exposure,dropout
    python benchmarks/train_splats.py --variants none --adjacency --profile

Every variant starts from the same splats, sees the same training views in the same order for as
many iterations, and is scored on the same held-out views (every 8th) over their foreground, on
black, in the middle and at the end. `plain` has the settings of gsplat's example trainer
(plain_trainer.py), `plain_fused` also our kernels for its loss; `ours` are those of
config/config.yaml; the others change one of them (`batch2` sees two views in each of half as many
iterations; `half`, `third` and `quarter` are the whole schedule in fewer iterations). With
exposures, `exposed` scores held-out views with the exposure predicted from the training views
around them. Clocks stop while views are scored. Without `--views` a procedural head is photographed
first; a folder that does not exist yet is filled with its views. `--adjacency` times iterations as
avatars have them: 9 views of 512 x 765 px and 200,000 splats. What comes first is short; the file
is written after each part, and a part that fails does not keep the others from running.
"""

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import headstyle  # noqa: F401  (before torch: it sets how idle threads wait)
import torch
from headstyle.base.cameras import Cameras, read_cameras
from headstyle.base.devices import keep_freed_memory
from headstyle.base.files import write_json
from headstyle.base.images import RgbaImage, read_views
from headstyle.rendering.renderer import Splats, render_views
from headstyle.rendering.splats import splats_from_points
from headstyle.training.baseline import (
    HISTORY_ROWS,
    prepare_training,
    read_points,
    score_views,
)
from headstyle.training.exposure import Exposures
from headstyle.training.selection import split_views
from headstyle.training.trainer import (
    TrainingSettings,
    random_order,
    scene_extent,
)
from iterations import (
    HOLDOUT_EVERY,
    SEED,
    TILES,
    Clock,
    Row,
    adjacency_rows,
    adjacency_trainer,
    print_profile,
    settings_of,
    tiles_of,
    trained_milliseconds,
)
from machine import describe_machine
from plain_trainer import PlainViews, train

MIDDLE = 7_000
# Iterations that compile the kernels, one for each degree of the harmonics.
WARM_UP = 5
MCMC = {
    "strategy": "mcmc",
    "opacity_regularization": 0.01,
    "size_regularization": 0.01,
    "refine": {"stop": 25_000},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ungraphed": {"cuda_graphs": False},
    "tile8": {},
    "tile16": {},
    "batch2": {},
    "unexposed": {"exposure_rate": 0},
    "undecayed": {"learning_rates": {"decay": 1}},
    "before": {"exposure_rate": 0, "learning_rates": {"decay": 1}},
    "exposure0.3": {"exposure_rate": 1e-3},
    "decay0.03": {"learning_rates": {"decay": 0.03}},
    "opacity": {"opacity_regularization": 0.01},
    "size": {"size_regularization": 0.1},
    "sh": {"sh_regularization": 0.1},
    "degree1": {"sh_degree": 1},
    "degree2": {"sh_degree": 2},
    "dropout10": {"dropout": 0.1},
    "dropout20": {"dropout": 0.2},
    "cap30k": {"max_splats": 30_000},
    "cap60k": {"max_splats": 60_000},
    "mcmc30k": MCMC | {"max_splats": 30_000},
    "mcmc60k": MCMC | {"max_splats": 60_000},
    "means0.3": {"learning_rates": {"means": 5e-5, "means_final": 5e-7}},
    "noalpha": {"alpha_weight": 0.0},
    "coarse": {"refine": {"densify_gradient": 0.0016}},
    "selection": {"selection_every": 8},
    "half": {},
    "third": {},
    "quarter": {},
}
# Views of an iteration; as many fewer iterations see them.
BATCHES = {"batch2": 2}
# The whole schedule in so many times fewer iterations, one view in each.
SHORTER = {"half": 2, "third": 3, "quarter": 4}
KEYS = ("heldout_psnr", "heldout_ssim", "heldout_psnr_corrected", "psnr")
EXPOSED = ("heldout_psnr_exposed", "heldout_ssim_exposed")
BARS = "bars: PSNR >= plain - 0.05 dB, SSIM >= plain - 0.002, wall <= 0.5 of plain"


class Views:
    """The views of a folder and how they are split."""

    def __init__(self, folder: Path) -> None:
        self.cameras = read_cameras(folder / "cameras.json")
        self.images = read_views(folder, self.cameras)
        self.points, self.colors = read_points(folder / "points.npz")
        self.training, self.held = split_views(self.cameras.names, HOLDOUT_EVERY)

    def of(self, indices: list[int]) -> tuple[Cameras, list[RgbaImage]]:
        names = [self.cameras.names[i] for i in indices]
        return self.cameras.select(names), [self.images[i] for i in indices]

    def score(self, splats: Splats, exposures: Exposures | None = None) -> dict[str, float]:
        """Foreground PSNR and SSIM of held-out and of training views."""
        renders = {name: image for name, image, *_ in render_views(splats, self.cameras)}
        scores = score_views(self.cameras, self.images, renders, HOLDOUT_EVERY, exposures)
        return {key: scores[key] for key in (*KEYS, *(EXPOSED if exposures else ()))}


class Watch:
    """Scores a training in the middle and at the end, with the clock stopped; no warm-up."""

    def __init__(self, views: Views, iterations: int, device: str) -> None:
        self.views, self.iterations = views, iterations
        self.row: Row = {}
        self.clock = Clock(device)

    def __call__(self, iteration: int, splats: Splats, exposures: Exposures | None = None) -> None:
        last = iteration == self.iterations
        if not last and iteration != MIDDLE:
            return
        self.clock.pause()
        found: Row = {"iteration": iteration, "splats": len(splats["means"])}
        if self.iterations > WARM_UP:
            self.row["end" if last else "middle"] = found | self.views.score(splats, exposures)
        if last:
            self.row["seconds"] = self.clock.seconds
            self.row["milliseconds"] = 1000 * self.clock.seconds / self.iterations
        else:
            self.clock.go_on()


def plain(views: Views, settings: TrainingSettings, device: str, fused_loss: bool = False) -> Row:
    """One row of the plain loop."""
    cameras, images = views.of(views.training)
    start = splats_from_points(views.points, views.colors, 3, SEED, settings.min_initial_splats)
    splats = Splats({n: torch.nn.Parameter(v.detach().to(device)) for n, v in start.items()})
    on_black = [torch.from_numpy(image[None, ..., :3] * image[None, ..., 3:]) for image in images]
    resident = PlainViews(
        torch.tensor(cameras.world_to_camera, dtype=torch.float32, device=device),
        torch.tensor(cameras.intrinsics, dtype=torch.float32, device=device),
        [image.to(device) for image in on_black],
    )
    watch = Watch(views, settings.iterations, device)
    order = random_order(range(len(cameras)), SEED)
    extent = scene_extent(cameras)
    train(splats, resident, order, extent, settings.iterations, watch, fused_loss)
    return watch.row


def ours(
    views: Views, settings: TrainingSettings, device: str, batch: int = 1, profile: bool = False
) -> Row:
    """One row of headstyle's training; `profile` also times its iterations after the last one."""
    data = (views.cameras, views.images, views.points, views.colors)
    trainer, selection = prepare_training(*data, settings, SEED, device)
    watch = Watch(views, settings.iterations, device)
    order = random_order(range(len(trainer.cameras)), SEED)
    every = max(1, settings.iterations // HISTORY_ROWS)
    for iteration in range(1, settings.iterations + 1):
        chosen = [next(order) for _ in range(batch)]
        loss = trainer.step(chosen)
        last = iteration == settings.iterations
        if iteration % every == 0 or last:
            trainer.record(loss, chosen)
        selection.look(trainer.splats, iteration, last, trainer.exposures)
        splats = selection.choose(trainer.splats) if last else trainer.splats
        watch(iteration, splats, trainer.exposures)
    if selection.iteration:
        watch.row["chosen_iteration"] = selection.iteration
    if trainer.replayer:
        watch.row["replayed"] = trainer.replayer.replayed
    if profile and device == "cuda":
        watch.row["trained"] = trained_milliseconds(trainer)
        print_profile(
            lambda: trainer.step([0]), f"{len(trainer.splats['means']):,} splats, trained"
        )
    return watch.row


PLAIN = {"plain": plain, "plain_fused": partial(plain, fused_loss=True)}


def profiles(views: Views, device: str) -> None:
    """Profiles of an iteration on one view with the trained number of splats, and on nine."""
    data = (views.cameras, views.images, views.points, views.colors)
    settings = replace(settings_of({}, 30_000), min_initial_splats=130_000)
    trainer, _ = prepare_training(*data, settings, SEED, device)
    trainer.iteration = 4_100
    print_profile(lambda: trainer.step([0]), "one view, 130,000 splats")
    many = adjacency_trainer(device, (512, 765), 200_000)
    print_profile(lambda: many.step(range(9)), "nine views, 200,000 splats")


def show(name: str, row: Row, reference: Row | None) -> None:
    """Print one row, with its distance from the plain loop's."""
    parts = []
    for key in ("middle", "end"):
        if found := row.get(key):
            parts.append(
                f"at {found['iteration']:6}: {found['splats']:7,} splats, held out "
                f"{found['heldout_psnr']:5.2f} dB ({found['heldout_psnr_corrected']:5.2f}) "
                f"{found['heldout_ssim']:.4f}, "
                + (
                    f"exposed {found[EXPOSED[0]]:5.2f} dB {found[EXPOSED[1]]:.4f}, "
                    if EXPOSED[0] in found
                    else ""
                )
                + f"trained {found['psnr']:5.2f} dB"
            )
    text = f"{name:10} {row['seconds']:7.1f} s {row['milliseconds']:6.2f} ms | {' | '.join(parts)}"
    if reference and reference is not row:
        end, other = row["end"], reference["end"]
        text += (
            f" | of plain: {row['seconds'] / reference['seconds']:.2f} x wall, "
            f"{end['heldout_psnr'] - other['heldout_psnr']:+.2f} dB, "
            f"{end['heldout_ssim'] - other['heldout_ssim']:+.4f}"
        )
    print(text, flush=True)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=["cpu", "cuda"], default=device)
    parser.add_argument("--views", type=Path, help="folder R/{subject}/views")
    parser.add_argument("--size", type=int, default=512, help="long side of a head's views [px]")
    parser.add_argument("--iterations", type=int, default=30_000)
    parser.add_argument(
        "--variants",
        default="plain,ours",
        help=f"all, none, or of {', '.join([*PLAIN, *VARIANTS])}, with commas between",
    )
    parser.add_argument("--adjacency", action="store_true", help="time iterations on 9 views")
    parser.add_argument("--adjacency-splats", type=int, default=200_000)
    parser.add_argument("--adjacency-size", type=int, nargs=2, default=(512, 765))
    parser.add_argument("--repeats", type=int, default=50, help="of an iteration on 9 views")
    parser.add_argument("--profile", action="store_true", help="show where an iteration goes")
    parser.add_argument("--without-triton", action="store_true", help="plain operators instead")
    parser.add_argument("--json", type=Path, help="write the rows here, too")
    options = parser.parse_args()
    known = [*PLAIN, *VARIANTS]
    chosen = known if options.variants == "all" else options.variants.split(",")
    options.variants = [] if options.variants == "none" else chosen
    if unknown := [name for name in options.variants if name not in known]:
        parser.error(f"there is no variant {unknown[0]}; choose of {', '.join(known)}")
    return options


def views_of(options: argparse.Namespace, scratch: str) -> Views:
    folder = options.views or Path(scratch) / "views"
    if not (folder / "cameras.json").exists():
        from head_views import make_views

        print(f"photographing a head into {folder}", flush=True)
        make_views(folder, options.size)
    views = Views(folder)
    sizes = sorted({tuple(size) for size in views.cameras.sizes.tolist()})
    print(f"{len(views.training)} training and {len(views.held)} held-out views of {sizes} px")
    return views


def measured(name: str, views: Views, options: argparse.Namespace) -> Row:
    """The row of one variant."""
    changes, batch = VARIANTS.get(name, {}), BATCHES.get(name, 1)
    run = PLAIN.get(name) or partial(ours, batch=batch)
    with tiles_of(name):
        # Kernels are compiled before the clock starts.
        run(views, settings_of(changes | {"sh_degree_every": 1}, WARM_UP), options.device)
        settings = settings_of(changes, options.iterations)
        if name == "ours" and options.profile:
            run = partial(run, profile=True)
        return run(views, faster(settings, SHORTER.get(name, batch)), options.device)


def faster(settings: TrainingSettings, times: int) -> TrainingSettings:
    """The same schedule in so many times fewer iterations; 1 leaves it as it is."""
    refine = settings.refine
    assert refine is not None
    names = ("start", "stop", "every", "reset_opacity_every")
    return replace(
        settings,
        iterations=settings.iterations // times,
        sh_degree_every=settings.sh_degree_every // times,
        refine=replace(refine, **{name: getattr(refine, name) // times for name in names}),
    )


def measure_all(options: argparse.Namespace, result: Row, scratch: str) -> None:
    """Do what the options ask for, part by part, and put it into `result`."""

    def attempt(what: str, work: Callable[[], None]) -> None:
        start = time.perf_counter()
        try:
            work()
        except Exception as error:
            traceback.print_exc()
            result["failed"][what] = f"{type(error).__name__}: {error}"
        print(f"{what}: {time.perf_counter() - start:.0f} s in all", flush=True)
        if options.json:
            write_json(options.json, result)

    def adjacency() -> None:
        size, count = tuple(options.adjacency_size), options.adjacency_splats
        result["adjacency"] = []
        for tile in ("", *(TILES if options.device == "cuda" else ())):
            with tiles_of(tile):
                for row in adjacency_rows(options.device, size, count, options.repeats):
                    row["what"] += f", {tile}" if tile else ""
                    result["adjacency"].append(row)
                    print(f"{row['what']}: {row['milliseconds']:.2f} ms (bar for 9 views: 10 ms)")

    def variant(name: str) -> None:
        result["variants"][name] = row = measured(name, views, options)
        show(name, row, result["variants"].get("plain"))

    if options.adjacency:
        attempt("adjacency", adjacency)
    if options.variants or options.profile:
        views = views_of(options, scratch)
    if options.profile:
        attempt("profile", lambda: profiles(views, options.device))
    for name in options.variants:
        attempt(name, lambda name=name: variant(name))
    if options.variants:
        print(BARS)


def main() -> None:
    options = parse_options()
    keep_freed_memory()
    if options.without_triton:
        for module in ("losses", "rendering_cuda", "densification", "exposure"):
            __import__(f"headstyle.{module}")
            sys.modules[f"headstyle.{module}"].has_triton = lambda: False
    result: Row = {"machine": describe_machine(options.device), "variants": {}, "failed": {}}
    print(result["machine"], flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        measure_all(options, result, scratch)
    if result["failed"]:
        sys.exit(f"failed: {result['failed']}")


if __name__ == "__main__":
    main()
