"""A small perceptual difference in the form of LPIPS, with weights that headstyle trained itself.

It is not LPIPS: its network has never seen a photograph, nor people's judgements. See
`resources/models/perceptual/MODEL_CARD.md`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from headstyle.embedded import embedded_file
from headstyle.errors import InputError
from headstyle.metrics.lpips import Lpips, package_network


class LpipsMini(Lpips):
    """As the published LPIPS: both images black outside the overlap, averaged over the frame."""

    name = "lpips_mini"
    units = "LPIPS mini, 0 and up"

    @classmethod
    def weights(cls, settings: Mapping[str, Any]) -> list[Path]:
        return [embedded_file("perceptual/model.safetensors")]

    @classmethod
    def download(cls, settings: Mapping[str, Any]) -> list[Path]:
        return []  # It comes with the repository.

    def load(self, weights: Path) -> torch.nn.Module:
        return load_mini(weights)


def load_mini(path: Path) -> torch.nn.Module:
    """The lpips package's network of the squeeze kind with headstyle's weights.

    Raises:
        InputError: the file does not hold them.
    """
    network = package_network("squeeze")
    try:
        state = {name: tensor.float() for name, tensor in load_file(path).items()}
        missing, unexpected = network.load_state_dict(state, strict=False)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path} cannot be read ({reason}); get it from the repository again"
        ) from None
    # The package names its linear heads twice.
    missing = [name for name in missing if not name.startswith(("lins.", "scaling_layer."))]
    if missing or unexpected:
        raise InputError(
            f"{path} does not hold the weights of lpips_mini ({(missing + unexpected)[0]}); get it "
            "from the repository again"
        )
    return network.eval().requires_grad_(False)
