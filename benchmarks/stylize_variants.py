"""Ways to run the networks, compared network by network: the compiler's options, the batches."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from headstyle.editing.acceleration import Compiled, compile_options, fused_attention
from headstyle.editing.instruct_pix2pix import InstructPix2Pix
from headstyle.editing.memory import even_batch
from stylize_editor import INSTRUCTION, Options, Rows, make_editor, peak_gb, synchronized
from stylize_scene import Size
from torch import Tensor

REPEATS = 6
NETWORKS = ("unet", "decoder", "encoder")
IMAGES_TOGETHER = 20
"""Images in a batch of the autoencoder, as in the editor, at most."""


@dataclass(frozen=True)
class Variant:
    """One way; what it does not say is as in the editor."""

    options: dict[str, Any] = field(default_factory=dict)
    """Of PyTorch's compiler."""
    engines: int = 10
    """How many of cuDNN's convolutions are tried for a shape; 0 tries all. A process remembers what
    it found for a shape: such a variant is to be its first."""
    views: int | None = None
    images: int = IMAGES_TOGETHER
    passes: int = 1
    """The UNet's passes for a batch of views: 3 computes the three guidances one after another."""


GEMM = {"max_autotune_gemm": True, "max_autotune_gemm_backends": "ATEN,TRITON"}
DESCENT = {"coordinate_descent_tuning": True}
VARIANTS = {
    "base": Variant(),
    # The compiler's own kernels.
    "cdt": Variant(DESCENT),
    "cdtall": Variant(DESCENT | {"coordinate_descent_check_all_directions": True}),
    "pointwise": Variant({"max_autotune_pointwise": True}),
    "multi": Variant({"triton.multi_kernel": 1}),
    "nosplit": Variant({"split_reductions": False}),
    # Sums of residuals are written once instead of added again by each that reads them.
    "realize": Variant({"realize_reads_threshold": 2}),
    # Matrix products and convolutions.
    "gemm": Variant(GEMM),
    "max": Variant({"max_autotune": True}),
    "freeze": Variant({"freezing": True}),
    "cudnn": Variant(engines=0),
    "conv1x1": Variant({"conv_1x1_as_mm": False}),
    "nolayout": Variant({"layout_optimization": False}),
    # Launching.
    "graphs": Variant({"triton.cudagraphs": True}),
    # The batch.
    "thirds": Variant(passes=3),
    **{f"views{count}": Variant(views=count) for count in (24, 32, 36, 40, 48, 64)},
    **{f"images{count}": Variant(images=count) for count in (10, 13, 37)},
}


def combined(name: str) -> Variant:
    """The variant of a name, or of several that are joined by +.

    Raises:
        KeyError: there is no such variant.
    """
    first, *more = (VARIANTS[part] for part in name.split("+"))
    for other in more:
        changed = {
            key: value
            for key, value in vars(other).items()
            if key != "options" and value != getattr(VARIANTS["base"], key)
        }
        options = first.options | other.options
        first = replace(first, options=options, **changed)
    return first


def apply(variant: Variant, editor: InstructPix2Pix) -> None:
    """Let an editor run so; its batches stay its own."""
    torch.backends.cudnn.benchmark_limit = variant.engines
    editor.accelerator.options = dict(variant.options)


@dataclass(frozen=True)
class Call:
    """A call of a network, as the editor does it for a batch."""

    function: Callable[..., Tensor]
    arguments: tuple[Tensor, ...]
    per_image: float
    """Calls for one image: one edit's UNet, or one image of the autoencoder."""


