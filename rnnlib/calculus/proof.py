"""Proofs on explicit entries, and verdicts on claims.

A statement about matrices of every size is tested at several sizes.  At each size it is *proved*:
the difference of both sides is a polynomial in entries (and in values such as tanh of an entry)
that SymPy reduces to zero.  Where it cannot decide, the difference is evaluated with 50 digits at
random rational points, and the proof says so.
"""

import random
from collections import Counter
from dataclasses import dataclass, field, replace

import sympy as sp
from sympy.matrices.exceptions import ShapeError

from rnnlib.calculus import expressions as ex
from rnnlib.calculus.explicit import DIGITS, Entries, Numbers, larger_sizes, size_choices
from rnnlib.calculus.functions import Relu, Step
from rnnlib.calculus.latex import latex
from rnnlib.calculus.layout import aligned
from rnnlib.calculus.meaning import leaves
from rnnlib.calculus.polynomials import vanishes

POINTS = 3
LONGEST = 80
# With kinks, a point also says on which side of each of them it lies: all 64 ways for six of them.
KINKS = 6


@dataclass(frozen=True)
class Proof:
    """What was proved and how; false when it was not.

    method: "exact" (every difference reduced to zero), "induction" (an exact step stands for all
        steps), "50 digits" (some differences only evaluated), or "refuted".
    sizes: the choices of sizes.  larger: further sizes, at which numbers of 80 digits agree.
    reason: what is wrong, if anything.
    """

    method: str
    sizes: tuple
    reason: str = ""
    larger: dict = field(default_factory=dict, hash=False)

    def __bool__(self):
        return self.method != "refuted"

    def by_induction(self):
        """The same proof, of a step that stands for all steps."""
        return replace(self, method="induction") if self.method == "exact" else self

    def __str__(self):
        if not self:
            return f"refuted: {self.reason}"
        text = f"proved {_HOW[self.method]}"
        sizes = "; ".join(map(sizes_text, self.sizes))
        text += f", at {sizes}" if sizes else ""
        return text + (f", and in numbers at {sizes_text(self.larger)}" if self.larger else "")

    __repr__ = __str__


_HOW = {
    "exact": "exactly, entry by entry",
    "induction": "for every number of steps by induction, the step exactly, entry by entry",
    "50 digits": "at random rational points, 50 digits, entry by entry",
}


def sizes_text(sizes):
    return ", ".join(f"{k}={v}" for k, v in sorted(sizes.items(), key=str))


def prove_derivation(derivation):
    """Prove each line from the one before it.

    The first is the directional derivative, taken entry by entry; the last is Σ⟨gradient, dX⟩.
    Since the changes of entries are independent symbols, equality of the two means that each entry
    of the gradients is the derivative.
    """
    gradients = derivation.gradients
    lines = [(ex.d(derivation.expression),), *(s.terms for s in derivation.steps)]
    lines.append(tuple(pair(g, ex.d(x)) for x, g in gradients.items() if not ex.is_zero(g)))
    names = [f"line {i} ({s.rule}) is wrong" for i, s in enumerate(derivation.steps)]
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
    larger = larger_sizes(*context)
    if larger:
        numbers = Numbers(larger, variables)
        for name, before, after in statements:
            if not close(*_changed(numbers, before, after)):
                return Proof("refuted", tuple(sizes), f"{name} at {sizes_text(larger)}")
    method = "exact" if methods <= {"exact"} else "50 digits"
    return Proof(method, tuple(sizes), larger=larger or {})


def _changed(evaluator, before, after):
    """Return the explicit sums of the terms that one line has and the other has not."""
    counted = Counter(before), Counter(after)
    shared = counted[0] & counted[1]
    sides = [list((side - shared).elements()) for side in counted]
    zero = next((0 * evaluator.of(t) for t in sides[0] + sides[1]), sp.S.Zero)
    return [sum(map(evaluator.of, side), zero) for side in sides]


def close(left, right):
    """Are these numbers or tables of numbers of 80 digits equal to at least 20 of them?"""
    pairs = zip(left, right, strict=True) if isinstance(left, sp.MatrixBase) else [(left, right)]
    return all(_close(a, b) for a, b in pairs)


