"""A text file of the user's: read, cut into its parts, and every complaint said by position."""

import codecs
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnnlib.text import Vocabulary, split

TRAINING_PART = 0.9
VALIDATION_LENGTH = 40_001  # More would only make each validation slower.


class UserError(Exception):
    """What the user has to change, in one line."""


@dataclass(frozen=True)
class TextFile:
    """A text as it was read: line ends are newlines, and there is no byte order mark.

    size: bytes in the file; foreign_ends: line ends that were another character.
    """

    path: Path
    size: int
    characters: str
    foreign_ends: int


@dataclass(frozen=True)
class Parts:
    """A text as codes: the first part to train on, and what comes after it to validate on.

    streams: into how many streams the validation is cut.
    """

    vocabulary: Vocabulary
    train: np.ndarray
    valid: np.ndarray
    streams: int


def read_text(path):
    """Return the ``TextFile`` at a path.

    Raises OSError when it cannot be read, and UserError when it is empty, no UTF-8 (with the byte,
    its offset, line and column), or of one character only.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The offsets in the error do not count a byte order mark.
        raise UserError(f"{path}: {_not_utf8(content, error)}") from error
    if not text:
        raise UserError(f"{path}: expected a text, got an empty file ({len(content)} bytes)")
    unified = _unified(text)
    if len(set(unified)) < 2:
        raise UserError(
            f"{path}: expected at least two different characters, got {unified[0]!r} alone"
        )
    return TextFile(path, len(content), unified, text.count("\r"))


def _unified(text):
    """Return a text with newlines in the place of the line ends of Windows and of old Macs."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _not_utf8(content, error):
    mark = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "expected UTF-8, got UTF-16 (by its first two bytes); save it as UTF-8"
    offset = error.start + mark
    before = _unified(content[mark:offset].decode())
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return (
        f"expected UTF-8, got byte 0x{content[offset]:02X} at offset {offset} "
        f"(line {line}, column {column}): {error.reason}; save it as UTF-8"
    )


def cut(file, batch, window):
    """Return the ``Parts`` of a text.

    Raises UserError when the training part has less than one window for each stream; it says which
    batch and window would fit.
    """
    vocabulary = Vocabulary.from_text(file.characters)
    codes = vocabulary.encode(file.characters)
    length = round(TRAINING_PART * len(codes))
    if len(codes) - length < 2:
        raise UserError(
            f"{file.path}: the text is too short: expected at least two characters in its last "
            f"{1 - TRAINING_PART:.0%}, to validate on, got {len(codes)} in all"
        )
    if length <= batch * window:
        raise UserError(f"{file.path}: {_too_short(len(codes), length, batch, window)}")
    train, valid = split(codes, TRAINING_PART)
    valid = valid[:VALIDATION_LENGTH]
    # Each stream starts with a state of zeros, which costs: so none is shorter than 16 windows.
    streams = max(1, min(batch, len(valid) // (16 * window)))
    return Parts(vocabulary, train, valid, streams)


def _too_short(total, length, batch, window):
    fits = (length - 1) // window
    advice = f"--batch {fits}" if fits else f"--batch 1 --window {length - 1}"
    return (
        f"the text is too short for --batch {batch} --window {window}: expected at least "
        f"{batch} × {window} + 1 = {batch * window + 1} characters in its first "
        f"{TRAINING_PART:.0%}, to train on, got {length} (of {total}); {advice} would fit"
    )
