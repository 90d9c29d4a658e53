"""Compute an expression with arrays of NumPy or torch.

The arrays' library is found when the function is called, so that the calculus itself needs SymPy
alone.
"""

import sympy as sp
from sympy import MatAdd, MatMul, Trace
from sympy.matrices.expressions.hadamard import HadamardProduct
from sympy.matrices.expressions.special import Identity, OneMatrix, ZeroMatrix
from sympy.matrices.expressions.transpose import Transpose

from rnnlib.calculus import expressions as ex
from rnnlib.calculus.explicit import leaves


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
        return _Evaluator(arrays, sizes).of(expression)

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


class _Evaluator:
    def __init__(self, arrays, sizes):
        from array_api_compat import array_namespace

        tables = [a for a in arrays.values() if hasattr(a, "shape")] or [_numpy_zero()]
        self.xp = array_namespace(*tables)
        self.like = max(tables, key=lambda a: len(a.shape))
        self.sizes, self.known = sizes, {}
        self.arrays = {
            name: a if hasattr(a, "shape") else self._array(a) for name, a in arrays.items()
        }

    def of(self, x):
        if x not in self.known:
            self.known[x] = self._value(x)
        return self.known[x]

    def _value(self, x):
        if isinstance(x, ex.Variable) or ex.is_scalar_symbol(x):
            return self.arrays[x.name]
        if isinstance(x, sp.MatrixBase):
            return self._array([[float(entry) for entry in row] for row in x.tolist()])
        if isinstance(x, sp.Symbol):
            return self._array(self._size(x))
        if isinstance(x, ex.Named):
            return self.of(x.definition)
        if isinstance(x, (MatAdd, sp.Add)):
            return sum((self.of(t) for t in x.args[1:]), self.of(x.args[0]))
        if isinstance(x, MatMul):
            return self._product(x)
        if isinstance(x, Transpose):
            return self.of(x.arg).T
        if isinstance(x, (HadamardProduct, sp.Mul)):
            return sp.prod(map(self.of, x.args[1:]), self.of(x.args[0]))
        if isinstance(x, ex.HStack):
            return self.xp.concat(list(map(self.of, x.args)), axis=1)
        if isinstance(x, ex.Elementwise):
            (z,) = x.function.variables
            return self._function(x.function.expr, z, self.of(x.argument))
        if isinstance(x, ex.Inner):
            return self.xp.sum(self.of(x.args[0]) * self.of(x.args[1]))
        if isinstance(x, (ex.Total, ex.AsScalar)):
            return self.xp.sum(self.of(x.args[0]))
        if isinstance(x, Trace):
            return self.xp.linalg.trace(self.of(x.arg))
        if isinstance(x, (OneMatrix, ZeroMatrix, Identity)):
            return self._constant(x)
        return self._function(x, None, None)

    def _product(self, x):
        scale, factors = x.as_coeff_matrices()
        value = self.of(factors[0])
        for factor in factors[1:]:
            value = value @ self.of(factor)
        return value if scale == 1 else self.of(scale) * value

    def _constant(self, x):
        rows, cols = map(self._size, x.shape)
        like = {"dtype": self.like.dtype, "device": self._device()}
        if isinstance(x, Identity):
            return self.xp.eye(rows, **like)
        make = self.xp.ones if isinstance(x, OneMatrix) else self.xp.zeros
        return make((rows, cols), **like)

    def _array(self, numbers):
        floating = self.xp.isdtype(self.like.dtype, "real floating")
        dtype = self.like.dtype if floating else None
        return self.xp.asarray(numbers, dtype=dtype, device=self._device())

    def _size(self, n):
        size = sp.sympify(n).subs(self.sizes)
        if not size.is_number:
            raise TypeError(f"the size {n} is not known: give an array that has it")
        return int(size)

    def _device(self):
        from array_api_compat import device

        return device(self.like)

    def _function(self, body, z, argument):
        """Compute a SymPy function of z at an array, or of scalars where z is None."""
        if body == z:
            return argument
        if body.is_number:
            return float(body)
        if z is None and (not body.args or body in self.known):
            return self.of(body)
        if z is None:
            inside = list(map(self.of, body.args))
        else:
            inside = [self._function(a, z, argument) for a in body.args]
        name = body.func.__name__
        if name in ("Add", "Mul"):
            start = inside[0]
            for value in inside[1:]:
                start = start + value if name == "Add" else start * value
            return start
        if name == "Pow":
            return inside[0] ** inside[1]
        return self._named(name, inside[0])

    def _named(self, name, a):
        if name == "Sigmoid":
            return 0.5 * (1 + self.xp.tanh(a / 2))
        if name == "Relu":
            return self.xp.where(a > 0, a, 0 * a)
        if name == "Step":
            return self.xp.where(a > 0, 0 * a + 1, 0 * a)
        if hasattr(self.xp, name):
            return getattr(self.xp, name)(a)
        raise TypeError(f"to_function: no array function for {name}")
