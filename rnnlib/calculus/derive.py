"""From an expression to its gradient, line by line."""

from dataclasses import dataclass, field

import sympy as sp
from sympy.matrices.expressions.special import ZeroMatrix

from rnnlib.calculus import expressions as ex
from rnnlib.calculus import rules
from rnnlib.calculus.latex import latex
from rnnlib.calculus.layout import derivation_latex
from rnnlib.calculus.proof import prove_derivation


@dataclass(frozen=True)
class Step:
    """One line of a derivation: the terms whose sum is dL, and the rule that led to them."""

    terms: tuple
    rule: str

    @property
    def expression(self):
        """The line as a SymPy scalar (SymPy may order its terms otherwise)."""
        return sp.Add(*self.terms)

    def latex_terms(self):
        return [latex(t) for t in self.terms] or ["0"]


@dataclass(frozen=True)
class Derivation:
    """A gradient and the way to it.

    expression: the scalar that was differentiated (⟨δ, F⟩ for ``vjp``).
    steps: its differential, line by line, each with the rule used.
    gradients: dict from each variable to its gradient, an expression of the variable's shape.
    name: what the scalar is called in print; "" for ``vjp``, which yields shares of a gradient.
    """

    expression: sp.Basic
    steps: tuple
    gradients: dict = field(hash=False)
    name: str = "L"

    @property
    def value(self):
        """The gradient, if there is one variable."""
        if len(self.gradients) != 1:
            names = ", ".join(map(str, self.gradients))
            raise ValueError(f"value: there are several gradients, use .gradients[...] of {names}")
        return next(iter(self.gradients.values()))

    def verify(self):
        """Prove every line and every gradient on explicit entries; returns a ``Proof``."""
        return prove_derivation(self)

    def to_function(self):
        """Return a function of arrays (one keyword per variable) that computes the gradients.

        Vectors are columns (n, 1).  It returns one array, or a dict by variable name.
        """
        from rnnlib.calculus.numeric import to_function

        everything = sp.Tuple(self.expression, *self.gradients)
        functions = {x.name: to_function(g, everything) for x, g in self.gradients.items()}
        if len(functions) == 1:
            return next(iter(functions.values()))
        return lambda **arrays: {name: f(**arrays) for name, f in functions.items()}

    def latex(self):
        """Return an aligned block: the differential with its rules, then the gradients."""
        return derivation_latex(self)

    def _repr_latex_(self):
        return f"$\\displaystyle {self.latex()}$"


def gradient(expression, variables, name="L"):
    """Differentiate a scalar expression by a variable or a list of variables.

    expression: a scalar or a 1×1 matrix expression.
    variables: what ``matrix``, ``vector``, ``scalar`` or ``let`` returned, or a list of these.  A
        named expression counts as a variable of its own: what it is made of is held constant.
    name: what the scalar is called in print.
    Returns a ``Derivation``.  Raises ShapeError for an expression that is not a scalar, TypeError
    for something that is no variable or has no rule.
    """
    expression = ex.as_scalar(expression)
    return _derive(expression, rules.Term(sp.S.One, expression), _variables(variables), name)


def vjp(expression, variables, delta):
    """Take an incoming gradient ``delta`` back through a matrix expression.

    Differentiates ⟨δ, F⟩ with δ held constant: if δ is the gradient of a loss for F, the results
    are the loss's gradients for the variables.  Arguments and errors otherwise as ``gradient``;
    ValueError when ``delta`` itself contains a variable.
    """
    variables = _variables(variables)
    whole = ex.inner(delta, expression)
    for x in variables:
        if x in ex.nodes(delta):
            raise ValueError(f"delta: expected a constant, but it contains the variable {x}")
    return _derive(whole, rules.Term(delta, expression), variables, name="")


def _derive(expression, start, variables, name):
    ex.check_names(expression, *variables)
    depends = _dependence(variables)
    terms = [start] if depends(start.target) else []
    steps = [_step([start], "start")]
    while any(t.target not in variables for t in _collect(terms)):
        terms = _advance(_collect(terms), steps, variables, depends)
    collected = _collect(terms)
    if len(collected) < len(terms):
        steps.append(_step(collected, "collect equal differentials"))
    if not terms:
        steps.append(Step((), "constant"))
    weights = {t.target: t.weight for t in collected}
    gradients = {x: weights.get(x, _zero(x)) for x in variables}
    return Derivation(expression, tuple(steps), gradients, name)


def _dependence(variables):
    """Return a function that tells whether an expression contains a variable, and remembers."""
    known = dict.fromkeys(variables, True)

    def depends(x):
        if x not in known:
            known[x] = any(depends(a) for a in x.args)
        return known[x]

    return depends


def _variables(variables):
    several = isinstance(variables, (list, tuple))
    chosen = list(variables) if several else [variables]
    for x in chosen:
        if not isinstance(x, (ex.Variable, ex.Named)) and not ex.is_scalar_symbol(x):
            raise TypeError(
                f"variables: expected what matrix, vector, scalar or let return, got {x}"
            )
    return chosen


def _zero(x):
    return ZeroMatrix(*x.shape) if ex.is_matrix(x) else sp.S.Zero


def _advance(terms, steps, variables, depends):
    """Open every term that is ready, write down the lines, return the new terms."""
    hidden = [t for t in terms if t.target not in variables]
    opened = {}
    for i, t in enumerate(terms):
        if t in hidden and _ready(t, hidden):
            opened[i] = rules.open_term(t, depends)
    # One rule a line: the first one decides, terms that need the same rule go along.
    rule = opened[min(opened)].rule
    opened = {i: o for i, o in opened.items() if o.rule == rule}
    before, after = [], []
    for i, t in enumerate(terms):
        parts = opened[i].parts if i in opened else ((t.expression(), t),)
        before += [expression for expression, _ in parts]
        after += [term for _, term in parts]
    after = [t for t in after if not ex.is_zero(t.weight)]
    steps.append(Step(tuple(e for e in before if e != 0), rule))
    moved = _step(after, opened[min(opened)].move)
    if moved.terms != steps[-1].terms:
        steps.append(moved)
    return after


def _ready(term, terms):
    """A name waits until everything that is made of it has been opened."""
    if not isinstance(term.target, ex.Named):
        return True
    return not any(
        t is not term and any(x == term.target for x in ex.nodes(t.target)) for t in terms
    )


def _collect(terms):
    weights = {}
    for t in terms:
        weights[t.target] = ex.add(weights[t.target], t.weight) if t.target in weights else t.weight
    return [rules.Term(w, x) for x, w in weights.items() if not ex.is_zero(w)]


def _step(terms, rule):
    return Step(tuple(t.expression() for t in terms), rule)
