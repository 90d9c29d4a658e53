"""Files of arrays: every bit comes back, other programs agree, and nothing is left half-done."""

import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rnnlib import saving
from rnnlib.layers import RNN
from rnnlib.optim import Adam
from rnnlib.saving import load_file, load_metadata, save_file
from rnnlib.schedules import ReduceLROnPlateau

ROOT = Path(__file__).resolve().parent.parent
each_suffix = pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
DTYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]


def assert_same(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        assert array.dtype == expected[name].dtype
        assert array.shape == expected[name].shape
        assert array.tobytes() == expected[name].tobytes()  # NaN's bits and -0 too.


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# Round trips


@each_suffix
@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
        ).filter(lambda name: name != saving.METADATA),
        st.sampled_from(DTYPES).flatmap(
            lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
        ),
        max_size=4,
    )
)
def test_every_bit_comes_back(tmp_path_factory, suffix, arrays):
    path = tmp_path_factory.mktemp("saved") / f"weights{suffix}"
    save_file(arrays, path)
    assert_same(load_file(path), arrays)
    assert load_metadata(path) == {}


@each_suffix
def test_arrays_in_any_memory_layout(tmp_path, suffix):
    path, base = tmp_path / f"a{suffix}", np.random.default_rng(1).normal(size=(6, 8))
    arrays = {
        "fortran": np.asfortranarray(base),
        "transposed": base.T,
        "strided": base[::2, ::-3],
        "spread": np.broadcast_to(base[0], (3, 8)),
        "float32": np.asfortranarray(base.astype(np.float32)),
        "float16": base.astype(np.float16)[:, 1:3],
        "special": np.array([np.nan, -0.0, np.inf, 5e-324]),
        "scalar": np.array(2.5),
        "empty": np.empty((0, 3)),
    }
    before = {name: array.copy() for name, array in arrays.items()}
    save_file(arrays, path)
    loaded = load_file(path)
    assert_same(loaded, arrays)
    assert_same(arrays, before)
    for array in loaded.values():
        assert array.flags.writeable
        assert array.ndim == 0 or array.base is None or array.base.size == array.size


def test_the_other_byte_order(tmp_path):
    big = {"a": np.arange(3, dtype=">f8"), "b": np.arange(3, dtype=">i2")}
    save_file(big, tmp_path / "a.npz")
    assert_same(load_file(tmp_path / "a.npz"), big)
    save_file(big, tmp_path / "a.safetensors")  # This format has one byte order.
    little = {"a": np.arange(3, dtype="<f8"), "b": np.arange(3, dtype="<i2")}
    assert_same(load_file(tmp_path / "a.safetensors"), little)


@each_suffix
@pytest.mark.parametrize("name", ["file", "allow_pickle", "a.npy", "../a", "a/b", " ", "é", "a\n"])
def test_names_that_a_zip_or_savez_could_trip_over(tmp_path, suffix, name):
    arrays = {"a": np.ones(1), name: np.arange(2.0), f"{name}.npy": np.arange(3.0)}
    save_file(arrays, tmp_path / f"x{suffix}")
    assert_same(load_file(tmp_path / f"x{suffix}"), arrays)
    assert names(tmp_path) == [f"x{suffix}"]


@each_suffix
def test_metadata(tmp_path, suffix):
    path = str(tmp_path / f"a{suffix}")
    metadata = {"epoch": "3", "": 'a "quoted"\nline\0', "Größe": "∂"}
    save_file({"w": np.ones(2)}, path, metadata)
    assert load_metadata(path) == metadata
    assert_same(load_file(path), {"w": np.ones(2)})
    save_file({"w": np.ones(2)}, path)
    assert load_metadata(path) == {}


def test_the_same_arrays_give_the_same_npz_file(tmp_path):
    for name in ("a.npz", "b.npz"):
        save_file({"w": np.ones(2)}, tmp_path / name, {"k": "v"})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_what_is_loaded_does_not_hang_on_the_file(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"w": np.ones(1000)}, path)
    w = load_file(path)["w"]
    with open(path, "r+b") as stream:
        stream.write(bytes(path.stat().st_size))
    assert (w == 1).all()


