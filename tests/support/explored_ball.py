"""Results of a colored ball made of splats, with everything that the explorer shows."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fake_results import write_fake_results
from headstyle.base.adjacency import write_adjacency
from headstyle.base.cameras import read_cameras
from headstyle.base.images import write_image
from headstyle.base.tables.frames import write_table
from headstyle.base.tables.rows import read_rows
from headstyle.consistency.metrics import load_metrics
from headstyle.consistency.parts.kinds import write_kinds
from headstyle.consistency.scoring import SETTINGS, score, view_means
from headstyle.exporters.turntable import write_video
from headstyle.rendering.renderer import render_views
from headstyle.rendering.splats import splats_from_points, write_ply
from headstyle.report.explorer.legend import RENDERS
from headstyle.report.explorer.page import explorer_page, foreign_rows
from headstyle.report.explorer.shown import ShownSubject, foreign_subject, study_subject
from headstyle.report.explorer.subjects import explored_subject
from headstyle.report.sheets import Avatar, Subject

METRICS = ("rmse", "ciede2000_corrected")
# A ball of few splats has a rough surface.
SETTING = {**SETTINGS, "names": METRICS, "depth_tolerance": 0.05, "round_trip_px": 3.0}
EVIL = "<script>alert(1)</script>"
SIZE = (64, 96)


def ball_splats(seed: int):
    """A ball of splats whose colors depend on the direction."""
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(900, 3))
    points *= 0.8 / np.linalg.norm(points, axis=1, keepdims=True)
    colors = 0.5 + 0.4 * np.sin(points @ generator.normal(size=(3, 3)) * 4)
    splats = splats_from_points(points, colors, 1, seed)
    with torch.no_grad():
        splats["opacities"][:] = 2.5
        splats["scales"] += 0.2
        splats["shN"][:] = torch.from_numpy(generator.normal(0, 0.1, splats["shN"].shape))
    return splats


def write_explored_ball(results: Path) -> ShownSubject:
    """Write one subject, `A`, with two avatars of five views.

    Only of the first one there are measured kinds of disagreement, and a film.
    """
    write_fake_results(
        results, subjects=("A",), prompts=("P4",), strengths=("low", "high"), views=5, size=SIZE
    )
    folder = results / "A"
    cameras = read_cameras(folder / "views" / "cameras.json")
    names, adjacency = cameras.names, np.abs(np.subtract.outer(range(5), range(5))) == 1
    write_adjacency(folder / "adjacency.csv", names, adjacency)
    avatars = [
        Avatar(f"P4_{strength}", folder / f"avatars/P4_{strength}", "P4", "evil", EVIL, strength)
        for strength in ("low", "high")
    ]
    subject = Subject("A", folder / "masks/masks.json", folder / "views", folder / "baseline")
    for seed, scene in enumerate([subject.baseline, *(avatar.folder for avatar in avatars)]):
        splats = ball_splats(seed)
        write_ply(scene / "splats.ply", splats)
        if scene.name == "P4_low":
            values = np.linspace(0, 4, len(splats["means"]))
            write_ply(scene / "inconsistency.ply", splats, {"inconsistency": values})
        for name, image, median, expected in render_views(splats, cameras):
            write_image(scene / "renders" / f"{name}.png", image)
            np.savez(scene / "depth" / f"{name}.npz", median=median, expected=expected)
    film = avatars[0].folder / "film" / "beside_baseline.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (30, 64, 64), dtype=np.uint8)
    film.parent.mkdir()
    write_video(film, (np.repeat(frame[..., None], 3, axis=2) for frame in noise))
    for scene in (subject.baseline, avatars[0].folder):
        (scene / "film").mkdir(exist_ok=True)
        values = {"short_rmse": [0.01], "long_rmse": [0.02]}
        write_table(scene / "film" / "flicker.csv", pd.DataFrame({"subject": ["A"], **values}))
    shown = study_subject(subject, avatars, folder / "adjacency.csv", [film])
    for scene in shown.scenes:
        found = shown.comparison(scene)
        headline = load_metrics({**SETTING, "names": ("headline",)}, torch.device("cpu"))
        metrics = load_metrics(SETTING, torch.device("cpu"))
        scores, _ = (
            score(
                *(found.images, found.depths, found.cameras, found.pairs),
                unedited=found.unedited,
                settings=SETTING,
                device="cpu",
                metrics=chosen,
            )
            for chosen in (metrics, headline)
        )
        scene.tables.mkdir()
        write_table(scene.tables / "pairs.csv", scores)
        write_table(scene.tables / "views.csv", view_means(scores, METRICS))
        write_kinds(scene.tables / "kinds.npz", headline[0].kinds if scene.name == "P4_low" else {})
    return shown


def write_other_ply(path: Path, splats) -> None:
    """Write splats as another program might: as text, in another order, with a further column."""
    arrays = {name: value.detach().numpy() for name, value in splats.items()}
    # All of red, then of green, then of blue.
    directional = arrays["shN"].transpose(2, 1, 0).reshape(-1, len(arrays["means"]))
    columns = {
        "opacity": arrays["opacities"],
        **{f"scale_{k}": arrays["scales"][:, k] for k in range(3)},
        **{f"rot_{k}": 2 * arrays["quats"][:, k] for k in range(4)},
        **{f"f_dc_{k}": arrays["sh0"][:, 0, k] for k in range(3)},
        **{f"f_rest_{k}": rest for k, rest in enumerate(directional)},
        **{axis: arrays["means"][:, k] for k, axis in enumerate("xyz")},
        "segment": np.zeros(len(arrays["means"])),
    }
    lines = ["ply", "format ascii 1.0", f"element vertex {len(arrays['means'])}"]
    lines += [*(f"property double {name}" for name in columns), "end_header"]
    rows = np.stack(list(columns.values()), axis=1)
    lines += [" ".join(f"{value:.7g}" for value in row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def write_foreign_explorer(results: Path, path: Path) -> None:
    """Write the explorer of the same renders as if another method had made them.

    The views before the edit and their splats are known of the scene `mine`, not of `plain`. Of
    `theirs` another program wrote the splats.
    """
    folder = results / "A"
    baseline, avatars = folder / "baseline", folder / "avatars"
    known = {"unedited": baseline / "renders", "splats": baseline / "splats.ply"}
    theirs = results / "theirs.ply"
    splats = ball_splats(2)
    # So that nobody takes splats without them for splats with them.
    splats["shN"].data *= 4
    write_other_ply(theirs, splats)
    scenes = [
        foreign_subject(
            name,
            text,
            cameras=folder / "views" / "cameras.json",
            adjacency=folder / "adjacency.csv",
            renders=avatars / avatar / "renders",
            depth=avatars / avatar / "depth",
            tables=avatars / avatar / "consistency",
            **extra,
        )
        for name, avatar, text, extra in (
            ("mine", "P4_low", EVIL, known),
            ("plain", "P4_high", None, {}),
            ("theirs", "P4_high", None, {"own_splats": theirs}),
        )
    ]
    # The pairs of `plain` have pictures in one direction only, as its part of the page is small.
    sizes = {"plain": 10_000}
    contents = [
        explored_subject(scene, METRICS, SETTING, sizes.get(scene.name, 1_000_000))
        for scene in scenes
    ]
    contents = json.loads(json.dumps(contents, allow_nan=False))
    shown = [("mine", "renders", 2), ("mine", "before the edit", 1), ("plain", "renders", 3)]
    shown.append(("theirs", "renders", 4))
    rows = [
        {"scene": scene, "shown": what, "rmse": f"0.{value}", "rmse_excess": "0.1" * (value == 2)}
        for scene, what, value in shown
    ]
    text = explorer_page("foreign", contents, foreign_rows(rows, contents), METRICS, RENDERS)
    path.write_text(text, encoding="utf-8")


def write_ball_explorer(results: Path, path: Path) -> dict:
    """Write the explorer of these results; returns what was collected."""
    content = explored_subject(write_explored_ball(results), METRICS, SETTING, 3_000_000)
    # As it would be read from its file.
    content = json.loads(json.dumps(content, allow_nan=False))
    rows = read_rows(results / "tables" / "avatars.csv", None)
    path.write_text(explorer_page("ball", [content], rows, METRICS), encoding="utf-8")
    return content
