"""The edit distance against its recursion, and by its own laws."""

import numpy as np
import planted_attention
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_attention import by_definition

from rnnlib.edit_distance import edit_distance, error_rate

WORDS = st.text("abc", max_size=7)


@settings(deadline=None)
@given(WORDS, WORDS)
def test_it_equals_the_recursion(a, b):
    assert edit_distance(a, b) == by_definition(a, b)


@settings(deadline=None)
@given(WORDS, WORDS, WORDS)
def test_it_is_a_distance(a, b, c):
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, b) == edit_distance(b, a)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("", "", 0), ("ab", "ba", 2)],
)
def test_known_values(a, b, expected):
    assert edit_distance(a, b) == expected


def test_any_sequences_can_be_compared():
    codes = [3, 1, 2]
    for other in ((3, 1, 2), np.array([3, 1, 2]), np.array([3.0, 1, 2])):
        assert edit_distance(codes, other) == 0
    assert edit_distance(["the", "cat"], "the cat sat".split()) == 1
    assert edit_distance(np.array([1, 2]), np.array([], int)) == 2


def test_nothing_is_changed():
    a, b = [1, 2, 3], [1, 3]
    edit_distance(a, b)
    assert (a, b) == ([1, 2, 3], [1, 3])


def test_the_check_for_planted_slips_holds():
    assert planted_attention.check("distance")


@settings(deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_the_rate_is_all_changes_over_all_items(pairs):
    hypotheses, references = zip(*pairs, strict=True)
    length = len("".join(references))
    if not length:
        with pytest.raises(ValueError, match="references: expected at least one item"):
            error_rate(hypotheses, references)
        return
    expected = sum(by_definition(a, b) for a, b in pairs) / length
    assert error_rate(hypotheses, references) == pytest.approx(expected, abs=1e-15)


def test_a_long_sequence_weighs_more_and_a_rate_can_pass_one():
    assert error_rate(["a", "xxxxxxxxx"], ["b", "xxxxxxxxx"]) == 0.1
    assert error_rate(["abcd"], ["b"]) == 3
    assert error_rate([["the", "cat"]], [["the", "dog"]]) == 0.5
    assert error_rate(np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 5]])) == 0.25
    assert isinstance(error_rate(["a"], ["a"]), float)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, "a"), TypeError, "a: expected a string, list, tuple or 1-D array, got int"),
        (("a", None), TypeError, "b: expected a string, list, tuple or 1-D array, got NoneType"),
        (("a", np.zeros((2, 2))), ValueError, r"b: expected 1 axis, got shape \(2, 2\)"),
    ],
)
def test_what_is_no_sequence_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        edit_distance(*arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("abc", ["abc"]), TypeError, "hypotheses: expected a list of sequences, got one string"),
        ((["abc"], "abc"), TypeError, "references: expected a list of sequences, got one string"),
        ((["abc"], 3), TypeError, "references: expected a list of sequences, got int"),
        ((["a"], ["a", "b"]), ValueError, "hypotheses: expected one for each of 2 references"),
        ((["a", 3], ["a", "b"]), TypeError, r"hypotheses\[1\]: expected a string"),
        ((["a"], [{"a"}]), TypeError, r"references\[0\]: expected a string, .*got set"),
        (([""], [""]), ValueError, "references: expected at least one item in them, got none"),
        (([], []), ValueError, "references: expected at least one item in them, got none"),
    ],
)
def test_a_bad_rate_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        error_rate(*arguments)
