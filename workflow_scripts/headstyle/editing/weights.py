"""Files of an InstructPix2Pix pipeline, in a local folder or in the hub's cache."""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from headstyle.base.embedded import EMBEDDED_MODELS
from headstyle.base.errors import InputError, fetched

EMBEDDED_EDITOR = "mini"
"""Value of `editing.model` for the pipeline that comes with headstyle."""

CARD = "README.md"
"""A model's card, which states its license."""
PIPELINE_FILES = (
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/tokenizer_config.json",
    "scheduler/scheduler_config.json",
)
"""Files of every pipeline folder, without those of the tokenizer's vocabulary."""
XL_FILES = (
    "text_encoder_2/config.json",
    "text_encoder_2/model.safetensors",
    "tokenizer_2/tokenizer_config.json",
)
"""Files that a pipeline on Stable Diffusion XL has in addition."""
LICENSES = {EMBEDDED_EDITOR: "mit", "timbrooks/instruct-pix2pix": "mit"}
"""Licenses of models whose card need not be on this machine."""
OPEN_LICENSES = {"mit": "MIT license", "apache-2.0": "Apache License 2.0"}
"""Licenses that allow any use, by their name in a card, as they are written."""
VOCABULARIES = (("tokenizer/tokenizer.json",), ("tokenizer/vocab.json", "tokenizer/merges.txt"))
"""The two sets of files that can hold a tokenizer's vocabulary."""


def pipeline_files(model: str, revision: str | None) -> list[Path]:
    """The files of a pipeline. All exist, and the UNet takes an image as condition.

    Args:
        model: A local folder in the format of diffusers, "mini" for the pipeline that comes with
            headstyle, or a name on the model hub. Hub names are searched only in the hub's cache.
        revision: Commit or branch of a hub name; None is its main branch.

    Raises:
        InputError: the folder is missing, lacks a part, is not in the cache, or does not belong to
            an InstructPix2Pix pipeline.
    """
    folder = pipeline_folder(model, revision)
    names = [*PIPELINE_FILES, *(XL_FILES if is_xl(folder) else ())]
    for tokenizer in ("tokenizer", "tokenizer_2") if is_xl(folder) else ("tokenizer",):
        sets = [[f"{tokenizer}/{Path(name).name}" for name in v] for v in VOCABULARIES]
        names += next((v for v in sets if all((folder / n).is_file() for n in v)), sets[1])
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"editing.model: the pipeline folder {folder} lacks {', '.join(missing)}; "
            "complete it or name another folder"
        )
    _check_channels(folder)
    return [folder / name for name in names]


def is_xl(folder: Path) -> bool:
    """Whether a pipeline is on Stable Diffusion XL, which reads the text by two encoders."""
    return (folder / "text_encoder_2").is_dir()


