"""A language model that counts: interpolated Kneser-Ney smoothing.

An n-gram is n words in a row; its context is the n - 1 words before the last one.
V is the size of the vocabulary.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rnnlib import _checks
from rnnlib.words import MARKS, START

_START = MARKS.index(START)


class KneserNey:
    """The probability of the next word, from counts of the words before it.

    With an n-gram's count a, one discount D for each order, and m, the probability given one word
    of context less,

        P(w | context) = (max(a(context w) - D, 0) + D K(context) m) / A(context)

    A is the sum of a over all words w, and K the number of those with a > 0.  In a context that
    was never seen the probability is m itself.  For single words m is 1/(V - 1): all words but
    START are possible.  So every probability but START's is > 0, and they sum to 1.

    For n-grams of the highest order a is how often they were seen.  For shorter ones it is the
    number of *different* words seen before them: "Francisco" may be frequent, but in hardly any
    context that is new.  Before START nothing can stand, so an n-gram that begins with START
    counts as often as it was seen [Heafield et al., "Scalable modified Kneser-Ney language model
    estimation", ACL 2013].

    codes_list: encoded sentences, (n,) integers each, START first and nowhere else (see
        ``rnnlib.words.WordVocabulary.encode``).  START is context only: no probability is learnt
        for it.  A context begins with START at the latest: more of them in front would change
        nothing.
    order: n of the longest n-grams; 1 counts single words.
    vocabulary_size: V.
    discounts: ``order`` numbers in (0, 1], that of the single words first; or None for
        n_1 / (n_1 + 2 n_2), where n_j is how many n-grams of this order have the count j, and for
        1/2 where n_1 is 0 and this would leave nothing to new words.

    Attributes: ``order``, ``vocabulary_size`` and ``discounts``, a tuple of floats.

    Sources: the discount, Ney, Essen and Kneser, "On structuring probabilistic dependences in
    stochastic language modelling", Computer Speech and Language 8, 1994; the counts of shorter
    n-grams, Kneser and Ney, "Improved backing-off for M-gram language modeling", ICASSP 1995; the
    interpolated form, Chen and Goodman, "An empirical study of smoothing techniques for language
    modeling", Computer Speech and Language 13, 1999.

    Raises TypeError or ValueError that names the argument.
    """

    def __init__(self, codes_list, order, vocabulary_size, discounts=None):
        self.order = _checks.positive_int("order", order)
        self.vocabulary_size = _checks.positive_int("vocabulary_size", vocabulary_size)
        if self.vocabulary_size < 2:
            raise ValueError(f"vocabulary_size: expected at least 2, got {vocabulary_size}")
        grams = _grams(*self._joined(codes_list), self.order, self.vocabulary_size)
        counts = _counts(grams)
        if discounts is None:
            self.discounts = tuple(map(_discount, counts))
        else:
            self.discounts = _checked_discounts(discounts, self.order)
        contexts = [1, *(len(g.keys) for g in grams[:-1])]
        self._levels = [
            _Level(g.keys, *parts, self.vocabulary_size)
            for g, *parts in zip(grams, counts, self.discounts, contexts, strict=True)
        ]

    def probabilities(self, context):
        """Return the probability of each word after this context: (V,); that of START is 0.

        context: (n,) integers in [0, V), the words before.  The last order - 1 of them count, and
        of these those from the last START on: no n-gram has START behind another word.  It may be
        empty: then it is not known what stood before.
        """
        context = _checks.sequence(_checks.codes(context, self.vocabulary_size))
        context = context[max(0, len(context) + 1 - self.order) :]
        # One word more, any one: the next word's contexts are those of the last place.
        codes = np.append(context, _START)
        words = np.arange(self.vocabulary_size)
        p = self._uniform(len(words))
        for level, contexts in self._walk(codes, np.arange(len(codes))):
            p = level.refined(p, np.full(len(words), contexts[-1]), words)
        p[_START] = 0
        return p

    def log_probabilities(self, codes):
        """Return log P of each word of an encoded sentence but START: (n - 1,), in nats.

        codes: (n,) integers in [0, V), n >= 2, START first and nowhere else.
        """
        return self._log_targets([codes])

    def mean_nll(self, codes_list):
        """Return the mean of -log P over all words of these sentences but START, in nats."""
        return float(-np.mean(self._log_targets(codes_list)))

    def _log_targets(self, codes_list):
        """Return log P of each word but START, all sentences in a row."""
        codes, places = self._joined(codes_list)
        p = self._uniform(len(codes))
        for level, contexts in self._walk(codes, places):
            p = level.refined(p, contexts, codes)
        return np.log(p[places > 0])

    def _uniform(self, size):
        return np.full(size, 1 / (self.vocabulary_size - 1))

    def _walk(self, codes, places):
        """Yield each level with the numbers of the contexts at every place, -1 for an unknown."""
        ids = np.zeros(len(codes), dtype=np.int64)
        for k, level in enumerate(self._levels):
            contexts = _before(ids, places, k)
            yield level, contexts
            ids = level.find(contexts, codes)

    def _joined(self, codes_list):
        """Return all codes in a row, and the place of each in its sentence."""
        rows = [_checks.sequence(codes) for codes in codes_list]
        if not rows:
            raise ValueError("codes_list: expected at least one sentence, got none")
        lengths = np.array([len(row) for row in rows])
        codes = _checks.codes(np.concatenate(rows), self.vocabulary_size)
        places = np.arange(len(codes)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        if lengths.min() < 2 or ((codes == _START) != (places == 0)).any():
            raise ValueError(
                f"codes_list: expected sentences of two codes or more with START, {_START}, "
                "first and nowhere else"
            )
        return codes, places


class _Grams(NamedTuple):
    """The different n-grams of one order in a text, numbered in the order of their keys.

    An n-gram's key is (the number of its context) V + (its last word).
    """

    keys: np.ndarray  # (G,) sorted
    seen: np.ndarray  # (G,) how often
    last: np.ndarray  # (G,) where in the text one of them ends
    ids: np.ndarray  # (M,) the number of the n-gram that ends at each place, -1 for none


def _before(ids, places, k):
    """Return the number of the k words before each place, -1 where the sentence has fewer."""
    return np.where(places >= k, np.roll(ids, 1), -1)


def _grams(codes, places, order, V):
    """Return the ``_Grams`` of the orders 1 to ``order``."""
    result, ids = [], np.zeros(len(codes), dtype=np.int64)
    for k in range(order):
        contexts = _before(ids, places, k)
        (at,) = np.nonzero(contexts >= 0)
        keys, first, inverse, seen = np.unique(
            contexts[at] * V + codes[at], return_index=True, return_inverse=True, return_counts=True
        )
        ids = np.full(len(codes), -1)
        ids[at] = inverse
        result.append(_Grams(keys, seen, at[first], ids))
    return result


def _counts(grams):
    """Return the counts a of every order: words seen before, or occurrences for the longest."""
    result = []
    for shorter, longer in pairwise(grams):
        # Each different longer n-gram ends with a shorter one, and has one word before it.
        different = np.bincount(shorter.ids[longer.last], minlength=len(shorter.keys))
        # Only what begins with START has nothing before it.
        result.append(np.where(different > 0, different, shorter.seen))
    result.append(grams[-1].seen.copy())
    # The key of a single word is the word.
    result[0][grams[0].keys == _START] = 0
    return result


def _discount(counts):
    once, twice = np.sum(counts == 1), np.sum(counts == 2)
    return float(once / (once + 2 * twice)) if once else 0.5


class _Level:
    """The n-grams of one order: their counts, and the sums over the words after each context."""

    def __init__(self, keys, counts, discount, contexts, V):
        self.keys, self.counts, self.discount, self.V = keys, counts, discount, V
        self.totals = np.bincount(keys // V, counts, contexts)
        self.kinds = np.bincount(keys // V, counts > 0, contexts)

    def find(self, contexts, words):
        """Return the numbers of these n-grams, -1 for one that was not seen."""
        if not len(self.keys):
            return np.full(len(words), -1)
        keys = contexts * self.V + words
        ids = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        # The key behind an unknown context is negative, and never found.
        return np.where(self.keys[ids] == keys, ids, -1)

    def refined(self, p, contexts, words):
        """Return the probabilities given these contexts, from those given one word less."""
        ids = self.find(contexts, words)
        (at,) = np.nonzero(contexts >= 0)
        # An n-gram that was only seen at the end of sentences is no context.
        at = at[self.totals[contexts[at]] > 0]
        a = np.where(ids[at] >= 0, self.counts[ids[at]], 0)
        kept = np.maximum(a - self.discount, 0)
        left = self.discount * self.kinds[contexts[at]]
        p = p.copy()
        p[at] = (kept + left * p[at]) / self.totals[contexts[at]]
        return p


def _checked_discounts(discounts, order):
    values = _checks.real_array("discounts", discounts, np.float64)
    _checks.shape("discounts", values, (order,), "(one for each order)")
    _checks.every("discounts", values, (values > 0) & (values <= 1), "numbers in (0, 1]")
    return tuple(values.tolist())
