"""Slips in the lists of names and of pronunciations; see ``test_planted_errors``."""

# The module with the checks.
CHECKS = "planted_names"
# file: [(name of a check, the text as it stands, the slip)]
SLIPS = {
    "data/names.py": [
        ("names", '("first_names", "last_names")', '("first_names",)'),
        ("names", 'unicodedata.normalize("NFC", word)', 'unicodedata.normalize("NFD", word)'),
        ("names", "word.isalpha() and ", ""),
        ("names", 'all("LATIN"', 'any("LATIN"'),
        ("names", "sorted(filter(_is_name, composed))", "list(filter(_is_name, composed))"),
        ("other", "if found != sha256:", "if found == '':"),
    ],
    "data/pronunciations.py": [
        ("pairs", '"[a-z]+"', '"[a-z0-9()]+"'),
        ("pairs", "re.fullmatch", "re.match"),
        ("pairs", 'line.partition("#")[0]', "line"),
        ("pairs", 'p.rstrip("012")', 'p.rstrip("01")'),
        ("pairs", "    if stress:", "    if not stress:"),
        ("stems", "while True:", "for _ in range(1):"),
        ("stems", "len(shorter) < 3", "len(shorter) < 2"),
        ("stems", "len(shorter) < 3", "len(shorter) < 4"),
        ("stems", "word[-1] == word[-2] else word", "word[-1] == word[-3] else word"),
        ("stems", 'word[-1] in "ei"', 'word[-1] in "e"'),
        ("parts", "zlib.crc32(stem(pair[0]).encode())", "zlib.crc32(pair[0].encode())"),
        ("parts", "{0: 1, 1: 2}", "{0: 1, 1: 1}"),
        ("parts", "% 20", "% 10"),
    ],
}
