"""Text as words: sentences, a vocabulary with marks, padded batches.

V is the size of the vocabulary, N the number of sentences in a batch, T that of their steps.
"""

import re
from collections import Counter

import numpy as np

from rnnlib import _checks
from rnnlib.layers.lengths import checked_lengths

# As in the program of Britz, "Recurrent neural networks tutorial, part 2", WildML, 2015.
UNKNOWN, START, END = "UNKNOWN_TOKEN", "SENTENCE_START", "SENTENCE_END"
# The first codes of every vocabulary: START is 0, END is 1, UNKNOWN is 2.
MARKS = (START, END, UNKNOWN)

ABBREVIATIONS = "capt col dr gen hon jr lt messrs mme mr mrs ms mt prof rev sr st".split()

# Signs that have no space before them, none behind them, neither; and those that take turns.
_BOUND_LEFT, _BOUND_RIGHT, _DASHES, _STRAIGHT = map(set, (".,;:!?)]”’»", "([“‘«", "—–", "\"'"))

_CAPITAL, _CLOSING = "A-ZÀ-ÖØ-Þ", "\"'”’)\\]»"
_PARAGRAPH = re.compile(r"\n\s*\n")
_STOP = re.compile(rf"[.!?]+[{_CLOSING}]*(?=\s+(?:[\"'“‘«]|[(\[]*[{_CAPITAL}]))")
# Before a full stop: Mr, e.g, or a single capital other than the word I.
_NO_STOP = re.compile(
    rf"(?<!\w)(?:(?i:{'|'.join(ABBREVIATIONS)})|[^\W\d_](?:\.[^\W\d_])+|(?!I)[{_CAPITAL}])$"
)
_TOKEN = re.compile(
    rf"(?<!\w)(?:(?:{'|'.join(ABBREVIATIONS)})\.(?!\w)"  # mr.
    r"|(?:[^\W\d_]\.){2,})"  # e.g.
    r"|[^\W\d_]+(?:['’-][^\W\d_]+)*"  # whale, don’t, mast-head
    r"|\d+(?:[.,]\d+)*"  # 1,851
    r"|\.{2,}|-{2,}"  # an ellipsis, a dash
    r"|[^\w\s]|_"
)


