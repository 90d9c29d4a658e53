"""Arrays and tables (lists and tuples of them), NumPy's or torch's, handled alike."""

from array_api_compat import array_namespace, is_array_api_obj

from rnnlib import _checks


def mapped(function, table):
    """Return function(array) for an array, and a list of such for a table."""
    if isinstance(table, (list, tuple)):
        return [mapped(function, part) for part in table]
    return function(table)


def copied(table):
    """Return a copy; what is no array is handed through."""
    return mapped(lambda a: array_namespace(a).asarray(a, copy=True) if _is(a) else a, table)


def added(a, b):
    """Return a + b, entry by entry of a table; None adds nothing."""
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, (list, tuple)):
        return [added(x, y) for x, y in zip(a, b, strict=True)]
    return a + b


def first(table):
    """Return the first array of a table, or of its first table."""
    while isinstance(table, (list, tuple)) and table:
        table = table[0]
    return table


def stacked(parts):
    """Return arrays of one shape as one array with a new first axis."""
    return array_namespace(*parts).stack(parts)


def check_input(name, x, axes, meaning, like=None):
    """Raise unless x is a floating-point array with so many axes, of the same kind as ``like``."""
    if not _is(x):
        raise TypeError(f"{name}: expected an array of shape {meaning}, got {type(x).__name__}")
    if like is not None:
        _same_kind(name, x, like, "the parameters'; see Module.map")
    _checks.floating(array_namespace(x), name, x)
    if x.ndim != axes:
        raise ValueError(f"{name}: expected shape {meaning}, got {tuple(x.shape)}")


def check_arrays(given):
    """Raise unless all are arrays, and of one kind; given: {name: array}."""
    like = next(iter(given.values()))
    for name, x in given.items():
        if not _is(x):
            raise TypeError(f"{name}: expected an array, got {type(x).__name__}")
        _same_kind(name, x, like, "the input's")


def check_table(name, table, length, meaning):
    """Raise unless ``table`` is a list or tuple of so many entries (None: at least one)."""
    if not isinstance(table, (list, tuple)):
        raise TypeError(f"{name}: expected a table {meaning}, got {type(table).__name__}")
    if len(table) != length and (length is not None or not table):
        wanted = "at least 1" if length is None else length
        raise ValueError(f"{name}: expected {wanted} entries {meaning}, got {len(table)}")


def gradient_of(name, given, output):
    """Return ``given`` as the gradient of ``output``, with zeros for None, or raise.

    It must have output's tables and shapes, be of the same kind, and hold floating-point numbers.
    """
    if given is None:
        return mapped(lambda a: array_namespace(a).zeros_like(a), output)
    if isinstance(output, (list, tuple)):
        check_table(name, given, len(output), "(as the output has)")
        pairs = zip(given, output, strict=True)
        return [gradient_of(f"{name}[{k}]", g, a) for k, (g, a) in enumerate(pairs)]
    if not _is(given):
        shape = tuple(output.shape)
        raise TypeError(
            f"{name}: expected an array of shape {shape}, or None for zeros, "
            f"got {type(given).__name__}"
        )
    _same_kind(name, given, output, "the output's")
    _checks.floating(array_namespace(given), name, given)
    _checks.shape(name, given, output.shape, "(the output's)")
    return given


def _is(value):
    return is_array_api_obj(value)


def _same_kind(name, array, like, whose):
    if type(array) is not type(like) and array_namespace(array) is not array_namespace(like):
        kinds = [f"{type(a).__module__}.{type(a).__name__}" for a in (like, array)]
        raise TypeError(f"{name}: expected {kinds[0]} ({whose}), got {kinds[1]}")
