"""Verdicts on a claimed gradient that say what is wrong."""

import itertools
from dataclasses import dataclass

import sympy as sp
from sympy import MatAdd

from rnnlib.calculus import expressions as ex
from rnnlib.calculus.derive import check_variables, gradient
from rnnlib.calculus.explicit import Entries
from rnnlib.calculus.proof import pair, prove_statements
from rnnlib.calculus.zero import POINTS, evaluate, point


@dataclass(frozen=True)
class Verdict:
    """The outcome of ``check``: true when the claim is right, with a sentence either way."""

    right: bool
    message: str

    def __bool__(self):
        return self.right

    def __str__(self):
        return self.message

    __repr__ = __str__


def check(claim, expression, variable):
    """Judge a claimed gradient of a scalar expression.

    claim: an expression of the variable's shape, or None for "no answer yet".
    expression, variable: as in ``gradient``.
    Returns a ``Verdict``: true only if ⟨claim, dX⟩ is proved to be the differential of the
    expression, as in ``Derivation.verify``.  Otherwise its message names the shape, sign, factor,
    transpose or term that is wrong, or the first entry that differs.

    Raises TypeError for what is no expression or no variable.
    """
    (variable,) = check_variables(variable)
    if claim is None or claim is Ellipsis:
        return Verdict(False, "No answer yet: put your expression in place of None.")
    claim, expression = ex.sympify(claim), ex.as_scalar(expression)
    if ex.is_named(variable):
        # A reader may write what the name stands for.
        claim = claim.xreplace({variable: variable, variable.definition: variable})
    if not ex.is_matrix(variable) and ex.shape_text(claim) == "1×1":
        claim = ex.as_scalar(claim)
    if ex.shape_text(claim) != ex.shape_text(variable):
        return Verdict(
            False,
            f"Wrong shape: the gradient for {variable} is {ex.shape_text(variable)} like "
            f"{variable}, and yours is {ex.shape_text(claim)}.",
        )
    found = ex.differentials_in(claim)
    if found:
        return Verdict(
            False, f"A gradient has no differential in it, and yours contains {found[0]}."
        )
    ex.check_names(claim, expression, variable)
    proof = _prove(claim, expression, variable)
    if proof:
        return Verdict(True, f"Right: this is the gradient for {variable}.")
    if proof.method == "undecided":
        return Verdict(False, f"Not decided: {proof.reason}.")
    return Verdict(False, _diagnose(claim, expression, variable, proof))


def _prove(claim, expression, variable):
    """Prove that ⟨claim, dX⟩ is the differential of the expression."""
    sides = (ex.d(expression),), (pair(claim, ex.d(variable)),)
    statement = ("your answer differs", *sides)
    return prove_statements([statement], [claim, expression, variable], [variable])


def _diagnose(claim, expression, variable, proof):
    tests = [_Test(sizes, expression, variable) for sizes in proof.sizes]
    for sentence, mended in _suspects(claim, gradient(expression, variable).value, tests):
        if _prove(mended, expression, variable):
            return sentence
    return _first_difference(claim, variable, tests) or f"Wrong: {proof.reason}."


class _Test:
    """The derivative by SymPy's own diff, at one choice of sizes."""

    def __init__(self, sizes, expression, variable):
        self.sizes = sizes
        self.entries = Entries(sizes, [variable])
        self.derivative = self.entries.derivative(self.entries.of(expression), variable)

    def numbers(self, claim, seed=0):
        """Return (i, j, claimed, true) at a random rational point, for each entry defined there."""
        claimed = sp.Matrix([self.entries.of(claim)]).applyfunc(self.entries.full)
        true = sp.Matrix([self.derivative]).applyfunc(self.entries.full)
        values = point(claimed.free_symbols | true.free_symbols, seed)
        claimed, true = (t.applyfunc(lambda e: evaluate(e, values)) for t in (claimed, true))
        return [
            (i, j, claimed[i, j], true[i, j])
            for i, j in itertools.product(range(true.rows), range(true.cols))
            if claimed[i, j].is_finite and true[i, j].is_finite
        ]


def _suspects(claim, truth, tests):
    """Yield usual mistakes, each with the claim as it would be without it."""
    yield "The sign is wrong: your answer is minus the gradient.", ex.mul(-1, claim)
    if ex.is_matrix(claim) and claim.rows == claim.cols:
        yield (
            "Transposed: your answer is the transpose of the gradient.",
            ex.transpose(claim),
        )
    factor = _common_factor(claim, tests)
    if factor is not None:
        yield (
            f"A factor is wrong: your answer is {factor} times the gradient.",
            ex.mul(1 / factor, claim),
        )
    for x in _square_names(claim):
        yield f"A transpose is wrong: look again at {x}.", _swap(claim, x)
    for t in truth.args if isinstance(truth, MatAdd) or truth.is_Add else ():
        yield f"A term is missing: {t}.", ex.add(claim, t)
        yield (
            f"The sign of one term is wrong: the gradient contains the term {t}.",
            ex.add(claim, ex.mul(2, t)),
        )

    for t in claim.args if isinstance(claim, MatAdd) or claim.is_Add else ():
        yield f"A term is too many: {t}.", ex.add(claim, ex.mul(-1, t))


def _square_names(claim):
    names = (x for x in ex.walk(claim) if isinstance(x, (ex.Variable, ex.Named)))
    return [x for x in names if x.rows == x.cols != 1]


def _swap(x, square):
    """Transpose a square matrix wherever it is written in x; definitions stay as they are."""
    if x == square:
        return ex.transpose(x)
    if x == ex.transpose(square):
        return square
    if isinstance(x, (ex.Variable, ex.Named)) or not x.args:
        return x
    return x.func(*(_swap(a, square) for a in x.args))


def _common_factor(claim, tests):
    """The rational number c with claim = c · gradient, judged by numbers; None if there is none."""
    ratios = {
        sp.nsimplify(a / b, rational=True, tolerance=1e-12)
        for test in tests
        for _, _, a, b in test.numbers(claim)
        if abs(b) > 1e-9
    }
    return ratios.pop() if len(ratios) == 1 and 0 not in ratios else None


def _first_difference(claim, variable, tests):
    for test, seed in itertools.product(tests, range(len(POINTS))):
        for i, j, claimed, true in test.numbers(claim, seed):
            if abs(claimed - true) > 1e-9 * (1 + abs(true)):
                sizes = ", ".join(f"{k}={v}" for k, v in sorted(test.sizes.items(), key=str))
                place = f"[{i}, {j}]" if ex.is_matrix(variable) else ""
                return (
                    f"Wrong: at {sizes or 'a random point'} the entry {variable}{place} of your "
                    f"answer is {sp.N(claimed, 6)}, and the gradient's is {sp.N(true, 6)}."
                )
    return ""
