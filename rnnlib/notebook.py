"""What a page shows: equations that are proved in the same run, and the results of longer runs."""

import json
import time
from pathlib import Path

from rnnlib.calculus.expressions import is_named, shape_text
from rnnlib.calculus.latex import latex
from rnnlib.calculus.layout import aligned

# The ledger's extension finds the records of a page by this type (see tools/ledger.py).
RECORD = "application/vnd.rnnlib.proof+json"


def show(label, *things, called="", style="inner"):
    """Prove what is stated, then display it and hand it to the page under ``label``.

    things: one ``Derivation``, ``Equation`` or ``Recursion``; or names made by ``let``, whose
    definitions are displayed one below the other; or one expression.  Names and expressions claim
    nothing, so there is nothing to prove.
    called: LaTeX of a name for the value of an equation, put before its first side.
    style: how a derivation is written: "inner" or "trace" for its lines, "result" for its gradients
    alone.  All lines are proved in any case.

    Raises AssertionError with the reason when a statement is refuted, or not proved exactly: the
    build then fails.
    """
    if things and all(map(is_named, things)):
        return _display(label, aligned([f"{latex(x)} &= {latex(x.definition)}" for x in things]))
    (thing,) = things
    if not hasattr(thing, "verify"):
        return _display(label, latex(thing))
    start = time.perf_counter()
    proof = thing.verify()
    seconds = time.perf_counter() - start
    if proof.method not in ("exact", "induction"):
        raise AssertionError(f"{label}: {proof}")
    text = thing.latex(called) if called else _written(thing, style)
    return _display(label, text, record(label, thing, proof, seconds, text))


# Where scripts leave their results, from the root of the repository.
RESULTS = ("benchmarks/results", "experiments/results")


def load_result(name):
    """Return what a script has measured, from ``name``.json in one of the folders ``RESULTS``.

    The folders are looked for in the working directory and above it, so the notebook has to be
    opened in a copy of the repository.

    Raises FileNotFoundError where there is none, and ValueError for a file that does not say which
    script made it, when, and on what ("about").
    """
    here = Path.cwd()
    places = [root / folder for root in (here, *here.parents) for folder in RESULTS]
    path = next((p / f"{name}.json" for p in places if (p / f"{name}.json").is_file()), None)
    if path is None:
        raise FileNotFoundError(
            f"{name}.json: expected in {' or '.join(RESULTS)}, in a copy of the book's repository "
            f"around {here}, and it is not there"
        )
    result = json.loads(path.read_text(encoding="utf-8"))
    missing = {"script", "date", "processor", "seed", "versions"} - set(result.get("about", {}))
    if missing:
        raise ValueError(f"{path}: expected {', '.join(sorted(missing))} in its part 'about'")
    return result


def record(label, thing, proof, seconds, text):
    """Return what the ledger says of a proved statement, in plain JSON types."""
    return {
        "label": label,
        "statement": thing.result_latex() if hasattr(thing, "result_latex") else text,
        "variables": [[latex(x), shape_text(x)] for x in thing.variables],
        "method": proof.method,
        "rules": list(getattr(thing, "rules", ())),
        "proof": str(proof),
        "sizes": [{str(n): int(size) for n, size in choice.items()} for choice in proof.sizes],
        "larger": {str(n): int(size) for n, size in proof.larger.items()},
        "seconds": round(seconds, 3),
    }


def _written(thing, style):
    if style == "result":
        return thing.result_latex()
    return thing.latex(style) if style != "inner" else thing.latex()


class _Shown:
    """LaTeX to be displayed, with the record of its proof."""

    def __init__(self, text, record):
        self.bundle = {"text/latex": f"$\\displaystyle {text}$", "text/plain": text}
        if record is not None:
            self.bundle[RECORD] = record

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self.bundle


def _display(label, text, record=None):
    from myst_nb import glue

    glue(label, _Shown(text, record), display=True)
