"""Characters to numbers and back, streams that carry on, and draws from a softmax."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rnnlib.text import Vocabulary, batches, one_hot, sample_index, split

# Every code point, surrogates and those beyond 16 bits among them.
TEXTS = st.text(st.characters(exclude_categories=()), max_size=200)

# Vocabulary


def test_a_small_vocabulary():
    vocabulary = Vocabulary.from_text("the whale")
    assert vocabulary.symbols == (" ", "a", "e", "h", "l", "t", "w")
    assert len(vocabulary) == 7
    codes = vocabulary.encode("heal")
    assert codes.dtype == np.int64
    assert codes.tolist() == [3, 2, 1, 4]
    assert vocabulary.decode([3, 2, 1, 4]) == "heal"
    assert vocabulary.decode(np.array([6], np.uint8)) == "w"
    assert repr(Vocabulary("ab\n")) == "Vocabulary('ab\\n')"


def test_the_order_given_is_kept_and_decides_equality():
    assert Vocabulary("ba").encode("ab").tolist() == [1, 0]
    assert Vocabulary(["b", "a"]) == Vocabulary("ba")
    assert Vocabulary("ba") != Vocabulary("ab")
    assert Vocabulary("ab") != ("a", "b")
    assert len({Vocabulary("ab"), Vocabulary("ab"), Vocabulary("ba")}) == 2


@settings(deadline=None)
@given(TEXTS.filter(bool))
def test_round_trip(text):
    vocabulary = Vocabulary.from_text(text)
    codes = vocabulary.encode(text)
    assert vocabulary.decode(codes) == text
    assert [vocabulary.symbols[i] for i in codes] == list(text)
    assert vocabulary.symbols == tuple(sorted(set(text)))
    assert Vocabulary(vocabulary.symbols) == vocabulary


def test_nothing_encodes_to_nothing():
    codes = Vocabulary("a").encode("")
    assert codes.shape == (0,)
    assert codes.dtype == np.int64
    assert Vocabulary("a").decode([]) == Vocabulary("a").decode(codes) == ""


@settings(deadline=None)
@given(TEXTS.filter(bool), TEXTS)
def test_the_first_unknown_character_is_named_with_its_position(known, text):
    vocabulary = Vocabulary.from_text(known)
    unknown = [(i, c) for i, c in enumerate(text) if c not in known]
    assume(unknown)
    with pytest.raises(ValueError, match="text: expected characters of the vocabulary") as caught:
        vocabulary.encode(text)
    position, character = unknown[0]
    assert str(caught.value).endswith(f"got {character!r} at position {position}")


@pytest.mark.parametrize("codes", [[3], [0, -1], np.array([0, 2**40])])
def test_codes_out_of_range(codes):
    with pytest.raises(ValueError, match=f"codes: expected codes from 0 to 2, got {codes[-1]}"):
        Vocabulary("abc").decode(codes)


@pytest.mark.parametrize(
    ("symbols", "error", "text"),
    [
        ("", ValueError, "symbols: expected at least one character, got none"),
        (["ab"], ValueError, "symbols: expected single characters, got 'ab'"),
        (["a", ""], ValueError, "symbols: expected single characters, got ''"),
        ("abca", ValueError, "symbols: expected each character once, got 'a' again"),
        (["a", 3], TypeError, "symbols: expected strings, got 3 at 1"),
    ],
)
def test_symbols_that_are_none(symbols, error, text):
    with pytest.raises(error, match=text):
        Vocabulary(symbols)


def test_wrong_types_and_shapes():
    vocabulary = Vocabulary("abc")
    with pytest.raises(ValueError, match="text: expected at least one character, got an empty"):
        Vocabulary.from_text("")
    with pytest.raises(TypeError, match="text: expected a string, got bytes"):
        Vocabulary.from_text(b"abc")
    with pytest.raises(TypeError, match="text: expected a string, got list"):
        vocabulary.encode(["a"])
    with pytest.raises(TypeError, match="codes: expected integers, got dtype float64"):
        vocabulary.decode([1.0])
    with pytest.raises(TypeError, match="codes: expected integers, got dtype bool"):
        vocabulary.decode([True])
    with pytest.raises(ValueError, match=r"codes: expected one axis, got shape \(1, 2\)"):
        vocabulary.decode([[0, 1]])
    with pytest.raises(ValueError, match=r"codes: expected one axis, got shape \(\)"):
        vocabulary.decode(1)


# one_hot


@settings(deadline=None)
@given(st.data(), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0), st.integers(1, 6))
def test_one_hot(data, shape, size):
    codes = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, size - 1)))
    rows = one_hot(codes, size)
    assert rows.shape == (*shape, size)
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows, np.eye(size)[codes])


def test_one_hot_dtype_and_errors():
    assert one_hot([[1, 0]], 2, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="codes: expected codes from 0 to 1, got 2"):
        one_hot([0, 2], 2)
    with pytest.raises(ValueError, match="codes: expected codes from 0 to 1, got -1"):
        one_hot([-1], 2)
    with pytest.raises(TypeError, match="codes: expected integers, got dtype float64"):
        one_hot([0.5], 2)
    with pytest.raises(ValueError, match="size: expected at least 1, got 0"):
        one_hot([0], 0)


# batches and split


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 60))
def test_batches_carry_on(batch_size, seq_len, extra):
    n = batch_size * seq_len + 1 + extra
    codes = np.arange(n) * 7 % 1000  # All different, so no misplaced code goes unseen.
    pairs = list(batches(codes, batch_size, seq_len))
    assert len(pairs) == (n - 1) // (batch_size * seq_len)
    for pair in pairs:
        for array in pair:
            assert array.shape == (seq_len, batch_size)
            assert array.dtype == np.int64
    inputs, targets = (np.concatenate(x) for x in zip(*pairs, strict=True))
    # Each column, read on over all batches, is a stream; the streams, one after the other, are
    # the text, and the targets are the text moved on by one.
    np.testing.assert_array_equal(inputs.T.ravel(), codes[: inputs.size])
    np.testing.assert_array_equal(targets.T.ravel(), codes[1 : inputs.size + 1])
    assert n - 1 - inputs.size == (n - 1) % (batch_size * seq_len)


def test_a_batch_is_time_first():
    first, second = batches(range(13), batch_size=2, seq_len=3)
    assert first[0].tolist() == [[0, 6], [1, 7], [2, 8]]
    assert first[1].tolist() == [[1, 7], [2, 8], [3, 9]]
    assert second[0].tolist() == [[3, 9], [4, 10], [5, 11]]
    assert second[1].tolist() == [[4, 10], [5, 11], [6, 12]]


def test_a_batch_is_the_callers_own():
    codes = np.arange(9)
    for inputs, targets in batches(codes, 2, 2):
        inputs[...] = -1
        assert (targets >= 0).all()
    assert codes.tolist() == list(range(9))


def test_batches_complain_at_the_call():
    with pytest.raises(ValueError, match=r"codes: expected .*seq_len \+ 1 = 7 codes, got 6"):
        batches(range(6), 2, 3)
    with pytest.raises(ValueError, match="= 7 codes, got 0"):
        batches([], 2, 3)
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        batches(range(9), 0, 3)
    with pytest.raises(TypeError, match=r"seq_len: expected an integer, got 2\.0"):
        batches(range(9), 1, 2.0)
    with pytest.raises(ValueError, match=r"codes: expected one axis, got shape \(3, 3\)"):
        batches(np.zeros((3, 3), int), 1, 1)
    with pytest.raises(TypeError, match="codes: expected integers, got dtype float64"):
        batches(np.zeros(9), 1, 1)


def test_split():
    train, validation = split(np.arange(10), 0.8)
    assert train.tolist() == list(range(8))
    assert validation.tolist() == [8, 9]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, 0.01, 0.99, math.nan, "half"])
def test_split_leaves_no_part_empty(fraction):
    with pytest.raises(ValueError, match="fraction: expected a number between 0 and 1"):
        split(np.arange(10), fraction)


# sample_index


def softmax(z):
    p = np.exp(z - np.max(z))
    return p / p.sum()


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(-5, 5)),
    st.floats(0.1, 10),
    st.integers(0, 2**32),
)
def test_it_draws_what_choice_draws(logits, temperature, seed):
    index = sample_index(logits, temperature, np.random.default_rng(seed))
    p = softmax(logits / temperature)
    # Rounding can tell the two apart when the drawn number lies on an edge.
    assume(np.abs(np.cumsum(p) - np.random.default_rng(seed).random()).min() > 1e-12)
    assert index == np.random.default_rng(seed).choice(len(logits), p=p)
    assert type(index) is int


@pytest.mark.parametrize("temperature", [0.5, 1, 2.0])
def test_frequencies(temperature):
    logits, rng, n = np.array([1.0, -1.0, 0.5, -np.inf, 0.0]), np.random.default_rng(1), 20_000
    counts = np.bincount([sample_index(logits, temperature, rng) for _ in range(n)], minlength=5)
    p = softmax(logits / temperature)
    assert counts[3] == 0
    assert (np.abs(counts / n - p) <= 4 * np.sqrt(p * (1 - p) / n)).all()


@pytest.mark.parametrize("temperature", [1e-300, 1e-3, 1, 100])
def test_huge_logits(temperature):
    rng = np.random.default_rng(2)
    for logits in ([1e4, -1e4, 0], [1e4, 9e3, -1e4], [-9e3, -1e4, -1e4], [1e308, -1e308, 0]):
        assert {sample_index(logits, temperature, rng) for _ in range(50)} == {0}


def test_temperature_zero_is_the_largest_logit_and_draws_nothing():
    rng = np.random.default_rng(3)
    before = rng.bit_generator.state
    assert sample_index([0.1, 3.0, 3.0, -1e4], 0, rng) == 1
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("temperature", [-1, -1e-9, math.nan, math.inf, "hot", None])
def test_temperatures_that_are_none(temperature):
    with pytest.raises(ValueError, match="temperature: expected a finite number >= 0, got"):
        sample_index([0.0, 1.0], temperature, np.random.default_rng(0))


@pytest.mark.parametrize("logits", [[0, np.nan], [np.inf, 0], [-np.inf, -np.inf]])
def test_logits_without_a_softmax(logits):
    with pytest.raises(ValueError, match="logits: expected finite numbers"):
        sample_index(logits, 1, np.random.default_rng(0))


def test_sampling_errors():
    with pytest.raises(ValueError, match=r"logits: expected shape \(V,\), got \(1, 2\)"):
        sample_index([[0, 1]], 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"logits: expected shape \(V,\), got \(0,\)"):
        sample_index([], 1, np.random.default_rng(0))
    with pytest.raises(TypeError, match=r"rng: expected a numpy\.random\.Generator, got 7"):
        sample_index([0, 1], 1, 7)
