"""Whole avatars in the benchmark of stylization: alone, several in a job, and the presets."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from headstyle.avatars import job as avatar_job
from headstyle.avatars.files import AvatarFolder, Order
from headstyle.avatars.job import Job
from headstyle.avatars.runs import Subject
from headstyle.editing.instruct_pix2pix import InstructPix2Pix
from headstyle.losses.lpips_networks import package_network
from stylize_editor import ROOT, Options, Rows, make_editor, peak_gb, synchronized
from stylize_scene import Size, make_subject
from stylize_variants import apply, combined

SUBJECTS, STUDY = 4, 64
"""Subjects of the study, each with a job of its own, and its avatars."""


def make_orders(size: Size, folder: Path, count: int, **stylization: Any) -> list[Order]:
    """Avatars with the study's settings."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    machine = ("batch_size", "max_memory_gb", "compile", "device")
    editing = {k: v for k, v in config["editing"].items() if k not in machine}
    shorter = {"iterations": size.iterations, "edit_every": size.iterations // 2}
    params = {
        "strength": config["strengths"]["high"],
        "editing": editing,
        "stylization": config["stylization"] | shorter | stylization,
        # Edits by random weights are noise, toward which splats would multiply without end.
        "baseline": config["baseline"] | {"max_splats": round(1.3 * size.splats)},
        "seed": 0,
        "library": "benchmark",
    }
    texts = [f"Turn him into statue number {i}" for i in range(count)]
    return [
        Order("A", f"P{i}", "high", params | {"prompt_text": text}, folder / f"P{i}_high")
        for i, text in enumerate(texts)
    ]


def make_all(size: Size, editor: InstructPix2Pix, subject: Subject, orders: list[Order]) -> float:
    """Make avatars in one job and return the seconds it took."""
    avatar_job.make_editor = lambda editing, device: editor
    job = Job(subject, "inputs", {}, size.device)
    started = synchronized(size.device)
    job.make(orders[0], orders[1:], len(orders))
    return synchronized(size.device) - started


def phases(orders: list[Order]) -> dict[str, float]:
    """Mean seconds of each phase."""
    files = [AvatarFolder(order.folder, order.task("inputs")) for order in orders]
    read = [json.loads((f.finished / "timings.json").read_text())["seconds"] for f in files]
    return {phase: float(np.mean([times[phase] for times in read])) for phase in read[0]}


def part_avatar(size: Size, options: Options) -> Rows:
    """One avatar in a job of its own, after the networks are loaded."""
    subject, editor = make_subject(size), make_editor(size, options.job_compile)
    apply(combined(options.variant), editor)
    with tempfile.TemporaryDirectory() as folder:
        yield {"warming_s": make_one(size, editor, subject, Path(folder) / "warm")}
        orders = make_orders(size, Path(folder) / "one", 1)
        seconds = make_all(size, editor, subject, orders)
        yield {"seconds": seconds, "phases": phases(orders), "editor": editor.describe_machine()}
    del editor, subject
    yield {"peak_gb": peak_gb(size.device)}


def make_one(size: Size, editor: InstructPix2Pix, subject: Subject, folder: Path) -> float:
    """Make an avatar of two iterations, so that all kernels are chosen and compiled; seconds."""
    return make_all(size, editor, subject, make_orders(size, folder, 1, iterations=2, edit_every=2))


def part_job(size: Size, options: Options) -> Rows:
    """Several avatars in one job; networks are loaded and compiled as for the whole study."""
    started = synchronized(size.device)
    subject, editor = make_subject(size), make_editor(size, options.job_compile)
    apply(combined(options.variant), editor)
    # The study's job knows that it is long, which decides whether compiling pays off.
    editor.expect(STUDY // SUBJECTS * 2 * size.views)
    with tempfile.TemporaryDirectory() as folder:
        make_one(size, editor, subject, Path(folder) / "warm")
        preparing = synchronized(size.device) - started
        yield {"preparing_s": preparing, "editor": editor.describe_machine()}
        orders = make_orders(size, Path(folder) / "job", size.avatars)
        made = make_all(size, editor, subject, orders)
        row = {"avatars": size.avatars, "seconds": made, "phases": phases(orders)}
    row["study_min"] = (SUBJECTS * preparing + made / size.avatars * STUDY) / 60
    yield row | {"editor": editor.describe_machine()}
    del editor, subject
    yield {"peak_gb": peak_gb(size.device)}


def part_presets(size: Size, options: Options) -> Rows:
    """Peak memory of the variants of Instruct-NeRF2NeRF, some dozen iterations of each."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "alex.pth"
        state = package_network("alex").net.state_dict()
        torch.save({"features." + k.partition(".")[2]: v for k, v in state.items()}, weights)
        for name in ("in2n", "in2n-small", "in2n-tiny"):
            preset = yaml.safe_load((ROOT / f"config/presets/{name}.yaml").read_text())
            half = preset["editing"]["dtype"] == "float16" and size.device != "cpu"
            dtype = torch.float16 if half else torch.float32
            editor = make_editor(size, dtype=dtype, batch_size=1)
            subject = make_subject(size)
            changes = {"iterations": 4 if size.toy else 40, "edit_every": None}
            settings = preset["stylization"] | changes | {"lpips_weights": str(weights)}
            orders = make_orders(size, Path(folder) / name, 1, **settings)
            seconds = make_all(size, editor, subject, orders)
            del editor, subject
            yield {name: {"seconds": seconds, "peak_gb": peak_gb(size.device)}}
