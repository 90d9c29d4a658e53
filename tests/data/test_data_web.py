"""The data loader against a server that fails, stalls, truncates and lies."""

import hashlib
import time

import pytest
from data_cases import CONTENT, DEADLINE, SHA256, get, names

from rnnlib import data


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
