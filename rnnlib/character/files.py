"""One file for one model: weights by ``rnnlib.saving``, and beside them a description as JSON.

The metadata of the file has one entry, ``rnnlib``.  It holds the name of the format, its version,
the kind and sizes of the network, the vocabulary, and a SHA-256 over all of that and the weights:
a flipped bit is seen in either kind of file.
"""

import contextlib
import hashlib
import json

from rnnlib import _checks, saving

ENTRY = "rnnlib"
FORMAT, VERSION = "rnnlib character model", 1
FIELDS = ("kind", "hidden", "layers", "vocabulary")


class ModelFileError(ValueError):
    """A file is no model that can be read; the text names it, what was expected and what came."""


def write(path, described, weights):
    """Write a model's description, a dict with ``FIELDS``, and its weights, a dict of arrays."""
    header = {"format": FORMAT, "version": VERSION, **described}
    header["sha256"] = _digest(header, weights)
    saving.save_file(weights, path, {ENTRY: json.dumps(header)})


def read(path, kinds):
    """Return the description and the weights of a file that has passed every check but the shapes.

    kinds: the kinds of network that there are.
    Raises FileNotFoundError or ModelFileError.
    """
    # Both from one reading: another process may be replacing the file.
    with blaming(path):
        weights, metadata = saving.load_with_metadata(path)
    header = _header(path, metadata)
    with blaming(path, "a description of the model"):
        _checks.same_keys("description", header, ("format", "version", "sha256", *FIELDS))
        _checks.one_of("kind", header["kind"], tuple(kinds))
        H, layers = (_checks.positive_int(name, header[name]) for name in ("hidden", "layers"))
        V = len(_symbols(header["vocabulary"]))
    with blaming(path, "weights that fit these sizes"):
        # These bound the sizes by those of the file: no other number in it can claim more memory.
        _check_weights(weights, V, H, layers)
    if _digest(header, weights) != header["sha256"]:
        raise ModelFileError(
            f"{path}: expected weights and a description with the checksum stored beside them, "
            "got others: the file is damaged or was edited"
        )
    return {name: header[name] for name in FIELDS}, weights


@contextlib.contextmanager
def blaming(path, expected=None):
    """Turn what the checks raise into an error that names the file."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        reason = error.args[0] if error.args else error  # str(KeyError) has quotes around it.
        if expected is None:  # ``saving`` has named the file.
            raise ModelFileError(str(reason)) from error
        raise ModelFileError(f"{path}: expected {expected}; {reason}") from error


def _header(path, metadata):
    """Return the description as a dict, of this format and of a version that can be read."""
    expected = f"{path}: expected a file of format {FORMAT!r}"
    if ENTRY not in metadata:
        raise ModelFileError(f"{expected}, got one of something else (without a description)")
    try:
        header = json.loads(metadata[ENTRY])
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{expected}, got one whose description is no JSON ({error})"
        ) from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        came = header.get("format") if isinstance(header, dict) else header
        raise ModelFileError(f"{expected}, got {came!r}")
    version = header.get("version")
    if type(version) is not int or version < 1:
        raise ModelFileError(f"{path}: expected a version from 1 to {VERSION}, got {version!r}")
    if version > VERSION:
        raise ModelFileError(
            f"{path}: expected version {VERSION} of the format or an older one, got {version}: "
            "a newer rnnlib wrote it, and can read it"
        )
    return header


def _symbols(vocabulary):
    if not isinstance(vocabulary, str) or not vocabulary:
        raise ValueError(f"vocabulary: expected a string of symbols, got {vocabulary!r}")
    if len(set(vocabulary)) < len(vocabulary):
        raise ValueError("vocabulary: expected each symbol once")
    return vocabulary


def _check_weights(weights, V, H, layers):
    count = 3 + 4 * layers
    if len(weights) != count:
        layers = f"{layers} layer{'' if layers == 1 else 's'}"
        raise ValueError(f"expected {count} arrays for {layers}, got {len(weights)}")
    for name, shape in [("embedding.weight", (V, H)), ("head.weight", (V, H)), ("head.bias", (V,))]:
        if name not in weights:
            raise ValueError(f"{name}: missing")
        _checks.shape(name, weights[name], shape)
    dtypes = sorted({w.dtype.name for w in weights.values()})
    if len(dtypes) > 1 or not dtypes[0].startswith("float"):
        raise ValueError(f"expected floating-point numbers of one type, got {', '.join(dtypes)}")


def _digest(header, weights):
    """Return the SHA-256, in hex, of the description (without its own digest) and the weights."""
    described = {name: value for name, value in header.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name in sorted(weights):
        array = weights[name]
        digest.update(json.dumps([name, array.dtype.name, array.shape]).encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).tobytes())
    return digest.hexdigest()