def sentences(text):
    """Cut a text into sentences, and these into tokens in lower case: a list of lists of strings.

    A sentence ends at a blank line, and at one or more of . ! ? with the quotes and brackets that
    close right behind, where white space and a capital or a quote follow.  The full stop of an
    abbreviation (Mr. Mrs. Dr. St. and the others of ``ABBREVIATIONS``, or single letters, each
    with its stop, as in e.g.) or of a single capital other than I ends none.

    A token is a word with the apostrophes and hyphens inside it; an abbreviation with its stop; a
    number; several stops or hyphens in a row; or any other single sign.

    This is a rule of thumb in regular expressions, not a linguist's segmenter.  [Britz 2015] used
    NLTK's: Punkt [Kiss and Strunk, "Unsupervised multilingual sentence boundary detection",
    Computational Linguistics 32, 2006] learns from a text what its abbreviations are.

    Raises TypeError for anything but a string.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected a string, got {type(text).__name__}")
    pieces = (s for paragraph in _PARAGRAPH.split(text) for s in _cut(paragraph))
    found = (_TOKEN.findall(piece.lower()) for piece in pieces)
    return [tokens for tokens in found if tokens]


def _cut(paragraph):
    """Yield the sentences of a paragraph."""
    start = 0
    for stop in _STOP.finditer(paragraph):
        abbreviated = stop[0][0] == "." and _NO_STOP.search(paragraph[start : stop.start()])
        if not abbreviated:
            yield paragraph[start : stop.end()]
            start = stop.end()
    yield paragraph[start:]


class WordVocabulary:
    """V words, numbered from 0: the three ``MARKS``, then the words in the order given.

    words: strings, all different, without the marks.  So START is 0, END is 1, UNKNOWN is 2, and
    words in the order of falling frequency stand in that order behind them.
    ``len(vocabulary)`` is V, and two vocabularies are equal if their words are, in order.
    ``words`` is the tuple of all V; ``WordVocabulary(vocabulary.words[3:])`` is equal again.

    Raises TypeError for anything but strings, and ValueError for a word that is empty, a mark, or
    given twice.
    """

    def __init__(self, words):
        self.words = (*MARKS, *_strings("words", words))
        self._codes = {word: code for code, word in enumerate(self.words)}
        if "" in self._codes:
            raise ValueError("words: expected words, got an empty string")
        if len(self._codes) < len(self.words):
            again = next(w for i, w in enumerate(self.words) if self._codes[w] != i)
            expected = "no marks among the words" if again in MARKS else "each word once"
            raise ValueError(f"words: expected {expected}, got {again!r}")

    @classmethod
    def from_sentences(cls, sentences, size):
        """Return the vocabulary of the size - 3 most frequent words, the most frequent first.

        sentences: lists of words.  size: V, at least 4.  Of words that are equally frequent the
        first in the alphabet comes first.  There may be fewer words than asked for.
        Marks in the sentences are not counted.

        Raises ValueError when there are no words.
        """
        size = _checks.positive_int("size", size)
        if size <= len(MARKS):
            raise ValueError(f"size: expected at least 4, three marks and a word, got {size}")
        counts = Counter()
        for sentence in sentences:
            counts.update(_strings("sentences", sentence))
        for mark in MARKS:
            del counts[mark]
        if not counts:
            raise ValueError("sentences: expected at least one word, got none")
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(ordered[: size - len(MARKS)])

    def encode(self, sentence):
        """Return the codes of a sentence between its marks: (n + 2,) int64, for n words.

        A word that is not in the vocabulary becomes UNKNOWN.  With the result ``codes``, the
        inputs of a model are ``codes[:-1]`` and the targets ``codes[1:]``.

        Raises ValueError when START or END is among the words already.
        """
        words = _strings("sentence", sentence)
        start, end, unknown = range(len(MARKS))
        inner = [self._codes.get(word, unknown) for word in words]
        if start in inner or end in inner:
            raise ValueError(f"sentence: expected words without {START} and {END}")
        return np.array([start, *inner, end], dtype=np.int64)

    def decode(self, codes):
        """Return the words that have these codes, as a list; codes: (n,) integers in [0, V).

        Raises TypeError for anything but integers, and ValueError for another number of axes or a
        code outside [0, V).
        """
        codes = _checks.sequence(_checks.codes(codes, len(self)))
        return [self.words[code] for code in codes]

    @staticmethod
    def join(words):
        """Return words as text to be read, without START and END.

        Spaces go where English has them: none before a comma, none behind an opening bracket or
        quote, none around a dash.  A straight quote is taken to open and close in turn.
        """
        result, open_quotes, space = "", set(), False
        for word in _strings("words", words):
            if word in (START, END):
                continue
            closes = word in _BOUND_LEFT or word in open_quotes or word.startswith("..")
            opens = word in _BOUND_RIGHT or (word in _STRAIGHT and word not in open_quotes)
            dash = word in _DASHES or word.startswith("--")
            open_quotes ^= {word} & _STRAIGHT
            result += word if closes or dash or not space else " " + word
            space = not (opens or dash)
        return result

    def index(self, word):
        """Return the code of a word; raises ValueError if it is not in the vocabulary."""
        if word not in self:
            raise ValueError(f"word: expected one of the vocabulary's {len(self)}, got {word!r}")
        return self._codes[word]

    def __contains__(self, word):
        return isinstance(word, str) and word in self._codes

    def __len__(self):
        return len(self.words)

    def __eq__(self, other):
        return self.words == other.words if isinstance(other, WordVocabulary) else NotImplemented

    def __hash__(self):
        return hash(self.words)

    def __repr__(self):
        return f"<WordVocabulary of {len(self)}: {', '.join(self.words[3:8])}, …>"


def padded(codes_list):
    """Put encoded sentences side by side: one batch for a layer and a loss.

    codes_list: N arrays of integers, each of two codes or more, as ``encode`` returns them.
    Returns (inputs, targets, lengths): (T, N), (T, N) and (N,), all int64; ``targets`` is
    ``inputs`` moved on by one word, and T the largest of the lengths.  Behind a sentence's end
    stand zeros.  ``layer(x, lengths=lengths)`` and ``mask=mask(lengths)`` leave them out.

    Raises ValueError for no sentence or one that is too short, TypeError for no integers.
    """
    rows = [_checks.sequence(codes) for codes in codes_list]
    if not rows:
        raise ValueError("codes_list: expected at least one sentence, got none")
    lengths = np.array([len(row) - 1 for row in rows])
    if lengths.min() < 1:
        at = int(lengths.argmin())
        raise ValueError(f"codes_list: expected two codes or more, got {len(rows[at])} at {at}")
    inputs, targets = np.zeros((2, lengths.max(), len(rows)), dtype=np.int64)
    for n, row in enumerate(rows):
        inputs[: len(row) - 1, n], targets[: len(row) - 1, n] = row[:-1], row[1:]
    return inputs, targets, lengths


def mask(lengths, T=None):
    """Return (T, N) booleans: True where a sequence of this length still runs.

    lengths: (N,) integers from 1 to T; T: the number of steps, by default the largest length.

    Raises TypeError or ValueError that names ``lengths``.
    """
    lengths = np.asarray(lengths)
    if T is None:
        if not lengths.size:
            raise ValueError("lengths: expected at least one, got none")
        T = int(lengths.max())
    lengths = checked_lengths(lengths, _checks.positive_int("T", T), lengths.size)
    return np.arange(T)[:, None] < lengths


def _strings(name, values):
    """Return the values as a list, or raise TypeError unless all of them are strings."""
    if isinstance(values, str):
        raise TypeError(f"{name}: expected a sequence of words, got a string")
    values = list(values)
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"{name}: expected strings, got {value!r}")
    return values
