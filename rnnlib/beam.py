"""Beam search: the most probable sequences of a model that writes one symbol after the other."""

from typing import NamedTuple

import numpy as np

from rnnlib import _checks

# What rounding may leave above the logarithm of 1.
ROUNDING = 1e-5


class Hypothesis(NamedTuple):
    """A sequence that a model may have meant.

    codes: a list of ints, without start and end.
    log_prob: in nats, the sum of the log probabilities of the codes and, where it was drawn, the
        end.
    score: log_prob divided by the length penalty.
    ended: whether the end was drawn; if not, the sequence was cut at ``max_len``.
    """

    codes: list
    log_prob: float
    score: float
    ended: bool


def penalty(length, alpha):
    """Return ((5 + length) / 6)^alpha, by which a log probability is divided [Wu et al. 2016, 14].

    It is 1 for a sequence of one symbol.
    """
    return ((5 + length) / 6) ** alpha


def rows_of(state, rows):
    """Return these rows of a state: of an array its first axis, of a tuple that of each part."""
    return tuple(part[rows] for part in state) if isinstance(state, tuple) else state[rows]


def beam_search(step, state, start, end, width, max_len, length_penalty=0.0, *, select=rows_of):
    """Return the best sequences that a search with a beam finds for one input, best first.

    In every step each open hypothesis is continued by each symbol, and of all these the ``width``
    most probable are kept.  Those that drew the end are finished and leave the beam [Graves 2012;
    Sutskever, Vinyals and Le 2014].  Of equal ones the earlier hypothesis and the smaller code come
    first, so that width=1 is greedy search.

    step: ``step(codes, state)`` takes the last codes of K hypotheses, int64 of shape (K,), and
        their state.  Returns (log_probabilities, state): (K, V) numbers <= 0, -inf for what cannot
        be, and the state after.  K is 1 in the first step and at most ``width`` later.
    state: the state of one hypothesis before ``start``.
    start: the code that the first step is given; end: the code, in [0, V), that finishes.
    width: how many are kept and at most returned.
    max_len: how many symbols are drawn at most; the end counts as one.  What is still open then is
        finished as it stands, so that the probabilities of all hypotheses add up to 1.
    length_penalty: alpha >= 0.  Finished hypotheses are compared by log_prob / ((5 + n) / 6)^alpha
        with n symbols drawn, the end counted: equation 14 of Wu et al., arXiv:1609.08144, without
        its coverage penalty.  0 compares log probabilities, which prefers short sequences.
    select: ``select(state, rows)`` returns the state of these hypotheses; rows is an int64 array in
        which one may come more than once.  The default takes rows of an array, or of each array of
        a tuple.  For a state (layers, K, H) give ``lambda state, rows: state[:, rows]``.

    The search stops as soon as nothing open can change what is returned: a log probability never
    rises, so an open hypothesis can at best keep it, and reach the penalty of max_len.

    Returns a list of ``Hypothesis``, at most ``width`` of them.  Time: at most max_len calls of
    ``step``.  Raises TypeError or ValueError that names the argument, also for what step returns.
    """
    width, max_len = _checks.positive_int("width", width), _checks.positive_int("max_len", max_len)
    alpha = _checks.not_negative("length_penalty", length_penalty)
    start, end = _checks.count("start", start), _checks.count("end", end)
    codes, log_prob, written, finished = np.array([start], np.int64), np.zeros(1), [[]], []
    for length in range(1, max_len + 1):
        log_p, state = _stepped(step(codes, state), len(codes), end)
        total = log_prob[:, None] + log_p
        rows, codes = np.divmod(_largest(total.ravel(), width), total.shape[1])
        log_prob = total[rows, codes]
        written = [[*written[r], c] for r, c in zip(rows.tolist(), codes.tolist(), strict=True)]
        ended = codes == end
        for k in np.flatnonzero(ended | (length == max_len)):
            score = float(log_prob[k] / penalty(length, alpha))
            symbols = written[k][:-1] if ended[k] else written[k]
            finished.append(Hypothesis(symbols, float(log_prob[k]), score, bool(ended[k])))
        finished = sorted(finished, key=lambda h: -h.score)[:width]
        going = np.flatnonzero(~ended)
        if not going.size or _settled(finished, width, log_prob[going[0]], max_len, alpha):
            break
        codes, log_prob, written = codes[going], log_prob[going], [written[k] for k in going]
        state = select(state, rows[going])
    if not finished:
        raise ValueError("step: expected a symbol that can follow, got -inf for all of them")
    return finished


def _settled(finished, width, best_open, max_len, alpha):
    """Say whether an open hypothesis of this log probability is too late, and so are all others."""
    bound = best_open / penalty(max_len, alpha)
    return len(finished) == width and finished[-1].score >= bound


def _largest(values, count):
    """Return the indices of the largest values above -inf, largest first, at most ``count``."""
    least = np.partition(values, -count)[-count] if count < len(values) else -np.inf
    indices = np.flatnonzero((values >= least) & (values > -np.inf))
    return indices[np.argsort(-values[indices], kind="stable")][:count]


def _stepped(returned, K, end):
    """Return what ``step`` returned, the log probabilities as float64, or raise."""
    if not (isinstance(returned, tuple) and len(returned) == 2):
        came = type(returned).__name__
        raise TypeError(f"step: expected it to return (log_probabilities, state), got {came}")
    log_p = _checks.real_array("step's log_probabilities", returned[0], np.float64)
    if log_p.ndim != 2 or len(log_p) != K:
        raise ValueError(
            f"step's log_probabilities: expected shape ({K}, V), one row for each code, "
            f"got {log_p.shape}"
        )
    if end >= log_p.shape[1]:
        raise ValueError(
            f"end: expected a code below {log_p.shape[1]}, the symbols of step, got {end}"
        )
    _checks.every("step's log_probabilities", log_p, log_p <= ROUNDING, "numbers <= 0")
    return np.minimum(log_p, 0), returned[1]