@each_suffix
def test_a_training_run_goes_on_from_its_files(tmp_path, suffix):
    def make(seed):
        layer = RNN(3, 4, rng=seed)
        optimizer = Adam(layer.parameters, lr=0.1, weight_decay=0.01)
        schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
        return {"layer": layer, "optimizer": optimizer, "schedule": schedule}

    def train(run, epochs):
        for seed in epochs:
            x = np.random.default_rng(seed).normal(size=(5, 2, 3))
            output, _ = run["layer"](x)
            run["layer"].backward(output)
            run["optimizer"].step(run["layer"].grads)
            run["schedule"].step((output**2).sum())

    straight, first, second = make(1), make(1), make(2)
    train(straight, range(8))
    train(first, range(4))
    for name, part in first.items():
        save_file(part.state_dict(), tmp_path / f"{name}{suffix}")
    for name, part in second.items():
        part.load_state_dict(load_file(tmp_path / f"{name}{suffix}"))
    train(second, range(4, 8))
    assert straight["optimizer"].lr < 0.1
    for name, part in straight.items():
        for key, value in part.state_dict().items():
            np.testing.assert_array_equal(second[name].state_dict()[key], value)


# Other programs


def test_torchs_files_load(tmp_path):
    path, theirs = str(tmp_path / "a.safetensors"), torch.nn.RNN(3, 4)
    tensors = theirs.state_dict() | {"half": torch.ones(2).half(), "mask": torch.tensor([True])}
    safetensors.torch.save_file(tensors, path, {"format": "pt"})
    assert load_metadata(path) == {"format": "pt"}
    assert_same(load_file(path), {name: t.numpy() for name, t in tensors.items()})
    layer = RNN(3, 4, dtype=np.float32)
    layer.load_state_dict({k: v for k, v in load_file(path).items() if k in layer.parameters})
    x = torch.randn(5, 2, 3)
    np.testing.assert_allclose(layer(x)[0], theirs(x)[0].detach(), atol=1e-6)


def test_our_files_load_in_torch(tmp_path):
    path, layer = tmp_path / "a.safetensors", RNN(3, 4, rng=1)
    save_file(layer.state_dict(), path, {"made": "here"})
    theirs = torch.nn.RNN(3, 4, dtype=torch.float64)
    theirs.load_state_dict(safetensors.torch.load_file(path))
    for name, p in theirs.named_parameters():
        np.testing.assert_array_equal(layer.parameters[name], p.detach().numpy())
    with safetensors.safe_open(path, framework="pt") as file:
        assert file.metadata() == {"made": "here"}


@each_suffix
def test_torchs_state_dict_is_saved_as_it_is(tmp_path, suffix):
    theirs = torch.nn.LSTM(2, 3)
    save_file(theirs.state_dict(), tmp_path / f"a{suffix}")
    expected = {name: t.numpy() for name, t in theirs.state_dict().items()}
    assert_same(load_file(tmp_path / f"a{suffix}"), expected)


def test_numpy_reads_ours_and_writes_ours(tmp_path):
    arrays = {"w": np.asfortranarray(np.ones((2, 3))), "b": np.arange(3, dtype=np.float32)}
    save_file(arrays, tmp_path / "ours.npz", {"k": "v"})
    with np.load(tmp_path / "ours.npz", allow_pickle=False) as file:
        assert json.loads(file["__metadata__"].item()) == {"k": "v"}
        assert_same({name: file[name] for name in arrays}, arrays)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "theirs.npz", **arrays)
        assert_same(load_file(tmp_path / "theirs.npz"), arrays)


# What cannot be saved


@each_suffix
@pytest.mark.parametrize(
    "value",
    [
        np.array([1j]),
        np.array(["a"]),
        np.array([None]),
        np.array([(1, 2.0)], dtype="i4,f8"),
        np.array(["2026-01-01"], dtype="M8[D]"),
        None,
        "text",
        object(),
        [[1.0], [1.0, 2.0]],
        {"w": np.ones(2)},
        torch.ones(2, requires_grad=True),
        torch.ones(2, dtype=torch.bfloat16),
    ],
)
def test_values_that_are_no_real_arrays(tmp_path, suffix, value):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(TypeError) as caught:
        save_file({"good": np.ones(2), "w": value}, path)
    message = str(caught.value)
    assert message.startswith(f"{path}: state_dict['w']: expected an array of real numbers, got ")
    assert names(tmp_path) == []


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize <= 8, reason="no wider floats here")
def test_wide_floats_are_for_npz(tmp_path):
    wide = {"w": np.ones(2, np.longdouble) / 3}
    save_file(wide, tmp_path / "a.npz")
    np.testing.assert_array_equal(load_file(tmp_path / "a.npz")["w"], wide["w"])
    with pytest.raises(TypeError, match=r"a.safetensors: state_dict\['w'\]: .* at most 8 bytes"):
        save_file(wide, tmp_path / "a.safetensors")
    assert names(tmp_path) == ["a.npz"]


