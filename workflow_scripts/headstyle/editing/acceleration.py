"""Acceleration of the diffusion networks: memory layout; on CUDA fused attention and compiling."""

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from headstyle.base.errors import first_line
from headstyle.editing.channel_norm import ChannelNorm, replace_group_norms

logger = logging.getLogger("headstyle.editing")

COMPILE_FROM = 400
"""`auto` compiles for at least this many views to edit. For fewer, compiling takes longer."""
GRAPHS_UP_TO = 4
"""Largest number of views in a batch for which launching kernels takes longer than running them."""
FUSED = (SDPBackend.EFFICIENT_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION)
"""Attention backends that store no matrix of all pairs, the oldest first. Each rejects unsupported
inputs."""
SURE = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)
"""Attention backends that compiled networks have used for years."""
TRIED_AT_ONCE = 24
TRIALS = 5
TEXT_TOKENS = 77
AGREEMENT = 0.02
"""Largest relative error of a backend: the norm of the difference over the norm of the result."""


def prepare_networks(unet: Any, vae: nn.Module) -> None:
    """Set the memory layout for fast convolutions. On CUDA, also fuse the projections of attention.

    On CUDA, compiled networks normalize groups by channels.
    """
    for network in (unet, vae):
        network.to(memory_format=torch.channels_last)
    weight = next(unet.parameters())
    if weight.device.type == "cuda":
        unet.fuse_qkv_projections()
        for network in (unet, vae):
            # It computes by channels only where the network is compiled.
            replace_group_norms(network, ChannelNorm)
        # The search for the fastest convolutions may use all free memory for its trials. A preset
        # in full precision took 75 GB with the search and takes 8 GB without.
        torch.backends.cudnn.benchmark = weight.dtype == torch.float16


@contextmanager
def fused_attention(unet: nn.Module, tokens: int) -> Iterator[None]:
    """Prefer the attention backend that is fastest on the UNet's device.

    Args:
        unet: The UNet, with fused projections if it is on CUDA.
        tokens: Number of latent pixels of a view.
    """
    weight = next(unet.parameters())
    if weight.device.type != "cuda":
        yield
        return
    heads, width = attention_heads(unet)
    order = fastest_attention((TRIED_AT_ONCE, tokens, heads, width), weight.dtype, weight.device)
    with sdpa_kernel([*order, SDPBackend.MATH], set_priority=True):
        yield


def attention_heads(unet: nn.Module) -> tuple[int, int]:
    """Number of heads of the first attention, which has most tokens, and channels per head."""
    first: Any = next(m for m in unet.modules() if hasattr(m, "heads") and hasattr(m, "inner_dim"))
    return first.heads, first.inner_dim // first.heads


@cache
def fastest_attention(
    shape: tuple[int, int, int, int], dtype: torch.dtype, device: torch.device
) -> tuple[SDPBackend, ...]:
    """The backends of `FUSED` that work on a device and agree with the first, the fastest first.

    Args:
        shape: Number of views, tokens, heads, and channels per head.
        dtype: Type of the queries.
        device: Device to test.
    """
    views, tokens, heads, width = shape
    # As in fused projections, queries, keys and values lie side by side in memory.
    fused = torch.randn((views, tokens, 3, heads, width), device=device, dtype=dtype)
    query, key, value = (part.transpose(1, 2) for part in fused.unbind(2))
    seconds = {}
    expected: Tensor | None = None
    for backend in FUSED:
        # A backend that rejects the inputs warns and then raises an error.
        with warnings.catch_warnings(), sdpa_kernel([backend]):
            warnings.simplefilter("ignore")
            try:
                found = _attended(query, key, value)
                expected = found if expected is None else expected
                if not (found - expected).norm() <= AGREEMENT * expected.norm():
                    logger.warning("%s is wrong on this device; left out", backend.name)
                    continue
                seconds[backend] = _seconds(
                    lambda: scaled_dot_product_attention(query, key, value), device
                )
            except RuntimeError as error:
                logger.debug("no %s here: %s", backend.name, error)
    order = tuple(sorted(seconds, key=lambda backend: seconds[backend]))
    times = ", ".join(f"{backend.name} {1e3 * seconds[backend]:.1f} ms" for backend in order)
    logger.info("attention of %d tokens: %s", tokens, times)
    return order


