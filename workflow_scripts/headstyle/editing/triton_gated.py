"""A linear layer and its gate as one kernel on CUDA: `(x A + a) * gelu(x B + b)`.

The transformers' widest layer writes both halves, 2,560 to 10,240 values a pixel, only to read them
again for their product. Here the halves of a tile meet in registers, and only the product is
written.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

# Rows and columns of the product that a program computes, inputs that it multiplies at a time,
# warps and stages. Two sums of 128 x 128 are 128 registers a thread.
TILE = (128, 128, 64, 8, 3)


@triton.jit(do_not_specialize=["rows"])
def gated_product(
    x, weight, bias, product, rows, WIDTH: tl.constexpr, HIDDEN: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, INPUTS: tl.constexpr,
):  # fmt: skip
    """One tile of the product; neighbors in the same rows run together and share their input."""
    across = HIDDEN // COLUMNS
    row = (tl.program_id(0) // across) * ROWS + tl.arange(0, ROWS)
    column = (tl.program_id(0) % across) * COLUMNS + tl.arange(0, COLUMNS)
    entry = tl.arange(0, INPUTS)
    inside = (row < rows)[:, None]
    # 64 bits, as a batch has more values than 32 bits count.
    lines = row.to(tl.int64)[:, None]
    inputs = x + lines * WIDTH + entry[None, :]
    # The weights are read transposed: inputs down, columns across.
    values = weight + column[None, :] * WIDTH + entry[:, None]
    gates = values + HIDDEN * WIDTH
    value = tl.zeros((ROWS, COLUMNS), tl.float32)
    gate = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, WIDTH, INPUTS):
        part = tl.load(inputs + start, mask=inside, other=0.0)
        value = tl.dot(part, tl.load(values + start), value)
        gate = tl.dot(part, tl.load(gates + start), gate)
    value += tl.load(bias + column).to(tl.float32)[None, :]
    gate += tl.load(bias + HIDDEN + column).to(tl.float32)[None, :]
    # Exact GELU, as diffusers has it.
    result = value * (0.5 * gate * (1 + tl.erf(gate * 0.7071067811865476)))
    place = product + lines * HIDDEN + column[None, :]
    tl.store(place, result.to(product.dtype.element_ty), mask=inside)


def fits(width: int, hidden: int) -> bool:
    """Whether the kernel's tiles divide a layer of so many inputs and outputs."""
    return width % TILE[2] == 0 and hidden % TILE[1] == 0


@torch.library.custom_op("headstyle::gated_linear", mutates_args=())
def gated_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`(..., K)` times a weight `(2 H, K)`, whose lower half is the gate's, gives `(..., H)`."""
    flat = x.reshape(-1, x.shape[-1]).contiguous()
    hidden = weight.shape[0] // 2
    product = flat.new_empty((len(flat), hidden))
    rows, columns, inputs, warps, stages = TILE
    grid = (-(-len(flat) // rows) * (hidden // columns),)
    gated_product[grid](
        flat, weight.contiguous(), bias, product, len(flat), flat.shape[1], hidden,
        rows, columns, inputs, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return product.view(*x.shape[:-1], hidden)


@gated_linear.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty((*x.shape[:-1], weight.shape[0] // 2))
