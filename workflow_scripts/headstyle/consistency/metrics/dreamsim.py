"""DreamSim: how unlike two views look as wholes, by a network tuned to people's judgements.

Source: Fu et al., "DreamSim: Learning New Dimensions of Human Visual Similarity using Synthetic
Data", NeurIPS 2023; by its authors' package, an optional one, with weights from files alone.
"""

import hashlib
import io
import json
import logging
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from headstyle.base.errors import InputError, first_line
from headstyle.base.files import whole_file
from headstyle.base.settings import Setting
from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch
from headstyle.consistency.parts.clip import head_square

SETTINGS = (
    Setting(
        "dreamsim_type",
        "open_clip_vitb32",
        {"enum": ["open_clip_vitb32", "clip_vitb32"]},
        meaning="Type of dreamsim's network.",
    ),
    Setting(
        "dreamsim_folder",
        None,
        {"type": ["string", "null"]},
        meaning="Folder with what the archive of dreamsim's weights holds. null looks in torch's "
        "cache.",
    ),
    Setting(
        "dreamsim_sha256",
        None,
        {"type": ["string", "null"], "pattern": "^[0-9a-f]{64}$"},
        meaning="SHA-256 that the archive of dreamsim's weights must have when it is downloaded: "
        "64 hex digits. null takes any archive, and the log tells its digest.",
    ),
)
# The package's other types are left out: those with DINO, such as the ensemble, run code of a
# branch on the network; the one with SynCLR does not ask torch for weights only.
TYPES = ("open_clip_vitb32", "clip_vitb32")
DOWNLOADS = "https://github.com/ssundaram21/dreamsim/releases/download/v0.2.0-checkpoints"
SIDE_PX = 224
_INSTALL = "pip install --constraint constraints.txt '.[dreamsim]'"


logger = logging.getLogger("headstyle")


class Dreamsim(Metric):
    """1 − cos(E(t), E(w)) of target t and warped source w; 0 for equal images.

    E is DreamSim's embedding less the mean of its numbers, as the package has it by default. Both
    images are gray outside the overlap, cut to the smallest square around it, and brought to
    224 × 224 px (bicubic, antialiased). The network sees a square as a whole: the value is no mean
    over pixels, and two overlaps of unlike shape or size are not strictly comparable.
    """

    name = "dreamsim"
    units = "1 − cosine, 0 to 2"
    warp = "corrected"

    def __init__(self, settings: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(settings, device)
        self.network = load_network(_type(settings), self.weights(settings), device)

    @classmethod
    def weights(cls, settings: Mapping[str, Any]) -> list[Path]:
        ways_out = "or take dreamsim out of metrics.names"
        if find_spec("dreamsim") is None:
            raise InputError(f"dreamsim needs the package dreamsim: {_INSTALL}, {ways_out}")
        paths = _paths(settings)
        for path in paths:
            if not path.is_file():
                raise InputError(
                    f"{path} is missing: dreamsim needs what {_archive(_type(settings))} holds; "
                    "get it with `snakemake --cores 1 models`, name the folder that has it in "
                    f"metrics.dreamsim_folder, {ways_out}"
                )
        return paths

    @classmethod
    def download(cls, settings: Mapping[str, Any]) -> list[Path]:
        paths, address = _paths(settings), _archive(_type(settings))
        if not all(path.is_file() for path in paths):
            with TemporaryDirectory() as folder:
                archive = Path(folder, "weights.zip")
                torch.hub.download_url_to_file(address, str(archive), progress=False)
                _check_digest(archive, address, settings.get("dreamsim_sha256"))
                _unpack(archive, dict(zip(_names(_type(settings)), paths, strict=True)))
        return paths

    @torch.inference_mode()
    def __call__(self, batch: PairBatch) -> Tensor:
        first, second = (
            self._embeddings(images, batch.overlap) for images in (batch.target, batch.warped)
        )
        # Half the squared distance of unit vectors is 1 − cos, and exactly 0 for equal ones.
        values = (first - second).square().sum(dim=1) / 2
        return values.where(batch.overlap.any(dim=(1, 2)), torch.nan)

    def _embeddings(self, images: Tensor, overlap: Tensor) -> Tensor:
        """Embeddings of unit length. Shape `(N, D)`, float64."""
        squares = [network_input(*pair) for pair in zip(images, overlap, strict=True)]
        return normalize(self.network.embed(torch.cat(squares)).double(), dim=1)


def network_input(image: Tensor, overlap: Tensor) -> Tensor:
    """The overlap on gray, in its square, as DreamSim takes images. Shape `(1, 3, 224, 224)`.

    Args:
        image: sRGB in [0, 1]. Shape `(H, W, 3)`.
        overlap: Shape `(H, W)`, bool.
    """
    square = head_square(image, overlap, overlap).permute(2, 0, 1)[None]
    # The package resizes 8-bit images, which cannot overshoot either.
    return interpolate(square, (SIDE_PX, SIDE_PX), mode="bicubic", antialias=True).clamp(0, 1)


def load_network(kind: str, files: list[Path], device: torch.device) -> Any:
    """DreamSim of a type from its files, all of which are here: the only door to the package.

    Raises:
        InputError: a file does not hold what it should.
    """
    backbone, settings, adapter = files
    try:
        from dreamsim import dreamsim
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"the package dreamsim cannot be imported ({error}); install it again: {_INSTALL}"
        ) from error
    try:
        # Of another kind of adapter, the library might load parts from the network.
        if json.loads(settings.read_text(encoding="utf-8"))["peft_type"] != "LORA":
            raise ValueError(f"{settings.name} is not of a LoRA adapter")
        # The package reports on the output, and draws random weights before it loads any.
        with redirect_stdout(io.StringIO()), warnings.catch_warnings(), torch.random.fork_rng():
            warnings.simplefilter("ignore")
            network, _ = dreamsim(
                dreamsim_type=kind, cache_dir=str(backbone.parent), device=str(device)
            )
        # Weights that the file lacks would stay random without a word.
        wanted = {n.replace(".default.", ".") for n in network.state_dict() if ".lora_" in n}
        with safe_open(adapter, "pt") as held:
            if missing := wanted - set(held.keys()):
                raise ValueError(f"{adapter.name} lacks {min(missing)}")
    except (
        *(OSError, RuntimeError, UnpicklingError, EOFError),
        *(SafetensorError, KeyError, TypeError, ValueError),
    ) as error:
        reason = first_line(error)
        raise InputError(
            f"{backbone.parent} does not hold DreamSim's weights of the type {kind} ({reason}); "
            f"unpack {_archive(kind)} there again"
        ) from error
    return network.eval().requires_grad_(False)


