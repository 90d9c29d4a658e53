"""Is an explicit scalar zero?  Exactly where polynomials can tell, else in many digits."""

import random

import sympy as sp

from rnnlib.calculus.explicit import DIGITS
from rnnlib.calculus.functions import Relu, Sigmoid, Step
from rnnlib.calculus.polynomials import decide

# Points where no exact method decides: three of ordinary size, others further out (all entries
# positive, all negative, both), where a kink or a branch such as sqrt(u²) = -u may lie.
POINTS = [(0, 1, (-1, 1)), (1, 1, (-1, 1)), (2, 1, (-1, 1))]
FAR = 150
POINTS += [(3, FAR, (1,)), (4, FAR, (-1,)), (5, FAR, (-1, 1)), (6, 10, (1,)), (7, 10, (-1,))]
POINTS += [(8, 35, (1,)), (9, 35, (-1,))]
# With kinks, a point also says on which side of each of them it lies: all 64 ways for six of them.
KINKS = 6
# A number that vanishes to 80 digits is computed once more: tanh(200) is not 1.
MANY_DIGITS = 1000
SATURATING, LARGEST = (sp.exp, sp.tanh, sp.sinh, sp.cosh, Sigmoid), 1000
LONGEST = 80
# What random points can judge: functions that are analytic on both sides of a kink.
JUDGED = (
    sp.exp, sp.log, sp.tanh, sp.sinh, sp.cosh, sp.sin, sp.cos, sp.atan, sp.asinh, sp.erf,
    Sigmoid, Relu, Step, sp.Abs, sp.sign,
)  # fmt: skip


def zero(difference, entries):
    """Return how the difference is zero, or that it is not.

    "exact": reduced to the symbol 0.  "50 digits": zero at random rational points to at least 50
    digits.  "undecided": zero where it was tried, which for its functions says too little.
    None: not zero.
    """
    difference = sp.sympify(difference)
    # From symbols for all long values to everything written out: the first is quick.
    for meanings in entries.meanings(difference):
        verdict = decide(difference, meanings)
        if verdict is True:
            return "exact"
    if verdict is False:
        return None
    full = entries.full(difference)
    if decide(_in_exponentials(full), {}) is True:
        return "exact"
    tried = [_vanishes(full, *where) for where in POINTS]
    if False in tried:
        return None
    sided, sides = _without_kinks(full)
    if sides and None not in sides and decide(sided, {}, sides) is True:
        return "exact"
    if tried.count(True) < 2 or not _judged(full) or not _on_all_sides(sided, sides):
        return "undecided"
    return "exact" if _simplifies_to_zero(difference, full) else "50 digits"


def _judged(x):
    jumps = (sp.Piecewise, sp.Max, sp.Min)
    roots = (p for p in x.atoms(sp.Pow) if not p.exp.is_integer)
    return (
        not x.has(*jumps)
        and all(isinstance(f, JUDGED) for f in x.atoms(sp.Function))
        and not any(p.has(sp.sin, sp.cos) for p in roots)
    )


def _in_exponentials(x):
    """Write σ and the hyperbolic functions with exp, which polynomials can handle."""
    x = x.replace(lambda f: isinstance(f, Sigmoid), lambda f: 1 / (1 + sp.exp(-f.args[0])))
    x = x.rewrite([sp.tanh, sp.sinh, sp.cosh], sp.exp)
    return x.replace(lambda f: isinstance(f, sp.log), _log)


def _log(f):
    """Write the logarithm of a fraction of sums of exponentials as a difference."""
    above, below = sp.fraction(sp.together(f.args[0]))
    return _log_of_sum(above) - _log_of_sum(below)


def _log_of_sum(u):
    """Write log(1 + exp(-z)) as log(1 + exp(z)) - z: of all such forms the first by name."""
    terms = [_number_and_exponent(t) for t in sp.Add.make_args(sp.expand(u))]
    if None in terms:
        return sp.log(u)

    def shifted(by):
        return sorted(((c, sp.expand(a - by)) for c, a in terms), key=str)

    by = min((a for _, a in terms), key=lambda a: str(shifted(a)))
    return by + sp.log(sp.Add(*(c * sp.exp(a) for c, a in shifted(by))))


def _number_and_exponent(term):
    """Return c > 0 and a with term = c·exp(a), or None."""
    number, rest = term.as_coeff_Mul()
    factors = [] if rest == 1 else sp.Mul.make_args(rest)
    if not number.is_positive or not all(isinstance(f, sp.exp) for f in factors):
        return None
    return number, sp.Add(*(f.args[0] for f in factors))


def _simplifies_to_zero(short, full):
    # SymPy takes minutes over sums of hyperbolic and trigonometric functions.
    slow = full.has(sp.tanh, sp.sinh, sp.cosh, sp.sin, sp.cos, Sigmoid)
    steps = [(sp.expand, LONGEST), (sp.cancel, LONGEST), (sp.simplify, 20 if slow else 40)]
    return any(
        simplify(value) == 0
        for value in (short, full)
        for simplify, longest in steps
        if value.count_ops() <= longest
    )


