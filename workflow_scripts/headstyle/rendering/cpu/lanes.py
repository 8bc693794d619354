"""Arithmetic on 16 float32 lanes at once, for numba functions.

The compiler turns numba's loops into vector instructions only in simple cases. These classes write
the vector instructions directly. Inside an `@intrinsic`, `Lanes` computes with 16 numbers as if
they were one. This works on any processor: the compiler splits the vectors to the processor's
width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Union

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

# What it decorates is called without the first argument, which numba adds.
intrinsic: Any = extending.intrinsic

COUNT = 16
FLOAT, INT32 = ir.FloatType(), ir.IntType(32)
VECTOR, INT_VECTOR = ir.VectorType(FLOAT, COUNT), ir.VectorType(INT32, COUNT)
# The compiler may fuse a multiplication and an addition. It may reorder nothing else.
FUSED = ("contract",)

# 2^f on [-1/2, 1/2], fitted for the least relative error (8e-8).
_EXP2_POLYNOMIAL = (
    1.0000001192092896,
    0.6931469440460205,
    0.24022120237350464,
    0.05550713464617729,
    0.009675540961325169,
    0.0013276466634124517,
)
# Adding and subtracting 1.5 * 2^23 rounds a small float32 to the nearest integer. The low bits of
# the sum hold that integer too.
_ROUNDER = 12582912.0

Operand = Union["Lanes", float, ir.Value]


class Mask:
    """16 truth values."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    def __and__(self, other: "Mask") -> "Mask":
        return Mask(self.builder, self.builder.and_(self.value, other.value))

    def any(self) -> ir.Value:
        """Whether at least one lane is true, as a condition for a branch."""
        bits = self.builder.bitcast(self.value, ir.IntType(COUNT))
        return self.builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(COUNT), 0))

    def select(self, yes: "Lanes", no: Operand) -> "Lanes":
        """`yes` where true, `no` elsewhere."""
        other = yes.like(no)
        return Lanes(self.builder, self.builder.select(self.value, yes.value, other.value))


