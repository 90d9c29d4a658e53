"""People's names by language, out of the lists of the package Faker."""

import hashlib
import unicodedata
from importlib import import_module

from rnnlib import _checks
from rnnlib.data.cache import DataError

VERSION = "40.54.0"  # of Faker, the one that these hashes belong to

LANGUAGES = {  # language: (Faker's locale, sha256 of the names, one a line)
    "English": ("en_GB", "34dcc59095a03a1844517607995bb9ec5e731009a61dd76dabb05dadb581ce1c"),
    "Finnish": ("fi_FI", "072808e92b8016544d6b70808b7482b83e3fed48a1bd25f54b7bf408f234033b"),
    "French": ("fr_FR", "17c5967cfe80e67ecb92cd9121cb05a32c0874e3f814cd433dd36e9c76f03b04"),
    "German": ("de_DE", "58a65c017a51bf878f34567c34668575c7aae500c76e8c7ffaabd8a061f51080"),
    "Icelandic": ("is_IS", "ec040b08d821bb7f055295b7b13e1644cdb01a77de59ec6e8ed9e922fc012b81"),
    "Italian": ("it_IT", "f0b6f282ed44879a939894d5b4160f40106733ccb3c1d857cc353cea7d080de6"),
    "Slovak": ("sk_SK", "15687eb2872ae05162eb17f68742e7b8589c9c77fb6ae444c6306752de8c7815"),
    "Spanish": ("es_ES", "d8e0b268bfaaddf6341f870a72394501e6568d7a133f1f2d144a9e81c6b99364"),
    "Turkish": ("tr_TR", "933e2ee0b2e45ee489a1051c083837d3a354885899a61fc5f77e51caf92bb455"),
    "Zulu": ("zu_ZA", "8ca42c021b5a46e57f628275060fa6e92b7083aebf1d2adbbb59060e00ad7e05"),
}
LISTS = ("first_names", "last_names")  # of a locale; one of them may be missing


def load_names(languages=None):
    """Return {language: sorted list of names}, first names and last names together.

    languages: some of ``LANGUAGES``, or None for all ten.  A name is one word of Latin letters,
    accents composed (NFC), capitals as in the source; each stands once in its language, and may
    stand in several.  Names of several words, or with an apostrophe or a hyphen, are left out.

    Source: the lists in Faker, faker.readthedocs.io, MIT licence, by many contributors; who is on a
    list, and from which source, differs from language to language.
    Raises ValueError for an unknown language, ImportError without Faker, and DataError when the
    version of Faker installed has other names.
    """
    languages = list(LANGUAGES) if languages is None else languages
    if isinstance(languages, str):
        raise TypeError(f"languages: expected a list of languages, got the string {languages!r}")
    return {_checks.one_of("languages", name, LANGUAGES): _names(name) for name in languages}


def _names(language):
    locale, sha256 = LANGUAGES[language]
    faker, provider = _imported(locale)
    listed = (word for name in LISTS for word in getattr(provider, name, ()))
    composed = {unicodedata.normalize("NFC", word) for word in listed}
    names = sorted(filter(_is_name, composed))
    found = hashlib.sha256("\n".join(names).encode()).hexdigest()
    if found != sha256:
        raise DataError(
            f"{language}: expected the names of Faker {VERSION} (sha256 {sha256}), got others "
            f"(sha256 {found}) from Faker {faker.VERSION}\n"
            f"What to do: pip install faker=={VERSION}"
        )
    return names


def _is_name(word):
    return word.isalpha() and all("LATIN" in unicodedata.name(c, "") for c in word)


def _imported(locale):
    try:
        faker = import_module("faker")
        return faker, import_module(f"faker.providers.person.{locale}").Provider
    except ImportError as error:
        raise ImportError(
            "the lists of names are those of faker, which is not installed: "
            "pip install 'rnnlib[book]'"
        ) from error