def card_license(folder: Path) -> str | None:
    """License that a model's card (README.md) in its folder states; None where it states none."""
    try:
        card = (folder / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    head = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
    stated = dict(re.findall(r"^(license|license_name): *(\S+)", head[1] if head else "", re.M))
    return stated.get("license_name") or stated.get("license")


def license_of(model: str, revision: str | None) -> str:
    """License of an InstructPix2Pix pipeline: by its name, by its card, or `unknown`."""
    try:
        folder = pipeline_folder(model, revision)
    except InputError:
        return LICENSES.get(model, "unknown")
    return LICENSES.get(model) or card_license(folder) or "unknown"


def origin_sentence(model: str, stated: str) -> str:
    """Say which model made the edits, and under which license it comes.

    Args:
        model: Hub name or folder, as in the settings.
        stated: The license as the model's card states it, or `unknown`.
    """
    name = Path(model).name if Path(model).is_dir() else model
    if model == EMBEDDED_EDITOR:
        name = "headstyle's own small model"
    if stated == "unknown":
        return f"The edits come from {name}, whose license is unknown here; read its card."
    written = OPEN_LICENSES.get(stated, f"license {stated}")
    return f"The edits come from {name} under the {written}."


def pipeline_folder(model: str, revision: str | None) -> Path:
    """The folder of a pipeline on this machine.

    Raises:
        InputError: the name is neither a folder nor in the hub's cache.
    """
    if model == EMBEDDED_EDITOR:
        return EMBEDDED_MODELS / "editor"
    if Path(model).is_dir():
        return Path(model)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", model) or model.startswith("."):
        raise InputError(
            f"editing.model: {model!r} is neither a folder nor a name on the model hub "
            "(owner/name); correct it"
        )
    # Imported here because a local folder does not need the hub.
    from huggingface_hub import constants, try_to_load_from_cache

    marker = try_to_load_from_cache(model, PIPELINE_FILES[0], revision=revision)
    if not isinstance(marker, str):
        at = f" at revision {revision}" if revision else ""
        raise InputError(
            f"editing.model: {model}{at} is neither a folder nor in the model hub's cache "
            f"{constants.HF_HUB_CACHE}; fill the cache with `snakemake --cores 1 models` or "
            f"`{_download_command(model, revision)}` (on another machine if this one has no "
            "network, and copy the cache), or name a local folder"
        )
    return Path(marker).parents[1]


def is_remote(model: str) -> bool:
    """Whether a pipeline is on the model hub: neither a folder nor headstyle's own."""
    try:
        pipeline_folder(model, None)
    except InputError:
        return not Path(model).exists() and "/" in model
    return "/" in model and not Path(model).is_dir()


def download_pipeline(model: str, revision: str | None) -> list[Path]:
    """Files of a pipeline on the model hub, in the hub's cache.

    Raises:
        InputError: a file cannot be had, or is not what the hub says it is.
    """
    from huggingface_hub import file_exists, get_hf_file_metadata, hf_hub_download, hf_hub_url

    names = [*PIPELINE_FILES, *VOCABULARIES[1]]
    if fetched(model, partial(file_exists, model, XL_FILES[0], revision=revision)):
        names += [*XL_FILES, *(f"tokenizer_2/{Path(name).name}" for name in VOCABULARIES[1])]
    files = []
    for name in names:
        with_reason = f"{model}, {name}"
        download = partial(hf_hub_download, model, name, revision=revision)
        path = Path(fetched(with_reason, download))
        url = hf_hub_url(model, name, revision=revision)
        metadata = fetched(with_reason, partial(get_hf_file_metadata, url))
        check_digest(path, metadata.etag or "")
        files.append(path)
    return files


def check_digest(path: Path, digest: str) -> None:
    """Check a file against the model hub's digest: SHA-256, or git's SHA-1 of small files.

    Raises:
        InputError: the file is damaged.
    """
    if len(digest) == 64:
        # Files of weights may be larger than the memory.
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    else:
        content = path.read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if found != digest:
        raise InputError(
            f"{path} has the digest {found}, the model hub says {digest}; delete it and try again"
        )


def parameters_in(path: Path) -> int:
    """Number of parameters in a file of safetensors, by its head; 0 of a damaged file.

    Whoever loads a damaged file tells it.
    """
    try:
        with path.open("rb") as file:
            head: Mapping[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return sum(prod(v["shape"]) for k, v in head.items() if k != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError):
        return 0


def words_beyond(tokenizer: Any, text: str) -> str:
    """The end of a text that is cut off because it exceeds the text encoder's window; or ""."""
    longest = tokenizer.model_max_length
    ids = tokenizer(text).input_ids
    return tokenizer.decode(ids[longest - 1 : -1]) if len(ids) > longest else ""


def _download_command(model: str, revision: str | None) -> str:
    options = f" --revision {revision}" if revision else ""
    return f"hf download {model}{options} {' '.join((*PIPELINE_FILES, *VOCABULARIES[1]))}"


def _check_channels(folder: Path) -> None:
    """Check that the UNet takes both the noised latents and the photograph's latents."""
    unet, vae = (_read_config(folder / part / "config.json") for part in ("unet", "vae"))
    found, latents = unet.get("in_channels", 4), vae.get("latent_channels", 4)
    if found != 2 * latents:
        raise InputError(
            f"editing.model: the UNet in {folder} takes {found} channels, an InstructPix2Pix one "
            f"takes {2 * latents} (latents and image); name an InstructPix2Pix pipeline"
        )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}); provide it again") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a model's configuration; provide it again")
    return content
