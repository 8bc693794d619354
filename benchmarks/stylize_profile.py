"""Where the time inside of the compiled networks goes, kernel by kernel, and attention alone."""

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import torch
from headstyle.editing.acceleration import FUSED, fused_attention
from stylize_editor import Options, Rows, make_editor, peak_gb, synchronized
from stylize_scene import Size
from stylize_variants import apply, combined, network_calls
from torch.autograd import DeviceType
from torch.nn.attention import sdpa_kernel
from torch.nn.functional import pad, scaled_dot_product_attention
from torch.profiler import ProfilerActivity, profile

LONGEST = 25
KINDS = (
    ("attention", r"sdpa|fmha|flash|attention"),
    ("matrix products", r"triton_tem"),
    ("norms and other reductions", r"triton_(red|per|mix)"),
    ("elementwise", r"triton_poi"),
    ("layout and copies", r"nchwtonhwc|nhwctonchw|transpose|addpadding|memcpy|memset|copy|concat"),
    ("convolutions", r"fprop|conv|wgrad|dgrad|winograd"),
    ("matrix products", r"gemm|nvjet|cublas|cutlass|splitk"),
)
"""Kinds of kernels and what their names hold; the first that fits counts."""
ATTENTIONS = (
    # Tokens, keys, heads, channels of a head, layers in the UNet.
    (4096, 4096, 8, 40, 5),
    (1024, 1024, 8, 80, 5),
    (256, 256, 8, 160, 5),
    (64, 64, 8, 160, 1),
    (4096, 77, 8, 40, 5),
    (1024, 77, 8, 80, 5),
    (256, 77, 8, 160, 5),
)
"""Of Stable Diffusion 1.5 at 512x512 px."""


def kind_of(kernel: str) -> str:
    """What a kernel does, by its name."""
    name = kernel.lower()
    return next((kind for kind, pattern in KINDS if re.search(pattern, name)), "other")


Kernels = dict[str, tuple[float, int]]
"""Milliseconds and calls of kernels, by name."""


def profiled(action: Callable[[], Any], device: str) -> Kernels:
    """The kernels of an action; on the CPU its operators."""
    cuda = device.startswith("cuda")
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as found:
        action()
        synchronized(device)
    wanted = DeviceType.CUDA if cuda else DeviceType.CPU
    kernels: Kernels = {}
    for event in found.key_averages():
        spent = event.self_device_time_total if cuda else event.self_cpu_time_total
        if event.device_type == wanted and spent > 0:
            kernels[event.key] = (spent / 1e3, event.count)
    return kernels


def summary(kernels: Kernels, per_image: float) -> dict[str, Any]:
    """Milliseconds per image of each kind, and the longest kernels."""
    kinds: Counter[str] = Counter()
    for name, (spent, _) in kernels.items():
        kinds[kind_of(name)] += spent * per_image
    longest = sorted(kernels.items(), key=lambda item: -item[1][0])[:LONGEST]
    return {
        "launches": sum(count for _, count in kernels.values()),
        "kinds_ms_per_image": dict(kinds.most_common()),
        "longest": [
            {"ms_per_image": spent * per_image, "calls": count, "kernel": name[:160]}
            for name, (spent, count) in longest
        ],
    }


def part_profile(size: Size, options: Options) -> Rows:
    """One pass of each network as the editor runs it, compiled on a GPU."""
    variant = combined(options.variant)
    editor = make_editor(size, "never" if size.toy else "always")
    apply(variant, editor)
    side = editor.coder.latent_shape((size.side_px, size.side_px))[1:]
    for name in options.networks:
        with torch.inference_mode(), fused_attention(editor.unet, side[0] * side[1]):
            call = network_calls(size, editor, variant, [name])[name]
            run = editor.accelerator.fast(name, call.function)
            for _ in range(3):
                started = synchronized(size.device)
                run(*call.arguments)
                wall = synchronized(size.device) - started
            kernels = profiled(lambda: run(*call.arguments), size.device)  # noqa: B023
        row = summary(kernels, call.per_image)
        busy = sum(row["kinds_ms_per_image"].values())
        row |= {"wall_ms_per_image": 1e3 * wall * call.per_image, "busy_ms_per_image": busy}
        print_kernels(name, row["longest"])
        yield {name: row}
    del editor
    yield {"peak_gb": peak_gb(size.device)}


