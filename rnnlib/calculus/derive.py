"""From an expression to its gradient, line by line."""

from dataclasses import dataclass, field

import sympy as sp

from rnnlib.calculus import expressions as ex
from rnnlib.calculus import rules
from rnnlib.calculus.latex import latex
from rnnlib.calculus.layout import derivation_latex, result_latex
from rnnlib.calculus.meaning import leaves
from rnnlib.calculus.proof import pair, prove_derivation


@dataclass(frozen=True)
class Term:
    """⟨weight, d target⟩, or weight·d target where both are scalars."""

    weight: sp.Basic
    target: sp.Basic

    def expression(self):
        return pair(self.weight, ex.d(self.target))


@dataclass(frozen=True)
class Step:
    """One line of a derivation: the terms whose sum is dL, and the rule that led to them."""

    terms: tuple
    rule: str

    @property
    def expression(self):
        """The line as a SymPy scalar (SymPy may order its terms otherwise)."""
        return sp.Add(*self.terms)

    def latex_terms(self, style="inner"):
        return [latex(as_trace(t) if style == "trace" else t) for t in self.terms] or ["0"]


def as_trace(term):
    """Write each ⟨A, B⟩ in a term as tr(AᵀB)."""
    inners = [x for x in sp.preorder_traversal(term) if type(x) is ex.Inner]
    return term.xreplace({x: ex.trace(ex.mul(ex.transpose(x.args[0]), x.args[1])) for x in inners})


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

    def latex(self, style="inner"):
        """Return an aligned block: the differential with its rules, then the gradients.

        style: "inner" writes ⟨G, dX⟩, "trace" writes tr(Gᵀ dX).
        """
        if style not in ("inner", "trace"):
            raise ValueError(f'style: expected "inner" or "trace", got {style!r}')
        return derivation_latex(self, style)

    def result_latex(self):
        """Return the gradients without the way to them."""
        return result_latex(self)

    @property
    def variables(self):
        return list(self.gradients)

    @property
    def rules(self):
        """The names of the rules used, in order of their first use."""
        words = (s.rule.partition(",")[0].partition(" of {")[0] for s in self.steps[1:])
        return [w for w in dict.fromkeys(words) if w and not w.startswith("move")]

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
    variables = check_variables(variables)
    if isinstance(expression, ex.NamedScalar) and expression not in variables:
        name, expression = latex(expression), expression.definition
    return _derive(expression, Term(sp.S.One, expression), variables, name)


def differential(expression, variables=None):
    """Return the differential of an expression in terms of the d-symbols of its variables.

    expression: a matrix or scalar expression.
    variables: what varies, as in ``gradient``; by default every matrix, vector and scalar in it.
    Returns an expression of the same shape: d(A * B) gives d(A) * B + A * d(B).
    """
    expression = ex.sympify(expression)
    variables = leaves(expression) if variables is None else check_variables(variables)
    ex.check_names(expression, *variables)
    depends = _dependence(variables)
    known = {x: ex.d(x) for x in variables}

    def change(x):
        if x not in known:
            parts = rules.open_expression(x, depends).parts
            known[x] = ex.add(*(p.forward(change(p.argument)) for p in parts))
        return known[x]

    return change(expression) if depends(expression) else _zero(expression)


def vjp(expression, variables, delta):
    """Take an incoming gradient ``delta`` back through a matrix expression.

    Differentiates ⟨δ, F⟩ with δ held constant: if δ is the gradient of a loss for F, the results
    are the loss's gradients for the variables.  Arguments and errors otherwise as ``gradient``;
    ValueError when ``delta`` itself contains a variable.
    """
    variables = check_variables(variables)
    whole = ex.inner(delta, expression)
    for x in variables:
        if x in ex.walk(delta):
            raise ValueError(f"delta: expected a constant, but it contains the variable {x}")
    return _derive(whole, Term(delta, expression), variables, name="")


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


def check_variables(variables):
    """Return the variables as a list; TypeError for anything else."""
    several = isinstance(variables, (list, tuple))
    chosen = list(variables) if several else [variables]
    for x in chosen:
        if not isinstance(x, ex.Variable) and not ex.is_named(x) and not ex.is_scalar_symbol(x):
            raise TypeError(
                f"variables: expected what matrix, vector, scalar or let return, got {x}"
            )
    return chosen


def _zero(x):
    return ex.Zeros(*x.shape) if ex.is_matrix(x) else sp.S.Zero


def _advance(terms, steps, variables, depends):
    """Open every term that is ready, write down the lines, return the new terms."""
    hidden = [t for t in terms if t.target not in variables]
    opened = {
        i: rules.open_expression(t.target, depends)
        for i, t in enumerate(terms)
        if t in hidden and _ready(t, hidden)
    }
    # One rule a line: the first one decides, terms that need the same rule go along.
    first = opened[min(opened)]
    opened = {i: o for i, o in opened.items() if o.rule == first.rule}
    before, after = [], []
    for i, t in enumerate(terms):
        if i not in opened:
            before.append(t.expression())
            after.append(t)
            continue
        for part in opened[i].parts:
            before.append(pair(t.weight, part.forward(ex.d(part.argument))))
            after.append(Term(part.backward(t.weight), part.argument))
    after = [t for t in after if not ex.is_zero(t.weight)]
    if first.move:
        steps.append(Step(tuple(e for e in before if e != 0), first.rule))
    moved = _step(after, first.move or first.rule)
    if not first.move or moved.terms != steps[-1].terms:
        steps.append(moved)
    return after


def _ready(term, terms):
    """A name waits until everything that is made of it has been opened."""
    if not ex.is_named(term.target):
        return True
    return not any(
        t is not term and any(x == term.target for x in ex.walk(t.target)) for t in terms
    )


def _collect(terms):
    weights = {}
    for t in terms:
        weights[t.target] = ex.add(weights[t.target], t.weight) if t.target in weights else t.weight
    return [Term(w, x) for x, w in weights.items() if not ex.is_zero(w)]


def _step(terms, rule):
    return Step(tuple(t.expression() for t in terms), rule)