@each_suffix
@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        (3, TypeError, "state_dict: expected names that are strings, got 3"),
        ("__metadata__", ValueError, "state_dict: expected another name than '__metadata__'"),
        ("a\0b", ValueError, r"expected another name than 'a\\x00b'"),
        ("a\ud800", ValueError, r"expected another name than 'a\\ud800'"),
    ],
)
def test_names_that_cannot_be_kept(tmp_path, suffix, name, error, text):
    with pytest.raises(error, match=f"a{suffix}: .*{text}"):
        save_file({name: np.ones(1)}, tmp_path / f"a{suffix}")
    assert names(tmp_path) == []


@each_suffix
@pytest.mark.parametrize("metadata", [{"k": 1}, {1: "v"}, {"k": None}, {"k": "\udfff"}, "k=v", []])
def test_metadata_that_is_none(tmp_path, suffix, metadata):
    with pytest.raises(TypeError, match=f"a{suffix}: metadata: expected "):
        save_file({"w": np.ones(1)}, tmp_path / f"a{suffix}", metadata)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["weights", "weights.pt", "weights.npy", "npz", "a.npz.gz"])
def test_an_unknown_suffix(tmp_path, name):
    text = rf"path: expected a name that ends in \.safetensors or \.npz, got .*{name}"
    with pytest.raises(ValueError, match=text):
        save_file({"w": np.ones(1)}, tmp_path / name)
    for load in (load_file, load_metadata):
        with pytest.raises(ValueError, match=text):
            load(tmp_path / name)
    assert names(tmp_path) == []


# Writing that fails


@each_suffix
@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_when_writing_fails(tmp_path, monkeypatch, suffix, step, error):
    path, seen = tmp_path / f"a{suffix}", []
    save_file({"w": np.ones(2)}, path)

    def fail(*args):
        seen.append(names(tmp_path))
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)) as caught:
        save_file({"w": np.zeros(2)}, path)
    if isinstance(error, OSError):
        assert str(caught.value) == (
            f"[Errno 28] cannot be written: No space left on device: {str(path)!r}"
        )
    assert len(seen[0]) == 2  # It was on its way, beside the old file.
    assert names(tmp_path) == [path.name]
    assert_same(load_file(path), {"w": np.ones(2)})


@each_suffix
def test_the_file_is_on_the_disk_before_it_is_in_its_place(tmp_path, monkeypatch, suffix):
    calls, fsync, replace = [], os.fsync, os.replace

    def spy(name, function):
        def call(*args):
            if name == "fsync":
                calls.append((name, os.fstat(*args).st_size))
            else:
                calls.append((name, os.path.getsize(args[0])))
            return function(*args)

        return call

    monkeypatch.setattr(os, "fsync", spy("fsync", fsync))
    monkeypatch.setattr(os, "replace", spy("replace", replace))
    path = tmp_path / f"a{suffix}"
    save_file({"w": np.ones(2)}, path)
    assert calls == [("fsync", path.stat().st_size), ("replace", path.stat().st_size)]


@each_suffix
def test_a_place_that_cannot_be_written(tmp_path, suffix):
    (tmp_path / "file").write_text("")
    (tmp_path / f"folder{suffix}").mkdir()
    places = {
        tmp_path / "none" / f"a{suffix}": FileNotFoundError,
        tmp_path / "file" / f"a{suffix}": NotADirectoryError,
        tmp_path / f"folder{suffix}": OSError,
        tmp_path / f"{'long' * 62}{suffix}": OSError,
    }
    for path, error in places.items():
        with pytest.raises(error) as caught:
            save_file({"w": np.ones(2)}, path)
        assert "cannot be written: " in str(caught.value)
        assert repr(str(path)) in str(caught.value)
    assert names(tmp_path) == ["file", f"folder{suffix}"]


# Reading what is not ours


def damaged(path):
    """Assert that both loaders refuse the file, and return what they say."""
    messages = []
    for load in (load_file, load_metadata):
        with pytest.raises(ValueError, match="damaged or foreign") as caught:
            load(path)
        messages.append(str(caught.value))
        assert messages[-1].startswith(
            f"{path}: expected a {path.suffix} file of real arrays, got "
        )
    assert messages[0] == messages[1]
    return messages[0]


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was read",))


