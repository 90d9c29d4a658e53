"""The text that a script trains on: *Moby Dick*, or a file of the reader's own."""

import contextlib
from pathlib import Path

from rnnlib import data
from rnnlib.commands.reading import UserError, read_text


class TextError(ValueError):
    """A text that a script cannot use, in words for whoever gave it."""


@contextlib.contextmanager
def reported(script):
    """Let a TextError end the script, with one line that begins with its name."""
    try:
        yield
    except TextError as error:
        raise SystemExit(f"{script}: {error}") from None


def add_option(parser):
    """Let a parser take --text."""
    parser.add_argument(
        "--text", type=Path, metavar="FILE", help="train on this, in UTF-8, in place of Moby Dick"
    )


def load(path):
    """Return the characters of a file, its line ends newlines, or for None those of *Moby Dick*.

    Raises TextError that names the file, and the place of a byte that is no UTF-8.
    """
    if path is None:
        return data.load_text("moby_dick")
    try:
        return read_text(path).characters
    except UserError as error:
        raise TextError(f"--text: {error}") from error
    except OSError as error:
        raise TextError(f"--text: {path}: {error.strerror}") from error


def name(path):
    """Return what a result file calls the text."""
    return path.name if path else "moby_dick"
