"""Losses with their gradients, written once for any array.

Derived in the chapter "Differentials": for logits z, p = softmax(z) and a one-hot target y the
gradient of the cross-entropy is p - y.
"""

import numpy as np
from array_api_compat import array_namespace, device

from rnnlib import _checks


def log_softmax(logits):
    """Return log softmax over the last axis.

    logits: (..., V).  Stable for logits of any finite size: the largest is subtracted first, which
    changes nothing, since softmax(z) = softmax(z - c).
    """
    xp = array_namespace(logits)
    shifted = logits - xp.max(logits, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def softmax(logits):
    """Return exp(z) / sum exp(z) over the last axis; logits: (..., V) [Bridle 1990]."""
    return array_namespace(logits).exp(log_softmax(logits))


def softmax_cross_entropy(logits, targets, reduction="mean"):
    """Return the cross-entropy in nats and its gradient with respect to the logits.

    logits: (..., V) floating point; targets: (...) integers in [0, V).
    reduction: "mean" over all targets, or "sum".
    Returns (loss, d_logits): a scalar array and an array like logits.

    Raises ValueError when the shapes do not fit or a target lies outside [0, V), and TypeError
    when the targets are not integers.
    """
    xp = array_namespace(logits, targets)
    _checks.one_of("reduction", reduction, ("mean", "sum"))
    size = _check_targets(xp, logits, targets)
    classes = xp.arange(size, device=device(targets))
    y = xp.astype(targets[..., None] == classes, logits.dtype)
    log_p = log_softmax(logits)
    scale = 1 / max(1, int(np.prod(targets.shape))) if reduction == "mean" else 1.0
    # where, not a product: a logit of -inf has log p = -inf, and 0 * -inf is NaN.
    # Scaled inside the sum: NumPy 1 turns a float32 scalar times a float into float64.
    loss = -xp.sum(xp.where(y > 0, log_p, xp.zeros_like(log_p)) * scale)
    return loss, (xp.exp(log_p) - y) * scale


def _check_targets(xp, logits, targets):
    if logits.ndim < 1 or tuple(targets.shape) != tuple(logits.shape[:-1]):
        raise ValueError(
            f"targets: expected shape {tuple(logits.shape[:-1])} (logits' without the last axis), "
            f"got {tuple(targets.shape)}"
        )
    if not xp.isdtype(targets.dtype, "integral"):
        raise TypeError(f"targets: expected integers, got dtype {targets.dtype}")
    size = logits.shape[-1]
    outside = (targets < 0) | (targets >= size)
    if bool(xp.any(outside)):
        raise ValueError(
            f"targets: expected classes from 0 to {size - 1}, got {int(targets[outside][0])}"
        )
    return size
