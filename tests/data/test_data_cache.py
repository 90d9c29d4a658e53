"""The folder that keeps the files."""

import os
import pathlib

import pytest
from data_cases import CONTENT, get, names

from rnnlib import data
from rnnlib.data import cache


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