def print_kernels(name: str, longest: Iterable[dict[str, Any]]) -> None:
    """The longest kernels, one in a line."""
    print(f"{name}: ms per image, calls, kernel")
    for kernel in longest:
        print(f"  {kernel['ms_per_image']:8.3f} {kernel['calls']:5} {kernel['kernel'][:110]}")


@torch.inference_mode()
def part_attention(size: Size, options: Options) -> Rows:
    """Each attention of the networks by each backend, heads padded or not, per image and edit."""
    shapes = [(64, 64, 2, 8, 1), (64, 9, 2, 8, 1)] if size.toy else ATTENTIONS
    for tokens, keys, heads, width, layers in shapes:
        per_image = layers * 3 * size.steps / (3 * size.views)
        row = {}
        for padded in dict.fromkeys((width, -(-width // 16) * 16, -(-width // 64) * 64)):
            q, k, v = random_heads(size, 3 * size.views, tokens, keys, heads, width, padded)
            scale = width**-0.5
            note = "" if padded == width else f" padded to {padded}"
            for backend in FUSED:
                seconds = attention_seconds(size, backend, q, k, v, scale)
                if seconds is not None:
                    row[backend.name.partition("_")[0].lower() + note] = 1e3 * seconds * per_image
        yield {f"{tokens} x {keys}, {heads} heads of {width}": row}
    yield {"autoencoder, 1 head of 512": autoencoder_attention(size)}


def random_heads(
    size: Size, rows: int, tokens: int, keys: int, heads: int, width: int, padded: int
) -> list[torch.Tensor]:
    """Queries, keys and values as the fused projections lay them out. Shapes `(B, H, N, C)`."""
    dtype = torch.float32 if size.device == "cpu" else torch.float16

    def random(count: int, parts: int) -> torch.Tensor:
        drawn = torch.randn((rows, count, parts, heads, width), device=size.device, dtype=dtype)
        return pad(drawn, (0, padded - width))

    if tokens == keys:
        parts = random(tokens, 3).unbind(2)
    else:
        parts = (*random(tokens, 1).unbind(2), *random(keys, 2).unbind(2))
    return [part.transpose(1, 2) for part in parts]


def attention_seconds(size: Size, backend: Any, *arguments: Any) -> float | None:
    """How long an attention takes; None where the backend refuses."""
    *parts, scale = arguments
    with warnings.catch_warnings(), sdpa_kernel([backend]):
        warnings.simplefilter("ignore")
        try:
            return seconds_of(size, lambda: scaled_dot_product_attention(*parts, scale=scale))
        except RuntimeError:
            return None


def seconds_of(size: Size, action: Callable[[], Any], trials: int = 10) -> float:
    """Mean seconds of an action after it ran twice."""
    for _ in range(2):
        action()
    started = synchronized(size.device)
    for _ in range(trials):
        action()
    return (synchronized(size.device) - started) / trials


def autoencoder_attention(size: Size) -> dict[str, float]:
    """The one attention of encoder and decoder, per image: fused, and by the matrix of pairs."""
    images, tokens, width = (2, 64, 16) if size.toy else (19, 4096, 512)
    parts = random_heads(size, images, tokens, tokens, 1, width, width)
    row = {}
    for backend in FUSED:
        seconds = attention_seconds(size, backend, *parts, width**-0.5)
        if seconds is not None:
            row[backend.name.partition("_")[0].lower()] = 1e3 * seconds / images
    q, k, v = (part[:, 0] for part in parts)
    matrix = seconds_of(
        size, lambda: torch.bmm(torch.bmm(q * width**-0.5, k.mT).softmax(dim=-1), v)
    )
    return row | {"matrix": 1e3 * matrix / images}
