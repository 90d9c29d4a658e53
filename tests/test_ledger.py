"""The ledger of equations: what ``show`` records, and what the built book says of it."""

import html
import json
import re
from pathlib import Path

import pytest

from rnnlib.calculus import (
    d,
    dims,
    equation,
    gradient,
    hadamard,
    inner,
    let,
    matrix,
    power,
    recursion,
    sin,
    tanh,
    vector,
)
from rnnlib.notebook import RECORD, record, show

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
LEDGER = HTML / "ledger.json"
METHODS = {"exact", "induction"}
DERIVATIVE = re.compile(r"\\nabla|\\partial|\\mathrm\{d\}")
built = pytest.mark.skipif(not LEDGER.exists(), reason="the site is not built: run `make book`")

n, m = dims("n m")
W, U, x = matrix("W", n, m), matrix("U", n, n), vector("x", m)
s, g, y = vector("s", n), vector("g", n), vector("y", n)
pre = W * x + U * s
h = let("h", tanh(pre))
slope = hadamard(g, 1 - hadamard(h, h))


def made(thing):
    return record("eq", thing, thing.verify(), 0.5, thing.latex())


# What is recorded -------------------------------------------------------------------------


def test_a_derivation_is_recorded_with_its_rules():
    row = made(gradient(inner(y, W * x), W))
    assert json.loads(json.dumps(row)) == row
    assert row["method"] == "exact"
    assert row["variables"] == [["W", "n×m"]]
    assert row["rules"] == ["inner product", "product rule"]
    assert row["statement"].count(r"\nabla_{W} L &= y\, x^{\top}") == 1
    assert {"m": 1, "n": 1} in row["sizes"]
    assert all(size >= 4 for size in row["larger"].values())


def test_an_equation_and_a_recursion_are_recorded():
    assert made(equation(d(W * x), d(W) * x + W * d(x)))["variables"] == [
        ["W", "n×m"],
        ["x", "m×1"],
    ]
    row = made(recursion({s: h}, {h: g}, {s: U.T * slope, W: slope * x.T}))
    assert row["method"] == "induction"
    assert [name for name, _ in row["variables"]] == ["s", "W"]


@pytest.mark.parametrize(
    "thing",
    [
        equation(d(W * x), d(W) * x - W * d(x)),
        equation(sin(3 * pre), 3 * sin(pre) - 4 * power(sin(pre), 3)),
        recursion({s: h}, {h: g}, {s: U * slope}),
    ],
    ids=["wrong", "evaluated only", "wrong recursion"],
)
def test_what_is_not_proved_is_not_shown(thing):
    with pytest.raises(AssertionError, match="eq-x: "):
        show("eq-x", thing)


@pytest.fixture
def glued(monkeypatch):
    """What ``show`` hands to the page, by label."""
    import myst_nb

    shown = {}
    monkeypatch.setattr(myst_nb, "glue", lambda label, thing, display: shown.update({label: thing}))
    return shown


def test_a_result_is_shown_without_its_lines_and_proved_with_them(glued):
    derivation = gradient(inner(y, W * x), W)
    show("eq-x", derivation, style="result")
    bundle = glued["eq-x"]._repr_mimebundle_()
    assert r"\nabla_{W} L &= y\, x^{\top}" in bundle["text/latex"]
    assert r"\mathrm{d}" not in bundle["text/latex"]
    assert bundle[RECORD]["rules"] == ["inner product", "product rule"]
    (steps, name), wrong = (derivation.steps, derivation.name), {W: 2 * derivation.value}
    with pytest.raises(AssertionError, match="eq-y: "):
        show("eq-y", type(derivation)(derivation.expression, steps, wrong, name), style="result")


def test_the_record_travels_with_the_equation(glued):
    show("eq-x", equation(d(W * x), d(W) * x + W * d(x)), called="q")
    show("eq-h", h)
    bundle = glued["eq-x"]._repr_mimebundle_()
    assert bundle[RECORD]["label"] == "eq-x"
    assert bundle["text/latex"].startswith(r"$\displaystyle \begin{aligned}" + "\nq &= ")
    assert RECORD not in glued["eq-h"]._repr_mimebundle_()


# What the book says -----------------------------------------------------------------------


def rows():
    return json.loads(LEDGER.read_text(encoding="utf-8"))


def chapters():
    """The labels of the equations that each notebook takes from a checked object."""
    for path in sorted([ROOT / "index.ipynb", *ROOT.glob("chapters/*.ipynb")]):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
        page = path.relative_to(ROOT).with_suffix("").as_posix()
        yield page, re.findall(r"\{glue:math\}\s*(\S+)", text)


def displayed(page):
    """The LaTeX of each labelled equation on a page."""
    source = (HTML / f"{page}.html").read_text(encoding="utf-8")
    found = re.findall(r'id="equation-([\w-]+)">\s*(.*?)</div>', source, re.DOTALL)
    return {label: html.unescape(re.sub(r"<[^>]*>", "", text)) for label, text in found}


@built
def test_every_derivative_on_a_page_is_in_the_ledger():
    known = {(row["chapter"], row["label"]) for row in rows()}
    for page, labels in chapters():
        shown = displayed(page)
        assert set(labels) <= set(shown), f"{page}: glued, and not on the page"
        for label, text in shown.items():
            if DERIVATIVE.search(text):
                assert (page, label) in known, f"{page}: {label} is not in the ledger"
    assert known <= {(page, label) for page, labels in chapters() for label in labels}


@built
def test_every_entry_is_proved_and_says_how():
    found = rows()
    assert len(found) > 50
    assert len({row["label"] for row in found}) == len(found)
    for row in found:
        assert row["method"] in METHODS
        assert row["proof"].startswith("proved")
        assert row["variables"]
        assert row["seconds"] >= 0
        # A dimension is 1 in one choice of sizes, and more in another.
        for name in {name for choice in row["sizes"] for name in choice}:
            assert len({choice.get(name) for choice in row["sizes"]}) > 1, row["label"]


@built
def test_marks_and_entries_lead_to_each_other():
    page_of_ledger = (HTML / "ledger.html").read_text(encoding="utf-8")
    for row in rows():
        chapter = (HTML / f"{row['chapter']}.html").read_text(encoding="utf-8")
        assert f'ledger.html#ledger-{row["label"]}"' in chapter
        assert f'id="ledger-{row["label"]}"' in page_of_ledger
        assert f'{row["chapter"]}.html#equation-{row["label"]}"' in page_of_ledger
        assert f"({row['number']})" in page_of_ledger
        number = re.search(
            rf'id="equation-{row["label"]}">\s*<span class="eqno">\(([\d.]+)\)', chapter
        )
        assert number[1] == row["number"]


@built
def test_all_proofs_together_take_less_than_three_minutes():
    assert sum(row["seconds"] for row in rows()) < 180
