"""What all layers share: parameters, their gradients, and the state_dict."""

from collections.abc import Mapping

import numpy as np

from rnnlib import _checks


class Layer:
    """Parameters and gradients as plain dicts of arrays, under torch's names.

    ``rnnlib.optim`` updates ``parameters`` in place; ``backward`` replaces the contents of
    ``grads``.  ``training`` is switched by ``train()`` and ``eval()``.

    Parameters are drawn from U(-bound, bound) with ``rng`` (a seed or a NumPy Generator).
    """

    def __init__(self, shapes, bound, dtype, rng):
        self.dtype = _floating_dtype(dtype)
        self.training = True
        self._rng = _checks.generator(rng)
        self.parameters = {
            name: self._rng.uniform(-bound, bound, shape).astype(self.dtype)
            for name, shape in shapes.items()
        }
        self.grads = {name: np.zeros_like(p) for name, p in self.parameters.items()}
        self._cache = None

    def train(self, mode=True):
        """Switch dropout on (or off, with mode=False); returns the layer."""
        self.training = bool(mode)
        return self

    def eval(self):
        """Switch dropout off; returns the layer."""
        return self.train(False)

    def state_dict(self):
        """Return a copy of the parameters under torch's names."""
        return {name: p.copy() for name, p in self.parameters.items()}

    def load_state_dict(self, state_dict):
        """Copy weights in, from this layer's or from torch's ``state_dict()`` (tensors on the CPU).

        Raises KeyError for missing or unknown names, ValueError for a wrong shape and TypeError for
        anything but real numbers; then no parameter has been changed.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"state_dict: expected a dict, got {type(state_dict).__name__}")
        _checks.same_keys("state_dict", state_dict, self.parameters)
        arrays = {}
        for name, p in self.parameters.items():
            _checks.in_place(f"parameters[{name!r}]", p)
            arrays[name] = _checks.real_array(name, state_dict[name], p.dtype)
            _checks.shape(name, arrays[name], p.shape)
        for name, p in self.parameters.items():
            p[...] = arrays[name]

    def forget(self):
        """Drop what was kept for ``backward``, and the memory it took."""
        self._cache = None

    def __getstate__(self):
        # A copy, or a pickle, is of the layer: not of its last input.
        state = self.__dict__.copy()
        state["_cache"] = None
        return state

    def _saved(self):
        if self._cache is None:
            raise RuntimeError("backward: expected a forward call before it, but there was none")
        return self._cache

    def _fill(self, gradients):
        for name, g in self.grads.items():
            g[...] = gradients[name]


def _floating_dtype(dtype):
    try:
        found = np.dtype(dtype if dtype is not None else object)
    except TypeError as error:
        raise TypeError(f"dtype: expected a floating-point type, got {dtype!r}") from error
    if found.kind != "f":
        raise TypeError(f"dtype: expected a floating-point type, got {dtype!r}")
    return found


def checked_states(argument, names, given, shapes, dtype):
    """Return the parts of a state as new arrays of these shapes; zeros when given is None.

    names: what the parts are called; with one name, ``given`` is that part itself.
    Raises TypeError or ValueError that names the argument.
    """
    if given is None:
        return [np.zeros(shape, dtype) for shape in shapes]
    if len(names) == 1:
        parts = {argument: given}
    elif isinstance(given, (tuple, list)) and len(given) == len(names):
        parts = {f"{argument}[{k}]": part for k, part in enumerate(given)}
    else:
        came = f"{type(given).__name__}"
        raise TypeError(f"{argument}: expected a pair ({', '.join(names)}), got {came}")
    checked = []
    for (place, part), name, shape in zip(parts.items(), names, shapes, strict=True):
        checked.append(_checks.real_array(place, part, dtype).copy())
        _checks.shape(place, checked[-1], shape, f"({name})")
    return checked
