"""Readable matrix derivations that prove themselves, on SymPy alone.

    n, m = dims("n m")
    W, x, delta = matrix("W", n, m), vector("x", m), vector("delta", n)
    h = let("h", tanh(W * x))
    derivation = vjp(h, W, delta)     # (δ ∘ (1 - h ∘ h)) xᵀ, line by line
    assert derivation.verify()        # each line, exactly, on explicit entries

Derived and explained in the chapter "Differentials".  Inside:
``expressions`` what can be written, ``functions`` elementwise functions and their slopes,
``rules`` the rules of differentials, ``derive`` the way from an expression to its gradient,
``explicit`` the meaning of every expression in entries, ``proof`` proofs, ``claims`` verdicts on
a reader's answer, ``latex`` how it prints, ``numeric`` arrays.
"""

from rnnlib.calculus.claims import Verdict, check
from rnnlib.calculus.derive import Derivation, Step, gradient, vjp
from rnnlib.calculus.expressions import (
    d,
    dims,
    hadamard,
    hstack,
    inner,
    let,
    matrix,
    ones,
    scalar,
    total,
    trace,
    vector,
)
from rnnlib.calculus.functions import (
    cos,
    elementwise,
    exp,
    log,
    relu,
    sigmoid,
    sin,
    square,
    tanh,
)
from rnnlib.calculus.latex import latex
from rnnlib.calculus.numeric import to_function
from rnnlib.calculus.proof import Equation, Proof, equation

__all__ = [
    "Derivation",
    "Equation",
    "Proof",
    "Step",
    "Verdict",
    "check",
    "cos",
    "d",
    "dims",
    "elementwise",
    "equation",
    "exp",
    "gradient",
    "hadamard",
    "hstack",
    "inner",
    "latex",
    "let",
    "log",
    "matrix",
    "ones",
    "relu",
    "scalar",
    "sigmoid",
    "sin",
    "square",
    "tanh",
    "to_function",
    "total",
    "trace",
    "vector",
    "vjp",
]
