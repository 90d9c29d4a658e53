"""A softmax in two steps for large vocabularies: first a class of words, then a word of it.

V is the number of words, C that of classes, H the size of the state they are predicted from.
"""

import numpy as np
from array_api_compat import array_namespace

from rnnlib import _checks, cells
from rnnlib.layers import Layer
from rnnlib.losses import log_softmax, softmax_cross_entropy, which_count
from rnnlib.text import sample_index


def frequency_classes(counts, number, power=0.5):
    """Return the class of each word: (V,) int64, from 0 to number - 1, none of them empty.

    counts: (V,) finite numbers >= 0, not all 0; number: C, from 1 to V.
    The words are sorted by falling count, the first of equals first, and cut into classes with
    about equal sums of counts**power: a few frequent words in the first, many rare ones in the
    last.  A word with more than a Cth part of the whole sum has a class to itself, and so have
    those behind it until the number of classes has caught up with the sum.

    power 1 is the cut of Mikolov, Kombrink, Burget, Černocký and Khudanpur, "Extensions of
    recurrent neural network language model", ICASSP 2011; the square root, which makes the last
    classes smaller, is that of their program RNNLM.

    Raises TypeError or ValueError that names the argument.
    """
    counts = _checks.real_array("counts", counts, np.float64)
    if counts.ndim != 1:
        raise ValueError(f"counts: expected one axis, got shape {counts.shape}")
    _checks.every("counts", counts, (counts >= 0) & np.isfinite(counts), "finite numbers >= 0")
    if not counts.any():
        raise ValueError("counts: expected at least one number > 0, got none")
    V, C = len(counts), _checks.positive_int("number", number)
    if C > V:
        raise ValueError(f"number: expected at most {V}, the number of words, got {C}")
    power = _checks.positive("power", power)
    order = np.argsort(-counts, kind="stable")
    share = (counts[order] / counts.max()) ** power
    middle = (np.cumsum(share) - share / 2) / share.sum()
    places = np.arange(V)
    classes = np.minimum((C * middle).astype(np.int64), C - 1)
    classes[0] = 0
    # None may be left out: a word's class is at most one more than that of the word before.  The
    # last is reached all the same, since the shares fall: middle >= (places + 1/2) / V.
    classes = np.minimum.accumulate(classes - places) + places
    result = np.empty(V, dtype=np.int64)
    result[order] = classes
    return result


