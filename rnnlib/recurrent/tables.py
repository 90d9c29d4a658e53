"""Modules over tables, which are lists or tuples of arrays."""

from array_api_compat import array_namespace

from rnnlib import _checks
from rnnlib.recurrent.arrays import check_input, check_table
from rnnlib.recurrent.module import Module


class ParallelTable(Module):
    """Module k for entry k of the table; children are named "0", "1", ....

    Input and output: a table with one entry for each module.
    """

    def __init__(self, *modules):
        if not modules:
            raise ValueError("modules: expected at least one, got none")
        super().__init__(children={str(k): module for k, module in enumerate(modules)})

    def _forward(self, table):
        check_table("input", table, len(self.children), "(one for each module)")
        pairs = zip(self.children.values(), table, strict=True)
        return [child.forward(x) for child, x in pairs], ()

    def _backward(self, d_table, _):
        pairs = zip(self.children.values(), d_table, strict=True)
        return [child.backward(d) for child, d in pairs]


class CAddTable(Module):
    """The sum of the entries; input: a table of arrays of one shape (...), output: (...)."""

    def _forward(self, table):
        check_table("input", table, None, "of arrays of one shape")
        total = table[0]
        for k, x in enumerate(table):
            check_input(f"input[{k}]", x, getattr(x, "ndim", 0), "(N, ...)", table[0])
            _checks.shape(f"input[{k}]", x, table[0].shape, "(the first entry's)")
            total = total if k == 0 else total + x
        return total, len(table)

    def _backward(self, dy, count):
        return [dy] * count


class JoinTable(Module):
    """The entries side by side along ``axis``; input: a table of arrays, output: an array.

    With axis=-1 a table [(N, A), (N, B)] gives (N, A + B).
    """

    def __init__(self, axis=-1):
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise TypeError(f"axis: expected an integer, got {axis!r}")
        self.axis = axis
        super().__init__()

    def _forward(self, table):
        check_table("input", table, None, "of arrays to be joined")
        like = table[0]
        for k, x in enumerate(table):
            check_input(f"input[{k}]", x, getattr(like, "ndim", 0), "(N, ...)", like)
        if not -like.ndim <= self.axis < like.ndim:
            raise ValueError(f"axis: expected one of {like.ndim} axes, got {self.axis}")
        axis = self.axis % like.ndim
        for k, x in enumerate(table):
            expected = [*like.shape[:axis], x.shape[axis], *like.shape[axis + 1 :]]
            _checks.shape(f"input[{k}]", x, expected, f"(the first entry's but along axis {axis})")
        widths = [x.shape[axis] for x in table]
        return array_namespace(*table).concat(list(table), axis=axis), (axis, widths)

    def _backward(self, dy, cache):
        axis, widths = cache
        parts, end = [], 0
        for width in widths:
            end += width
            parts.append(dy[(slice(None),) * axis + (slice(end - width, end),)])
        return parts

    def describe(self):
        return f"JoinTable({self.axis})"
