"""Look at the training pairs and measure how fast they come."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from headstyle.base.files import whole_file
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from headstyle_training.heads.bank import HeadBank
from headstyle_training.heads.pairs import EditBatch, PairStream
from headstyle_training.heads.settings import PairCheck
from headstyle_training.pictures.backgrounds import random_backgrounds


def check_pairs(settings: PairCheck, device: str, sheet: Path | None = None) -> dict[str, Any]:
    """Fill a bank and draw pairs for a while.

    Args:
        settings: How many heads and pairs, and for how long.
        device: cuda or cpu.
        sheet: JPEG file for a contact sheet, or None.

    Returns:
        Times [s], rates [1/s], and bytes of device memory per head.
    """
    seeds = range(settings.first_seed, settings.first_seed + settings.heads)
    start = time.perf_counter()
    with HeadBank(seeds, settings.coarseness, settings.workers, device) as bank:
        bank.wait_for(1)
        first_head_s = time.perf_counter() - start
        bank.wait_for(settings.heads)
        filled_s = time.perf_counter() - start
        stream = PairStream(bank, settings.height, settings.width, seed=0)
        shown = stream.draw(min(settings.batch, settings.rows * settings.columns))
        rates = measure(stream, settings.batch, settings.seconds)
        found: dict[str, Any] = {
            "device": device,
            "heads": len(bank),
            "first_head_s": round(first_head_s, 2),
            "heads_per_s": round(len(bank) / filled_s, 3),
            "bytes_per_head": bank.used_bytes // len(bank),
            "height_px": settings.height,
            **rates,
        }
    if torch.device(device).type == "cuda":
        found["peak_memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    if sheet is not None:
        with whole_file(sheet) as path:
            _write_sheet(path, shown, settings.columns)
    return found


def measure(stream: PairStream, batch: int, seconds: float) -> dict[str, float]:
    """Pairs and backgrounds per second, after one batch to warm up."""
    device = stream.bank.device
    generator = torch.Generator(device).manual_seed(0)
    size = (stream.height, stream.width)
    makers: dict[str, Callable[[], object]] = {
        "pairs_per_s": lambda: stream.draw(batch),
        "backgrounds_per_s": lambda: random_backgrounds(batch, *size, generator, device),
    }
    rates = {}
    for name, make in makers.items():
        make()
        _finish(device)
        start, drawn = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            make()
            _finish(device)
            drawn += batch
        rates[name] = round(drawn / (time.perf_counter() - start), 2)
    return rates


def contact_sheet(batch: EditBatch, backgrounds: Tensor, columns: int) -> NDArray[np.uint8]:
    """Photograph, edit and concerned pixels side by side, the instruction above. `(h, w, 3)`."""
    text_height = 14
    tiles = []
    for i, instruction in enumerate(batch.instructions):
        images = []
        for rgba in (batch.photographs[i], batch.edited[i]):
            images.append(rgba[:3] * rgba[3:] + backgrounds[i] * (1 - rgba[3:]))
        gray = images[0].mean(dim=0, keepdim=True)
        marked = torch.cat([0.4 * gray + 0.6 * batch.concerned[i], 0.8 * gray, 0.8 * gray])
        row = torch.cat([*images, marked], dim=2).clamp(0, 1).mul(255).byte()
        picture = Image.fromarray(row.movedim(0, 2).cpu().numpy())
        tile = Image.new("RGB", (picture.width, picture.height + text_height), "white")
        tile.paste(picture, (0, text_height))
        label = f"{instruction} [{float(batch.strengths[i]):.2f}]"
        ImageDraw.Draw(tile).text((2, 1), label, fill="black")
        tiles.append(np.array(tile))
    while len(tiles) % columns:
        tiles.append(np.full_like(tiles[0], 255))
    rows = [np.concatenate(tiles[k : k + columns], axis=1) for k in range(0, len(tiles), columns)]
    return np.concatenate(rows)


def _write_sheet(path: Path, batch: EditBatch, columns: int) -> None:
    count, _, height, width = batch.photographs.shape
    device = batch.photographs.device
    generator = torch.Generator(device).manual_seed(1)
    backgrounds = random_backgrounds(count, height, width, generator, device)
    Image.fromarray(contact_sheet(batch, backgrounds, columns)).save(path, quality=92)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
