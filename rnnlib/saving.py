"""Dicts of arrays, such as a ``state_dict()``, in a file: ``.safetensors`` or ``.npz``.

The suffix of the path says which.  Both are read without pickle, so no file can run code.

- ``.safetensors`` needs the library of that name; torch, JAX and others read it and write it.
  It holds little-endian numbers of at most 8 bytes, in C order.
- ``.npz`` needs NumPy alone, and ``np.load`` reads it.  A checksum guards every array; in a
  ``.safetensors`` file only damage to the header or the length can be seen.
"""

import contextlib
import io
import json
import os
import secrets
import zipfile
from pathlib import Path

import numpy as np

from rnnlib import _checks

METADATA = "__metadata__"  # What safetensors calls its own entry; kept free in .npz files too.


def save_file(state_dict, path, metadata=None):
    """Write a dict of arrays to ``path``.

    state_dict: names and arrays of real numbers or booleans, or what NumPy makes such arrays of:
        numbers, torch's tensors on the CPU.  Dtype, shape and every bit are kept, also of arrays
        that are not contiguous.
    path: ends in .safetensors or .npz.
    metadata: a dict of strings, for ``load_metadata``.

    The file is written under another name in the same folder, flushed to the disk and then put in
    its place in one step: whenever it stops, there is the old file or the new one, whole.

    Raises ValueError for another suffix or a name that cannot be kept, TypeError for a value that
    is no real array and for metadata that is not a dict of strings, OSError with the path when it
    cannot be written, and ImportError for .safetensors without the library; then nothing has been
    written.
    """
    path, suffix = _path(path)
    arrays = {name: _array(path, name, state_dict[name]) for name in _names(path, state_dict)}
    metadata = _metadata(path, {} if metadata is None else metadata)
    content = _FORMATS[suffix][0](path, arrays, metadata)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(part, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, f"cannot be written: {error.strerror}", str(path)) from error
    finally:
        with contextlib.suppress(OSError):  # What went wrong before says more.
            part.unlink(missing_ok=True)


def load_file(path):
    """Return the dict of arrays in a file, each with memory of its own.

    Raises FileNotFoundError where there is no file, ValueError for another suffix and for a
    damaged file or one with anything but arrays of real numbers or booleans, and ImportError for
    .safetensors without the library.
    """
    return load_with_metadata(path)[0]


def load_metadata(path):
    """Return the dict of strings that was saved with a file, empty if there was none.

    Raises what ``load_file`` raises.
    """
    return load_with_metadata(path)[1]


def load_with_metadata(path):
    """Return the arrays and the metadata of a file, from one reading of it.

    Raises what ``load_file`` raises.
    """
    path, suffix = _path(path)
    with open(path, "rb"):  # If there is no such file, Python's own words say so best.
        pass
    library = _safetensors() if suffix == ".safetensors" else zipfile
    try:
        arrays, metadata = _FORMATS[suffix][1](path, library)
        return {name: _array(path, name, a) for name, a in arrays.items()}, metadata
    except Exception as error:  # What the libraries raise for nonsense is of many kinds.
        raise ValueError(
            f"{path}: expected a {suffix} file of real arrays, got a damaged or foreign one "
            f"({type(error).__name__}: {error})"
        ) from error


# Formats: a function that returns a file's bytes, and one that returns its arrays and metadata.


def _npz(path, arrays, metadata):
    # Not np.savez, for which "file" cannot be a name.
    if metadata:
        arrays = arrays | {METADATA: np.array(json.dumps(metadata))}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            # A ZipInfo has a fixed date: the same arrays give the same bytes.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return stream.getvalue()


def _from_npz(path, library):
    arrays = {}
    with library.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            # A damaged length can turn the next entry into a comment.
            if name == entry.filename or name in arrays or entry.comment:
                raise ValueError(f"unexpected entry {entry.filename!r}")
            # The checksum is looked at only when an entry is read to its end.
            member = io.BytesIO(archive.read(entry))
            arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
            if member.read(1):
                raise ValueError(f"entry {entry.filename!r} is longer than its header says")
    metadata = json.loads(arrays.pop(METADATA).item()) if METADATA in arrays else {}
    return arrays, _metadata(path, metadata)


def _safetensors_bytes(path, arrays, metadata):
    for name, array in arrays.items():
        if array.dtype.itemsize > 8:
            raise TypeError(
                f"{path}: state_dict[{name!r}]: expected numbers of at most 8 bytes, "
                f"got dtype {array.dtype}"
            )
    # The library copies memory as it lies.
    arrays = {
        name: array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
        for name, array in arrays.items()
    }
    return _safetensors().numpy.save(arrays, metadata or None)


def _from_safetensors(path, library):
    with library.safe_open(path, framework="np") as file:
        # A copy, since the arrays may lie in the mapped file.
        arrays = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        return arrays, file.metadata() or {}


_FORMATS = {
    ".safetensors": (_safetensors_bytes, _from_safetensors),
    ".npz": (_npz, _from_npz),
}


def _safetensors():
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            ".safetensors files need safetensors, which is not installed: "
            "pip install 'rnnlib[save]'"
        ) from error
    return safetensors


# Checks


def _path(path):
    path = Path(path)
    if path.suffix not in _FORMATS:
        raise ValueError(f"path: expected a name that ends in {' or '.join(_FORMATS)}, got {path}")
    return path, path.suffix


def _names(path, state_dict):
    for name in state_dict:
        if not isinstance(name, str):
            raise TypeError(f"{path}: state_dict: expected names that are strings, got {name!r}")
        if name == METADATA or "\0" in name or not _is_text(name):
            raise ValueError(f"{path}: state_dict: expected another name than {name!r}")
    return state_dict


def _is_text(name):
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _array(path, name, value):
    name = f"{path}: state_dict[{name!r}]"
    try:
        array = np.asarray(value)
    except Exception as error:
        came = type(value).__name__
        raise TypeError(f"{name}: expected an array of real numbers, got {came}") from error
    # Booleans are the one kind beside real numbers that both formats know.
    return array if array.dtype.kind == "b" else _checks.real_array(name, array)


def _metadata(path, metadata):
    if not isinstance(metadata, dict):
        raise TypeError(f"{path}: metadata: expected a dict of strings, got {metadata!r}")
    for item in metadata.items():
        if not all(isinstance(word, str) and _is_text(word) for word in item):
            raise TypeError(f"{path}: metadata: expected strings only, got {item}")
    return metadata
