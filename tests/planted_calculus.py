"""Derivations for ``test_planted_errors``, one for each rule, on square matrices alone."""

from sympy.core.cache import clear_cache

from rnnlib import calculus as c


def check(name):
    """Derive something that needs the rule ``name``, and verify it."""
    clear_cache()  # SymPy remembers results of classes that the last import has replaced.
    n = c.dims("n")
    W, X, U, D = (c.matrix(k, n, n) for k in "WXUD")
    x, s, delta = (c.vector(k, n) for k in ("x", "s", "delta"))
    r = c.scalar("r")
    derived = {
        "inner": lambda: c.gradient(c.inner(x, W * x), [x, W]),
        "square": lambda: c.gradient(c.inner(x, x), x),
        "scalar": lambda: c.gradient(3 * c.inner(x, s) + c.inner(x, x) ** 2, x),
        "factor": lambda: c.gradient(3 * c.inner(x, s), x),
        "sum": lambda: c.vjp(W * x + s, [x, s], delta),
        "product": lambda: c.vjp(r * W * X * U, [r, W, X, U], D),
        "transpose": lambda: c.vjp(W.T * X, W, D),
        "hadamard": lambda: c.vjp(c.hadamard(W, X), [W, X], D),
        "elementwise": lambda: c.vjp(c.sin(W * x), [W, x], delta),
        "trace": lambda: c.gradient(c.trace(W * X), [W, X]),
        "total": lambda: c.gradient(c.total(W * X), [W, X]),
        "exp": lambda: c.vjp(c.let("h", c.exp(W * x)), [W, x], delta),
        "tanh": lambda: c.vjp(c.let("h", c.tanh(W * x)), [W, x], delta),
        "sigmoid": lambda: c.vjp(c.let("h", c.sigmoid(W * x)), [W, x], delta),
        "inside": lambda: c.vjp(c.elementwise(lambda z: c.tanh(2 * z), x), x, delta),
        "determinant": lambda: c.gradient(c.det(W * X), [W, X]),
        "inverse": lambda: c.vjp(c.inverse(W), W, D),
        "matrix power": lambda: c.vjp(W**3, W, D),
        "softmax": lambda: c.vjp(c.softmax(W * x), [W, x], delta),
        "softmax rows": lambda: c.vjp(c.softmax(W * X), [W, X], D),
        "log-sum-exp": lambda: c.gradient(c.logsumexp(W * x), [W, x]),
        "log-sum-exp rows": lambda: c.vjp(c.logsumexp(W * X), [W, X], delta),
        "diagonal": lambda: c.gradient(c.inner(s, c.diag(W * c.diag(x))), [W, x]),
        "power": lambda: c.vjp(c.square(x) + c.elementwise(lambda z: z**3, x), x, delta),
    }
    return derived[name]().verify()