def _attended(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """One view's attention to itself and to a text, single precision. Shape `(2, 1, H, N, C)`."""
    own, to_text = (
        scaled_dot_product_attention(queries[:1], keys[:1, :, :count], values[:1, :, :count])
        for count in (keys.shape[2], TEXT_TOKENS)
    )
    return torch.stack([own, to_text]).float()


def _seconds(action: Callable[[], Any], device: torch.device) -> float:
    """Time that an action takes on a device [s]. The first run is not counted."""
    action()
    _finish(device)
    started = time.perf_counter()
    for _ in range(TRIALS):
        action()
    _finish(device)
    return (time.perf_counter() - started) / TRIALS


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def compile_options(graphs: bool, thorough: bool) -> dict[str, Any]:
    """Options of PyTorch's compiler. `graphs` uses CUDA graphs; `thorough` tries many kernels."""
    return {
        "triton.cudagraphs": graphs,
        "max_autotune": thorough,
        # cuDNN's convolutions are fast. Trying others would take most of the time.
        "max_autotune_conv_backends": "ATEN",
        "conv_1x1_as_mm": True,
    }


def graphs_help(device: torch.device, views: int) -> bool:
    """Whether CUDA graphs make a compiled network faster for this number of views."""
    # PyTorch's CUDA graphs work only in the main thread.
    main = threading.current_thread() is threading.main_thread()
    return device.type == "cuda" and main and views <= GRAPHS_UP_TO


class Accelerator:
    """Decides whether a device's networks are compiled, and keeps the compiled functions."""

    def __init__(self, device: torch.device, setting: str) -> None:
        """`setting` is `editing.compile`: never, auto, always or max."""
        self.device = device
        self.setting = setting
        self.expected_views = 0
        """Number of views that are announced for editing."""
        self.options: dict[str, Any] = {}
        """Options of the compiler that override the defaults."""
        self.compiled: dict[str, Compiled] = {}

    @property
    def compiling(self) -> bool:
        """Whether functions are compiled from now on."""
        if self.setting == "auto":
            return self.device.type == "cuda" and self.expected_views >= COMPILE_FROM
        return self.setting in ("always", "max")

    def fast(self, name: str, function: Callable[..., Any], graphs: bool = False) -> Any:
        """A function of tensors, compiled if that saves time."""
        if not self.compiling:
            return function
        if name not in self.compiled:
            options = compile_options(graphs, self.setting == "max") | self.options
            self.compiled[name] = Compiled(function, options)
        return self.compiled[name]

    def working(self) -> list[str]:
        """The names of the functions that run compiled."""
        return sorted(name for name, function in self.compiled.items() if not function.failed)


def filled(tensor: Tensor, count: int) -> Tensor:
    """A batch with its last entry repeated until there are at least `count`."""
    missing = count - len(tensor)
    if missing <= 0:
        return tensor
    return torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])])


class Compiled:
    """A function that is compiled at its first call with tensors of a shape. If that fails, it runs
    without compiling.

    The compiled code is kept on disk for later jobs: in `TORCHINDUCTOR_CACHE_DIR`, or in the user's
    cache folder if that is not set.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        """`options` are those of `compile_options`."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "headstyle" / "inductor"))
        self._eager = function
        self._graphs = options["triton.cudagraphs"]
        self._options = options
        self._attention: Sequence[SDPBackend] = ()
        """Replaces the caller's preferred backends if these could not be compiled."""
        self.failed = False
        """Whether the function runs without compiling."""
        self._compiled = self._compile()

    def __call__(self, *arguments: Tensor) -> Any:
        while not self.failed:
            try:
                return self._run(*arguments)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                # The compiler may be missing or fail on a new device. The network itself works.
                self._give_up(error)
        return self._eager(*arguments)

    def _compile(self) -> Callable[..., Any]:
        return torch.compile(self._eager, fullgraph=False, dynamic=False, options=self._options)

    def _run(self, *arguments: Tensor) -> Any:
        if self._graphs:
            # The output of the last replay is no longer needed.
            torch.compiler.cudagraph_mark_step_begin()
        if not self._attention:
            return self._compiled(*arguments)
        with sdpa_kernel(list(self._attention), set_priority=True):
            return self._compiled(*arguments)

    def _give_up(self, error: Exception) -> None:
        """Try again with older attention backends and without graphs; then without compiling."""
        reason = first_line(error)
        self.failed = bool(self._attention)
        then = "running without it" if self.failed else "trying again with the safest options"
        logger.warning("compiling failed (%s); %s", reason, then)
        self._attention, self._graphs = SURE, False
        self._options = {**self._options, "triton.cudagraphs": False}
        self._compiled = self._compile()