def network_calls(
    size: Size, editor: InstructPix2Pix, variant: Variant, names: Sequence[str] = NETWORKS
) -> dict[str, Call]:
    """The calls of some networks, with the same random inputs each time."""
    generator = torch.Generator(editor.device).manual_seed(0)
    views = variant.views or size.views
    channels, height, width = editor.coder.latent_shape((size.side_px, size.side_px))
    images = even_batch(size.views, variant.images)
    dtype = editor.unet.dtype
    cuda = editor.device.type == "cuda"
    layout = torch.channels_last if cuda else torch.contiguous_format

    def random(*shape: int) -> Tensor:
        drawn = torch.randn(shape, generator=generator, device=editor.device, dtype=dtype)
        return drawn.contiguous(memory_format=layout)

    rows = 3 * views // variant.passes
    made = {}
    if "unet" in names:
        texts = editor._texts([INSTRUCTION] * views)[:rows].contiguous()
        times = torch.full((rows,), 601, device=editor.device)
        inputs = (random(rows, 2 * channels, height, width), times, texts)
        made["unet"] = Call(editor._run_unet, inputs, variant.passes * size.steps / views)
    if "decoder" in names:
        latents = random(images, channels, height, width)
        made["decoder"] = Call(editor.coder._decode, (latents,), 1 / images)
    if "encoder" in names:
        pixels = random(images, 3, size.side_px, size.side_px)
        made["encoder"] = Call(editor.coder._encode, (pixels,), 1 / images)
    return made


def part_variants(size: Size, options: Options) -> Rows:
    """Each variant, as long as there is time for another one like the longest."""
    longest, seen = 0.0, {}
    for name in options.variants:
        left = options.deadline - time.monotonic()
        # A variant costs what the last ones did, or more.
        if left < 1.2 * longest:
            yield {"left_out": options.variants[len(seen) :]}
            return
        started = time.monotonic()
        seen[name] = seen.get(name, 0) + 1
        row = measured_variant(size, combined(name), options.networks)
        longest = max(longest, time.monotonic() - started)
        key = name if seen[name] == 1 else f"{name} ({seen[name]})"
        print(key, {n: f"{r['ms_per_image']:.2f} ms" for n, r in row.items() if n in NETWORKS})
        yield {key: row | {"variant_s": time.monotonic() - started}}


@torch.inference_mode()
def measured_variant(size: Size, variant: Variant, names: Sequence[str]) -> dict[str, Any]:
    """Milliseconds per image of each network, and how far it is from the eager one."""
    torch.compiler.reset()
    editor = make_editor(size)
    # Weights of zero would hide a wrong result.
    torch.nn.init.normal_(editor.unet.conv_out.weight, std=0.02)
    plain = network_calls(size, editor, variant, names)
    side = editor.coder.latent_shape((size.side_px, size.side_px))[1:]
    found: dict[str, Any] = {}
    with fused_attention(editor.unet, side[0] * side[1]):
        expected = {name: eager_start(call) for name, call in plain.items()}
        apply(variant, editor)
        for name, call in network_calls(size, editor, variant, names).items():
            try:
                found[name] = measured_call(size, call, variant, expected[name])
            except torch.OutOfMemoryError as error:
                found[name] = {"ms_per_image": float("nan"), "error": str(error)[:100]}
            torch.compiler.reset()
    torch.backends.cudnn.benchmark_limit = VARIANTS["base"].engines
    del editor, plain
    return found | {"peak_gb": peak_gb(size.device)}


def eager_start(call: Call) -> Tensor:
    """The eager result of a batch's first two rows, on the host."""
    return call.function(*(argument[:2] for argument in call.arguments)).float().cpu()


def measured_call(size: Size, call: Call, variant: Variant, expected: Tensor) -> dict[str, Any]:
    """Time a network, compiled on a GPU, in small as it is."""
    function: Any = call.function
    if not size.toy:
        function = Compiled(call.function, compile_options(False, False) | variant.options)
    started = synchronized(size.device)
    result = function(*call.arguments)[: len(expected)].float().cpu()
    first = synchronized(size.device) - started
    times = []
    for _ in range(1 + REPEATS):
        started = synchronized(size.device)
        function(*call.arguments)
        times.append(synchronized(size.device) - started)
    times = sorted(times[1:])
    row = {
        "ms_per_image": 1e3 * times[len(times) // 2] * call.per_image,
        "fastest": 1e3 * times[0] * call.per_image,
        "first_s": first,
        "difference": float((result - expected).norm() / expected.norm()),
    }
    if not size.toy:
        row |= {"compiled": not function.failed, "surest_attention": bool(function._attention)}
    return row
