"""Compute an expression with arrays of NumPy or torch.

The arrays' library is found when the function is called, so that the calculus itself needs SymPy
alone.
"""

import operator
from functools import reduce

import sympy as sp

from rnnlib.calculus import expressions as ex
from rnnlib.calculus import nodes
from rnnlib.calculus.meaning import Evaluator, leaves


def to_function(expression, context=None):
    """Return a function of keyword arguments, one array per variable, that computes expression.

    Matrices are 2-D arrays, vectors columns (n, 1), scalars numbers; NumPy or torch.
    context: an expression, or a SymPy Tuple of some, whose variables may be given too, though this
        one does not need them.
    The function raises TypeError for missing or unknown names, ValueError for shapes that do not
    fit the expression's dimensions.
    """
    context = expression if context is None else context
    ex.check_names(expression, context)
    needed = {x.name for x in leaves(expression)}
    variables = {x.name: x for x in leaves(expression, context)}

    def function(**arrays):
        _check_names(arrays, needed, variables)
        sizes = _bind(arrays, variables)
        return Arrays(arrays, sizes).of(expression)

    function.__doc__ = f"{expression} of {', '.join(variables)}"
    return function


def _check_names(arrays, needed, variables):
    missing = sorted(n for n in needed if n not in arrays)
    unknown = [n for n in arrays if n not in variables]
    if missing or unknown:
        raise TypeError(
            f"expected the arrays {', '.join(variables)}; missing {missing}, unknown {unknown}"
        )


def _bind(arrays, variables):
    """Return the size of each dimension symbol, read off the arrays' shapes."""
    sizes = {}
    for name, x in variables.items():
        if name not in arrays or not ex.is_matrix(x):
            continue
        given = tuple(arrays[name].shape)
        expected = tuple(sizes.get(n, n) for n in x.shape)
        fits = len(given) == 2 and all(
            sizes.setdefault(n, k) == k if isinstance(n, sp.Symbol) else n == k
            for n, k in zip(x.shape, given, strict=True)
        )
        if not fits:
            raise ValueError(f"{name}: expected shape {expected}, got {given}")
    return sizes


def _numpy_zero():
    import numpy

    return numpy.zeros(())


class Arrays(Evaluator):
    """The operations on arrays of one library."""

    name = "to_function"

    def __init__(self, arrays, sizes):
        from array_api_compat import array_namespace

        super().__init__(sizes)
        tables = [a for a in arrays.values() if hasattr(a, "shape")] or [_numpy_zero()]
        self.xp = array_namespace(*tables)
        self.like = max(tables, key=lambda a: len(a.shape))
        self.arrays = {
            name: a if hasattr(a, "shape") else self.numbers(a) for name, a in arrays.items()
        }

    def variable(self, x):
        return self.arrays[x.name]

    def named(self, x):
        return self.of(x.definition)

    def numbers(self, x):
        x = [[float(n) for n in row] for row in x.tolist()] if ex.is_matrix(x) else float(x)
        return self.xp.asarray(x, **self._kind())

    def _kind(self):
        from array_api_compat import device

        floating = self.xp.isdtype(self.like.dtype, "real floating")
        return {"dtype": self.like.dtype if floating else None, "device": device(self.like)}

    def filled(self, number, rows, cols):
        return self.xp.full((rows, cols), float(number), **self._kind())

    def identity(self, size):
        return self.xp.eye(size, **self._kind())

    def matmul(self, a, b):
        return a @ b

    def times(self, a, b):
        return a * b

    def diag(self, a):
        return a * self.identity(a.shape[0])

    def diagonal(self, a):
        return self.xp.linalg.diagonal(a)[:, None]

    def hstack(self, blocks):
        return self.xp.concat(blocks, axis=1)

    def sum(self, a):
        return self.xp.sum(a)

    def det(self, a):
        return self.xp.linalg.det(a)

    def inverse(self, a):
        return self.xp.linalg.inv(a)

    def apply(self, function, a):
        (z,) = function.variables
        return self._function(function.expr, {z: a})

    def softmax(self, x):
        return self.xp.exp(self._shifted(x)[0])

    def logsumexp(self, x):
        _, norm = self._shifted(x)
        return self.xp.sum(norm) if not ex.is_matrix(x) else norm

    def _shifted(self, x):
        """Return log softmax and log sum exp, from the largest entry down: nothing overflows."""
        a = self.of(x.args[0])
        axis = 0 if isinstance(x, nodes.LogSumExp) or x.args[1:] == (0,) else 1
        top = self.xp.max(a, axis=axis, keepdims=True)
        norm = self.xp.log(self.xp.sum(self.xp.exp(a - top), axis=axis, keepdims=True)) + top
        return a - norm, norm

    def change(self, x):
        raise TypeError(f"to_function: d({x}) is no number")

    def scalar(self, x):
        if isinstance(x, sp.Symbol):
            return self.arrays[x.name] if ex.is_scalar_symbol(x) else self.size(x)
        return self._function(x, {})

    def _function(self, body, known):
        """Compute a SymPy function of scalars, or of arrays where ``known`` has them."""
        if body in known:
            return known[body]
        if body.is_number:
            return float(body)
        inside = [self._function(a, known) if known else self.of(a) for a in body.args]
        name = body.func.__name__
        if name in ("Add", "Mul"):
            return reduce(operator.add if name == "Add" else operator.mul, inside)
        if name == "Pow":
            return inside[0] ** inside[1]
        return self._named_function(name, inside[0])

    def _named_function(self, name, a):
        if name == "Sigmoid":
            return 0.5 * (1 + self.xp.tanh(a / 2))
        if name == "Relu":
            return self.xp.where(a > 0, a, 0 * a)
        if name == "Step":
            return self.xp.where(a > 0, 0 * a + 1, 0 * a)
        name = _ARRAY_NAMES.get(name, name)
        if hasattr(self.xp, name):
            return getattr(self.xp, name)(a if hasattr(a, "shape") else self.numbers(a))
        raise TypeError(f"to_function: no array function for {name}")


# Where SymPy's name is not the array standard's.
_ARRAY_NAMES = {"Abs": "abs", "ceiling": "ceil"}
