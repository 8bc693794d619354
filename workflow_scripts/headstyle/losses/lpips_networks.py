"""The networks of LPIPS with weights from files. Only this module uses the lpips package's class.

Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR
2018, version 0.1 of its authors' package.
"""

import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from headstyle.base.errors import InputError, first_line
from headstyle.losses.squeeze_lpips import SqueezeLpips

# Names of the backbones' files, both on torchvision's site and in torch's cache.
BACKBONES = {
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
}
DOWNLOADS = "https://download.pytorch.org/models"


def find_backbone(net: str, weights: str | Path | None = None) -> Path:
    """The backbone's file: `weights` if given, else the file in torch's folder of downloads.

    Raises:
        InputError: the net is unknown or the file is missing. The message tells where to get it.
    """
    if net not in BACKBONES:
        raise InputError(f"metrics.lpips_net: {net!r} is not one of {', '.join(BACKBONES)}")
    path = Path(weights or Path(torch.hub.get_dir(), "checkpoints", BACKBONES[net]))
    if path.is_file():
        return path
    raise InputError(
        f"{path} is missing, but LPIPS needs the {net} backbone; download "
        f"{DOWNLOADS}/{BACKBONES[net]} to that place, name its file in metrics.lpips_weights, or "
        "take lpips out of metrics.names"
    )


def download_backbone(net: str, weights: str | None = None) -> list[Path]:
    """The backbone's file (see `find_backbone`), downloaded from torchvision's site if missing.

    The file's name contains its digest, and the download is checked against it.
    """
    name = BACKBONES[net]
    path = Path(weights or Path(torch.hub.get_dir(), "checkpoints", name))
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = name.rpartition("-")[2].removesuffix(".pth")
        torch.hub.download_url_to_file(
            f"{DOWNLOADS}/{name}", str(path), hash_prefix=prefix, progress=False
        )
    return [path]


def package_network(net: str, seed: int = 0) -> Any:
    """The lpips package's network with random weights: squeeze, alex or vgg."""
    import lpips

    # By itself the package would download the backbone and change the global random state.
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        return lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)


def load_network(net: str, backbone: Path) -> torch.nn.Module:
    """The lpips package's network with its own linear heads and the backbone of a file.

    Args:
        net: squeeze, alex or vgg.
        backbone: State dict of torchvision's squeezenet1_1, alexnet or vgg16.

    Raises:
        InputError: the file is not such a state dict.
    """
    import lpips

    network = package_network(net)
    heads = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    network.load_state_dict(torch.load(heads, weights_only=True, map_location="cpu"), strict=False)
    try:
        state = torch.load(backbone, weights_only=True, map_location="cpu")
        # torchvision's layer `features.7.bias` has the name `sliceK.7.bias` in the package.
        network.net.load_state_dict(
            {key: state["features." + key.partition(".")[2]] for key in network.net.state_dict()}
        )
    except (RuntimeError, UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise InputError(
            f"{backbone} does not hold torchvision's weights of the {net} backbone "
            f"({type(error).__name__}); download {DOWNLOADS}/{BACKBONES[net]} in its place"
        ) from error
    return network.eval().requires_grad_(False)


def load_mini(path: Path) -> torch.nn.Module:
    """The network of LPIPS of the squeeze kind with headstyle's weights.

    Raises:
        InputError: the file does not hold them.
    """
    network = SqueezeLpips()
    try:
        state = {name: tensor.float() for name, tensor in load_file(path).items()}
        missing, unexpected = network.load_state_dict(state, strict=False, assign=True)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = first_line(error)
        raise InputError(
            f"{path} cannot be read ({reason}); get it from the repository again"
        ) from None
    # As in the package, the linear heads have two names, and the scaling is no weight.
    missing = [name for name in missing if not name.startswith(("lins.", "scaling_layer."))]
    if missing or unexpected:
        raise InputError(
            f"{path} does not hold the weights of lpips_mini ({(missing + unexpected)[0]}); get it "
            "from the repository again"
        )
    return network.eval().requires_grad_(False)