class Lanes:
    """16 float32 numbers; operators take other lanes, Python numbers or float32 scalars."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder = builder
        self.value = value if value.type == VECTOR else _spread(builder, value)

    @classmethod
    def counting(cls, builder: ir.IRBuilder) -> "Lanes":
        """The numbers 0 to 15."""
        return cls(builder, ir.Constant(VECTOR, [float(lane) for lane in range(COUNT)]))

    def like(self, other: Operand) -> "Lanes":
        """`other` as lanes."""
        if isinstance(other, Lanes):
            return other
        if isinstance(other, int | float):
            return Lanes(self.builder, ir.Constant(VECTOR, [float(other)] * COUNT))
        return Lanes(self.builder, other)

    def __add__(self, other: Operand) -> "Lanes":
        value = self.builder.fadd(self.value, self.like(other).value, flags=FUSED)
        return Lanes(self.builder, value)

    def __sub__(self, other: Operand) -> "Lanes":
        value = self.builder.fsub(self.value, self.like(other).value, flags=FUSED)
        return Lanes(self.builder, value)

    def __rsub__(self, other: Operand) -> "Lanes":
        return self.like(other) - self

    def __mul__(self, other: Operand) -> "Lanes":
        value = self.builder.fmul(self.value, self.like(other).value, flags=FUSED)
        return Lanes(self.builder, value)

    def __rtruediv__(self, other: Operand) -> "Lanes":
        return Lanes(self.builder, self.builder.fdiv(self.like(other).value, self.value))

    def __lt__(self, other: Operand) -> Mask:
        return self._compare("<", other)

    def __le__(self, other: Operand) -> Mask:
        return self._compare("<=", other)

    def __gt__(self, other: Operand) -> Mask:
        return self._compare(">", other)

    def __ge__(self, other: Operand) -> Mask:
        return self._compare(">=", other)

    def __abs__(self) -> "Lanes":
        positive = ir.Constant(INT_VECTOR, [0x7FFFFFFF] * COUNT)
        bits = self.builder.and_(self.builder.bitcast(self.value, INT_VECTOR), positive)
        return Lanes(self.builder, self.builder.bitcast(bits, VECTOR))

    def at_most(self, limit: Operand) -> "Lanes":
        """The smaller of each lane and `limit`."""
        return (self < limit).select(self, limit)

    def at_least(self, limit: Operand) -> "Lanes":
        """The larger of each lane and `limit`."""
        return (self > limit).select(self, limit)

    def exp2(self) -> "Lanes":
        """2 to the power of each lane, for lanes in [-126, 0]; relative error 2e-7.

        The integer part of the exponent is added to the bits of a polynomial of the fraction.
        """
        builder, rounder = self.builder, self.like(_ROUNDER).value
        # Without FUSED: these two must round as written.
        shifted = builder.fadd(self.value, rounder)
        fraction = Lanes(builder, builder.fsub(self.value, builder.fsub(shifted, rounder)))
        value = self.like(_EXP2_POLYNOMIAL[-1])
        for coefficient in _EXP2_POLYNOMIAL[-2::-1]:
            value = value * fraction + coefficient
        shift = ir.Constant(INT_VECTOR, [23] * COUNT)
        exponent = builder.shl(builder.bitcast(shifted, INT_VECTOR), shift)
        bits = builder.add(builder.bitcast(value.value, INT_VECTOR), exponent)
        return Lanes(builder, builder.bitcast(bits, VECTOR))

    def total(self) -> ir.Value:
        """Sum of the lanes, always in the same order: halves onto each other."""
        builder, value, width = self.builder, self.value, COUNT
        while width > 1:
            width //= 2
            undefined = ir.Constant(value.type, ir.Undefined)
            low, high = (
                builder.shuffle_vector(
                    value, undefined, ir.Constant(ir.VectorType(INT32, width), list(half))
                )
                for half in (range(width), range(width, 2 * width))
            )
            value = builder.fadd(low, high)
        return builder.extract_element(value, ir.Constant(INT32, 0))

    def _compare(self, operator: str, other: Operand) -> Mask:
        value = self.builder.fcmp_ordered(operator, self.value, self.like(other).value)
        return Mask(self.builder, value)


class Floats:
    """The float32 numbers of a contiguous numba array from `start` on, in lanes of 16."""

    def __init__(self, builder: ir.IRBuilder, data: ir.Value, start: ir.Value) -> None:
        self.builder, self.data, self.start = builder, data, start

    def load(self, channel: int) -> Lanes:
        """The lanes of one channel."""
        return Lanes(self.builder, self.builder.load(self._pointer(channel), align=4))

    def store(self, channel: int, lanes: Lanes) -> None:
        """Overwrite the lanes of one channel."""
        self.builder.store(lanes.value, self._pointer(channel), align=4)

    def store_number(self, offset: int, number: ir.Value) -> None:
        """Overwrite a single number."""
        self.builder.store(number, self._address(offset))

    def _address(self, offset: int) -> ir.Value:
        place = self.builder.add(self.start, ir.Constant(self.start.type, offset))
        return self.builder.gep(self.data, [place])

    def _pointer(self, channel: int) -> ir.Value:
        return self.builder.bitcast(self._address(channel * COUNT), VECTOR.as_pointer())


class Accumulator:
    """16 running sums that the compiler keeps in a register."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.builder = builder
        self.place = cgutils.alloca_once(builder, VECTOR)
        builder.store(ir.Constant(VECTOR, [0.0] * COUNT), self.place)

    def add(self, lanes: Lanes) -> None:
        """Add to the sums."""
        self.builder.store((self.sums() + lanes).value, self.place)

    def sums(self) -> Lanes:
        """The sums so far."""
        return Lanes(self.builder, self.builder.load(self.place))


def data_of(context: Any, builder: ir.IRBuilder, array_type: Any, array: ir.Value) -> ir.Value:
    """Pointer to the first number of a numba array."""
    return context.make_array(array_type)(context, builder, array).data


@intrinsic
def prefetch(typing, array, index):
    """Fetch the number at flat `index` of a contiguous array into the cache before its use."""

    def generate(context, builder, signature, arguments):
        data = data_of(context, builder, signature.args[0], arguments[0])
        place = builder.gep(data, [arguments[1]])
        flags = [ir.Constant(INT32, flag) for flag in (0, 3, 1)]  # read, keep near, data
        kind = ir.FunctionType(ir.VoidType(), [place.type, *(flag.type for flag in flags)])
        # LLVM's pointers have no type any more, which declare_intrinsic does not know.
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, *flags])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@contextmanager
def rows(builder: ir.IRBuilder, first: ir.Value, last: ir.Value) -> Iterator[ir.Value]:
    """A loop over `first` to `last`, both included (int64)."""
    one = ir.Constant(first.type, 1)
    with cgutils.for_range_slice(builder, first, builder.add(last, one), one) as (row, _):
        yield row


def _spread(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    undefined = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(INT_VECTOR, [0] * COUNT))
