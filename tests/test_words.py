"""Sentences, tokens, the vocabulary with its marks, and padded batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import RNN, data, softmax_cross_entropy
from rnnlib.words import END, MARKS, START, UNKNOWN, WordVocabulary, mask, padded, sentences

WORDS = st.text("abc", min_size=1, max_size=2)
SENTENCES = st.lists(st.lists(WORDS, max_size=6), max_size=6)


def cut(text):
    """The sentences, each with its tokens joined by spaces."""
    return [" ".join(tokens) for tokens in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\n \n", []),
        ("No end", ["no end"]),
        ("It blew. We sailed!", ["it blew .", "we sailed !"]),
        ("Why? Why not?! Ah... So.", ["why ?", "why not ? !", "ah ...", "so ."]),
        # An end needs white space and a capital, or a quote.
        ("It cost 3.50 then. and more", ["it cost 3.50 then . and more"]),
        ("See www.whale.org now", ["see www . whale . org now"]),
        ("Stop! cried he.", ["stop ! cried he ."]),
        ("Gone. 'Tis late. ‘Ay.", ["gone .", "' tis late .", "‘ ay ."]),
        ("Élan. Était-il là?", ["élan .", "était-il là ?"]),
        ("One.\nTwo.", ["one .", "two ."]),
        ("He came. (It rained.) [No.] So.", ["he came .", "( it rained . )", "[ no . ]", "so ."]),
        ("He came (it rained.) and left", ["he came ( it rained . ) and left"]),
        # Closing quotes and brackets go along; opening ones begin the next.
        ('"Go!" "Why?" He went.', ['" go ! "', '" why ? "', "he went ."]),
        ("“Go!” he said. “Now.” So", ["“ go ! ” he said .", "“ now . ”", "so"]),
        ("(He left.) Then", ["( he left . )", "then"]),
        # A blank line ends everything; a single line break nothing.
        ("CHAPTER 1\n\nCall me\nIshmael", ["chapter 1", "call me ishmael"]),
        ("A b,\n \t\nC d", ["a b ,", "c d"]),
        # Abbreviations and initials.
        ("Mr. Starbuck and Mrs. Hussey met Dr. Bunger.", None),
        ("The church of St. Paul, Capt. Ahab", None),
        ("H. M. S. Pinafore; J. Smith", None),
        ("It was I. Then", ["it was i .", "then"]),
        ("In the dust. Then", ["in the dust .", "then"]),  # Ends in "st".
        ("Dr. No. Then", ["dr. no .", "then"]),
        ("Mr! Then", ["mr !", "then"]),
        # Tokens.
        ("Don't; the ship’s mast-head", ["don't ; the ship’s mast-head"]),
        ("the sailors’ -- well—yes- 'em", ["the sailors ’ -- well — yes - ' em"]),
        ("1,851 and 3.14, 2nd.", ["1,851 and 3.14 , 2 nd ."]),
        ("i.e. a ship, e.g. U.S. Ones", ["i.e. a ship , e.g. u.s. ones"]),
        ("snake_case *x* $5", ["snake _ case * x * $ 5"]),
        ("mr.x", ["mr . x"]),
        ("the 1st. Then", ["the 1 st .", "then"]),
    ],
)
def test_sentences(text, expected):
    if expected is None:
        assert len(sentences(text)) == 1
    else:
        assert cut(text) == expected


def test_an_abbreviation_keeps_its_stop():
    assert sentences("MR. Flask, Mt. Greylock") == [["mr.", "flask", ",", "mt.", "greylock"]]


@given(st.text("abAB.!?'\"’“” (\n_-1é&½", max_size=40))
def test_nothing_is_lost_and_nothing_added(text):
    joined = "".join(token for sentence in sentences(text) for token in sentence)
    assert joined == "".join(text.lower().split())


def test_a_real_book():
    """The facts that a reader can count in the book."""
    found = sentences(data.load_text("moby_dick"))
    assert found[2] == ["call", "me", "ishmael", "."]
    assert 8_000 < len(found) < 10_000
    assert 15_000 < len({token for sentence in found for token in sentence}) < 20_000
    assert not any("mr" in sentence for sentence in found)


@pytest.mark.parametrize("text", [None, b"A ship.", ["A ship."]])
def test_a_text_that_is_no_string(text):
    with pytest.raises(TypeError, match="text: expected a string, got"):
        sentences(text)


# --- the vocabulary


def test_the_marks_come_first_and_then_the_frequent_words():
    corpus = [["b", "a", "c"], ["b", "d"], ["c", "b"], ["a", "d"]]
    vocabulary = WordVocabulary.from_sentences(corpus, 7)
    assert vocabulary.words == (START, END, UNKNOWN, "b", "a", "c", "d")
    assert MARKS == ("SENTENCE_START", "SENTENCE_END", "UNKNOWN_TOKEN")
    assert WordVocabulary.from_sentences(corpus, 5).words == (*MARKS, "b", "a")
    assert len(WordVocabulary.from_sentences(corpus, 100)) == 7


def test_encode_and_decode():
    vocabulary = WordVocabulary(["the", "whale"])
    codes = vocabulary.encode(["the", "white", "whale"])
    assert codes.dtype == np.int64
    assert codes.tolist() == [0, 3, 2, 4, 1]
    assert vocabulary.decode(codes) == [START, "the", UNKNOWN, "whale", END]
    assert vocabulary.decode([]) == []
    assert vocabulary.encode([]).tolist() == [0, 1]
    assert vocabulary.encode([UNKNOWN]).tolist() == [0, 2, 1]
    assert [vocabulary.index(w) for w in (START, END, UNKNOWN, "the")] == [0, 1, 2, 3]
    assert "whale" in vocabulary
    assert START in vocabulary
    assert "white" not in vocabulary
    assert 3 not in vocabulary
    assert len(vocabulary) == 5


@given(SENTENCES.filter(lambda corpus: any(corpus)), st.integers(4, 12))
def test_laws_of_the_vocabulary(corpus, size):
    vocabulary = WordVocabulary.from_sentences(corpus, size)
    words = [word for sentence in corpus for word in sentence]
    assert len(vocabulary) == min(size, 3 + len(set(words)))
    counts = [words.count(word) for word in vocabulary.words[3:]]
    assert counts == sorted(counts, reverse=True)
    left = [words.count(word) for word in set(words) - set(vocabulary.words)]
    assert max(left, default=0) <= counts[-1]
    for sentence in corpus:
        known = [word if word in vocabulary else UNKNOWN for word in sentence]
        assert vocabulary.decode(vocabulary.encode(sentence)) == [START, *known, END]
    again = WordVocabulary(vocabulary.words[3:])
    assert again == vocabulary
    assert hash(again) == hash(vocabulary)
    assert WordVocabulary.from_sentences(reversed(corpus), size) == vocabulary


def test_vocabularies_in_another_order_differ():
    assert WordVocabulary(["a", "b"]) != WordVocabulary(["b", "a"]) != "ba"
    assert repr(WordVocabulary(["ship", "sea"])) == "<WordVocabulary of 5: ship, sea, …>"


def test_marks_in_the_sentences_are_no_words():
    vocabulary = WordVocabulary.from_sentences([[START, UNKNOWN, "sea", UNKNOWN, END]], 5)
    assert vocabulary.words == (*MARKS, "sea")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], ""),
        ([START, "call", "me", "ishmael", ".", END], "call me ishmael."),
        (["“", "ay", ",", "ay", "!", "”", "he", "said", "..."], "“ay, ay!” he said..."),
        (['"', "ay", '"', "and", '"', "no", "?", '"', "so"], '"ay" and "no?" so'),
        (["'", "go", ",", "'", "he", "said", '"', "x", '"'], "'go,' he said \"x\""),
        (["sea", "(", "cold", ")", ";", "[", "x", "]", ":"], "sea (cold); [x]:"),
        (["one", "—", "two", "--", "three", "–", "four"], "one—two--three–four"),
        (["the", UNKNOWN, "of", UNKNOWN, "."], "the UNKNOWN_TOKEN of UNKNOWN_TOKEN."),
    ],
)
def test_join(words, text):
    assert WordVocabulary.join(words) == text


def test_joined_sentences_can_be_cut_again():
    text = "“Well, Mr. Starbuck—(he paused)—it’s 3.50; no?” said I."
    (tokens,) = sentences(text)
    assert WordVocabulary.join(tokens) == text.lower()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: WordVocabulary(["a", ""]), ValueError, "words: .* empty string"),
        (lambda: WordVocabulary(["a", "b", "a"]), ValueError, "words: .* once, got 'a'"),
        (
            lambda: WordVocabulary(["a", END]),
            ValueError,
            "words: .* no marks .* got 'SENTENCE_END'",
        ),
        (lambda: WordVocabulary(["a", 3]), TypeError, "words: expected strings, got 3"),
        (lambda: WordVocabulary.from_sentences([["a"]], 3), ValueError, "size: .* 4, .* got 3"),
        (lambda: WordVocabulary.from_sentences([["a"]], 9.0), TypeError, "size: expected an int"),
        (lambda: WordVocabulary.from_sentences([[], []], 9), ValueError, "sentences: .* got none"),
        (lambda: WordVocabulary.from_sentences([[START]], 9), ValueError, "sentences: .* got none"),
        (lambda: WordVocabulary.from_sentences(["a b"], 9), TypeError, "sentences: .* a string"),
        (lambda: WordVocabulary(["a"]).encode("a"), TypeError, "sentence: .* got a string"),
        (lambda: WordVocabulary(["a"]).encode([1]), TypeError, "sentence: .* got 1"),
        (lambda: WordVocabulary(["a"]).encode([START, "a"]), ValueError, "sentence: .* without"),
        (lambda: WordVocabulary(["a"]).encode(["a", END]), ValueError, "sentence: .* without"),
        (lambda: WordVocabulary(["a"]).decode([4]), ValueError, "codes: .* from 0 to 3, got 4"),
        (lambda: WordVocabulary(["a"]).decode([-1]), ValueError, "codes: .* got -1"),
        (lambda: WordVocabulary(["a"]).decode([0.5]), TypeError, "codes: expected integers"),
        (lambda: WordVocabulary(["a"]).decode([[0]]), ValueError, "codes: expected one axis"),
        (lambda: WordVocabulary(["a"]).index("b"), ValueError, "word: .* got 'b'"),
        (lambda: WordVocabulary.join("ab"), TypeError, "words: .* got a string"),
        (lambda: padded([]), ValueError, "codes_list: .* got none"),
        (lambda: padded([[0, 3, 1], [0]]), ValueError, "codes_list: .* got 1 at 1"),
        (lambda: padded([[0.0, 1.0]]), TypeError, "codes: expected integers"),
        (lambda: mask([]), ValueError, "lengths: .* got none"),
        (lambda: mask([2, 0]), ValueError, "lengths: .* from 1 to 2"),
        (lambda: mask([2, 3], 2), ValueError, "lengths: .* from 1 to 2"),
        (lambda: mask([1.5], 2), TypeError, "lengths: expected integers"),
        (lambda: mask([1], 0), ValueError, "T: expected at least 1"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- batches


def test_padded():
    inputs, targets, lengths = padded([[0, 5, 6, 1], [0, 1], [0, 7, 1]])
    assert inputs.T.tolist() == [[0, 5, 6], [0, 0, 0], [0, 7, 0]]
    assert targets.T.tolist() == [[5, 6, 1], [1, 0, 0], [7, 1, 0]]
    assert lengths.tolist() == [3, 1, 2]
    assert {a.dtype for a in (inputs, targets, lengths)} == {np.dtype(np.int64)}
    assert mask(lengths).T.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert mask(lengths).dtype == bool
    assert mask(lengths, 4).shape == (4, 3)
    assert not mask(lengths, 4)[3].any()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=6), min_size=1, max_size=4))
def test_a_batch_costs_what_its_sentences_cost(rows):
    """The whole way through a layer and a loss, beside one sentence at a time."""
    table = np.random.default_rng(1).normal(size=(5, 3))
    layer = RNN(3, 5, rng=0)
    inputs, targets, lengths = padded(rows)
    logits, _ = layer(table[inputs], lengths=lengths)
    together, _ = softmax_cross_entropy(logits, targets, "sum", mask=mask(lengths, len(inputs)))
    alone = 0.0
    for row in rows:
        logits, _ = layer(table[row[:-1]][:, None])
        alone += softmax_cross_entropy(logits[:, 0], np.array(row[1:]), "sum")[0]
    np.testing.assert_allclose(together, alone, rtol=1e-12)
