"""Gradient clipping for dicts of NumPy arrays, in place; ``rnnlib.optim`` hands these names on."""

import math

import numpy as np

from rnnlib import _checks


def clip_grad_value_(grads, clip_value):
    """Limit every entry to [-clip_value, clip_value], in place; NaN stays NaN.

    Like ``torch.nn.utils.clip_grad_value_``, for a dict of arrays.

    Raises ValueError unless clip_value > 0 (inf is allowed), and TypeError for a gradient that
    cannot be changed in place; then nothing has been changed.
    """
    clip_value = _limit("clip_value", clip_value)
    for name, g in grads.items():
        _checks.in_place(f"grads[{name!r}]", g)
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
    max_norm = _limit("max_norm", max_norm)
    for name, g in grads.items():
        _checks.in_place(f"grads[{name!r}]", g)
    with np.errstate(over="ignore", invalid="ignore"):
        total = math.sqrt(sum(float(np.sum(np.square(g, dtype=float))) for g in grads.values()))
        if error_if_nonfinite and not math.isfinite(total):
            raise RuntimeError(f"grads: expected a finite norm, got {total}")
        # np.minimum, not min: it passes a NaN on.
        scale = float(np.minimum(1.0, max_norm / (total + 1e-6)))
        for g in grads.values():
            g *= scale
    return total


def _limit(name, value):
    return _checks.number(name, value, "a number > 0", lambda v: v > 0)
