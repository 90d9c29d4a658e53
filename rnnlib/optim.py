"""Optimizers and gradient clipping for dicts of NumPy arrays, in place, in torch's spellings.

``parameters`` and ``grads`` are dicts with the same names and shapes, such as a layer's own.
"""

import math
import numbers

import numpy as np

from rnnlib import _checks


class Optimizer:
    """What all optimizers share: the checks before a step, and the learning rate.

    A subclass writes ``_update(name, p, g)``, which changes the array ``p`` in place.  ``lr`` can
    be assigned between steps.

    Raises ValueError for no parameters or an lr that is not finite and > 0, and TypeError for a
    parameter that cannot be updated in place.
    """

    def __init__(self, parameters, lr):
        if not parameters:
            raise ValueError("parameters: expected at least one array, got none")
        for name, p in parameters.items():
            _in_place("parameters", name, p)
        self.parameters = parameters
        self.lr = lr

    @property
    def lr(self):
        """The learning rate, finite and > 0."""
        return self._lr

    @lr.setter
    def lr(self, value):
        self._lr = _positive("lr", value)

    def step(self, grads):
        """Update every parameter by its gradient.

        grads: a dict with exactly the parameters' names, each array in its parameter's shape.

        Raises KeyError for missing or unknown names, ValueError for a wrong shape and TypeError
        for anything but real numbers; then no parameter has been changed.
        """
        _checks.same_keys("grads", grads, self.parameters)
        checked = {}
        for name, p in self.parameters.items():
            checked[name] = _checks.real_array(f"grads[{name!r}]", grads[name])
            _checks.shape(f"grads[{name!r}]", checked[name], p.shape, "(the parameter's)")
        for name, p in self.parameters.items():
            self._update(name, p, checked[name])


class SGD(Optimizer):
    """Gradient descent: p ← p - lr g, for whatever batch g was computed on [Robbins, Monro 1951].

    Equals ``torch.optim.SGD(parameters, lr)``.
    """

    def _update(self, name, p, g):
        p -= self.lr * g


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far, entry by entry.

    With s ← s + g², starting from zero:

    - eps_inside=False: p ← p - lr g / (√s + eps), as in ``torch.optim.Adagrad``, with torch's
      default eps of 1e-10; it is the diagonal form of Duchi, Hazan and Singer, "Adaptive
      Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12, 2011,
      section 1.1, with their δ as eps.
    - eps_inside=True: p ← p - lr g / √(s + eps), as in Karpathy's min-char-rnn (2015), which has
      eps = 1e-8 and lr = 0.1.

    ``sums`` holds s, a dict of arrays in the parameters' shapes.

    Raises ValueError unless lr and eps are finite and > 0.
    """

    def __init__(self, parameters, lr=0.01, eps=1e-10, eps_inside=False):
        super().__init__(parameters, lr)
        self.eps = _positive("eps", eps)
        self.eps_inside = bool(eps_inside)
        self.sums = {name: np.zeros_like(p) for name, p in parameters.items()}

    def _update(self, name, p, g):
        s = self.sums[name]
        s += g * g
        root = np.sqrt(s + self.eps) if self.eps_inside else np.sqrt(s) + self.eps
        p -= self.lr * g / root


def clip_grad_value_(grads, clip_value):
    """Limit every entry to [-clip_value, clip_value], in place; NaN stays NaN.

    Like ``torch.nn.utils.clip_grad_value_``, for a dict of arrays.

    Raises ValueError unless clip_value > 0 (inf is allowed), and TypeError for a gradient that
    cannot be changed in place; then nothing has been changed.
    """
    clip_value = _positive("clip_value", clip_value, finite=False)
    for name, g in grads.items():
        _in_place("grads", name, g)
    for g in grads.values():
        np.clip(g, -clip_value, clip_value, out=g)


def clip_grad_norm_(grads, max_norm, error_if_nonfinite=False):
    """Scale all gradients together so that their norm is at most max_norm, in place.

    Like ``torch.nn.utils.clip_grad_norm_``, for a dict of arrays: the norm ‖g‖ is that of all
    entries as one vector, and every gradient is multiplied by min(1, max_norm / (‖g‖ + 1e-6))
    [Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML
    2013, algorithm 1].
    Returns ‖g‖, as it was before, as a float.

    A norm that is not finite is treated as in torch.  By default the multiplication takes place
    all the same: an infinite norm turns finite entries into 0 and infinite ones into NaN, and a
    NaN turns everything into NaN, so look at the returned norm.  With error_if_nonfinite,
    RuntimeError is raised and nothing has been changed.

    Raises ValueError unless max_norm > 0 (inf is allowed: it measures a finite norm and leaves the
    gradients as they are), and TypeError for a gradient that cannot be changed in place.
    """
    max_norm = _positive("max_norm", max_norm, finite=False)
    for name, g in grads.items():
        _in_place("grads", name, g)
    with np.errstate(over="ignore", invalid="ignore"):
        total = math.sqrt(sum(float(np.sum(np.square(g, dtype=float))) for g in grads.values()))
        if error_if_nonfinite and not math.isfinite(total):
            raise RuntimeError(f"grads: expected a finite norm, got {total}")
        # np.minimum, not min: it passes a NaN on.
        scale = float(np.minimum(1.0, max_norm / (total + 1e-6)))
        for g in grads.values():
            g *= scale
    return total


def _positive(name, value, finite=True):
    """Return ``value`` as a float, or raise ValueError unless it is a number > 0."""
    if isinstance(value, numbers.Real) and value > 0 and not (finite and math.isinf(value)):
        return float(value)
    kind = "finite number" if finite else "number"
    raise ValueError(f"{name}: expected a {kind} > 0, got {value!r}")


def _in_place(argument, name, array):
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
        f"{argument}[{name!r}]: expected a writeable NumPy array of floating-point numbers, "
        f"got {came}"
    )
