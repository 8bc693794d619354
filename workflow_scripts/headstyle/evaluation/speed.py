"""How fast a scene renders, and how large it is as a file."""

import time
from pathlib import Path

import torch

from headstyle.base.cameras import Cameras
from headstyle.rendering.renderer import RendersItself, Splats, render, render_views
from headstyle.rendering.spz import encode


def frames_per_second(splats: Splats | RendersItself, cameras: Cameras, rounds: int = 3) -> float:
    """Renders of the cameras' views per second, the images of splats left on the device.

    One round over the cameras warms up and is not counted. Each view is rendered by itself.

    Args:
        splats: The scene; its tensors' device renders.
        cameras: The views.
        rounds: How often all views are rendered.
    """
    if isinstance(splats, RendersItself):
        began = time.perf_counter()
        for _ in render_views(splats, cameras):
            pass
        return len(cameras) / (time.perf_counter() - began)
    device = splats["means"].device
    poses = torch.from_numpy(cameras.world_to_camera).float().to(device)
    matrices = torch.from_numpy(cameras.intrinsics).float().to(device)
    sizes = cameras.sizes.tolist()
    started = 0.0
    with torch.no_grad():
        for number in range(rounds + 1):
            if number == 1:
                _wait(device)
                started = time.perf_counter()
            for i, (width, height) in enumerate(sizes):
                render(splats, poses[i : i + 1], matrices[i : i + 1], width, height)
        _wait(device)
    return rounds * len(sizes) / (time.perf_counter() - started)


def file_sizes(splats: Splats | RendersItself, ply: Path) -> dict[str, int]:
    """Bytes of a scene as PLY and as SPZ; none of these of a scene of another kind."""
    if isinstance(splats, RendersItself):
        return {}
    arrays = {name: value.detach().cpu().numpy() for name, value in splats.items()}
    return {"ply_bytes": ply.stat().st_size, "spz_bytes": len(encode(arrays))}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
