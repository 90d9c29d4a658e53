"""One file for one model: there and back, and every file that is none."""

import json

import numpy as np
import pytest
import torch
from character_cases import KINDS, SUFFIXES, in_torch, random_codes, small, torch_scores

from rnnlib import saving
from rnnlib.character import CharacterModel, ModelFileError, files


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(kind, dtype, suffix, tmp_path):
    symbols = "\"\\'\n\r\0\ud800é🐋{}"
    model = small(kind, 2, symbols=symbols, dtype=dtype, dropout=0.3)
    model.save(tmp_path / f"model{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"model{suffix}"]
    loaded = CharacterModel.load(str(tmp_path / f"model{suffix}"))
    assert loaded.vocabulary == model.vocabulary
    assert (loaded.kind, loaded.hidden, loaded.layers) == (kind, 5, 2)
    assert loaded.dtype == dtype
    assert not loaded.training
    codes = random_codes(6, 2, V=len(symbols))
    np.testing.assert_array_equal(loaded(codes)[0], model.eval()(codes)[0])


def test_the_weights_have_the_names_of_torch(tmp_path):
    model = small("LSTM", 2)
    model.save(tmp_path / "model.npz")
    network, codes = in_torch(small("LSTM", 2, seed=9)), random_codes(4, 2)
    weights = saving.load_file(tmp_path / "model.npz")
    network.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
    np.testing.assert_allclose(
        torch_scores(network, codes)[0].detach(), model(codes)[0], atol=1e-12
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_flipped_bit_goes_unseen(suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    model = small(symbols="ab", dtype=np.float32)
    model.save(path)
    content, seen = path.read_bytes(), 0
    for place in range(0, len(content), 5):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        try:
            loaded = CharacterModel.load(path)
        except ModelFileError:
            seen += 1
            continue
        # Some bytes of a zip archive say nothing, such as its dates.
        assert loaded.vocabulary == model.vocabulary
        for name, weight in loaded.parameters.items():
            np.testing.assert_array_equal(weight, model.parameters[name])
    assert seen > 0.8 * len(content) / 5


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_short(suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    small(symbols="ab").save(path)
    content = path.read_bytes()
    for length in (0, 1, 7, 8, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match="got a damaged or foreign one"):
            CharacterModel.load(path)


def header_of(path):
    return json.loads(saving.load_metadata(path)[files.ENTRY])


def rewrite(path, weights=None, **changes):
    """Change a model's file and make its checksum fit."""
    weights = saving.load_file(path) | (weights or {})
    weights = {name: w for name, w in weights.items() if w is not None}
    header = header_of(path) | changes
    header = {name: value for name, value in header.items() if value is not None}
    header["sha256"] = files._digest(header, weights)
    saving.save_file(weights, path, {files.ENTRY: json.dumps(header)})


WRONG = {
    "a newer version": ({"version": 2}, "expected version 1 of the format or an older one, got 2"),
    "version 0": ({"version": 0}, "expected a version from 1 to 1, got 0"),
    "no version": ({"version": None}, "expected a version from 1 to 1, got None"),
    "a version in words": ({"version": "1"}, "expected a version from 1 to 1, got '1'"),
    "another format": ({"format": "words"}, "of format 'rnnlib character model', got 'words'"),
    "another kind": ({"kind": "CNN"}, "kind: expected one of 'RNN', 'LSTM', 'GRU', got 'CNN'"),
    "no kind": ({"kind": None}, r"missing \['kind'\]"),
    "more": ({"colour": "red"}, r"unknown \['colour'\]"),
    "hidden 0": ({"hidden": 0}, "hidden: expected at least 1, got 0"),
    "half a layer": ({"layers": 1.5}, "layers: expected an integer, got 1.5"),
    "no symbols": ({"vocabulary": ""}, "vocabulary: expected a string of symbols, got ''"),
    "a list": ({"vocabulary": ["a"]}, r"vocabulary: expected a string of symbols, got \['a'\]"),
    "a symbol twice": ({"vocabulary": "abab"}, "vocabulary: expected each symbol once"),
    "other hidden": ({"hidden": 6}, r"embedding.weight: expected shape \(4, 6\), got \(4, 5\)"),
    "huge hidden": ({"hidden": 10**12}, r"expected shape \(4, 1000000000000\), got \(4, 5\)"),
    "other layers": ({"layers": 2}, "expected 11 arrays for 2 layers, got 7"),
    "huge layers": ({"layers": 10**12}, "arrays for 1000000000000 layers, got 7"),
    "other symbols": ({"vocabulary": "abc"}, r"embedding.weight: expected shape \(3, 5\)"),
    "kind of others": ({"kind": "LSTM"}, r"rnn.weight_ih_l0: expected shape \(20, 5\), got \(15"),
    "integers": (
        {"weights": {"head.bias": np.zeros(4, int)}},
        "expected floating-point numbers of one type, got float64, int64",
    ),
    "two types": (
        {"weights": {"head.bias": np.zeros(4, np.float32)}},
        "floating-point numbers of one type, got float32, float64",
    ),
    "one missing": ({"weights": {"head.bias": None}}, "expected 7 arrays for 1 layer, got 6"),
    "another name": (
        {"weights": {"head.bias": None, "bias": np.zeros(4)}},
        "head.bias: missing",
    ),
    "another name within": (
        {"weights": {"rnn.bias_hh_l0": None, "bias": np.zeros(15)}},
        r"missing \['rnn.bias_hh_l0'\], unknown \['bias'\]",
    ),
    "another shape": (
        {"weights": {"rnn.bias_hh_l0": np.zeros(14)}},
        r"rnn.bias_hh_l0: expected shape \(15,\), got \(14,\)",
    ),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("what", WRONG)
def test_a_file_that_is_not_as_it_should_be(what, suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    small(symbols="abcd").save(path)
    changes, message = WRONG[what]
    rewrite(path, **changes)
    with pytest.raises(ModelFileError, match=message) as caught:
        CharacterModel.load(path)
    assert str(caught.value).startswith(f"{path}: expected")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_was_edited(suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    small(symbols="abcd").save(path)
    weights, header = saving.load_file(path), header_of(path)
    for edited, with_header in [
        (weights | {"head.bias": weights["head.bias"] + 1e-12}, header),
        (weights, header | {"vocabulary": "abce"}),
        (weights, header | {"sha256": 7}),
    ]:
        saving.save_file(edited, path, {files.ENTRY: json.dumps(with_header)})
        with pytest.raises(ModelFileError, match=r"checksum .* the file is damaged or was edited"):
            CharacterModel.load(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_something_else(suffix, tmp_path):
    path, weights = tmp_path / f"weights{suffix}", {"weight": np.ones(3)}
    for metadata, came in [
        (None, r"got one of something else \(without a description\)"),
        ({"run": "{}"}, r"got one of something else \(without a description\)"),
        ({files.ENTRY: "{"}, "got one whose description is no JSON"),
        ({files.ENTRY: "[" * 100_000}, "got one whose description is no JSON"),
        ({files.ENTRY: "[1]"}, r"got \[1\]"),
        ({files.ENTRY: "{}"}, "got None"),
    ]:
        saving.save_file(weights, path, metadata)
        with pytest.raises(ModelFileError, match=f"expected a file of format .*, {came}"):
            CharacterModel.load(path)
    path.write_text("Call me Ishmael.", encoding="utf-8")
    with pytest.raises(ModelFileError, match="got a damaged or foreign one"):
        CharacterModel.load(path)


def test_paths(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        CharacterModel.load(tmp_path / "none.npz")
    with pytest.raises(ValueError, match=r"expected a name that ends in \.safetensors or \.npz"):
        CharacterModel.load(tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"expected a name that ends in \.safetensors or \.npz"):
        small().save(tmp_path / "model.pt")