@each_suffix
def test_a_missing_file(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    for load in (load_file, load_metadata):
        with pytest.raises(FileNotFoundError) as caught:
            load(path)
        assert str(path) in str(caught.value)


@each_suffix
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 7,
        b"no such thing" * 9,
        b"\xff" * 100,
        pickle.dumps(Trap()),
        b"PK\5\6" + b"\0" * 9,
    ],
    ids=["empty", "short", "text", "ones", "pickle", "zip"],
)
def test_foreign_files(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    damaged(path)


@each_suffix
def test_every_shortened_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    save_file({"w": np.arange(5.0), "b": np.ones(2, np.float32)}, path, {"k": "v"})
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        damaged(path)
    path.write_bytes(whole)
    load_file(path)


def test_no_flipped_bit_in_an_npz_gets_through(tmp_path):
    path, arrays = tmp_path / "a.npz", {"w": np.arange(4.0), "b": np.ones(2, np.float32)}
    save_file(arrays, path)
    whole, refused = path.read_bytes(), 0
    for place in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            loaded = load_file(path)
        except ValueError:
            refused += 1
        else:
            assert_same(loaded, arrays)  # It was a date, or the like.
    assert refused > 4 * len(whole)


def test_an_npz_with_objects_is_refused_unread(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, w=np.ones(2), trap=np.array([Trap()], dtype=object))
    assert "Object arrays cannot be loaded when allow_pickle=False" in damaged(path)


@pytest.mark.parametrize(
    "value", [np.array([1j]), np.array(["a"]), np.array([(1, 2.0)], dtype="i4,f8")]
)
def test_an_npz_with_other_arrays(tmp_path, value):
    path = tmp_path / "a.npz"
    np.savez(path, w=value)
    assert "state_dict['w']: expected an array of real numbers, got dtype" in damaged(path)


def npy(array):
    stream = saving.io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


GOOD = npy(np.ones(2))


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([("readme.txt", b"hello")], "unexpected entry 'readme.txt'"),
        ([("w.npy", GOOD), ("w.npy", GOOD)], "unexpected entry 'w.npy'"),
        ([("w.npy", b"hello")], ""),
        ([("w.npy", GOOD[:-1])], ""),
        ([("w.npy", GOOD + b"0")], "entry 'w.npy' is longer than its header says"),
        ([("w.npy", GOOD.replace(b"(2,)", b"(9,)"))], ""),
        ([("w.npy", GOOD.replace(b"(2,)", b"(1,)"))], "is longer than its header says"),
        ([("w.npy", GOOD.replace(b"(2,), }        ", b"(99999999999,), }"[:16]))], ""),
        ([("w.npy", GOOD.replace(b"'<f8'", b"'|O' "))], "Object arrays cannot be loaded"),
        ([("__metadata__.npy", GOOD)], ""),
        ([("__metadata__.npy", npy(np.array("not json")))], "JSONDecodeError"),
        ([("__metadata__.npy", npy(np.array('{"k": 1}')))], "metadata: expected strings only"),
        ([("__metadata__.npy", npy(np.array("[1]")))], "metadata: expected a dict of strings"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_crooked_npz_files(tmp_path, entries, text):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    assert text in damaged(path)


def test_a_safetensors_dtype_that_numpy_lacks(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file({"w": torch.ones(2, dtype=torch.bfloat16)}, path)
    with pytest.raises(ValueError, match=r"a\.safetensors: expected .*bfloat16"):
        load_file(path)
    safetensors.torch.save_file({"w": torch.ones(2, dtype=torch.complex64)}, path)
    assert "got dtype complex64" in damaged(path)


# The library


def run_python(code):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_library_loads_only_with_its_files(tmp_path):
    code = """
import sys, numpy, rnnlib
from rnnlib import load_file, save_file
save_file({"w": numpy.ones(2)}, sys.argv[1]) if len(sys.argv) > 1 else None
print("safetensors" in sys.modules)
"""
    assert run_python(code) == "False"
    path = str(tmp_path / "a.npz")
    assert run_python(f"import sys; sys.argv.append({path!r}){code}") == "False"
    path = str(tmp_path / "a.safetensors")
    assert run_python(f"import sys; sys.argv.append({path!r}){code}") == "True"


def test_without_the_library(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_file({"w": np.ones(1)}, path)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    text = r"need safetensors, which is not installed: pip install 'rnnlib\[save\]'"
    with pytest.raises(ImportError, match=text):
        save_file({"w": np.ones(1)}, tmp_path / "b.safetensors")
    for load in (load_file, load_metadata):
        with pytest.raises(ImportError, match=text):
            load(path)
    assert names(tmp_path) == ["a.safetensors"]
    save_file({"w": np.ones(1)}, tmp_path / "b.npz")
