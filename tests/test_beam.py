"""Beam search against every sequence that can be, greedy search, and a search that never stops."""

import numpy as np
import planted_attention
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_attention import Automaton, alike, everything, plain_search

from rnnlib.beam import beam_search

SEEDS = st.integers(0, 2**32)
ALPHAS = st.sampled_from([0.0, 0.3, 0.6, 1.0, 4.0])


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.integers(1, 4), st.integers(1, 4), ALPHAS, st.booleans())
def test_a_wide_beam_finds_the_true_maximum(seed, V, max_len, alpha, impossible):
    automaton = Automaton(seed, V, impossible=impossible)
    hypotheses = automaton.search(V**max_len + 300, max_len, alpha)
    assert alike(hypotheses, everything(automaton, max_len, alpha), max_len)
    assert sum(np.exp(h.log_prob) for h in hypotheses) == pytest.approx(1, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.integers(1, 6), st.integers(1, 7), ALPHAS, st.booleans())
def test_stopping_early_changes_nothing(seed, width, max_len, alpha, impossible):
    automaton = Automaton(seed, V=4, impossible=impossible)
    hypotheses = automaton.search(width, max_len, alpha)
    assert alike(hypotheses, plain_search(automaton, width, max_len, alpha), max_len)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(1, 8), ALPHAS)
def test_width_one_is_greedy_search(seed, max_len, alpha):
    automaton = Automaton(seed, V=5, sharp=0.7)
    codes, total = [], 0.0
    for _ in range(max_len):
        log_p = automaton.next(codes)
        code = int(log_p.argmax())
        total += log_p[code]
        if code == automaton.end:
            break
        codes.append(code)
    (only,) = automaton.search(1, max_len, alpha)
    assert only.codes == codes
    assert only.ended == (code == automaton.end)
    assert only.log_prob == pytest.approx(total, abs=1e-10)


def test_a_wider_beam_can_find_what_greedy_search_misses():
    """Both first symbols lead on; the likelier one leads to many poor ends, the other to one."""
    after = {3: [0.0, 0.6, 0.4], 1: [0.5, 0.25, 0.25], 2: [1.0, 0.0, 0.0]}

    def step(codes, state):
        with np.errstate(divide="ignore"):
            return np.log([after[c] for c in codes.tolist()]), state

    (greedy,) = beam_search(step, np.zeros(1), 3, 0, 1, 5)
    best, *_ = beam_search(step, np.zeros(1), 3, 0, 2, 5)
    assert (greedy.codes, best.codes) == ([1], [2])
    np.testing.assert_allclose(np.exp([greedy.log_prob, best.log_prob]), [0.3, 0.4])


def test_the_penalty_prefers_longer_sequences():
    automaton = Automaton(1, V=4, sharp=0.5)
    mean = [
        np.mean([len(h.codes) for h in automaton.search(8, 8, alpha)]) for alpha in (0.0, 1.0, 5.0)
    ]
    assert mean[0] < mean[1] < mean[2]


def test_the_score_is_that_of_equation_14():
    for h in Automaton(2).search(6, 5, 0.7):
        drawn = len(h.codes) + h.ended
        assert h.score == pytest.approx(h.log_prob * 6**0.7 / (5 + drawn) ** 0.7)
    for h in Automaton(2).search(6, 5):
        assert h.score == h.log_prob


def test_what_it_returns_are_plain_numbers():
    for h in Automaton(2).search(4, 3):
        assert isinstance(h.codes, list)
        assert all(type(c) is int for c in h.codes)
        assert type(h.log_prob) is type(h.score) is float
        assert type(h.ended) is bool


@pytest.mark.parametrize("name", ["beam", "maximum", "stop", "ties", "states"])
def test_the_checks_for_planted_slips_hold(name):
    assert planted_attention.check(name)


def test_a_step_in_torch_will_do():
    automaton = Automaton(5)

    def step(codes, state):
        log_p, after = automaton(codes, state.numpy())
        return torch.tensor(log_p), torch.tensor(after)

    found = beam_search(step, torch.tensor(automaton.state), automaton.start, 0, 4, 5)
    assert found == automaton.search(4, 5)


def test_rounding_above_zero_is_no_error():
    def step(codes, state):
        return np.tile([-30.0, 1e-9], (len(codes), 1)), state

    (only,) = beam_search(step, np.zeros(1), 0, 0, 1, 3)
    assert (only.codes, only.log_prob, only.ended) == ([1, 1, 1], 0.0, False)


def search(returned=None, **changed):
    def step(codes, state):
        return (
            returned(len(codes)) if returned else (np.log(np.full((len(codes), 3), 1 / 3)), state)
        )

    given = {"state": np.zeros(1), "start": 0, "end": 0, "width": 2, "max_len": 3} | changed
    return beam_search(step, **given)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"width": 0}, ValueError, "width: expected at least 1, got 0"),
        ({"width": 2.0}, TypeError, "width: expected an integer, got 2.0"),
        ({"max_len": 0}, ValueError, "max_len: expected at least 1, got 0"),
        ({"start": -1}, ValueError, "start: expected an integer >= 0, got -1"),
        ({"end": 1.5}, ValueError, "end: expected an integer >= 0, got 1.5"),
        ({"end": 3}, ValueError, "end: expected a code below 3, the symbols of step, got 3"),
        ({"length_penalty": -1}, ValueError, "length_penalty: expected a finite number >= 0"),
        ({"length_penalty": np.nan}, ValueError, "length_penalty: expected a finite number >= 0"),
    ],
)
def test_bad_arguments_are_named(changed, error, message):
    with pytest.raises(error, match=message):
        search(**changed)


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (lambda k: np.zeros((k, 3)), TypeError, r"step: expected it to return \(log_prob.*ndarray"),
        (lambda k: (np.zeros(3), None), ValueError, r"log_probabilities: expected shape \(1, V\)"),
        (lambda k: (np.zeros((k + 1, 3)), None), ValueError, r"expected shape \(1, V\).*\(2, 3\)"),
        (lambda k: (np.full((k, 3), np.nan), None), ValueError, "expected numbers <= 0, got nan"),
        (lambda k: (np.full((k, 3), 0.5), None), ValueError, "expected numbers <= 0, got 0.5"),
        (lambda k: (np.full((k, 3), "a"), None), TypeError, "step's log_probabilities: expected"),
        (lambda k: (np.full((k, 3), -np.inf), None), ValueError, "step: expected a symbol that ca"),
    ],
)
def test_what_step_returns_is_checked(returned, error, message):
    with pytest.raises(error, match=message):
        search(returned)
