"""Arithmetic that numba's compiler turns into vector instructions, 16 pixels at a time."""

import struct

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# 2^f on [-1/2, 1/2], fitted for the least relative error (8e-8).
_EXP2_POLYNOMIAL = (
    1.0000001192092896,
    0.6931469440460205,
    0.24022120237350464,
    0.05550713464617729,
    0.009675540961325169,
    0.0013276466634124517,
)
# Adding and subtracting 1.5 * 2^23 rounds a small float32 to the nearest integer, which is then
# also found in the low bits of the sum.
_ROUNDER = 12582912.0


@intrinsic
def fast_exp2(typing_context, exponent):  # type: ignore[no-untyped-def]
    """2 to the power of a float32 in [-126, 0], without branches or calls; relative error 1e-7.

    The integer part of the exponent is added to the bits of a polynomial of the fraction.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (t,) = arguments
        rounder = _float32(_ROUNDER)
        shifted = builder.fadd(t, rounder)
        fraction = builder.fsub(t, builder.fsub(shifted, rounder))
        value = _float32(_EXP2_POLYNOMIAL[-1])
        for coefficient in _EXP2_POLYNOMIAL[-2::-1]:
            product = builder.fmul(value, fraction, flags=("contract",))
            value = builder.fadd(product, _float32(coefficient), flags=("contract",))
        integer = builder.bitcast(shifted, ir.IntType(32))
        exponent_bits = builder.shl(integer, ir.Constant(ir.IntType(32), 23))
        bits = builder.add(builder.bitcast(value, ir.IntType(32)), exponent_bits)
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.float32), generate


@njit(fastmath={"reassoc", "contract"})
def sum_lanes(values, start):  # type: ignore[no-untyped-def]
    """Sum of the 16 float32 `values[start : start + 16]`, in an order fixed by the compiler."""
    total = values[start] * 0
    for lane in range(16):
        total += values[start + lane]
    return total


def _float32(value: float) -> ir.Constant:
    nearest = struct.unpack("f", struct.pack("f", value))[0]
    return ir.Constant(ir.FloatType(), nearest)