def _without_kinks(difference):
    """Write relu(u) as s·u, and |u|, sign(u) likewise, where s is 1 for u > 0 and 0 for u < 0.

    Returns the difference and the symbols s.  What is zero for every choice of the s is zero.
    """
    sides = {}

    def side(u):
        """Return the factors of u that are sides themselves, as in relu(relu(x)), and u's s."""
        core = sp.expand(u).primitive()[1]
        inner = [f for f in sp.Mul.make_args(core) if f in sides.values()]
        core = core / sp.Mul(*inner)
        if core.free_symbols & set(sides.values()):
            raise _Nested
        negative = core.could_extract_minus_sign()
        s = sides.setdefault(-core if negative else core, sp.Dummy(f"side {len(sides)}"))
        return sp.Mul(*inner), 1 - s if negative else s

    def step(u):
        inner, s = side(u)
        return inner * s

    def sign(u):
        inner, s = side(u)
        return inner * (2 * s - 1)

    meaning = {Relu: lambda u: u * step(u), Step: step, sp.sign: sign}
    meaning[sp.Abs] = lambda u: u * sign(u) if u.is_extended_real else sp.Abs(u, evaluate=False)
    try:
        replaced = difference.replace(
            lambda x: x.func in meaning, lambda x: meaning[x.func](x.args[0])
        )
    except _Nested:
        return sp.S.One, [None] * (KINKS + 1)
    return replaced, sorted(sides.values(), key=str)


class _Nested(Exception):
    """A kink in a sum that holds other kinks: it may be 0 on a whole region, on neither side."""


def _on_all_sides(sided, sides):
    """Does the difference vanish for every choice of sides, also those no point has reached?"""
    if len(sides) > KINKS:
        return False
    choices = range(2 ** len(sides)) if sides else ()
    return all(
        _vanishes(sided, choice, sides={s: choice >> i & 1 for i, s in enumerate(sides)})
        is not False
        for choice in choices
    )


def point(symbols, seed, scale=1, signs=(-1, 1)):
    """Return random rational values for symbols in order of name.

    Between 1/15 and 3 for scale 1, else between scale and twice that; of one of these signs,
    unless a symbol is positive by itself.
    """
    rng = random.Random(seed)
    values = {}
    for s in sorted(symbols, key=str):
        sign, size = rng.choice(signs), sp.Rational(rng.randint(3, 60), rng.randint(20, 45))
        if scale != 1:
            size = scale * (1 + size / 3)
        values[s] = size if s.is_nonnegative else sign * size
    return values


def _vanishes(difference, seed, scale=1, signs=(-1, 1), sides=None):
    """Return whether a difference is zero at a random point; None if it has no real value there."""
    sides = {s: sp.Integer(side) for s, side in (sides or {}).items()}
    at = point(difference.free_symbols - sides.keys(), seed, scale, signs) | sides
    try:
        # Far out, 80 digits may be lost in one subtraction, as in 1 - tanh(300).
        quick = _vanishes_in(difference, at, DIGITS, 20) if scale == 1 else True
        if not quick:
            return quick
        return _vanishes_in(difference, at, MANY_DIGITS, MANY_DIGITS // 2)
    except (OverflowError, MemoryError, TypeError, ValueError):
        return None


def _vanishes_in(difference, at, digits, right):
    """Is a difference, computed with this many digits, zero to ``right`` digits of its terms?"""
    values = dict(at)
    number = evaluate(difference, values, digits)
    if not number.is_finite or number.as_real_imag()[1] != 0:
        return None
    size = _magnitude(difference, values)
    if abs(number) <= size * sp.Float(10) ** -right:
        return True
    # What a subtraction such as 1 - tanh(3000) leaves is no number to go by.
    lost = digits == MANY_DIGITS and abs(number) < sp.Float(10) ** (100 - digits)
    return None if lost else False


def _magnitude(x, values):
    """Return how large a number could be without the cancellation in its sums."""
    if x.is_Add:
        return sum(_magnitude(t, values) for t in x.args)
    if x.is_Mul:
        return sp.Mul(*(_magnitude(f, values) for f in x.args))
    return abs(values[x])


def evaluate(x, values, digits=DIGITS):
    """Return the number that x is at these values of its symbols, each part computed once.

    Raises ValueError where a function saturates: no number of digits tells tanh(10000) from 1.
    """
    if x not in values:
        arguments = [evaluate(a, values, digits) for a in x.args]
        if isinstance(x, SATURATING) and abs(arguments[0]) > LARGEST:
            raise ValueError(f"{x.func} of {arguments[0]} has too many digits")
        whole = x.func(*arguments) if x.args else x
        values[x] = whole if whole.is_Integer else sp.N(whole, digits)
    return values[x]
