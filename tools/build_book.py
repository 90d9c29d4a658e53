"""Build the book: `python tools/build_book.py`. It exits with 0 only for a whole, clean book."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
HTML = BUILD / "html"
REPORTS = HTML / "reports"
CACHE = BUILD / ".jupyter_cache"
# What the stored outputs were computed with, and that the last build ended well.
COMPUTED_WITH = BUILD / ".computed-with"
ENDED_WELL = BUILD / ".ended-well"

MATHJAX = {
    "tex-svg-full.js": "a4354ff94fd868aea0cc6eaaa79a57fda0588646fc46ee3700a349ee0a11cbe6",
}


def main() -> int:
    install_mathjax(ROOT / "assets" / "mathjax")
    forget_stale_outputs(fingerprint())
    everything = not ENDED_WELL.exists()
    ENDED_WELL.unlink(missing_ok=True)
    shutil.rmtree(REPORTS, ignore_errors=True)
    os.environ.setdefault("TQDM_DISABLE", "1")

    run_chapters()
    status = run_jupyter_book(everything)
    problems = failed_chapters() + [f"{page} was not built" for page in missing_pages()]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if status or problems:
        print("The book was not built. The warnings above say why.", file=sys.stderr)
        return status or 1
    ENDED_WELL.touch()
    return 0


def install_mathjax(target: Path) -> None:
    """Copy MathJax out of its Python package, so that the site needs no network."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None:
        sys.exit("error: sphinx-mathjax-offline is missing: pip install -r requirements.txt")
    source = Path(spec.origin).parent / "static" / "mathjax"
    for name, expected in MATHJAX.items():
        content = (source / name).read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            sys.exit(f"error: {source / name} has sha256 {found}, not {expected}")
        if not (target / name).exists() or (target / name).read_bytes() != content:
            target.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(content)


def fingerprint() -> str:
    """A hash of everything outside a chapter that its outputs depend on."""
    digest = hashlib.sha256(sys.version.encode())
    package = (p for p in (ROOT / "rnnlib").rglob("*") if p.suffix in {".py", ".svg"})
    # Chapters import the scripts and read the results.
    scripts = (
        p
        for kind in ("benchmarks", "experiments")
        for pattern in ("*.py", "results/*.json")
        for p in (ROOT / kind).glob(pattern)
    )
    for path in sorted([*package, *scripts, *ROOT.glob("requirements*.txt")]):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def forget_stale_outputs(current: str) -> None:
    """Empty the cache of outputs when the package changed: the cache looks at cells alone."""
    if COMPUTED_WITH.exists() and COMPUTED_WITH.read_text() == current:
        return
    shutil.rmtree(CACHE, ignore_errors=True)
    ENDED_WELL.unlink(missing_ok=True)
    BUILD.mkdir(exist_ok=True)
    COMPUTED_WITH.write_text(current)


def run_chapters() -> None:
    """Run the chapters without stored outputs, as many at a time as there are processors.

    What fails here is left to the build, which runs it again and says why.
    """
    cache = get_cache(CACHE)
    for page in pages_of(yaml.safe_load(read("_toc.yml"))):
        if (ROOT / f"{page}.ipynb").exists():
            cache.add_nb_to_project(str(ROOT / f"{page}.ipynb"))
    timeout = yaml.safe_load(read("_config.yml"))["execute"]["timeout"]
    load_executor("local-parallel", cache).run_and_cache(timeout=timeout)


def run_jupyter_book(everything: bool) -> int:
    """Build with every warning fatal; all pages when the last build left some half done."""
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(ROOT)]
    command += ["-W", "-n", "--keep-going", *(["--all"] if everything else [])]
    return subprocess.run(command, stdin=subprocess.DEVNULL).returncode


def failed_chapters() -> list[str]:
    """Where a chapter's cells raised: the report that the build keeps of each."""
    return [
        f"a cell failed, see {report.relative_to(ROOT)}:\n{report.read_text(encoding='utf-8')}"
        for report in sorted(REPORTS.rglob("*.err.log"))
    ]


def missing_pages() -> list[str]:
    """The pages of the table of contents that have no heading in the built site."""
    pages = [HTML / f"{name}.html" for name in pages_of(yaml.safe_load(read("_toc.yml")))]
    return [
        page.relative_to(ROOT).as_posix()
        for page in pages
        if not page.exists() or "<h1" not in page.read_text(encoding="utf-8")
    ]


def pages_of(entry: dict | list) -> list[str]:
    """Every `root` and `file` in a table of contents, in reading order."""
    if isinstance(entry, list):
        return [page for item in entry for page in pages_of(item)]
    own = [entry[key] for key in ("root", "file") if key in entry]
    below = [value for value in entry.values() if isinstance(value, list)]
    return [name.removesuffix(".ipynb") for name in own] + pages_of(below)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
