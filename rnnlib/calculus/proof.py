"""Proofs on explicit entries, and verdicts on claims.

A statement about matrices of every size is tested at several sizes.  At each size it is *proved*:
the difference of both sides is a polynomial in entries (and in values such as tanh of an entry)
that SymPy reduces to zero.  Where it cannot decide, the difference is evaluated with 50 digits at
random rational points, and the proof says so.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

import sympy as sp
from sympy.matrices.exceptions import ShapeError

from rnnlib.calculus import expressions as ex
from rnnlib.calculus.explicit import DIGITS, Entries, Numbers
from rnnlib.calculus.latex import latex
from rnnlib.calculus.layout import aligned
from rnnlib.calculus.meaning import leaves
from rnnlib.calculus.sizes import larger_sizes, size_choices
from rnnlib.calculus.zero import zero

# Tries to find a point at which all functions have real values.
SEEDS = 6


@dataclass(frozen=True)
class Proof:
    """What was proved and how; false when it was not.

    method: "exact" (every difference reduced to zero), "induction" (an exact step stands for all
        steps), "50 digits" (some differences only evaluated), "undecided" or "refuted".
    sizes: the choices of sizes.  larger: further sizes, at which numbers of 80 digits agree.
    reason: what is wrong, if anything.
    """

    method: str
    sizes: tuple
    reason: str = ""
    larger: dict = field(default_factory=dict, hash=False)

    def __bool__(self):
        return self.method not in ("refuted", "undecided")

    def by_induction(self):
        """The same proof, of a step that stands for all steps."""
        return replace(self, method="induction") if self.method == "exact" else self

    def __str__(self):
        if not self:
            return f"{'not decided' if self.method == 'undecided' else 'refuted'}: {self.reason}"
        text = _HOW[self.method]
        sizes = "; ".join(sizes_text(s) for s in self.sizes if s)
        text += f", at {sizes}" if sizes else ""
        return text + (f", and in numbers at {sizes_text(self.larger)}" if self.larger else "")

    __repr__ = __str__


_HOW = {
    "exact": "proved exactly, entry by entry",
    "induction": "proved for every number of steps by induction, the step exactly, entry by entry",
    "50 digits": "holds to 50 digits at random rational points, which is no proof",
}


def sizes_text(sizes):
    return (
        "a random point"
        if not sizes
        else ", ".join(f"{k}={v}" for k, v in sorted(sizes.items(), key=str))
    )


def prove_derivation(derivation):
    """Prove each line from the one before it.

    The first is the directional derivative, taken entry by entry; the last is Σ⟨gradient, dX⟩.
    Since the changes of entries are independent symbols, equality of the two means that each entry
    of the gradients is the derivative.
    """
    gradients = derivation.gradients
    lines = [(ex.d(derivation.expression),), *(s.terms for s in derivation.steps)]
    lines.append(tuple(pair(g, ex.d(x)) for x, g in gradients.items() if not ex.is_zero(g)))
    rules = (s.rule.replace("{", "").replace("}", "") for s in derivation.steps)
    names = [f"line {i} ({rule}) is wrong" for i, rule in enumerate(rules)]
    names.append("the gradient is wrong")
    statements = list(zip(names, lines[:-1], lines[1:], strict=True))
    context = [*sum(lines, ()), *gradients, *gradients.values()]
    return prove_statements(statements, context, list(gradients))


def pair(weight, change):
    """Return ⟨weight, change⟩ for matrices and the plain product for scalars."""
    return ex.inner(weight, change) if ex.is_matrix(weight) else weight * change


def prove_statements(statements, context, variables):
    """Prove that two sums of terms are equal, for each (name, terms, terms)."""
    sizes, methods = size_choices(*context), set()
    for choice in sizes:
        entries = Entries(choice, variables)
        for name, before, after in statements:
            method = equal(*_changed(entries, before, after), entries)
            if method is None:
                return Proof("refuted", tuple(sizes), f"{name} at {sizes_text(choice)}")
            methods.add(method)
    tried = {}
    for choice in larger_sizes(*context):
        for name, before, after in statements:
            verdict = _close_in_numbers(choice, variables, before, after)
            if verdict is False:
                return Proof("refuted", tuple(sizes), f"{name} at {sizes_text(choice)}")
            if verdict:
                tried = choice
    worst = next(m for m in ("undecided", "50 digits", "exact") if m in {*methods, "exact"})
    return Proof(worst, tuple(sizes), _UNDECIDED * (worst == "undecided"), larger=tried)


_UNDECIDED = (
    "it holds where it was tried, but that says too little: its functions jump or branch "
    "elsewhere, or have no usable value at most points"
)


def _close_in_numbers(choice, variables, before, after):
    """Return whether two sums agree at random numbers; None if they have no real values."""
    for seed in range(SEEDS):
        try:
            sides = _changed(Numbers(choice, variables, seed), before, after)
            pairs = list(zip(*map(_flat, sides), strict=True))
            if all(_is_real(a) and _is_real(b) for a, b in pairs):
                return all(_close(a, b) for a, b in pairs)
        except (OverflowError, MemoryError, TypeError, ZeroDivisionError):
            continue  # no number, such as relu of a complex logarithm
    return None


def _flat(x):
    return list(x) if isinstance(x, sp.MatrixBase) else [sp.sympify(x)]


def _is_real(x):
    number = sp.N(x, DIGITS)
    return bool(number.is_finite) and abs(number.as_real_imag()[1]) < sp.Float(10) ** -30


def _changed(evaluator, before, after):
    """Return the explicit sums of the terms that one line has and the other has not."""
    counted = Counter(before), Counter(after)
    shared = counted[0] & counted[1]
    sides = [list((side - shared).elements()) for side in counted]
    zero = next((0 * evaluator.of(t) for t in sides[0] + sides[1]), sp.S.Zero)
    return [sum(map(evaluator.of, side), zero) for side in sides]


def _close(a, b):
    """Are two numbers of 80 digits equal to 20 of them, which a numerical slope leaves right?"""
    size = max(abs(sp.N(a, DIGITS)), abs(sp.N(b, DIGITS)), 1)
    return bool(abs(sp.N(a - b, DIGITS)) < size * sp.Float(10) ** -20)


def equal(left, right, entries):
    """Return how explicit values are equal, as ``zero`` does; None for unequal ones."""
    if getattr(left, "shape", ()) != getattr(right, "shape", ()):
        return None
    methods = set()
    for a, b in zip(_flat(left), _flat(right), strict=True):
        methods.add(zero(a - b, entries))
        if None in methods:
            return None
    return next((m for m in ("undecided", "50 digits") if m in methods), "exact")


@dataclass(frozen=True)
class Equation:
    """A statement left = right = … of expressions that were given, in writing order."""

    sides: tuple

    @property
    def variables(self):
        return leaves(*self.sides)

    def verify(self):
        """Prove on explicit entries that all sides are equal; returns a ``Proof``.

        A differential dX means the directional derivative, taken entry by entry with all
        variables moving, so that a rule for differentials is proved from outside.
        """
        first, *others = self.sides
        statements = [(f"side {i} differs", (first,), (x,)) for i, x in enumerate(others, 2)]
        return prove_statements(statements, self.sides, self.variables)

    def latex(self, called=""):
        """Return an aligned block, one side a line; ``called`` is a name put before the first."""
        first, *rest = [called] * bool(called) + list(map(latex, self.sides))
        return aligned([f"{first} &= {rest[0]}", *(f"&= {side}" for side in rest[1:])])

    def _repr_latex_(self):
        return f"$\\displaystyle {self.latex()}$"


def equation(*sides):
    """State that two or more expressions are equal; ``.verify()`` proves or refutes it.

    Raises ShapeError when their shapes differ and ValueError for fewer than two.
    """
    if len(sides) < 2:
        raise ValueError(f"equation: expected at least two sides, got {len(sides)}")
    sides = tuple(map(ex.sympify, sides))
    if any(not ex.is_matrix(s) for s in sides):
        sides = tuple(
            ex.as_scalar(s) if ex.is_matrix(s) and s.shape == (1, 1) else s for s in sides
        )
    for side in sides[1:]:
        if ex.shape_text(side) != ex.shape_text(sides[0]):
            raise ShapeError(
                f"equation: {sides[0]} ({ex.shape_text(sides[0])}) cannot equal "
                f"{side} ({ex.shape_text(side)})"
            )
    ex.check_names(*sides)
    return Equation(sides)
