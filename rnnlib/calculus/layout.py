"""A derivation as an aligned block of LaTeX that fits the book's column."""

import re

from rnnlib.calculus import expressions as ex
from rnnlib.calculus.latex import latex, signed_sum, width

# In characters, as ``width`` counts them: a line with its rule beside it, and a line alone.
BESIDE = 29
ALONE = 48


def derivation_latex(derivation, style):
    """Return the differential line by line with its rules, then the gradients.

    Rules stand in a column of their own where the lines are short enough, else behind their lines.
    """
    names = {x.name: latex(x) for x in ex.walk(derivation.expression) if ex.is_named(x)}
    start, *steps = derivation.steps
    left, rows = signed_sum(start.latex_terms(style)), []
    if derivation.name:
        left = rf"\mathrm{{d}}{derivation.name}"
        rows.append(rf"{derivation.name} &= {latex(derivation.expression)}")
    lines = [(s.latex_terms(style), _rule(s.rule, names)) for s in steps]
    narrow = all(width(t) <= BESIDE for terms, _ in lines for t in broken(terms, BESIDE))
    layout = _rule_beside if narrow else _rule_behind
    for terms, rule in lines:
        rows += layout(left, terms, rule)
        left = ""
    return aligned(rows + _gradients(derivation))


def result_latex(derivation):
    """Return the gradients alone, as an aligned block."""
    return aligned(_gradients(derivation))


def _gradients(derivation):
    return [
        rf"\nabla_{{{latex(x)}}} {derivation.name} &= {latex(g)}"
        for x, g in derivation.gradients.items()
    ]


def aligned(rows):
    """Return rows, each with an &, as one aligned block."""
    return "\\begin{aligned}\n" + " \\\\[3pt]\n".join(rows) + "\n\\end{aligned}"


def broken(terms, limit):
    """Return a sum as lines of about ``limit`` characters; a single term is never broken."""
    lines, current = [], []
    for term in terms:
        if current and width(signed_sum([*current, term])) > limit:
            lines.append(signed_sum(current))
            current = [term if term.startswith("-") else f"+ {term}"]
        else:
            current.append(term)
    return [*lines, signed_sum(current)]


def _rule(text, names):
    text = re.sub(r"\{([^}]*)\}", lambda found: f"${names[found[1]]}$", text)
    return rf"\small\text{{{text}}}"


def _rule_beside(left, terms, rule):
    first, *more = broken(terms, BESIDE)
    return [f"{left} &= {first} && {rule}", *(rf"&\qquad {line}" for line in more)]


def _rule_behind(left, terms, rule):
    first, *more = broken(terms, ALONE)
    rows = [f"{left} &= {first}", *(rf"&\qquad {line}" for line in more)]
    if width(rows[-1]) + width(rule) <= ALONE:
        return [*rows[:-1], rf"{rows[-1]} \qquad {rule}"]
    return [*rows, rf"&\qquad\qquad {rule}"]
