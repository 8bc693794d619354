"""What makes the diffusion's networks fast on CUDA: memory layout, fused attention, compilation."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

logger = logging.getLogger("headstyle.editing")

COMPILE_FROM = 400
"""`auto` compiles when at least so many views are to be edited: below, compiling takes longer."""
GRAPHS_UP_TO = 4
"""Views in a batch up to which launching kernels takes longer than running them."""
# On Hopper cuDNN's fused attention is the fastest; each backend refuses what it cannot do.
BACKENDS = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]


def prepare_networks(unet: nn.Module, vae: nn.Module) -> None:
    """Lay the networks out for CUDA's tensor cores and fuse the projections of attention."""
    for network in (unet, vae):
        network.to(memory_format=torch.channels_last)
    unet.fuse_qkv_projections()
    torch.backends.cudnn.benchmark = True


@contextmanager
def fused_attention(device: torch.device) -> Iterator[None]:
    """Prefer the fastest attention that the device has."""
    if device.type != "cuda":
        yield
        return
    with sdpa_kernel(BACKENDS, set_priority=True):
        yield


class Accelerator:
    """Decides whether a device's networks are compiled, and keeps what was compiled."""

    def __init__(self, device: torch.device, setting: str) -> None:
        """`setting` is `editing.compile`: never, auto, always or max."""
        self.device = device
        self.setting = setting
        self.expected_views = 0
        """How many views are going to be edited, as far as was said."""
        self.compiled: dict[str, Compiled] = {}

    @property
    def compiling(self) -> bool:
        """Whether functions are compiled from now on."""
        if self.setting == "auto":
            return self.device.type == "cuda" and self.expected_views >= COMPILE_FROM
        return self.setting in ("always", "max")

    def fast(self, name: str, function: Callable[..., Any], graphs: bool = False) -> Any:
        """A function of tensors, compiled if that is worth while."""
        if not self.compiling:
            return function
        if name not in self.compiled:
            thorough = self.setting == "max"
            self.compiled[name] = Compiled(function, graphs=graphs, thorough=thorough)
        return self.compiled[name]


def filled(tensor: Tensor, count: int) -> Tensor:
    """A batch with its last entry repeated until there are at least `count`."""
    missing = count - len(tensor)
    if missing <= 0:
        return tensor
    return torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])])


class Compiled:
    """A function that is compiled at its first call with tensors of a shape; eager if that fails.

    What was compiled is kept on disk for later jobs, in `TORCHINDUCTOR_CACHE_DIR` or, without
    that, in the user's cache folder.
    """

    def __init__(self, function: Callable[..., Any], *, graphs: bool, thorough: bool) -> None:
        """Args: `graphs` uses CUDA graphs, `thorough` tries out many kernels, for minutes."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "headstyle" / "inductor"))
        self._eager = function
        self._graphs = graphs
        options = {
            "triton.cudagraphs": graphs,
            "max_autotune": thorough,
            "conv_1x1_as_mm": True,
            "coordinate_descent_tuning": thorough,
        }
        self._compiled: Callable[..., Any] | None = torch.compile(
            function, fullgraph=False, dynamic=False, options=options
        )

    def __call__(self, *arguments: Tensor) -> Any:
        if self._compiled is None:
            return self._eager(*arguments)
        if self._graphs:
            # The output of the last replay is no longer needed.
            torch.compiler.cudagraph_mark_step_begin()
        try:
            return self._compiled(*arguments)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            # A compiler may be missing or may fail on a new device; the network itself is fine.
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            logger.warning("compiling failed (%s); going on without", reason)
            self._compiled = None
            return self._eager(*arguments)
