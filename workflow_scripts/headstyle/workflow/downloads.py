"""Download the weights that a study needs, for machines that later have no network.

Everything lands where the stages look for it: the model hub's cache, torch's and rembg's. Every
file is checked: the hub's against the digests it keeps for the pinned revision, torchvision's
against the digest in their names, rembg's by rembg.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from headstyle.base.errors import all_found, fetched
from headstyle.editing.editors import editor_kind


def download_editor(editing: Mapping[str, Any]) -> list[Path]:
    """The weights of the editor, where it looks for them.

    Args:
        editing: The config's section `editing`.

    Raises:
        InputError: they cannot be had.
    """
    kind = editor_kind(editing)
    return fetched(f"the weights of {kind.name}", lambda: kind.download(editing))


def download_backbone(net: str, weights: str | None) -> list[Path]:
    """The backbone of LPIPS in the loss of avatars, in torch's cache or where it is given.

    Raises:
        InputError: it cannot be had.
    """
    from headstyle.losses import lpips_networks

    return fetched(
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
    return [Path(fetched(model, known[model].download_models))]


def download_metric(name: str, settings: Mapping[str, Any]) -> list[Path]:
    """The weights of a metric, where it looks for them.

    Args:
        name: The metric's name.
        settings: The config's `metrics` section.

    Raises:
        InputError: they cannot be had.
    """
    from headstyle.consistency.metrics import metric_class

    return fetched(f"the weights of {name}", lambda: metric_class(name).download(settings))


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
    if with_avatars:
        wanted.append(lambda: download_editor(editing))
    if with_avatars and stylization["lpips_weight"] and stylization["lpips_net"] != "mini":
        wanted.append(
            lambda: download_backbone(stylization["lpips_net"], stylization["lpips_weights"])
        )
    wanted += [partial(download_metric, name, metrics) for name in metrics["names"]]
    if with_matting:
        wanted.append(lambda: download_matting(masks["matting_model"], masks["matting_weights"]))
    return list(dict.fromkeys(all_found(wanted)))


def checksums(files: list[Path]) -> str:
    """Lines that `sha256sum --check` reads."""
    return "".join(f"{_sha256(path)}  {path}\n" for path in files)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
