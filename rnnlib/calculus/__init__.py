"""Readable matrix derivations that prove themselves, on SymPy alone.

    n, m = dims("n m")
    W, x, delta = matrix("W", n, m), vector("x", m), vector("delta", n)
    h = let("h", tanh(W * x))
    derivation = vjp(h, W, delta)     # (δ ∘ (1 - h ∘ h)) xᵀ, line by line
    assert derivation.verify()        # each line, exactly, on explicit entries

Derived and explained in the chapter "Differentials".  Inside:
``nodes`` and ``expressions`` what can be written, ``functions`` elementwise functions and their
slopes, ``rules`` the rules of differentials, ``derive`` the way from an expression to its gradient;
``meaning`` what every node means, in ``explicit`` entries and in ``numeric`` arrays; ``proof``
proofs, ``recurrence`` proofs by induction over time, ``claims`` verdicts on a reader's answer;
``latex`` and ``layout`` how it prints.
"""

from rnnlib.calculus.claims import Verdict, check
from rnnlib.calculus.derive import Derivation, Step, differential, gradient, vjp
from rnnlib.calculus.expressions import (
    d,
    det,
    diag,
    dims,
    elementwise,
    eye,
    hadamard,
    hstack,
    inner,
    inverse,
    let,
    logdet,
    logsumexp,
    matrix,
    norm2,
    ones,
    scalar,
    softmax,
    total,
    trace,
    vector,
)
from rnnlib.calculus.functions import (
    cos,
    exp,
    log,
    power,
    relu,
    sigmoid,
    sin,
    square,
    tanh,
)
from rnnlib.calculus.latex import latex
from rnnlib.calculus.numeric import to_function
from rnnlib.calculus.proof import Equation, Proof, equation
from rnnlib.calculus.recurrence import Recursion, recursion, unroll

__all__ = [
    "Derivation",
    "Equation",
    "Proof",
    "Recursion",
    "Step",
    "Verdict",
    "check",
    "cos",
    "d",
    "det",
    "diag",
    "differential",
    "dims",
    "elementwise",
    "equation",
    "exp",
    "eye",
    "gradient",
    "hadamard",
    "hstack",
    "inner",
    "inverse",
    "latex",
    "let",
    "log",
    "logdet",
    "logsumexp",
    "matrix",
    "norm2",
    "ones",
    "power",
    "recursion",
    "relu",
    "scalar",
    "sigmoid",
    "sin",
    "softmax",
    "square",
    "tanh",
    "to_function",
    "total",
    "trace",
    "unroll",
    "vector",
    "vjp",
]
