"""English spellings and how they are spoken, out of the CMU Pronouncing Dictionary."""

import re
import zlib
from typing import NamedTuple

from rnnlib.data.cache import fetch

# Endings that make another form of the same word.
_ENDING = re.compile(r"(?:ing|edly|ed|est|er|ers|or|ors|ly|ness|nesses|ment|ments|s|es|y|ies|ied)$")


class Parts(NamedTuple):
    """Pairs to train on, to choose settings by, and to judge the end result by; each a list."""

    train: list
    validation: list
    test: list


def load_pronunciations(*, stress=False, cache_dir=None):
    """Return a list of pairs (spelling, phonemes), in the dictionary's order: alphabetical.

    spelling: of the letters a to z alone; phonemes: a tuple of strings such as ("HH", "AH", "L",
    "OW"), 39 different ones.  With ``stress`` each vowel ends in 0, 1 or 2 for none, the main and
    another stress.  Of a word with several pronunciations the first is taken.  Many of the words
    are names.

    Raises like ``fetch``.
    """
    lines = fetch("cmudict", cache_dir=cache_dir).read_text(encoding="utf-8").splitlines()
    entries = (line.partition("#")[0].split() for line in lines)
    # A further pronunciation is written word(2), which is no word of letters.
    pairs = ((e[0], e[1:]) for e in entries if e and re.fullmatch("[a-z]+", e[0]))
    if stress:
        return [(word, tuple(phonemes)) for word, phonemes in pairs]
    return [(word, tuple(p.rstrip("012") for p in phonemes)) for word, phonemes in pairs]


def split_pronunciations(pairs):
    """Return ``Parts`` of about 90, 5 and 5 per cent of the pairs, each in the given order.

    Forms of one word come to the same part: abandon, abandoned, abandons.  What ``stem`` leaves of
    the spelling decides, so a word's part does not depend on which others there are.  Related words
    that differ at the front (likely, unlikely), inside (ring, rang), in another ending (nation,
    national) or are put together (whale, whaleboat) may still be torn apart.
    """
    parts = Parts([], [], [])
    for pair in pairs:
        place = zlib.crc32(stem(pair[0]).encode()) % 20
        parts[{0: 1, 1: 2}.get(place, 0)].append(pair)
    return parts


def stem(word):
    """Return what the forms of an English word share: a rule of thumb that rather takes too much.

    Endings go one after the other while three letters stay, then e or i, then a doubled letter:
    runner, running and runs leave run; maker, making and makes leave mak.
    """
    while True:
        shorter = _ENDING.sub("", word)
        if shorter == word or len(shorter) < 3:
            break
        word = shorter
    if len(word) > 3 and word[-1] in "ei":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
