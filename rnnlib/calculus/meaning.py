"""What every node means, said once for tables of symbols, of numbers, and for arrays.

A *table* is whatever holds entries: a SymPy matrix or an array of NumPy or torch.  Subclasses say
how tables are made and multiplied.  The rules that build a derivation are checked against this, so
nothing here may call them.
"""

import operator
from functools import reduce

import sympy as sp
from sympy import Determinant, Inverse, MatAdd, MatMul, MatPow, Trace
from sympy.matrices.expressions.hadamard import HadamardProduct
from sympy.matrices.expressions.special import Identity, OneMatrix, ZeroMatrix
from sympy.matrices.expressions.transpose import Transpose

from rnnlib.calculus import expressions as ex
from rnnlib.calculus import nodes


class Evaluator:
    """Turn expressions into tables and numbers; each node once."""

    def __init__(self, sizes):
        self.sizes = dict(sizes)
        self._known = {}

    def of(self, x):
        """Return a table for a matrix expression, a number or symbol for a scalar."""
        if x not in self._known:
            self._known[x] = self._evaluate(x)
        return self._known[x]

    def size(self, n):
        size = sp.sympify(n).subs(self.sizes)
        if not size.is_number:
            raise TypeError(f"the size {n} is not known: give an array that has it")
        return int(size)

    def shape(self, x):
        return tuple(map(self.size, x.shape))

    def _evaluate(self, x):
        if isinstance(x, sp.MatrixBase):
            return self.numbers(x)
        for kinds, meaning in _MEANINGS:
            if isinstance(x, kinds):
                return meaning(self, x)
        if ex.is_matrix(x):
            raise TypeError(f"{self.name}: no meaning for {type(x).__name__} in {x}")
        return self.sizes[x] if x in self.sizes else self.scalar(x)

    def _every(self, args):
        return map(self.of, args)

    def _product(self, x):
        scale, factors = x.as_coeff_matrices()
        value = reduce(self.matmul, self._every(factors))
        return value if scale == 1 else self.of(scale) * value


_MEANINGS = (
    (nodes.Variable, lambda e, x: e.variable(x)),
    ((nodes.Named, nodes.NamedScalar), lambda e, x: e.named(x)),
    (MatAdd, lambda e, x: reduce(operator.add, e._every(x.args))),
    (MatMul, Evaluator._product),
    (Inverse, lambda e, x: e.inverse(e.of(x.arg))),
    (MatPow, lambda e, x: reduce(e.matmul, [e.of(x.base)] * int(x.exp))),
    (Transpose, lambda e, x: e.of(x.arg).T),
    (HadamardProduct, lambda e, x: reduce(e.times, e._every(x.args))),
    (OneMatrix, lambda e, x: e.filled(1, *e.shape(x))),
    (ZeroMatrix, lambda e, x: e.filled(0, *e.shape(x))),
    (Identity, lambda e, x: e.identity(e.size(x.rows))),
    (nodes.Diag, lambda e, x: e.diag(e.of(x.args[0]))),
    (nodes.Diagonal, lambda e, x: e.diagonal(e.of(x.args[0]))),
    (nodes.HStack, lambda e, x: e.hstack(list(e._every(x.args)))),
    (nodes.Elementwise, lambda e, x: e.apply(x.function, e.of(x.argument))),
    (nodes.Softmax, lambda e, x: e.softmax(x)),
    ((nodes.LogSumExp, nodes.RowLogSumExp), lambda e, x: e.logsumexp(x)),
    (nodes.Inner, lambda e, x: e.sum(e.times(*e._every(x.args)))),
    (nodes.Total, lambda e, x: e.sum(e.of(x.args[0]))),
    (nodes.AsScalar, lambda e, x: e.sum(e.of(x.args[0]))),
    (Trace, lambda e, x: e.sum(e.diagonal(e.of(x.arg)))),
    (Determinant, lambda e, x: e.det(e.of(x.arg))),
    ((nodes.MatrixDifferential, nodes.ScalarDifferential), lambda e, x: e.change(x.args[0])),
)


def leaves(*expressions):
    """Return the variables that expressions are made of, in order of appearance."""
    return [
        x for x in ex.walk(*expressions) if isinstance(x, nodes.Variable) or ex.is_scalar_symbol(x)
    ]
