"""Errors that name the argument, what was expected and what came."""

import math
import numbers

import numpy as np


def positive_int(name, value):
    """Return ``value`` as an int, or raise for anything that is no integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}: expected an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")
    return int(value)


def number(name, value, expected, good):
    """Return ``value`` as a float, or raise ValueError unless it is a number and ``good``."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and good(value):
        return float(value)
    raise ValueError(f"{name}: expected {expected}, got {value!r}")


def positive(name, value):
    """Return ``value`` as a float, or raise ValueError unless it is finite and > 0."""
    return number(name, value, "a finite number > 0", lambda v: 0 < v < math.inf)


def not_negative(name, value):
    """Return ``value`` as a float, or raise ValueError unless it is finite and >= 0."""
    return number(name, value, "a finite number >= 0", lambda v: 0 <= v < math.inf)


def fraction(name, value):
    """Return ``value`` as a float, or raise ValueError unless it lies in [0, 1)."""
    return number(name, value, "a number in [0, 1)", lambda v: 0 <= v < 1)


def count(name, value):
    """Return ``value`` as an int, or raise ValueError unless it is an integer >= 0."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 0:
        return int(value)
    raise ValueError(f"{name}: expected an integer >= 0, got {value!r}")


def plain(value):
    """Return Python's own numbers for an array, which is what a file gives for every number."""
    return value.tolist() if isinstance(value, np.ndarray) else value


def flag(name, value):
    """Return ``value`` as a bool, or raise TypeError for anything that is not True or False."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{name}: expected True or False, got {value!r}")


def one_of(name, value, allowed):
    """Return ``value`` if it is among ``allowed``, all strings, or raise ValueError."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def real_array(name, value, dtype=None):
    """Return ``value`` as an array of real numbers, or raise TypeError."""
    try:
        array = np.asarray(value)
    except Exception as error:  # What torch and others raise when they cannot be an array.
        raise TypeError(f"{name}: expected an array of real numbers; {error}") from error
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected an array of real numbers, got dtype {array.dtype}")
    return array if dtype is None else array.astype(dtype, copy=False)


def in_place(name, array):
    """Raise TypeError unless ``array`` is a NumPy array of floats that can be written."""
    if not isinstance(array, np.ndarray):
        came = type(array).__name__
    elif array.dtype.kind != "f":
        came = f"dtype {array.dtype}"
    elif not array.flags.writeable:
        came = "a read-only array"
    else:
        return
    raise TypeError(
        f"{name}: expected a writeable NumPy array of floating-point numbers, got {came}"
    )


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


def generator(rng):
    """Return the NumPy Generator that a seed or a Generator stands for."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rng: expected a seed or a NumPy Generator, got {rng!r}") from error


def integers(name, values):
    """Return ``values`` as an array, or raise TypeError unless they are integers."""
    array = np.asarray(values)
    if array.size == 0:  # An empty list comes as an array of floats.
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integers, got dtype {array.dtype}")
    return array


def codes(values, size):
    """Return ``codes`` as int64, or raise unless they are integers in [0, size)."""
    array = integers("codes", values)
    outside = (array < 0) | (array >= size)
    if outside.any():
        raise ValueError(f"codes: expected codes from 0 to {size - 1}, got {array[outside][0]}")
    return array.astype(np.int64, copy=False)


def sequence(values):
    """Return ``codes`` as (n,) int64, or raise unless they are integers along one axis."""
    array = integers("codes", values).astype(np.int64, copy=False)
    if array.ndim != 1:
        raise ValueError(f"codes: expected one axis, got shape {array.shape}")
    return array
