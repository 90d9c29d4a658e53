"""A file from the cache folder, or else from the first of its mirrors that has the right bytes."""

import hashlib
import os
import pathlib
import secrets

from rnnlib import _checks
from rnnlib.data.files import FILES
from rnnlib.data.web import DEADLINE, SILENCE, import_pooch


class DataError(RuntimeError):
    """A data file cannot be had; the text names the file, every mirror's reason, and what to do."""


def fetch(name, *, cache_dir=None):
    """Return the path of the file ``name`` (a key of ``FILES``), fetched if it is not there yet.

    A file in the cache is used only if its sha256 is right; otherwise it is fetched again.  Each
    mirror may stay silent for 10 seconds and take 120 seconds in all.

    Raises ValueError for an unknown name, ImportError when pooch is needed and not installed, and
    DataError when no mirror gives the file or the folder cannot be written; no part of a file is
    left behind then.
    """
    _checks.one_of("name", name, sorted(FILES))
    return get(FILES[name], folder_for(cache_dir))


def folder_for(cache_dir):
    folder = cache_dir or os.environ.get("RNNLIB_DATA") or import_pooch().os_cache("rnnlib")
    return pathlib.Path(folder).expanduser().absolute()


def get(file, folder, timeout=SILENCE, deadline=DEADLINE):
    path = folder / file.name
    in_cache = _what_is_wrong_in_cache(file, path)
    if in_cache is None:
        return path
    import_pooch()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(file, path, error) from error
    reasons = [in_cache] if in_cache else []
    for number, mirror in enumerate(file.mirrors, 1):
        reason, content = _try(mirror, file, timeout, deadline)
        if reason is None:
            _store(content, file, path)
            return path
        reasons.append(f"{number}. {mirror}: {reason}")
    raise DataError(
        "\n  ".join([f"could not get {_description(file)}:", *reasons])
        + "\nWhat to do: connect this machine to the internet and try again, or fetch the file from"
        + f" one of these places elsewhere and put it at {path}."
        + "\nThe environment variable RNNLIB_DATA can name another folder to look in."
    )


def _try(mirror, file, timeout, deadline):
    """Return (None, the right bytes) or (the reason why not, None)."""
    try:
        content = mirror.read(file.size, timeout, deadline)
    except Exception as error:
        return f"{type(error).__name__}: {error}", None
    wrong = _what_is_wrong(content, file)
    return wrong, None if wrong else content


def _what_is_wrong(content, file):
    """Return None if ``content`` is the file's, else a sentence."""
    if len(content) > file.size:
        return f"wrong bytes: expected {file.size:,} bytes, got more"
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 == file.sha256:
        return None
    return f"wrong bytes: expected sha256 {file.sha256}, got {sha256} ({len(content):,} bytes)"


def _what_is_wrong_in_cache(file, path):
    """Return None if the right file is at ``path``, "" if there is none, else a sentence."""
    try:
        with open(path, "rb") as stream:
            wrong = _what_is_wrong(stream.read(file.size + 1), file)
    except FileNotFoundError:
        return ""
    except OSError as error:
        wrong = str(error)
    return wrong and f"{path}: {wrong}"


def _store(content, file, path):
    # Written beside its place and moved there in one step, so that no other process ever reads
    # half a file.
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(part, "xb") as stream:
            stream.write(content)
        os.replace(part, path)
    except OSError as error:
        # Where an open file cannot be replaced, another process may just have put it there.
        if _what_is_wrong_in_cache(file, path) is not None:
            raise _cannot_write(file, path, error) from error
    finally:
        part.unlink(missing_ok=True)


def _description(file):
    return f"{file.name} ({file.size:,} bytes, sha256 {file.sha256})"


def _cannot_write(file, path, error):
    return DataError(
        f"cannot write {path}: {error}\nWhat to do: set the environment variable RNNLIB_DATA to a"
        f" folder that can be written, or pass it as cache_dir; it is to hold {_description(file)}."
    )
