"""Names and pronunciations from made-up lists, for planted slips."""

import pathlib
import tempfile
import types
import unicodedata

from rnnlib.data import cache, names, pronunciations


def with_lists(sha256, **lists):
    faker = types.SimpleNamespace(VERSION="0")
    names._imported = lambda _: (faker, types.SimpleNamespace(**lists))
    names.LANGUAGES["English"] = ("en_GB", sha256)
    return names.load_names(["English"])["English"]


def listed():
    """The sorted words, found by the hash: any other list is refused."""
    listed = ["Zola", unicodedata.normalize("NFD", "Zoë"), "Jean-Luc", "de Sade", "Άννα", "aα", ""]
    sha256 = "6d8ab8e8e6d3c7ad0e6a2f4bbdd3a3f2ad0b8d2a7a4b6b2ee2d3b0b5c2d9c5e1"
    names.hashlib = types.SimpleNamespace(
        sha256=lambda content: types.SimpleNamespace(hexdigest=lambda: sha256)
    )
    found = with_lists(sha256, first_names=dict.fromkeys(listed, 1), last_names=("Ada", "Zola"))
    return found == ["Ada", "Zola", "Zoë"]


def other():
    try:
        with_lists("0", first_names=("Ada",))
    except cache.DataError:
        return True
    return False


LINES = "'tis T IH1 Z\na AH0\na(2) EY1\nhi2 HH AY1\nodd AA1 D # name\nso S OW2\n"


def pairs():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "cmudict.txt"
        path.write_text(LINES, encoding="utf-8")
        pronunciations.fetch = lambda name, cache_dir: path
        bare, stressed = (pronunciations.load_pronunciations(stress=s) for s in (False, True))
    return bare == [("a", ("AH",)), ("odd", ("AA", "D")), ("so", ("S", "OW"))] and stressed == [
        ("a", ("AH0",)),
        ("odd", ("AA1", "D")),
        ("so", ("S", "OW2")),
    ]


STEMS = """run runs running runner runners
make makes making maker
happy happier happiness happily
abandon abandonment abandonments abandoned
paint paints paintings painters
being
taxi taxis
red
see"""


def stems():
    rows = [[pronunciations.stem(w) for w in line.split()] for line in STEMS.split("\n")]
    return [set(row) for row in rows] == [
        {"run"}, {"mak"}, {"hap"}, {"abandon"}, {"paint"}, {"being"}, {"tax"}, {"red"}, {"see"},
    ]  # fmt: skip


def parts():
    words = [a + b + c for a in "bcdfglmprt" for b in "aiou" for c in "bdgmprt"]
    pairs = [(word + end, ()) for word in words for end in ("", "s", "ing")]
    found = pronunciations.split_pronunciations(pairs)
    stems = [{pronunciations.stem(word) for word, _ in part} for part in found]
    return (
        sum(map(len, stems)) == len(set().union(*stems))
        and sum(map(len, found)) == len(pairs)
        and all(0.02 < len(part) / len(pairs) < 0.08 for part in found[1:])
    )


def check(name):
    return {"names": listed, "other": other, "pairs": pairs, "stems": stems, "parts": parts}[name]()
