"""Errors that name the argument, what was expected and what came."""

import numbers

import numpy as np


def positive_int(name, value):
    """Return ``value`` as an int, or raise for anything that is no integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}: expected an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")
    return int(value)


def one_of(name, value, allowed):
    """Return ``value`` if it is among ``allowed``, or raise ValueError."""
    if value not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def real_array(name, value, dtype=None):
    """Return ``value`` as an array of real numbers, or raise TypeError."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected an array of real numbers, got dtype {array.dtype}")
    return array if dtype is None else array.astype(dtype, copy=False)


def shape(name, array, expected, meaning=""):
    """Raise ValueError unless ``array`` has the shape ``expected``."""
    if tuple(array.shape) != tuple(expected):
        meaning = f" {meaning}" if meaning else ""
        raise ValueError(
            f"{name}: expected shape {tuple(expected)}{meaning}, got {tuple(array.shape)}"
        )


def floating(xp, name, array):
    """Raise TypeError unless ``array`` (of the namespace ``xp``) has floating-point entries."""
    if not xp.isdtype(array.dtype, "real floating"):
        raise TypeError(f"{name}: expected floating-point numbers, got dtype {array.dtype}")


def every(name, values, good, expected):
    """Raise ValueError that names the first of ``values`` where ``good`` is false."""
    if not good.all():
        raise ValueError(f"{name}: expected {expected}, got {values[~good][0].item()}")


def same_keys(name, given, expected):
    """Raise KeyError unless the mapping ``given`` has exactly the keys ``expected``."""
    missing, unknown = (
        [k for k in expected if k not in given],
        [k for k in given if k not in expected],
    )
    if missing or unknown:
        raise KeyError(
            f"{name}: expected the keys {sorted(expected)}; missing {missing}, unknown {unknown}"
        )