def _close(a, b):
    gap, size = abs(sp.N(a - b, DIGITS)), 1 + abs(sp.N(a, DIGITS))
    return bool(gap.is_finite and gap < size * sp.Float(10) ** -20)


def equal(left, right, entries):
    """Return "exact", "50 digits", or None for unequal explicit values that ``entries`` made."""
    if isinstance(left, sp.MatrixBase) or isinstance(right, sp.MatrixBase):
        if left.shape != right.shape:
            return None
        pairs = zip(left, right, strict=True)
    else:
        pairs = [(left, right)]
    methods = set()
    for a, b in pairs:
        methods.add(_is_zero(a - b, entries))
        if None in methods:
            return None
    return "exact" if methods <= {"exact"} else "50 digits"


def _is_zero(difference, entries):
    difference = sp.sympify(difference)
    # From symbols for all long values to everything written out: the first is quick.
    if difference == 0 or any(vanishes(difference, m) for m in entries.meanings(difference)):
        return "exact"
    full, sides = _without_kinks(entries.full(difference))
    # Numbers refute faster than any simplification.
    for seed in range(2**KINKS if sides else POINTS):
        if not _vanishes(full, sides, seed):
            return None
    return "exact" if _simplifies_to_zero(difference, full) else "50 digits"


def _simplifies_to_zero(short, full):
    # SymPy takes minutes over long sums of hyperbolic functions.
    return any(
        simplify(value) == 0
        for value in (short, full)
        if value.count_ops() <= LONGEST
        for simplify in (sp.expand, sp.cancel, sp.simplify)
    )


def _without_kinks(difference):
    """Write relu(u) as s·u, and |u|, sign(u) likewise, where s is 1 for u > 0 and 0 for u < 0.

    Returns the difference and the symbols s.  Points choose s for themselves, so that no kink can
    lie out of their reach.  A choice that no u can bring about may refute more than necessary, and
    never less.
    """
    sides = {}

    def side(u):
        core = sp.expand(u).primitive()[1]
        inner = [f for f in sp.Mul.make_args(core) if f in sides.values()]  # relu(relu(u))
        core = core / sp.Mul(*inner)
        negative = core.could_extract_minus_sign()
        s = sides.setdefault(-core if negative else core, sp.Symbol(f"side {len(sides)}"))
        return sp.Mul(*inner, 1 - s if negative else s)

    meaning = {
        Relu: lambda u: u * side(u),
        Step: side,
        sp.Abs: lambda u: u * (2 * side(u) - 1),
        sp.sign: lambda u: 2 * side(u) - 1,
    }
    replaced = difference.replace(lambda x: x.func in meaning, lambda x: meaning[x.func](x.args[0]))
    return replaced, set(sides.values())


def point(symbols, seed):
    """Return random rational values, positive and negative, for symbols in order of name."""
    rng = random.Random(seed)
    return {
        s: sp.Rational(rng.choice((-1, 1)) * rng.randint(3, 60), rng.randint(20, 45))
        for s in sorted(symbols, key=str)
    }


def _vanishes(difference, sides, seed):
    if difference.has(sp.Max, sp.Min, sp.Heaviside, sp.Piecewise, sp.floor, sp.ceiling):
        return False  # jumps that random points might miss
    rng = random.Random(seed)
    values = {
        s: sp.Integer(seed >> i & 1 if i < KINKS else rng.randint(0, 1))
        for i, s in enumerate(sorted(sides, key=str))
    }
    number = evaluate(difference, point(difference.free_symbols - sides, seed) | values)
    return bool(number.is_finite) and bool(abs(number) < sp.Float(10) ** -42)


def evaluate(x, values):
    """Return the number that x is at these values of its symbols, each part computed once."""
    if x not in values:
        whole = x.func(*(evaluate(a, values) for a in x.args)) if x.args else x
        # Room for the digits that a difference of equal numbers loses.
        values[x] = whole if whole.is_Integer else sp.N(whole, DIGITS)
    return values[x]


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
