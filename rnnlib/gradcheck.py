"""Check a hand-written gradient against the function itself.

Two checks, both in float64 by central differences (f(x + ε) - f(x - ε)) / 2ε:

- ``gradcheck`` looks at every entry of a scalar function's gradient.
- ``check_backward`` looks at a function of any shape.  A random cotangent turns its outputs into
  one number; a random direction per input then needs two evaluations instead of two per entry.
  Only an input that fails is searched entry by entry, so that the report can name the place.

An entry passes only if a comparison says so: NaN fails, and so does 0 against 0, which tests
nothing (an input that the function never reads looks just like this).
"""

from dataclasses import dataclass

import numpy as np

from rnnlib import _checks, layers

# Central differences err by about ε² from the curvature and by 1e-16/ε from rounding.
EPS = 1e-5
RTOL = 1e-6
ATOL = 1e-8


@dataclass(frozen=True)
class Entry:
    """One compared number: where it stands, what backward says, what the differences say.

    index: its place in the array, or None for the slope along a random direction.
    """

    name: str
    index: tuple | None
    analytic: float
    numeric: float
    passed: bool
    reason: str

    def __str__(self):
        where = f"{self.name}[{', '.join(map(str, self.index))}]" if self.index else self.name
        return (
            f"{where}: {self.reason} (yours {self.analytic:.10g}, differences {self.numeric:.10g})"
        )


@dataclass(frozen=True)
class Report:
    """The outcome of a check: true when every entry passed.

    entries: what was compared, in order.  ``failures`` are the entries that did not pass, and
    ``worst`` is the one with the largest error (NaN counts as the largest), or None if all passed.
    """

    entries: tuple

    @property
    def failures(self):
        return tuple(e for e in self.entries if not e.passed)

    @property
    def worst(self):
        def size(entry):
            error = abs(entry.analytic - entry.numeric)
            # An entry says more than the sum along a direction, which has no index.
            return entry.index is not None, np.inf if np.isnan(error) else error

        return max(self.failures, key=size, default=None)

    def __bool__(self):
        return bool(self.entries) and not self.failures

    def __str__(self):
        names = list(dict.fromkeys(e.name for e in self.entries))
        lines = [self._line(name) for name in names]
        return "\n".join(lines) if lines else "nothing was compared"

    __repr__ = __str__

    def _line(self, name):
        mine = [e for e in self.entries if e.name == name]
        searched = [e for e in mine if e.index is not None]
        failures = [e for e in searched if not e.passed] or [e for e in mine if not e.passed]
        if not failures:
            how = f"{len(searched)} entries" if searched else "along a random direction"
            return f"{name}: right ({how})"
        where = f" in {len(failures)} of {len(searched)} entries" if searched else ""
        return f"{name}: WRONG{where}; {Report(tuple(failures)).worst}"


def gradcheck(
    function, arrays, gradients, *, eps=EPS, rtol=RTOL, atol=ATOL, allow_zero=(), max_entries=None
):
    """Compare the gradient of a scalar function with central differences, entry by entry.

    function: takes a dict like ``arrays`` and returns one number.
    arrays: dict of float64 arrays, the point to check at; they are not changed.
    gradients: dict with the same keys and shapes, the claim.
    rtol, atol: an entry passes if |analytic - numeric| ≤ atol + rtol·max(|analytic|, |numeric|).
    allow_zero: names whose entries may be zero on both sides (an embedding row that the data
        never reads has a gradient of zero, rightly).
    max_entries: look at this many entries of each array, evenly spread; None for all.

    Returns a ``Report``.  Raises KeyError or ValueError when names or shapes do not fit, and
    TypeError for arrays that are not float64.
    """
    arrays = _float64(arrays)
    gradients = _matching(gradients, arrays)
    entries = []
    for name, array in arrays.items():
        zero = name in allow_zero
        indices = _indices(array, max_entries)
        if not indices:
            entries.append(_compare(name, (), 0.0, 0.0, rtol, atol, zero))
        for index in indices:
            numeric = _difference(function, arrays, name, index, eps)
            analytic = float(gradients[name][index])
            entries.append(_compare(name, index, analytic, numeric, rtol, atol, zero))
    return Report(tuple(entries))


