"""What is stored, and what an import costs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted([*ROOT.glob("index.ipynb"), *ROOT.glob("chapters/*.ipynb")])
NAMES = [path.relative_to(ROOT).as_posix() for path in NOTEBOOKS]
TEXT = {".bib", ".cfg", ".css", ".ipynb", ".js", ".md", ".py", ".svg", ".toml", ".txt"}
TEXT |= {".yaml", ".yml"}
NOT_OURS = {"_build", "build", "node_modules", "mathjax", "__pycache__"}


def stored_files():
    """The files of the repository: what git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
        files = [ROOT / name for name in listing.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        files = [path for path in ROOT.rglob("*") if not hidden_or_made(path)]
    return [path for path in files if path.is_file()]


def hidden_or_made(path):
    parts = path.relative_to(ROOT).parts
    return any(part in NOT_OURS or part in {".git", ".venv"} for part in parts)


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell):
    return "".join(cell["source"])


# Notebooks --------------------------------------------------------------------------------

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)


@each_notebook
def test_notebook_stores_no_results(path):
    for cell in load(path)["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], cell["id"]
            assert cell["execution_count"] is None, cell["id"]


@each_notebook
def test_cells_have_ids_of_their_own(path):
    notebook = load(path)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) >= (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


@each_notebook
def test_notebook_runs_on_the_plain_kernel(path):
    assert load(path)["metadata"]["kernelspec"]["name"] == "python3"


# A derivative on a page comes from the object that was checked there, by {glue:math}.
DERIVATIVE = re.compile(
    r"\\nabla|\\partial|\\mathrm\s*\{?\s*d\b|\\operatorname\s*\{\s*d\s*\}|\\dv\b|\\d(?![a-zA-Z])"
    r"|\\[dt]?frac\s*\{\s*d(?![_^])"
)
DISPLAY = re.compile(
    r"\$\$(?P<dollars>.+?)\$\$"
    r"|\\\[(?P<brackets>.+?)\\\]"
    r"|\\begin\{(?P<env>equation|align|gather|multline|eqnarray)\*?\}(?P<body>.+?)\\end\{(?P=env)"
    r"|^(?P<fence>`{3,}|:{3,})\{math\}(?P<directive>.+?)^(?P=fence)",
    re.DOTALL | re.MULTILINE,
)
KEYS = ("dollars", "brackets", "body", "directive")


# A statement that no machine checks stands in such a box, with the reason beside the equation.
TRUSTED = re.compile(
    r"^(?P<fence>:{3,})\{admonition\} Taken on trust\n(?P<body>.+?)^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)


def typed_derivatives(markdown):
    """The display equations of a text that claim a derivative nobody checked, or vouches for."""
    unmarked = TRUSTED.sub(lambda box: "" if has_reason(box["body"]) else box[0], markdown)
    equations = (
        next(filter(None, map(found.group, KEYS))).strip() for found in DISPLAY.finditer(unmarked)
    )
    return [equation for equation in equations if DERIVATIVE.search(equation)]


def has_reason(body):
    """Does a box say more than its equation?"""
    return len(DISPLAY.sub("", body).split()) >= 5


@each_notebook
def test_no_typed_derivatives(path):
    cells = (cell for cell in load(path)["cells"] if cell["cell_type"] == "markdown")
    typed = [equation for cell in cells for equation in typed_derivatives(source(cell))]
    chapter = path.relative_to(ROOT).as_posix()
    assert typed == [], f"{chapter}: show these with glue, from the object that was checked"


@pytest.mark.parametrize(
    "markdown",
    [
        r"$$\nabla_W L = \delta x^\mathsf{T}$$",
        "$$\n\\frac{\\partial L}{\\partial W}\n$$ (eq-w)",
        r"\[ \mathrm{d}L = 0 \]",
        r"$$ \mathrm d L = 0 $$",
        r"\begin{align} \dv{L}{W} &= 0 \end{align}",
        "```{math}\n:label: eq-a\n\\frac{dL}{dW} = 0\n```",
        ":::{math}\n\\dfrac{d L}{d W} = 0\n:::",
        r"$$ \d L = 0 $$",
        ":::{admonition} Taken on trust\n$$ \\d L = 0 $$\n:::",
        ":::{note}\nIt is proved in a book that you may read, somewhere.\n$$ \\d L = 0 $$\n:::",
    ],
)
def test_a_typed_derivative_is_seen(markdown):
    assert typed_derivatives(markdown)


@pytest.mark.parametrize(
    "markdown",
    [
        r"$$h_t = \tanh(W x_t) \in \mathbb{R}^d, \quad \delta_t, \dots, \diag(d)$$ (eq-h)",
        r"inline $\mathrm{d}L$ is prose, "
        r"and $$a = \frac{d_k}{d_v} \dot{x} + \frac{\delta}{2}$$ is no derivative",
        "```{glue:math} eq-checked\n:label: eq-checked\n```",
        ":::{admonition} Taken on trust\nIts proof needs measure theory; see the cited book.\n"
        "$$ \\d L = 0 $$\n:::",
    ],
)
def test_other_equations_may_be_typed(markdown):
    assert typed_derivatives(markdown) == []


# Files ------------------------------------------------------------------------------------


def test_no_scripts_in_a_static_folder():
    # The book's theme puts every .js and .css it finds there on every page.
    found = [path for path in stored_files() if "_static" in path.parts]
    assert [path for path in found if path.suffix in {".js", ".css"}] == []


def test_the_address_stands_in_one_file():
    yaml = pytest.importorskip("yaml")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    address = config["repository"]["url"].removeprefix("https://")
    owner, name = address.split("/")[1:3]
    spellings = (f"{owner}/{name}", f"{owner}.github.io/{name}")
    holders = [
        path.relative_to(ROOT).as_posix()
        for path in stored_files()
        if path.suffix in TEXT
        and any(spelling in path.read_text(encoding="utf-8") for spelling in spellings)
    ]
    assert holders == ["_config.yml"]


# Imports ----------------------------------------------------------------------------------


def run_python(code):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_brings_no_heavy_package():
    heavy = {"torch", "sympy", "matplotlib", "pooch", "IPython"}
    loaded = run_python("import sys, rnnlib; print(' '.join(sys.modules))").split()
    assert heavy & set(loaded) == set()


def test_import_is_quick():
    code = """
import numpy, time
start = time.perf_counter()
import rnnlib
print(time.perf_counter() - start)
"""
    assert min(float(run_python(code)) for _ in range(5)) < 0.3


def test_calculus_needs_no_numpy():
    run_python("import sys; sys.modules['numpy'] = None; import rnnlib.calculus")
