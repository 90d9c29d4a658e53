"""Names by language, and English words with their sounds: what they are, and what is refused."""

import subprocess
import sys
import types
import unicodedata

import pytest

from rnnlib.data import names, pronunciations
from rnnlib.data.cache import DataError


def test_names_are_sorted_words_of_latin_letters():
    found = names.load_names()
    assert list(found) == list(names.LANGUAGES)
    for language, listed in found.items():
        assert len(listed) > 500, language
        assert listed == sorted(set(listed))
        for name in listed:
            assert name.isalpha()
            assert name == unicodedata.normalize("NFC", name)
            assert all("LATIN" in unicodedata.name(c) for c in name)
    assert "Guðrún" in found["Icelandic"]
    assert "Aalto" in found["Finnish"]
    assert not set(found["Zulu"]) & {"", "A"}


def test_some_languages_in_the_order_asked_for():
    found = names.load_names(["Zulu", "French"])
    assert list(found) == ["Zulu", "French"]
    assert names.load_names([]) == {}


def test_the_lists_returned_are_the_callers_own():
    names.load_names(["French"])["French"].clear()
    assert names.load_names(["French"])["French"]


@pytest.mark.parametrize(
    ("languages", "error", "message"),
    [
        (["Klingon"], ValueError, "languages: expected one of 'English', .* got 'Klingon'"),
        ([1], ValueError, "languages: expected one of .* got 1"),
        ("French", TypeError, "languages: expected a list of languages, got the string 'French'"),
    ],
)
def test_unknown_languages_are_refused(languages, error, message):
    with pytest.raises(error, match=message):
        names.load_names(languages)


def fake(monkeypatch, **lists):
    provider = types.SimpleNamespace(**lists)
    monkeypatch.setattr(
        names, "_imported", lambda _: (types.SimpleNamespace(VERSION="1.2.3"), provider)
    )


def test_another_faker_is_refused(monkeypatch):
    fake(monkeypatch, first_names=("Ada",), last_names=("Byron",))
    with pytest.raises(DataError) as raised:
        names.load_names(["English"])
    message = str(raised.value)
    assert "expected the names of Faker 40.54.0" in message
    assert "from Faker 1.2.3" in message
    assert "pip install faker==40.54.0" in message


def test_what_is_no_name_is_left_out(monkeypatch):
    decomposed = unicodedata.normalize("NFD", "Zoë")
    listed = ("Ada", "Ada", "de Sade", "O'Brien", "Jean-Luc", "Άννα", "李", "", "R2", decomposed)
    fake(monkeypatch, first_names=dict.fromkeys(listed, 1.0))  # a dict with weights, no last names
    digest = "4ee6d4f8e9dbc8b8a0b7b2fb3fbd2f6bb9cf6fcb"  # any: only the names are looked at
    monkeypatch.setitem(names.LANGUAGES, "English", ("en_GB", digest))
    monkeypatch.setattr(
        names.hashlib, "sha256", lambda content: Digest(content.decode().split("\n"), digest)
    )
    assert names.load_names(["English"]) == {"English": ["Ada", "Zoë"]}


class Digest:
    def __init__(self, words, digest):
        assert words == sorted(words)
        self.digest = digest

    def hexdigest(self):
        return self.digest


def test_without_faker_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faker", None)
    with pytest.raises(ImportError, match=r"pip install 'rnnlib\[book\]'"):
        names.load_names(["English"])


def test_import_rnnlib_needs_no_faker():
    code = "import sys, rnnlib, rnnlib.data.names; assert 'faker' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


LINES = """'bout B AW1 T
a AH0
a(2) EY1
aalto AA1 L T OW2 # name, finnish
abc's EY1 B IY2 S IY1 Z
l-1 EH1 L W AH1 N
hello HH AH0 L OW1
"""


@pytest.fixture
def small_dictionary(monkeypatch, tmp_path):
    path = tmp_path / "cmudict.txt"
    path.write_text(LINES, encoding="utf-8")
    monkeypatch.setattr(pronunciations, "fetch", lambda name, cache_dir: path)


@pytest.mark.usefixtures("small_dictionary")
def test_first_pronunciations_of_words_of_letters():
    assert pronunciations.load_pronunciations() == [
        ("a", ("AH",)),
        ("aalto", ("AA", "L", "T", "OW")),
        ("hello", ("HH", "AH", "L", "OW")),
    ]
    assert dict(pronunciations.load_pronunciations(stress=True))["aalto"] == (
        "AA1",
        "L",
        "T",
        "OW2",
    )


@pytest.mark.parametrize(
    "forms",
    [
        "run runs running runner runners",
        "make makes making maker makers",
        "abandon abandons abandoned abandonment abandoning",
        "happy happier happiest happily happiness",
        "box boxes boxed boxing",
        "city cities",
        "hatch hatched hatcheries hatchery",
    ],
)
def test_forms_of_a_word_share_their_stem(forms):
    assert len({pronunciations.stem(word) for word in forms.split()}) == 1, [
        pronunciations.stem(word) for word in forms.split()
    ]


@pytest.mark.parametrize("word", ["a", "is", "bee", "king", "red", "sing", "less", "yes"])
def test_three_letters_stay(word):
    stem = pronunciations.stem(word)
    assert len(stem) >= min(3, len(word))
    assert word.startswith(stem)


def test_parts_are_whole_disjoint_and_keep_forms_together():
    spellings = [a + b + c for a in "bcdfglmprt" for b in "aeiou" for c in "bcdfglmprt"]
    pairs = [(word + end, ("AH",)) for word in spellings for end in ("", "s", "ing", "ed")]
    parts = pronunciations.split_pronunciations(pairs)
    assert sorted(pair for part in parts for pair in part) == sorted(pairs)
    train, validation, test = ({pronunciations.stem(word) for word, _ in p} for p in parts)
    assert len(train | validation | test) == len(train) + len(validation) + len(test)
    shares = [len(part) / len(pairs) for part in parts]
    assert shares[0] == pytest.approx(0.9, abs=0.05)
    assert min(shares[1:]) > 0.02
    # A word's part does not depend on the others, and the order stays.
    alone = [pronunciations.split_pronunciations([pair]) for pair in pairs[::97]]
    for pair, found in zip(pairs[::97], alone, strict=True):
        assert [bool(part) for part in found] == [pair in part for part in parts]
    assert parts.train == [pair for pair in pairs if pair in set(parts.train)]
