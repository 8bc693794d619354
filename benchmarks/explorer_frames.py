"""Time the explorer's splat drawer in a browser: pictures per second while a scene turns.

    python benchmarks/explorer_frames.py --splats 20000

The scene is the head-like one of the other benchmarks, seen by a ring of cameras. Chromium draws it
with software GL, so that no GPU counts. `fixed` draws every picture at full size; `moving` is what
the page does, which draws coarser pictures while the scene moves. It needs playwright and Chromium.
"""

import argparse
import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from head_like import DISTANCE, head_like
from headstyle.base.files import write_json
from headstyle.report.explorer.page import explorer_page
from headstyle.report.explorer.splats import packed_splats
from machine import describe_machine
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox")
VIEWS = 5
SIZE_PX = 512
# Counts pictures that reached the screen: reading a pixel waits until all is drawn.
TURN = """(seconds, draw) => new Promise((done) => {
  const pixel = new Uint8Array(4);
  const { gl } = splats.gl;
  const start = performance.now();
  let drawn = 0;
  const step = (time) => {
    splats.yaw += 0.02;
    draw(time);
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
    drawn++;
    if (performance.now() - start < 1000 * seconds) requestAnimationFrame(step);
    else done([drawn, (performance.now() - start) / 1000]);
  };
  requestAnimationFrame(step);
})"""


def page_of(count: int) -> str:
    """An explorer with two scenes of so many splats."""
    scene = packed_splats(head_like(count, SIZE_PX)[0], count)
    focal = DISTANCE * SIZE_PX
    lens = [[focal, 0, SIZE_PX / 2], [0, focal, SIZE_PX / 2], [0, 0, 1]]
    names = [f"v{i}" for i in range(VIEWS)]
    poses = []
    for angle in np.linspace(-0.4, 0.4, VIEWS):
        pose = np.eye(4)
        pose[:3, :3] = [
            [np.cos(angle), 0, np.sin(angle)],
            [0, 1, 0],
            [-np.sin(angle), 0, np.cos(angle)],
        ]
        pose[2, 3] = DISTANCE
        poses.append(pose.tolist())
    nothing: dict[str, Any] = {"film": None, "pairs": [], "views": [[None]] * VIEWS}
    layer = {"name": "avatar", "pictures": [None] * VIEWS}
    subject = {
        "name": "A",
        "unedited": True,
        "rig": {
            "names": names,
            "sizes": [[SIZE_PX, SIZE_PX]] * VIEWS,
            "intrinsics": [lens] * VIEWS,
            "poses": poses,
            "walk": list(range(VIEWS)),
            "shown": VIEWS // 2,
            "edges": [[i, i + 1] for i in range(VIEWS - 1)],
            "center": [0, 0, 0],
            "up": [0, -1, 0],
        },
        "avatars": [
            {"name": "P_low", "prompt": "P", "promptName": "", "text": "", "strength": "low"}
        ],
        "shared": {"layers": [], "truth": {}, "splats": scene},
        "content": {"P_low": {**nothing, "layers": [layer], "splats": scene}},
    }
    return explorer_page("frames", [subject], [], ["rmse"])


def children(of: int) -> list[int]:
    """A process and all that it started, by Linux's /proc."""
    found = [of]
    for task in Path(f"/proc/{of}/task").glob("*/children"):
        for child in task.read_text().split():
            found += children(int(child))
    return found


def processor_seconds(processes: list[int]) -> float:
    """What these processes have computed so far. On a busy machine it tells more than a clock."""
    ticks = 0
    for process in processes:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(page: Page, seconds: float) -> dict[str, dict[str, float]]:
    """Pictures per second and what each costs, by what is shown and how it is drawn."""
    found, processes = {}, children(os.getpid())[1:]
    page.evaluate("find('splats').scrollIntoView()")
    for shown in ("avatar", "swipe"):
        page.evaluate(f"change({{scene: '{shown}'}})")
        for name, draw in (("fixed", "drawSplats"), ("moving", "drawMoving")):
            page.evaluate(f"({TURN})(1, {draw})")
            before = processor_seconds(processes)
            drawn, took = page.evaluate(f"({TURN})({seconds}, {draw})")
            spent = processor_seconds(processes) - before
            found[f"{shown}_{name}"] = {
                "per_second": round(drawn / took, 1),
                "processor_ms_each": round(1000 * spent / drawn, 1),
                "detail": page.evaluate("splats.detail"),
            }
            page.evaluate("clearTimeout(splats.rest); restSplats()")
    return found


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splats", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--width", type=int, default=1400, help="of the window [px]")
    parser.add_argument("--chromium", default=CHROMIUM)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "explorer.html")
        path.write_text(page_of(args.splats), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=args.chromium, args=list(FLAGS))
        page = browser.new_page(viewport={"width": args.width, "height": 900})
        page.goto(f"file://{path}")
        while not page.evaluate("splats.drawn > 0"):
            page.wait_for_timeout(50)
        size = page.evaluate("[find('splats').width, find('splats').height]")
        rates = measure(page, args.seconds)
        browser.close()
    result = {"machine": describe_machine("cpu"), "splats": args.splats, "canvas_px": size, **rates}
    print(json.dumps(result, indent=2))
    if args.json:
        write_json(args.json, result)


if __name__ == "__main__":
    main()
