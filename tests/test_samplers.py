"""Draws by top-k and top-p: what can be drawn, and how likely it is."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rnnlib.text import sample_index

LOGITS = hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(-4, 4))
# Few values, so that many are equal.
TIED = hnp.arrays(np.float64, st.integers(1, 12), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0]))
TEMPERATURES = st.floats(0.3, 3)


class Fixed(np.random.Generator):
    """A generator that returns a number of ours."""

    def __init__(self, u):
        super().__init__(np.random.PCG64(0))
        self.u = u

    def random(self):
        return self.u


def probabilities(logits, temperature, top_k=None, top_p=None):
    """The distribution to draw from, entry by entry.

    Likelier is what has the larger logit, also where rounding makes the probabilities equal.
    """
    p = [math.exp((z - max(logits)) / temperature) for z in logits]
    if top_k is not None:
        at_least = sorted(logits, reverse=True)[min(top_k, len(logits)) - 1]
        p = [q if z >= at_least else 0.0 for q, z in zip(p, logits, strict=True)]
    p = [q / math.fsum(p) for q in p]
    if top_p is not None and top_p < 1:
        kept = []
        for i in sorted(range(len(p)), key=lambda i: (-logits[i], i)):
            if math.fsum(p[j] for j in kept) >= top_p:
                break
            kept.append(i)
        p = [q if i in kept else 0.0 for i, q in enumerate(p)]
    return [q / math.fsum(p) for q in p]


def on_an_edge(p, top_p):
    """Can rounding decide where the tail begins?"""
    sums = np.cumsum(sorted(p, reverse=True))
    return top_p is not None and np.abs(sums - top_p).min() < 1e-9


@settings(deadline=None, max_examples=150)
@given(LOGITS | TIED, TEMPERATURES, st.none() | st.integers(1, 14), st.none() | st.floats(0.01, 1))
@example(np.array([0.0, 0.0, 1e-300]), 1.0, None, 0.5)
def test_each_index_has_its_share_of_the_line_from_0_to_1(logits, temperature, top_k, top_p):
    assume(not on_an_edge(probabilities(logits, temperature, top_k), top_p))
    p = probabilities(logits, temperature, top_k, top_p)
    edges = np.concatenate([[0], np.cumsum(p)])
    for index, (low, high) in enumerate(itertools.pairwise(edges)):
        if high - low > 1e-9:
            for u in (low + 1e-10, (low + high) / 2, high - 1e-10):
                assert sample_index(logits, temperature, Fixed(u), top_k, top_p) == index


@settings(deadline=None)
@given(LOGITS | TIED, TEMPERATURES, st.integers(0, 2**32))
def test_bounds_that_bind_nothing_change_no_draw(logits, temperature, seed):
    def draws(**bounds):
        rng = np.random.default_rng(seed)
        return [sample_index(logits, temperature, rng, **bounds) for _ in range(8)]

    for bounds in ({"top_k": len(logits)}, {"top_k": 10**9}, {"top_p": 1}, {"top_p": 1.0}):
        assert draws(**bounds) == draws()


@settings(deadline=None)
@given(LOGITS, TEMPERATURES, st.integers(0, 2**32))
def test_one_of_one_is_the_largest(logits, temperature, seed):
    rng = np.random.default_rng(seed)
    assert logits[sample_index(logits, temperature, rng, top_k=1)] == logits.max()
    assert sample_index(logits, temperature, rng, top_p=1e-12) == logits.argmax()
    assert sample_index(logits, 0, rng, top_k=2, top_p=0.5) == logits.argmax()


@settings(deadline=None)
@given(TIED, TEMPERATURES, st.floats(0.05, 0.95))
def test_the_kept_part_is_the_smallest_that_is_enough(logits, temperature, share):
    whole = np.array(probabilities(logits, temperature))
    assume(not on_an_edge(whole, share))
    us = np.linspace(0, 1, 400, endpoint=False)  # No kept index has a shorter share.
    drawn = {sample_index(logits, temperature, Fixed(u), top_p=share) for u in us}
    kept = whole[sorted(drawn)]
    assert kept.sum() >= share > kept.sum() - kept.min()
    assert kept.min() >= np.delete(whole, sorted(drawn)).max(initial=0)


def test_equals_of_the_last_one_are_kept():
    us = np.linspace(0, 1, 50, endpoint=False)
    drawn = {sample_index([1.0, 0.0, 1.0, 1.0], 1, Fixed(u), top_k=2) for u in us}
    assert drawn == {0, 2, 3}


def test_top_p_counts_after_top_k():
    # Of 0.5, 0.3 and 0.2 the first two are left, as 0.625 and 0.375: the first alone is enough for
    # 0.6.  In the other order, 0.5 and 0.3 would be needed for it.
    logits = np.log([0.5, 0.3, 0.2])
    assert {sample_index(logits, 1, Fixed(u), top_k=2, top_p=0.6) for u in (0, 0.5, 0.99)} == {0}
    assert {sample_index(logits, 1, Fixed(u), top_p=0.6) for u in (0, 0.99)} == {0, 1}


def test_frequencies():
    logits, rng, n = np.array([1.0, -1.0, 0.5, -np.inf, 0.0]), np.random.default_rng(1), 20_000
    p = np.array(probabilities([1.0, -1.0, 0.5, -30.0, 0.0], 0.8, 3, 0.8))
    counts = np.bincount([sample_index(logits, 0.8, rng, 3, 0.8) for _ in range(n)], minlength=5)
    assert (p > 0).sum() == 2
    assert (np.abs(counts / n - p) <= 4 * np.sqrt(p * (1 - p) / n)).all()


def test_what_cannot_be_drawn_stays_so():
    logits = [-np.inf, 0.0, -np.inf]
    us = np.linspace(0, 1, 20, endpoint=False)
    assert {sample_index(logits, 1, Fixed(u), top_k=3, top_p=0.99) for u in us} == {1}


@pytest.mark.parametrize("top_k", [0, -1])
def test_top_k_below_one(top_k):
    with pytest.raises(ValueError, match=f"top_k: expected at least 1, got {top_k}"):
        sample_index([0.0, 1.0], 1, np.random.default_rng(0), top_k=top_k)


@pytest.mark.parametrize("top_k", [1.0, "2", True])
def test_top_k_that_is_no_integer(top_k):
    with pytest.raises(TypeError, match="top_k: expected an integer, got"):
        sample_index([0.0, 1.0], 1, np.random.default_rng(0), top_k=top_k)


@pytest.mark.parametrize("top_p", [0, -0.1, 1.1, math.nan, math.inf, "half", True])
def test_top_p_outside(top_p):
    with pytest.raises(ValueError, match=r"top_p: expected a number in \(0, 1\], got"):
        sample_index([0.0, 1.0], 0, np.random.default_rng(0), top_p=top_p)