def _type(settings: Mapping[str, Any]) -> str:
    kind = settings.get("dreamsim_type", TYPES[0])
    if kind not in TYPES:
        raise InputError(f"metrics.dreamsim_type: {kind!r} is not one of {', '.join(TYPES)}")
    return kind


def _names(kind: str) -> list[str]:
    """A type's files in its archive and in the package's folder: backbone and adapter."""
    adapter = f"{kind}_single_lora"
    return [
        f"{kind}_pretrain.pth.tar",
        f"{adapter}/adapter_config.json",
        f"{adapter}/adapter_model.safetensors",
    ]


def _paths(settings: Mapping[str, Any]) -> list[Path]:
    default = Path(torch.hub.get_dir(), "checkpoints", "dreamsim")
    folder = Path(settings.get("dreamsim_folder") or default)
    return [folder / name for name in _names(_type(settings))]


def _check_digest(archive: Path, address: str, wanted: str | None) -> None:
    """Hold an archive against its digest; where none is known, tell it, so that it can be set."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if wanted is None:
        logger.warning(
            "%s has the SHA-256 %s; set metrics.dreamsim_sha256 to it to take no other",
            *(address, found),
        )
    elif found != wanted:
        raise InputError(
            f"{address} has the SHA-256 {found}, not that of metrics.dreamsim_sha256; find out why"
            " before you use it"
        )


def _unpack(archive: Path, members: Mapping[str, Path]) -> None:
    """Members of an archive to their places, and no others."""
    with zipfile.ZipFile(archive) as held:
        for name, path in members.items():
            with (
                held.open(name) as source,
                whole_file(path) as partial,
                partial.open("wb") as target,
            ):
                copyfileobj(source, target)


def _archive(kind: str) -> str:
    return f"{DOWNLOADS}/dreamsim_{kind}_checkpoint.zip"
