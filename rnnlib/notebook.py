"""Equations on a page: proved in the same run, then shown."""

from rnnlib.calculus.expressions import Named
from rnnlib.calculus.latex import latex
from rnnlib.calculus.layout import aligned


def show(label, *things, called=""):
    """Prove what is stated, then display it and hand it to the page under ``label``.

    things: one ``Derivation`` or ``Equation``; or names made by ``let``, whose definitions are
    displayed one below the other; or one expression.  Names and expressions claim nothing, so
    there is nothing to prove.
    called: LaTeX of a name for the value of an equation, put before its first side.

    Raises AssertionError with the reason when a statement is refuted, or not proved exactly: the
    build then fails.
    """
    if things and all(isinstance(t, Named) for t in things):
        return _display(label, _definitions(things))
    (thing,) = things
    if not hasattr(thing, "verify"):
        return _display(label, latex(thing))
    proof = thing.verify()
    if proof.method != "exact":
        raise AssertionError(f"{label}: {proof}")
    return _display(label, thing.latex(called) if called else thing.latex())


def _definitions(named):
    return aligned([f"{latex(x)} &= {latex(x.definition)}" for x in named])


def _display(label, text):
    from IPython.display import Math
    from myst_nb import glue

    glue(label, Math(text), display=True)
