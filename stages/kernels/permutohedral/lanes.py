"""Four float32 numbers that compiled loops keep in one register.

numba does not vectorise loops over so few numbers. Here one instruction handles all four. They lie side by side in rows
of an array: group g of row r is ``array[r, 4 g:4 g + 4]``. No index is checked.

numba's cache sees no change of this module: after one, touch the modules whose compiled functions use it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

__all__ = ["NUM_LANES", "add", "largest", "load", "scale", "splat", "store", "total"]

NUM_LANES = 4
_VECTOR = ir.VectorType(ir.FloatType(), NUM_LANES)


class _Lanes(types.Type):
    """The type that numba gives to such numbers."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


_LANES = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    """They are one vector for LLVM."""

    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _VECTOR)  # type: ignore[no-untyped-call]


def _inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """An operation of compiled functions: ``function`` gets the types of its arguments, and writes LLVM's code."""
    return cast(Callable[..., Any], intrinsic(function))


def _place(context: Any, builder: Any, array_type: Any, array: Any, row: Any, group: Any) -> Any:
    """Pointer to group ``group`` of row ``row``."""
    made = context.make_array(array_type)(context, builder, array)
    width = builder.extract_value(made.shape, 1)
    first = builder.add(builder.mul(row, width), builder.mul(group, ir.Constant(group.type, NUM_LANES)))
    return builder.bitcast(builder.gep(made.data, [first]), _VECTOR.as_pointer())


@_inlined
def load(typing: Any, array: Any, row: Any, group: Any) -> Any:
    """``array[row, 4 group:4 group + 4]`` of a C-contiguous float32 array."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_place(context, builder, signature.args[0], *arguments), align=4)

    return _LANES(array, types.intp, types.intp), code


@_inlined
def store(typing: Any, array: Any, row: Any, group: Any, lanes: Any) -> Any:
    """The opposite of :func:`load`."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *place, vector = arguments
        builder.store(vector, _place(context, builder, signature.args[0], *place), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, _LANES), code


@_inlined
def add(typing: Any, left: Any, right: Any) -> Any:
    """``left + right``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fadd(*arguments)

    return _LANES(_LANES, _LANES), code


@_inlined
def scale(typing: Any, factor: Any, lanes: Any) -> Any:
    """``factor * lanes``, with one float32 factor."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fmul(_spread(builder, arguments[0]), arguments[1])

    return _LANES(types.float32, _LANES), code


@_inlined
def splat(typing: Any, value: Any) -> Any:
    """One float32 number, four times."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _spread(builder, *arguments)

    return _LANES(types.float32), code


@_inlined
def total(typing: Any, lanes: Any) -> Any:
    """Their sum: that of the first and the third, plus that of the second and the fourth."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _folded(builder, arguments[0], builder.fadd)

    return types.float32(_LANES), code


@_inlined
def largest(typing: Any, lanes: Any) -> Any:
    """The largest of them."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def larger(left: Any, right: Any) -> Any:
            return builder.select(builder.fcmp_ordered(">", left, right), left, right)

        return _folded(builder, arguments[0], larger)

    return types.float32(_LANES), code


def _spread(builder: Any, value: Any) -> Any:
    """One number in all lanes."""
    vector = ir.Constant(_VECTOR, ir.Undefined)
    for lane in range(NUM_LANES):
        vector = builder.insert_element(vector, value, ir.Constant(ir.IntType(32), lane))
    return vector


def _folded(builder: Any, vector: Any, join: Any) -> Any:
    """One number out of all lanes, by joining halves."""
    for half in (NUM_LANES // 2, NUM_LANES // 4):
        order = [(lane + half) % NUM_LANES for lane in range(NUM_LANES)]
        mask = ir.Constant(ir.VectorType(ir.IntType(32), NUM_LANES), order)
        vector = join(vector, builder.shuffle_vector(vector, vector, mask))
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))