def check_backward(
    forward, backward, arrays, *, rng=0, eps=EPS, rtol=RTOL, atol=ATOL, allow_zero=()
):
    """Check a vector-Jacobian product with a random cotangent.

    forward: takes a dict like ``arrays``; returns an array or a tuple of arrays.
    backward: takes one cotangent (incoming gradient) for each output of the last ``forward``, and
        returns a dict of gradients with the keys and shapes of ``arrays``.
    arrays: dict of float64 arrays, the point to check at; they are not changed.
    rng: a seed or a NumPy Generator for the cotangents and the directions.

    Each input is moved along one random direction v: <cotangent, J v> must equal
    <gradient, v>.  An input that fails is searched entry by entry.  Returns a ``Report``.
    """
    rng = np.random.default_rng(rng)
    arrays = _float64(arrays)
    outputs = _as_tuple(forward(dict(arrays)))
    cotangents = [rng.standard_normal(np.shape(y)) for y in outputs]
    # Copies, because a backward may work in place.
    gradients = _matching(backward(*map(np.array, cotangents)), arrays)

    def loss(moved):
        pairs = zip(cotangents, _as_tuple(forward(moved)), strict=True)
        return sum(_inner(c, y) for c, y in pairs)

    entries = []
    for name, array in arrays.items():
        v = rng.standard_normal(array.shape)
        numeric = _slope(loss, arrays, name, v, eps)
        analytic = _inner(gradients[name], v)
        zero = name in allow_zero
        entry = _compare(name, None, analytic, numeric, rtol, atol, zero)
        entries.append(entry)
        if not entry.passed:
            only = {name: gradients[name]}
            rest = {k: a for k, a in arrays.items() if k != name}
            entries += gradcheck(
                lambda moved, rest=rest: loss({**rest, **moved}),
                {name: array},
                only,
                eps=eps,
                rtol=rtol,
                atol=atol,
                allow_zero=allow_zero,
            ).entries
    return Report(tuple(entries))


def check_layer(layer, x, state=None, *, rng=0, **tolerances):
    """Check every gradient of a layer of ``rnnlib.layers``: inputs, initial state, parameters.

    layer: a float64 layer or cell, without dropout or in ``eval()`` (a cell in ``train()``).  Its
        parameters are left as they were; what it kept for ``backward`` is forgotten.
    x: its input; state: its initial state, for an LSTM the pair (h_0, c_0), or None for a layer
        without one or a start at zero.
    rng and tolerances: as in ``check_backward``.  Returns a ``Report``.
    """
    parts = () if state is None else _as_tuple(state)
    states = dict(zip(("h_0", "c_0")[: len(parts)], parts, strict=True))
    one_step = isinstance(layer, layers.Cell)
    before = layer.state_dict()

    def forward(point):
        layer.load_state_dict({name: point[name] for name in layer.parameters})
        layer.forget()
        hx = [point[name] for name in states]
        return _flat(layer(point["x"], *([tuple(hx)] if len(hx) > 1 else hx)))

    def backward(*cotangents):
        d_output, d_state = ((), cotangents) if one_step else (cotangents[:1], cotangents[1:])
        d_state = (tuple(d_state),) if len(d_state) > 1 else d_state
        gradients = _flat(layer.backward(*d_output, *d_state))
        # A recurrent layer returns the gradient of its state also when it started at zero.
        return {**dict(zip(("x", *states), gradients, strict=False)), **layer.grads}

    try:
        arrays = {"x": x, **states, **layer.parameters}
        return check_backward(forward, backward, arrays, rng=rng, **tolerances)
    finally:
        layer.load_state_dict(before)
        layer.forget()


def _flat(outputs):
    """(output, (h_n, c_n)) as (output, h_n, c_n)."""
    return tuple(part for whole in _as_tuple(outputs) for part in _as_tuple(whole))


def _as_tuple(outputs):
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def _inner(a, b):
    # Infinities of both signs add up to NaN, which the report names.
    with np.errstate(invalid="ignore"):
        return float(np.sum(a * b))


def _float64(arrays):
    checked = {}
    for name, value in arrays.items():
        array = np.asarray(value)
        if array.dtype != np.float64:
            raise TypeError(
                f"arrays[{name!r}]: expected float64, because differences in lower precision "
                f"cannot tell a right gradient from a wrong one; got {array.dtype}"
            )
        checked[name] = array.copy()
    return checked


def _matching(gradients, arrays):
    _checks.same_keys("gradients", gradients, arrays)
    gradients = {name: np.array(gradients[name]) for name in arrays}
    for name, g in gradients.items():
        _checks.shape(f"gradients[{name!r}]", g, arrays[name].shape)
    return gradients


def _indices(array, max_entries):
    indices = list(np.ndindex(array.shape))
    if max_entries is None or len(indices) <= max_entries:
        return indices
    chosen = np.linspace(0, len(indices) - 1, max_entries).astype(int)
    return [indices[i] for i in chosen]


def _difference(function, arrays, name, index, eps):
    direction = np.zeros_like(arrays[name])
    direction[index] = 1
    return _slope(function, arrays, name, direction, eps)


def _slope(function, arrays, name, direction, eps):
    up, down = (
        float(function({**arrays, name: arrays[name] + sign * eps * direction})) for sign in (1, -1)
    )
    return (up - down) / (2 * eps)


def _compare(name, index, analytic, numeric, rtol, atol, allow_zero):
    if not (np.isfinite(analytic) and np.isfinite(numeric)):
        passed, reason = False, "not a finite number"
    elif analytic == 0 and numeric == 0:
        reason = "zero on both sides, which tests nothing"
        passed = allow_zero
    else:
        error = abs(analytic - numeric)
        passed = bool(error <= atol + rtol * max(abs(analytic), abs(numeric)))
        reason = f"off by {error:.3g}"
    return Entry(name, index, analytic, numeric, passed, reason)
