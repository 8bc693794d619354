"""Time the published metrics on a scene like the study's, and the plain loop over its pairs.

    python benchmarks/metrics.py --json metrics.json
    python benchmarks/metrics.py --device cuda --lpips-weights squeezenet1_1-b8a52dc0.pth

The scene: head and shoulders as textured ellipsoids, seen by the study's rig of 37 cameras, each
view compared with its 8 nearest, at 512 x 765 px. Timed is `headstyle.consistency.scoring.score`
after images and networks are in memory and a small scene was scored once; then the same with the
headline score, whose unedited views are other photographs of the scene. The loop takes one pair at
a time in numpy, writes its images as PNG, and uses scikit-image and the lpips package, on the same
device and with as many threads; it runs on some of the pairs, and its time is scaled to all.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headstyle  # noqa: F401  (before torch: it sets how idle threads wait)
import numpy as np
import torch
from headstyle.base.files import write_json
from headstyle.consistency.metrics import load_metrics
from headstyle.consistency.scoring import SETTINGS, score
from headstyle.losses.lpips_networks import load_network
from pair_loop import environment, nearest_pairs, photograph, rig_of, score_pair

METRICS = ["rmse", "ciede2000", "lpips"]
WITH_HEADLINE = [*METRICS, "headline"]
FRACTIONS = (0.25, 0.5, 1.0)


def main() -> None:
    options = parse_options()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    cameras = rig_of(options.views, options.width, options.height)
    pairs = nearest_pairs(cameras, options.neighbors)
    views = photograph(cameras)
    print(f"{len(pairs)} pairs of {len(cameras)} views, {options.width} x {options.height} px")
    with tempfile.TemporaryDirectory() as folder:
        weights = options.lpips_weights or random_backbone(Path(folder))
        settings = {**SETTINGS, "names": WITH_HEADLINE, "lpips_weights": weights}
        metrics = load_metrics(settings, device)
        unedited = photograph(cameras, seed=len(cameras))[0]

        def ours(count: int, chosen: list[Any]):
            return score(
                *views, cameras, pairs[:count],
                unedited=unedited if chosen is metrics else None,
                settings=settings, device=device, metrics=chosen,
            )  # fmt: skip

        warm_up(settings, device, metrics)
        counts = [max(1, round(fraction * len(pairs))) for fraction in FRACTIONS]
        published = metrics[: len(METRICS)]
        timings = [
            (count, *timed(lambda: ours(count, published), device))  # noqa: B023
            for count in counts
        ]
        rows = [
            {"what": "headstyle", "pairs": count, "seconds": seconds, "cpu_seconds": cpu}
            for count, seconds, cpu, _ in timings
        ]
        table = timings[-1][3]
        seconds, cpu, _ = timed(lambda: ours(len(pairs), metrics), device)
        more = {"what": "the same and the headline", "pairs": len(pairs)}
        rows.append({**more, "seconds": seconds, "cpu_seconds": cpu})
        if options.loop_pairs:
            rows.append(loop_row(options, cameras, views, pairs, table, weights, device, folder))
    result = summary(options, rows, table, device)
    show(result)
    if options.json:
        write_json(options.json, result)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--views", type=int, default=37)
    parser.add_argument("--neighbors", type=int, default=8)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--height", type=int, default=765)
    parser.add_argument("--threads", type=int, help="of the CPU; by default all")
    parser.add_argument("--loop-pairs", type=int, default=16, help="pairs of the loop; 0: no loop")
    parser.add_argument(
        "--lpips-weights", type=Path, help="squeezenet's file; by default random weights"
    )
    return parser.parse_args()


def random_backbone(folder: Path) -> Path:
    """A file with squeezenet at random weights: they cost as much time as trained ones."""
    import torchvision

    torch.manual_seed(0)
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), folder / "random.pth")
    return folder / "random.pth"


def warm_up(settings: dict[str, Any], device: torch.device, metrics: list[Any]) -> None:
    """Score a small scene, so that libraries and kernels are loaded."""
    cameras = rig_of(4, 128, 192)
    views, pairs = photograph(cameras), nearest_pairs(cameras, 2)
    score(
        *views, cameras, pairs,
        unedited=views[0], settings=settings, device=device, metrics=metrics,
    )  # fmt: skip


def timed(work: Callable[[], Any], device: torch.device) -> tuple[float, float, Any]:
    """Seconds, processor seconds, and the result."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - start, time.process_time() - cpu, result


