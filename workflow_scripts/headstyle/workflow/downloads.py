"""Download the weights that a study needs, for machines that later have no network.

Everything lands where the stages look for it: the model hub's cache, torch's and rembg's. Every
file is checked: the hub's against the digests it keeps for the pinned revision, torchvision's
against the digest in their names, rembg's by rembg.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError, all_found, first_line
from headstyle.editing.weights import PIPELINE_FILES, VOCABULARIES, pipeline_folder

logger = logging.getLogger("headstyle")


def download_pipeline(model: str, revision: str | None) -> list[Path]:
    """Files of a pipeline on the model hub, in the hub's cache.

    Raises:
        InputError: a file cannot be had, or is not what the hub says it is.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    files = []
    for name in (*PIPELINE_FILES, *VOCABULARIES[1]):
        with_reason = f"{model}, {name}"
        path = Path(
            _fetched(with_reason, lambda name=name: hf_hub_download(model, name, revision=revision))
        )
        url = hf_hub_url(model, name, revision=revision)
        metadata = _fetched(with_reason, lambda url=url: get_hf_file_metadata(url))
        check_digest(path, metadata.etag or "")
        files.append(path)
    return files


def check_digest(path: Path, digest: str) -> None:
    """Check a file against the model hub's digest: SHA-256, or git's SHA-1 of small files.

    Raises:
        InputError: the file is damaged.
    """
    content = path.read_bytes()
    found = (
        hashlib.sha256(content).hexdigest()
        if len(digest) == 64
        else hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    )
    if found != digest:
        raise InputError(
            f"{path} has the digest {found}, the model hub says {digest}; delete it and try again"
        )


def download_backbone(net: str, weights: str | None) -> list[Path]:
    """The backbone of LPIPS in the loss of avatars, in torch's cache or where it is given.

    Raises:
        InputError: it cannot be had.
    """
    from headstyle.losses import lpips_networks

    return _fetched(
        lpips_networks.BACKBONES[net], lambda: lpips_networks.download_backbone(net, weights)
    )


def download_matting(model: str, weights: str | None) -> list[Path]:
    """The network of a matting model, where rembg keeps it; nothing for one that is given.

    Raises:
        InputError: it cannot be had.
    """
    from rembg.sessions import sessions

    known = {session.name(): session for session in dict.fromkeys(sessions.values())}
    if weights is not None or model.endswith("_custom") or model not in known:
        return []
    return [Path(_fetched(model, known[model].download_models))]


def download_metric(name: str, settings: Mapping[str, Any]) -> list[Path]:
    """The weights of a metric, where it looks for them.

    Args:
        name: The metric's name.
        settings: The config's `metrics` section.

    Raises:
        InputError: they cannot be had.
    """
    from headstyle.consistency.metrics import metric_class

    return _fetched(f"the weights of {name}", lambda: metric_class(name).download(settings))


def download_all(
    config: Mapping[str, Any], *, with_avatars: bool, with_matting: bool
) -> list[Path]:
    """All files of weights that a configuration needs and that are not given by it.

    Raises:
        InputError: one line for everything that cannot be had.
    """
    editing, metrics, masks = config["editing"], config["metrics"], config["masks"]
    stylization = config["stylization"]
    wanted: list[Callable[[], list[Path]]] = []
    if with_avatars and editing["editor"] == "instruct_pix2pix" and _is_remote(editing["model"]):
        wanted.append(lambda: download_pipeline(editing["model"], editing["revision"]))
    if with_avatars and stylization["lpips_weight"] and stylization["lpips_net"] != "mini":
        wanted.append(
            lambda: download_backbone(stylization["lpips_net"], stylization["lpips_weights"])
        )
    wanted += [lambda name=name: download_metric(name, metrics) for name in metrics["names"]]
    if with_matting:
        wanted.append(lambda: download_matting(masks["matting_model"], masks["matting_weights"]))
    return list(dict.fromkeys(all_found(wanted)))


def checksums(files: list[Path]) -> str:
    """Lines that `sha256sum --check` reads."""
    return "".join(f"{_sha256(path)}  {path}\n" for path in files)


def _is_remote(model: str) -> bool:
    """Whether a pipeline is on the model hub: neither a folder nor headstyle's own."""
    try:
        pipeline_folder(model, None)
    except InputError:
        return not Path(model).exists() and "/" in model
    return "/" in model and not Path(model).is_dir()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetched(what: str, fetch: Callable[[], Any]) -> Any:
    """The result of a download, or one sentence for whatever a network can do."""
    logger.info("%s", what)
    try:
        return fetch()
    except InputError:
        raise
    except Exception as error:
        reason = first_line(error)
        raise InputError(
            f"{what} cannot be downloaded ({reason}); run `snakemake --cores 1 models` on a "
            "machine with a network and copy the caches that it names"
        ) from error
