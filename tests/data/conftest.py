"""A server, and stand-ins for a Python process, npm and pip."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading

import pytest
from data_cases import CONTENT, ROOT, SHA256, Handler, Server

from rnnlib import data


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
