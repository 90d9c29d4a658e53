"""Kneser-Ney beside its definition in plain loops, by hand, and by its laws."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from planted_words import PlainKneserNey

from rnnlib.ngram import KneserNey

V = 6
START, END = 0, 1
SENTENCE = st.lists(st.integers(2, V - 1), max_size=6).map(lambda words: [START, *words, END])
CORPUS = st.lists(SENTENCE, min_size=1, max_size=6)
CONTEXT = st.lists(st.integers(0, V - 1), max_size=6)


DISCOUNTS = st.none() | st.lists(st.floats(0.05, 1), min_size=5, max_size=5)


@settings(deadline=None, max_examples=150)
@given(CORPUS, st.integers(1, 5), DISCOUNTS, CONTEXT, SENTENCE)
def test_equals_the_definition(corpus, order, discounts, context, sentence):
    discounts = discounts and discounts[:order]
    model, plain = (
        KneserNey(corpus, order, V, discounts),
        PlainKneserNey(corpus, order, V, discounts),
    )
    expected = [plain.discount(n) for n in range(1, order + 1)]
    np.testing.assert_allclose(model.discounts, expected, rtol=1e-14)
    np.testing.assert_allclose(
        model.probabilities(context), plain.probabilities(context), rtol=1e-12
    )
    logs = [
        math.log(plain.probabilities(sentence[:i])[sentence[i]]) for i in range(1, len(sentence))
    ]
    np.testing.assert_allclose(model.log_probabilities(sentence), logs, rtol=1e-11)


@settings(deadline=None)
@given(CORPUS, st.integers(1, 5), DISCOUNTS, CONTEXT)
def test_probabilities_sum_to_one_in_every_context(corpus, order, discounts, context):
    """Also in one that was never seen."""
    p = KneserNey(corpus, order, V, discounts and discounts[:order]).probabilities(context)
    assert p.shape == (V,)
    assert p.sum() == pytest.approx(1, rel=1e-13)
    assert p[START] == 0
    assert (p[1:] > 0).all()


@settings(deadline=None)
@given(CORPUS, CORPUS, st.integers(1, 4))
def test_the_mean_is_over_words(corpus, others, order):
    model = KneserNey(corpus, order, V)
    logs = np.concatenate([model.log_probabilities(codes) for codes in others])
    assert logs.shape == (sum(len(codes) - 1 for codes in others),)
    assert model.mean_nll(others) == pytest.approx(-logs.mean(), rel=1e-13)


@settings(deadline=None)
@given(CORPUS, st.integers(1, 4), CONTEXT, CONTEXT)
def test_nothing_before_start_counts(corpus, order, before, context):
    assume(START not in context)
    model = KneserNey(corpus, order, V)
    expected = model.probabilities([START, *context])
    for more in ([START], [START] * 4, before):
        p = model.probabilities([*more, START, *context])
        np.testing.assert_array_equal(p, expected)


@settings(deadline=None)
@given(CORPUS, st.integers(1, 4), CONTEXT)
def test_only_the_last_words_count(corpus, order, context):
    model = KneserNey(corpus, order, V)
    last = context[max(0, len(context) - order + 1) :]
    np.testing.assert_array_equal(model.probabilities(context), model.probabilities(last))


def test_by_hand():
    """Two sentences, "a b" and "a a": codes a = 2, b = 3, and V = 4.

    Pairs seen: START a twice, and a b, b END, a a, a END once each; so n_1 = 4, n_2 = 1 and
    D_2 = 4/6.  Words before: a stands behind START and a, b behind a, END behind b and a: the
    counts 2, 1, 2 with sum 5; n_1 = 1, n_2 = 2 and D_1 = 1/5.
    """
    model = KneserNey([[0, 2, 3, 1], [0, 2, 2, 1]], 2, 4)
    assert model.discounts == pytest.approx((1 / 5, 2 / 3), rel=1e-15)
    # A third of 3/5, the discounts of three words, goes to each word.
    single = np.array([0, 2 - 1 / 5 + 1 / 5, 2 - 1 / 5 + 1 / 5, 1 - 1 / 5 + 1 / 5]) / 5
    np.testing.assert_allclose(model.probabilities([]), single, rtol=1e-14)
    # Behind a: b, a, END, once each.
    np.testing.assert_allclose(
        model.probabilities([2])[1:], (1 / 3 + 2 / 3 * 3 * single[1:]) / 3, rtol=1e-14
    )
    # Behind START: a, twice.
    expected = (np.array([0, 0, 2 - 2 / 3, 0]) + 2 / 3 * single) / 2
    np.testing.assert_allclose(model.probabilities([0]), expected, rtol=1e-14)
    # END is no context: nothing stands behind it.
    np.testing.assert_array_equal(model.probabilities([1]), model.probabilities([]))
    # "b" alone: behind START, then END behind it, which was seen once of once.
    after_b = (1 / 3 + 2 / 3 * single[1]) / 1
    np.testing.assert_allclose(
        model.log_probabilities([0, 3, 1]), np.log([expected[3], after_b]), rtol=1e-14
    )


def test_words_that_stand_in_many_contexts_are_expected_in_new_ones():
    """The word 2 is frequent, but only behind 3, as Francisco is behind San; 4 stands anywhere."""
    corpus = [[0, 3, 2, 1]] * 9 + [[0, 5, 4, 1], [0, 4, 1], [0, 2, 4, 1]]
    p = KneserNey(corpus, 2, V).probabilities([])
    counts = KneserNey(corpus, 1, V).probabilities([])
    assert counts[2] > counts[4]
    assert p[4] > p[2]


def test_single_words_are_counted():
    """Counts: END 3, 2 twice, 3 once, none of 4 and 5; n_1 = 1, n_2 = 1, D = 1/3."""
    model = KneserNey([[0, 2, 3, 1], [0, 2, 1], [0, 1]], 1, V)
    assert model.discounts == (1 / 3,)
    expected = np.array([0, 3 - 1 / 3, 2 - 1 / 3, 1 - 1 / 3, 0, 0])
    expected[1:] += 1 / 3 * 3 / (V - 1)
    np.testing.assert_allclose(model.probabilities([0, 4]), expected / 6, rtol=1e-14)


def test_a_longer_memory_helps_where_the_text_has_one():
    """Three words in turn, the third decided by the first."""
    rng = np.random.default_rng(0)
    corpus = [[0, a, 4, a, 4, a, 1] for a in rng.integers(2, 4, 300)]
    losses = [KneserNey(corpus[:200], n, V).mean_nll(corpus[200:]) for n in (1, 2, 3)]
    assert losses[0] > losses[1] + 0.1 > losses[2] + 0.2


def test_what_was_never_once_leaves_a_half():
    assert KneserNey([[0, 2, 1]] * 3, 1, V).discounts == (0.5,)


def test_orders_longer_than_any_sentence():
    corpus = [[0, 2, 1], [0, 3, 1]]
    p = [KneserNey(corpus, order, V).probabilities([0, 2]) for order in (3, 5)]
    np.testing.assert_allclose(*p, rtol=1e-14)


def test_codes_may_be_arrays():
    corpus = [[0, 2, 3, 1], [0, 2, 1]]
    model = KneserNey(map(np.array, corpus), 2, V)
    assert model.mean_nll(corpus) == KneserNey(corpus, 2, V).mean_nll(map(np.array, corpus))
    assert isinstance(model.mean_nll(corpus), float)


GOOD = [[0, 2, 1]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: KneserNey([], 2, V), ValueError, "codes_list: .* got none"),
        (lambda: KneserNey([[0]], 2, V), ValueError, "codes_list: .* two codes or more"),
        (lambda: KneserNey([[0, 2, 1], []], 2, V), ValueError, "codes_list: .* two codes or more"),
        (lambda: KneserNey([[2, 1]], 2, V), ValueError, "codes_list: .* START, 0, first"),
        (lambda: KneserNey([[0, 2, 0, 1]], 2, V), ValueError, "codes_list: .* nowhere else"),
        (lambda: KneserNey([[0, V, 1]], 2, V), ValueError, "codes: .* from 0 to 5, got 6"),
        (lambda: KneserNey([[0, 1.5]], 2, V), TypeError, "codes: expected integers"),
        (lambda: KneserNey([[[0, 1]]], 2, V), ValueError, "codes: expected one axis"),
        (lambda: KneserNey(GOOD, 0, V), ValueError, "order: expected at least 1"),
        (lambda: KneserNey(GOOD, 2.0, V), TypeError, "order: expected an integer"),
        (lambda: KneserNey(GOOD, 2, 1), ValueError, "vocabulary_size: expected at least 2, got 1"),
        (lambda: KneserNey(GOOD, 2, V, [0.5]), ValueError, r"discounts: expected shape \(2,\)"),
        (lambda: KneserNey(GOOD, 2, V, [0.5, 0]), ValueError, r"discounts: .* \(0, 1\], got 0"),
        (lambda: KneserNey(GOOD, 1, V, [1.1]), ValueError, "discounts: .* got 1.1"),
        (lambda: KneserNey(GOOD, 1, V, [math.nan]), ValueError, "discounts: .* got nan"),
        (lambda: KneserNey(GOOD, 2, V).probabilities([V]), ValueError, "codes: .* got 6"),
        (lambda: KneserNey(GOOD, 2, V).probabilities([0.5]), TypeError, "codes: expected integers"),
        (lambda: KneserNey(GOOD, 2, V).log_probabilities([2, 1]), ValueError, "START, 0, first"),
        (lambda: KneserNey(GOOD, 2, V).mean_nll([]), ValueError, "codes_list: .* got none"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_every_context_of_a_text_at_once_and_one_by_one():
    rng = np.random.default_rng(3)
    corpus = [[0, *rng.integers(2, 40, n), 1] for n in rng.integers(0, 30, 200)]
    for order in (1, 2, 3, 4):
        model = KneserNey(corpus[:150], order, 40)
        for codes in itertools.islice(corpus, 145, 155):
            one = [math.log(model.probabilities(codes[:i])[w]) for i, w in enumerate(codes) if i]
            np.testing.assert_allclose(model.log_probabilities(codes), one, rtol=1e-12)
