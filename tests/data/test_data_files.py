"""The book's own files.

Only the tests named "real" look outside, and they skip, saying why, where no mirror can be reached.
"""

import dataclasses
import hashlib
import pathlib
import shutil

import numpy as np
import pytest
from data_cases import CONTENT, names

from rnnlib import data
from rnnlib.data import cache


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