class ClassSoftmax(Layer):
    """P(w | h) = P(c(w) | h) P(w | c(w), h), each factor a softmax of a linear function of h.

    A loss needs the scores of C classes and of the words of one class, not of all V words: with √V
    classes of √V words these are 2√V in place of V.  It is another model than one softmax over
    all words, with C (H + 1) parameters more, and its predictions depend on the classes.

    hidden_size: H.  classes: (V,) integers, the class of each word; all of 0 to C - 1 must occur
    (see ``frequency_classes``).
    Parameters: class_weight (C, H) and class_bias (C,), weight (V, H) and bias (V,), a row for each
    word; drawn from U(-1/√H, 1/√H) with ``rng`` (a seed or a NumPy Generator).

    Sources: Goodman, "Classes for fast maximum entropy training", ICASSP 2001; Mikolov et al.,
    "Extensions of recurrent neural network language model", ICASSP 2011.
    """

    def __init__(self, hidden_size, classes, *, dtype=np.float64, rng=None):
        self.hidden_size = H = _checks.positive_int("hidden_size", hidden_size)
        self.classes = _checked_classes(classes)
        V, C = len(self.classes), int(self.classes.max()) + 1
        # The words sorted by class, and where each class starts among them.
        self._order = np.argsort(self.classes, kind="stable")
        self._sizes = np.bincount(self.classes)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._words = [_narrow(words) for words in np.split(self._order, self._starts[1:])]
        # The place of each word within its class.
        self._place = np.empty(V, dtype=np.int64)
        self._place[self._order] = np.arange(V) - np.repeat(self._starts, self._sizes)
        shapes = {"class_weight": (C, H), "class_bias": (C,), "weight": (V, H), "bias": (V,)}
        super().__init__(shapes, H**-0.5, dtype, rng)

    def loss(self, h, targets, reduction="mean", mask=None):
        """Return the cross-entropy in nats and its gradient for h, and fill ``grads``.

        h: (..., H); targets: (...) integers in [0, V).
        reduction: "sum", or "mean" over the targets that count.
        mask: (...), booleans or 0 and 1.  Where it is 0 the loss and the gradients are exactly 0,
        whatever stands there.
        Returns (loss, d_h): a scalar array and an array (..., H).  The gradients for the words of
        classes that have no target are 0.

        Raises ValueError for shapes or values that do not fit, and for a mean of nothing; and
        TypeError for dtypes that do not fit.
        """
        h = self._checked(h)
        targets = _checks.integers("targets", targets)
        _checks.shape("targets", targets, h.shape[:-1], "(h's without the last axis)")
        (at,) = np.nonzero(which_count(array_namespace(h), mask, targets, reduction).ravel())
        words, V = targets.ravel()[at], len(self.classes)
        _checks.every("targets", words, (words >= 0) & (words < V), f"words from 0 to {V - 1}")
        # Rows of one class side by side: each class is then one product.
        order = np.argsort(self.classes[words], kind="stable")
        words, at = words[order], at[order]
        rows = h.reshape(-1, self.hidden_size)[at]
        class_loss, d_by_class = self._class_part(rows, words, reduction)
        word_loss, d_by_word = self._word_part(rows, words, reduction)
        d_h = np.zeros((h.size // self.hidden_size, self.hidden_size), self.dtype)
        d_h[at] = d_by_class + d_by_word
        return class_loss + word_loss, d_h.reshape(h.shape)

    def log_probabilities(self, h):
        """Return log P(w | h) of all words; h: (..., H).  Returns (..., V)."""
        h = self._checked(h)
        result = np.empty((*h.shape[:-1], len(self.classes)), self.dtype)
        by_class = log_softmax(self._class_scores(h))
        for c, words in enumerate(self._words):
            result[..., words] = by_class[..., c : c + 1] + log_softmax(self._word_scores(h, c))
        return result

    def sample(self, h, rng, temperature=1.0):
        """Draw a word: a class first, then a word of this class.

        h: (H,).  rng: a NumPy Generator.
        temperature: as in ``rnnlib.text.sample_index``, for each of the two draws.  At 1 words are
        drawn by ``log_probabilities``.  At another temperature they are not drawn as from a
        softmax of these, divided by it: at 0 it is the likeliest word of the likeliest class.
        Returns an int.

        Raises what ``sample_index`` raises, and ValueError for another shape of h.
        """
        h = self._checked(h)
        _checks.shape("h", h, (self.hidden_size,))
        c = sample_index(self._class_scores(h), temperature, rng)
        place = sample_index(self._word_scores(h, c), temperature, rng)
        return int(self._order[self._starts[c] + place])

    def _class_scores(self, h):
        return cells.linear(h, self.parameters["class_weight"], self.parameters["class_bias"])

    def _word_scores(self, h, c):
        words = self._words[c]
        return cells.linear(h, self.parameters["weight"][words], self.parameters["bias"][words])

    def _class_part(self, rows, words, reduction):
        """Return -log P(class) and its gradient for the rows (M, H); fill the classes' grads."""
        scores, g = self._class_scores(rows), self.grads
        loss, d_scores = softmax_cross_entropy(scores, self.classes[words], reduction)
        d_rows, g["class_weight"][...], g["class_bias"][...] = cells.linear_backward(
            d_scores, rows, self.parameters["class_weight"]
        )
        return loss, d_rows

    def _word_part(self, rows, words, reduction):
        """Return -log P(word | class) and its gradient for the rows; fill the words' grads.

        The rows are sorted by class.
        """
        classes, starts = np.unique(self.classes[words], return_index=True)
        groups = list(zip(classes, map(slice, starts, [*starts[1:], len(words)]), strict=True))
        # A score of -inf rules out what is no word of the class: its gradient is 0.
        widest = self._sizes[classes].max(initial=1)
        scores = np.full((len(rows), widest), -np.inf, self.dtype)
        for c, group in groups:
            scores[group, : self._sizes[c]] = self._word_scores(rows[group], c)
        loss, d_scores = softmax_cross_entropy(scores, self._place[words], reduction)
        d_rows, g = np.empty_like(rows), self.grads
        g["weight"][...], g["bias"][...] = 0, 0
        for c, group in groups:
            its = self._words[c]
            d_rows[group], g["weight"][its], g["bias"][its] = cells.linear_backward(
                d_scores[group, : self._sizes[c]], rows[group], self.parameters["weight"][its]
            )
        return loss, d_rows

    def _checked(self, h):
        h = _checks.real_array("h", h, self.dtype)
        _checks.shape("h", h, (*h.shape[:-1], self.hidden_size), "(hidden_size last)")
        return h


def _narrow(words):
    """Return indices that are side by side as a slice: it takes no copy to read what is there."""
    side_by_side = words[-1] - words[0] == len(words) - 1
    return slice(int(words[0]), int(words[-1]) + 1) if side_by_side else words


def _checked_classes(classes):
    classes = _checks.integers("classes", classes).astype(np.int64)
    if classes.ndim != 1 or not classes.size:
        raise ValueError(f"classes: expected shape (V,), got {classes.shape}")
    _checks.every("classes", classes, classes >= 0, "numbers >= 0")
    missing = np.setdiff1d(np.arange(min(classes.max() + 1, len(classes) + 1)), classes)
    if missing.size:
        raise ValueError(
            f"classes: expected all of 0 to {classes.max()} to occur, {missing[0]} does not"
        )
    return classes
