"""How far a sequence is from the right one: phoneme, character and word error rates."""

import numpy as np


def edit_distance(a, b):
    """Return the least number of insertions, deletions and substitutions that turn a into b.

    a, b: strings, lists, tuples or 1-D arrays (lengths n and m) whose items can be compared by ==.
    Each change costs 1 [Levenshtein 1966].  By rows of the table of all prefixes [Wagner and
    Fischer 1974]: n·m steps, min(n, m) + 1 numbers kept.

    Raises TypeError that names the argument for anything that is no sequence, ValueError for an
    array that does not have one axis.
    """
    a, b = _items("a", a), _items("b", b)
    if len(a) < len(b):  # The distance is the same both ways.
        a, b = b, a
    row = list(range(len(b) + 1))  # From nothing to each prefix of b.
    for i, x in enumerate(a, start=1):
        corner, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            corner, row[j] = row[j], min(corner + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def error_rate(hypotheses, references):
    """Return the sum of all edit distances, divided by the sum of the references' lengths.

    hypotheses, references: as many sequences as in ``edit_distance``, the first for the first.  The
        items say which rate it is: phonemes, the characters of strings, or the words of lists.
    Returns a float >= 0.  It can be above 1: what is inserted is not bounded.

    Raises TypeError or ValueError that names the argument, and ValueError when all references are
    empty.
    """
    hypotheses, references = _several("hypotheses", hypotheses), _several("references", references)
    if len(hypotheses) != len(references):
        raise ValueError(
            f"hypotheses: expected one for each of {len(references)} references, "
            f"got {len(hypotheses)}"
        )
    references = [_items(f"references[{k}]", r) for k, r in enumerate(references)]
    hypotheses = [_items(f"hypotheses[{k}]", h) for k, h in enumerate(hypotheses)]
    length = sum(map(len, references))
    if not length:
        raise ValueError("references: expected at least one item in them, got none")
    return sum(map(edit_distance, hypotheses, references)) / length


def _items(name, sequence):
    """Return a sequence as a string, list or tuple: Python's own items are compared faster."""
    if isinstance(sequence, np.ndarray):
        if sequence.ndim != 1:
            raise ValueError(f"{name}: expected 1 axis, got shape {sequence.shape}")
        return sequence.tolist()
    if not isinstance(sequence, (str, list, tuple)):
        came = type(sequence).__name__
        raise TypeError(f"{name}: expected a string, list, tuple or 1-D array, got {came}")
    return sequence


def _several(name, sequences):
    if isinstance(sequences, str):
        raise TypeError(f"{name}: expected a list of sequences, got one string")
    try:
        return list(sequences)
    except TypeError as error:
        came = type(sequences).__name__
        raise TypeError(f"{name}: expected a list of sequences, got {came}") from error
