"""Layers of the diffusion's networks in forms that move fewer bytes, with the same results.

They differ from diffusers' layers by rounding alone.
"""

from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.activations import GEGLU
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from headstyle.triton_kernels import has_triton

WIDEST_GATED = 320
"""Inputs of a gated layer up to which moving its outputs costs more than the library's products of
matrices are faster."""


class ChannelNorm(nn.GroupNorm):
    """Group normalization that a compiler turns into reads along the channels.

    A group has 4 to 60 channels, so in channels-last memory its values lie in short pieces, and
    each group reads again what belongs to its neighbors. Here every channel's mean and variance
    are taken first, side by side, and then joined to those of the groups.
    """

    def forward(self, images: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            return super().forward(images)
        return channel_norm(images, self.num_groups, self.weight, self.bias, self.eps)


def channel_norm(images: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Group normalization of `(B, C, ...)` by way of the channels' means and variances."""
    batch, channels = images.shape[:2]
    exact = images.float()
    flat = exact.flatten(2)
    # Counted from a value of the channel, squares do not cancel however far the mean is from zero.
    origin = flat[..., :1]
    apart = flat - origin
    first, second = apart.mean(-1), apart.square().mean(-1)
    means = (origin[..., 0] + first).view(batch, groups, -1)
    within = (second - first.square()).view(batch, groups, -1)
    mean = means.mean(-1, keepdim=True)
    variance = (within + (means - mean).square()).mean(-1, keepdim=True)
    scale = weight.float().view(groups, -1) * (variance.clamp_min(0) + eps).rsqrt()
    shift = bias.float().view(groups, -1) - mean * scale
    shape = (batch, channels, *[1] * (images.ndim - 2))
    return (exact * scale.view(shape) + shift.view(shape)).to(images.dtype)


def use_channel_norms(network: nn.Module) -> None:
    """Let a network normalize by channels when it is compiled; eagerly nothing changes."""
    for module in network.modules():
        if type(module) is nn.GroupNorm and module.affine:
            # The parameters stay where they are, under their names.
            module.__class__ = ChannelNorm


class PreparedText:
    """Attention to texts whose keys and values were computed before, those of all layers in a row.

    Keys and values depend on the text alone, not on the view and not on the step.
    """

    def __init__(self, start: int) -> None:
        """`start` is where this layer's keys begin among the columns of all layers."""
        self.start = start

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: None = None,
        temb: None = None,
    ) -> Tensor:
        queries = attn.to_q(hidden_states)
        width = queries.shape[-1]
        columns = encoder_hidden_states[..., self.start : self.start + 2 * width]
        keys, values = columns.split(width, dim=-1)
        heads = [part.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for part in (keys, values)]
        queries = queries.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        attended = scaled_dot_product_attention(queries, *heads)
        return attn.to_out[1](attn.to_out[0](attended.transpose(1, 2).flatten(2)))


def use_prepared_texts(unet: nn.Module) -> Callable[[Tensor], Tensor]:
    """Let a UNet take the keys and values of texts instead of the text encoder's states.

    Returns:
        The function that makes them of states: `(B, tokens, width)` to `(B, tokens, columns)`.
    """
    layers = [m for m in unet.modules() if isinstance(m, Attention) and m.is_cross_attention]
    start = 0
    for layer in layers:
        layer.set_processor(PreparedText(start))
        start += 2 * layer.inner_dim

    def prepared(states: Tensor) -> Tensor:
        return torch.cat([_keys_and_values(layer, states) for layer in layers], dim=-1)

    return prepared


def _keys_and_values(layer: Attention, states: Tensor) -> Tensor:
    if layer.fused_projections:
        return layer.to_kv(states)
    return torch.cat([layer.to_k(states), layer.to_v(states)], dim=-1)


class WholeMatrix:
    """An image's attention to itself with one wide head, by the matrix of all pairs.

    The autoencoder's head has 512 channels, too many for the fast fused attentions, and at that
    width the matrix is a small part of the work.
    """

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        tokens = attn.group_norm(hidden_states.flatten(2)).transpose(1, 2)
        queries, keys, values = attn.to_q(tokens), attn.to_k(tokens), attn.to_v(tokens)
        scores = torch.bmm(queries * attn.scale, keys.transpose(1, 2))
        attended = attn.to_out[0](torch.bmm(scores.softmax(dim=-1), values))
        mixed = attended.transpose(1, 2).reshape(hidden_states.shape)
        return (mixed + hidden_states) / attn.rescale_output_factor


def use_whole_matrices(vae: nn.Module) -> None:
    """Let the autoencoder's attentions of one head compute the matrix of all pairs."""
    for module in vae.modules():
        if isinstance(module, Attention) and module.heads == 1 and module.residual_connection:
            module.set_processor(WholeMatrix())


class GatedLinear(GEGLU):
    """A gated linear layer that on CUDA, in half precision, is one kernel."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        if hidden_states.device.type != "cuda" or hidden_states.dtype != torch.float16:
            return super().forward(hidden_states)
        from headstyle.editing.triton_gated import gated_linear

        return gated_linear(hidden_states, self.proj.weight, self.proj.bias)


def use_gated_layers(unet: nn.Module) -> None:
    """Let the gated layers of few inputs, which see the most pixels, be one kernel where they can.

    Does nothing without Triton.
    """
    if not has_triton():
        return
    from headstyle.editing.triton_gated import fits

    for module in unet.modules():
        if type(module) is GEGLU and module.proj.bias is not None:
            outputs, width = module.proj.weight.shape
            if width <= WIDEST_GATED and fits(width, outputs // 2):
                # The parameters stay where they are, under their names.
                module.__class__ = GatedLinear


def _norms(editor: Any) -> None:
    use_channel_norms(editor.unet)
    use_channel_norms(editor.vae)


def _texts(editor: Any) -> None:
    editor.read_text = use_prepared_texts(editor.unet)


def _matrices(editor: Any) -> None:
    use_whole_matrices(editor.vae)


def _gated(editor: Any) -> None:
    use_gated_layers(editor.unet)


REFINEMENTS: dict[str, Callable[[Any], None]] = {
    "norms": _norms,
    "texts": _texts,
    "matrices": _matrices,
    "gated": _gated,
}
"""What `InstructPix2Pix.refine` can do to an editor's networks."""
