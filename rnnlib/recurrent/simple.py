"""Modules without time: linear maps, nonlinearities, and one module after the other."""

import numpy as np
from array_api_compat import array_namespace

from rnnlib import _checks, cells, losses
from rnnlib.recurrent.arrays import check_input
from rnnlib.recurrent.module import Module, uniform


class Linear(Module):
    """y = x Wᵀ + b; x: (N, in_features), y: (N, out_features).

    Parameters: weight (out_features, in_features) and bias (out_features,), drawn from
    U(-1/√in_features, 1/√in_features) with ``rng`` (a seed or a NumPy Generator).

    Raises TypeError unless x holds floating-point numbers and is of the weights' kind (NumPy or
    torch), and ValueError for another shape.
    """

    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float64, rng=None):
        self.in_features = _checks.positive_int("in_features", in_features)
        self.out_features = _checks.positive_int("out_features", out_features)
        shapes = {"weight": (out_features, in_features)}
        if _checks.flag("bias", bias):
            shapes["bias"] = (out_features,)
        bound = in_features**-0.5
        super().__init__(uniform(shapes, bound, dtype, rng), bound=bound)

    def _forward(self, x):
        weight = self.own["weight"]
        check_input("input", x, 2, f"(N, {self.in_features})", weight)
        _checks.shape("input", x, (x.shape[0], self.in_features), "(N, in_features)")
        return cells.linear(x, weight, self.own.get("bias")), x

    def _backward(self, dy, x):
        dx, d_weight, d_bias = cells.linear_backward(dy, x, self.own["weight"])
        self._add(weight=d_weight)
        if "bias" in self.own:
            self._add(bias=d_bias)
        return dx

    def describe(self):
        return f"Linear({self.in_features} -> {self.out_features})"


class Add(Module):
    """y = x + bias; x and y: (N, *size), size an integer or a tuple of integers.

    Parameter: bias, of shape size, drawn from U(-1/√n, 1/√n), n the number of its entries.
    """

    def __init__(self, size, *, dtype=np.float64, rng=None):
        self.size = size_of("size", size)
        bound = float(np.prod(self.size)) ** -0.5
        super().__init__(uniform({"bias": self.size}, bound, dtype, rng), bound=bound)

    def _forward(self, x):
        bias = self.own["bias"]
        shape = ", ".join(map(str, self.size))
        check_input("input", x, 1 + len(self.size), f"(N, {shape})", bias)
        _checks.shape("input", x, (x.shape[0], *self.size), "(N, *size)")
        return x + bias, ()

    def _backward(self, dy, _):
        self._add(bias=array_namespace(dy).sum(dy, axis=0))
        return dy

    def describe(self):
        return f"Add({', '.join(map(str, self.size))})"


class Identity(Module):
    """y = x, for arrays and tables."""

    def _forward(self, x):
        return x, ()

    def _backward(self, dy, _):
        return dy


class _Nonlinearity(Module):
    """y = f(x), entry by entry; x and y: any shape.  f and its slope stand in ``rnnlib.cells``."""

    name = None

    def _forward(self, x):
        check_input("input", x, getattr(x, "ndim", 0), "(N, ...)")
        y = cells.NONLINEARITIES[self.name][0](x)
        return y, y

    def _backward(self, dy, y):
        return dy * cells.NONLINEARITIES[self.name][1](y)


class Sigmoid(_Nonlinearity):
    """y = 1 / (1 + exp(-x)), entry by entry; x and y: any shape."""

    name = "sigmoid"


class Tanh(_Nonlinearity):
    """y = tanh(x), entry by entry; x and y: any shape."""

    name = "tanh"


class ReLU(_Nonlinearity):
    """y = max(x, 0), entry by entry; x and y: any shape.  Its slope at 0 is 0."""

    name = "relu"


class LogSoftMax(Module):
    """y = log softmax(x) over the last axis; x and y: (..., V)."""

    def _forward(self, x):
        check_input("input", x, max(1, getattr(x, "ndim", 1)), "(..., V)")
        y = losses.log_softmax(x)
        return y, y

    def _backward(self, dy, y):
        xp = array_namespace(y)
        return dy - xp.exp(y) * xp.sum(dy, axis=-1, keepdims=True)


class Sequential(Module):
    """One module after the other; children are named "0", "1", ... as in torch.nn.

    Like every module it remembers one call: to step through it by hand, use ``Recursor``.
    """

    def __init__(self, *modules):
        if not modules:
            raise ValueError("modules: expected at least one, got none")
        super().__init__(children={str(k): module for k, module in enumerate(modules)})

    def _forward(self, x):
        for child in self.children.values():
            x = child.forward(x)
        return x, ()

    def _backward(self, d_output, _):
        for child in reversed(self.children.values()):
            d_output = child.backward(d_output)
        return d_output


def size_of(name, size):
    """Return an integer or a tuple of integers, each at least 1, as a tuple; raise for others."""
    sizes = size if isinstance(size, (tuple, list)) else [size]
    if not sizes:
        raise ValueError(f"{name}: expected an integer or a tuple of integers, got {size!r}")
    return tuple(_checks.positive_int(name, part) for part in sizes)