def loop_row(
    options: argparse.Namespace,
    cameras: Any,
    views: Any,
    pairs: list[tuple[str, str]],
    table: Any,
    weights: Path,
    device: torch.device,
    folder: str,
) -> dict[str, Any]:
    """Time the loop on some pairs, and how far its values are from ours."""
    network = load_network("squeeze", weights).to(device)
    # Loading once more: the first pair would pay for libraries.
    chosen = np.unique(np.linspace(0, len(pairs) - 1, options.loop_pairs).astype(int))
    positions = [tuple(cameras.index(name) for name in pairs[row]) for row in chosen]
    arguments = (cameras, views, network, Path(folder), device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score_pair(*positions[0], *arguments)
        seconds, cpu, values = timed(
            lambda: [score_pair(*pair, *arguments) for pair in positions], device
        )
    off = np.abs(np.array(values) - table.loc[chosen, METRICS].to_numpy()).max(axis=0)
    scale = len(pairs) / len(chosen)
    return {
        "what": "loop over pairs in numpy",
        "pairs": len(pairs),
        "seconds": seconds * scale,
        "cpu_seconds": cpu * scale,
        "measured_pairs": len(chosen),
        "largest_difference": dict(zip(METRICS, off.tolist(), strict=True)),
    }


def summary(
    options: argparse.Namespace, rows: list[dict[str, Any]], table: Any, device: torch.device
) -> dict[str, Any]:
    ours = [row for row in rows if row["what"] == "headstyle"]
    quarter, whole = ours[0], ours[-1]
    result = {
        "scene": {
            "views": options.views,
            "pairs": whole["pairs"],
            "size_px": [options.width, options.height],
            "mean_overlap": float(table["overlap"].mean()),
        },
        "lpips_weights": str(options.lpips_weights or "random (they take as long as trained ones)"),
        "device": str(device),
        **environment(device),
        "means": {name: float(table[name].mean()) for name in METRICS},
        # 1 if the time per pair is the same for a quarter of the pairs and for all.
        "linearity": (whole["seconds"] / whole["pairs"]) / (quarter["seconds"] / quarter["pairs"]),
        "rows": rows,
    }
    if device.type == "cuda":
        result["peak_gpu_gib"] = torch.cuda.max_memory_allocated() / 2**30
    if len(rows) > len(ours):
        result["times_faster"] = rows[-1]["seconds"] / whole["seconds"]
    return result


def show(result: dict[str, Any]) -> None:
    print(f"{result['machine']}, {result['cores']} cores, {result['threads']} threads;", end=" ")
    print(f"torch {result['torch']}; LPIPS squeeze, weights {result['lpips_weights']}")
    print(f"{'':28}{'pairs':>7}{'seconds':>10}{'CPU s':>10}{'ms/pair':>10}")
    for row in result["rows"]:
        per_pair = 1000 * row["seconds"] / row["pairs"]
        numbers = (
            f"{row['pairs']:7}{row['seconds']:10.2f}{row['cpu_seconds']:10.1f}{per_pair:10.1f}"
        )
        print(f"{row['what']:28}{numbers}")
        if "measured_pairs" in row:
            print(f"    scaled from {row['measured_pairs']} pairs; largest differences from ours:")
            print("   ", ", ".join(f"{k} {v:.1e}" for k, v in row["largest_difference"].items()))
    if "times_faster" in result:
        print(f"{result['times_faster']:.1f} times as fast as the loop")
    print(f"time per pair of all pairs against a quarter of them: {result['linearity']:.2f}")


if __name__ == "__main__":
    main()
