"""Look at the training pairs and measure how fast they come.

python -m headstyle_training.heads.check_pairs --heads 64 --batch 64 --size 256 --seconds 20 \
    --sheet OUT.jpg --json OUT.json
"""

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from headstyle_training.heads.pairs import EditBatch, PairStream

FIRST_TRAINING_SEED = 1000


def main() -> None:
    """Fill a bank, draw pairs for a while, and write what was seen."""
    arguments = _arguments()
    # Imported here because the worker processes import this module too.
    import torch
    from headstyle.base.files import whole_file, write_json

    from headstyle_training.heads.bank import HeadBank
    from headstyle_training.heads.pairs import PairStream

    seeds = range(arguments.first_seed, arguments.first_seed + arguments.heads)
    start = time.perf_counter()
    with HeadBank(seeds, arguments.coarseness, arguments.workers, arguments.device) as bank:
        bank.wait_for(1)
        first_head_s = time.perf_counter() - start
        bank.wait_for(arguments.heads)
        filled_s = time.perf_counter() - start
        stream = PairStream(bank, arguments.size, arguments.width or arguments.size, seed=0)
        shown = stream.draw(min(arguments.batch, arguments.rows * arguments.columns))
        rates = measure(stream, arguments.batch, arguments.seconds)
        found: dict[str, Any] = {
            "device": arguments.device,
            "heads": len(bank),
            "first_head_s": round(first_head_s, 2),
            "heads_per_s": round(len(bank) / filled_s, 3),
            "bytes_per_head": bank.used_bytes // len(bank),
            "size_px": arguments.size,
            **rates,
        }
    if arguments.device == "cuda":
        found["peak_memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    for key, value in found.items():
        print(f"{key}: {value}")
    if arguments.json:
        write_json(arguments.json, found)
    if arguments.sheet:
        with whole_file(arguments.sheet) as path:
            _write_sheet(path, shown, arguments.columns)


def measure(stream: "PairStream", batch: int, seconds: float) -> dict[str, float]:
    """Pairs and backgrounds per second, after one batch to warm up."""
    import torch

    from headstyle_training.pictures.backgrounds import random_backgrounds

    device = stream.bank.device
    generator = torch.Generator(device).manual_seed(0)
    size = (stream.height, stream.width)
    makers = {
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


def contact_sheet(batch: "EditBatch", backgrounds: "Tensor", columns: int) -> "NDArray[np.uint8]":
    """Photograph, edit and concerned pixels side by side, the instruction above. `(h, w, 3)`."""
    import numpy as np
    import torch
    from PIL import Image, ImageDraw

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


def _write_sheet(path: Path, batch: "EditBatch", columns: int) -> None:
    import torch
    from PIL import Image

    from headstyle_training.pictures.backgrounds import random_backgrounds

    count, _, height, width = batch.photographs.shape
    device = batch.photographs.device
    generator = torch.Generator(device).manual_seed(1)
    backgrounds = random_backgrounds(count, height, width, generator, device)
    Image.fromarray(contact_sheet(batch, backgrounds, columns)).save(path, quality=92)


def _finish(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


def _arguments() -> argparse.Namespace:
    import torch

    parser = argparse.ArgumentParser(description="Look at training pairs and measure their speed.")
    parser.add_argument("--heads", type=int, default=64)
    parser.add_argument("--first-seed", type=int, default=FIRST_TRAINING_SEED)
    parser.add_argument("--coarseness", type=float, default=2.0)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=256, help="height [px]")
    parser.add_argument("--width", type=int, default=0, help="width [px]; the height by default")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rows", type=int, default=12, help="of the sheet")
    parser.add_argument("--columns", type=int, default=3, help="of the sheet")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--json", type=Path)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=default)
    return parser.parse_args()


if __name__ == "__main__":
    main()
