"""Losses with their gradients, written once for any array.

Derived in the chapters "Differentials" and "Losses and output units".  Each function returns
(loss, gradient for its first argument).  Shared arguments:

- reduction: "sum", or "mean" over what counts.
- mask: in the targets' shape, booleans or 0 and 1.  Where it is 0 the loss and the gradient are
  exactly 0, whatever stands there: padding may hold NaN, or a class that does not exist.

All raise ValueError for shapes or values that do not fit, and for a mean of nothing; and TypeError
for dtypes that do not fit.
"""

import math

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


def softmax_cross_entropy(logits, targets, reduction="mean", weight=None, mask=None):
    """Return the cross-entropy in nats and its gradient with respect to the logits.

    logits: (..., V) floating point; targets: (...) integers in [0, V); mask: (...).
    weight: (V,) finite numbers >= 0, one for each class, or None for ones.  "mean" divides by the
    sum of the weights of the targets that count, as torch's ``cross_entropy`` does.
    Returns (loss, d_logits): a scalar array and an array like logits.
    """
    xp = array_namespace(logits, targets)
    check_classes(xp, logits, targets)
    # In torch a byte compared with 256 is compared with 0.
    targets = xp.astype(targets, xp.int64)
    counted = which_count(xp, mask, targets, reduction)
    size, targets = logits.shape[-1], _hide(xp, counted, targets)
    inside = (targets >= 0) & (targets < size)
    _checks.every("targets", targets, inside, f"classes from 0 to {size - 1}")
    classes = xp.arange(size, device=device(targets))
    y = xp.astype(targets[..., None] == classes, logits.dtype)
    weights = xp.astype(counted[..., None], logits.dtype)
    if weight is not None:
        weight = _weight(xp, "weight", weight, logits)
        _checks.shape("weight", weight, (size,), "(one number for each class)")
        weights = weights * xp.sum(y * weight, axis=-1, keepdims=True)
    scale = _scale(xp, weights, weights, reduction)
    log_p = log_softmax(logits if mask is None else _hide(xp, counted[..., None], logits))
    # where, not a product: a logit of -inf has log p = -inf, and 0 * -inf is NaN.
    terms = -xp.where(y > 0, log_p, xp.zeros_like(log_p))
    return _reduce(xp, terms, xp.exp(log_p) - y, scale)


def binary_cross_entropy_with_logits(
    logits, targets, reduction="mean", weight=None, mask=None, pos_weight=None
):
    """Return the cross-entropy in nats of logistic units and its gradient for the logits.

    logits: (...) floating point; targets: (...) numbers in [0, 1]; mask: (...).
    weight, pos_weight: finite numbers >= 0 that broadcast to (...), or None for ones.  ``weight``
    multiplies a term, ``pos_weight`` only the part of it that has the target as a factor.  "mean"
    divides by the number of terms that count, whatever their weights, as torch's function does.
    Returns (loss, d_logits): a scalar array and an array like logits.

    Stable for logits of any finite size: with s(z) = log(1 + exp(z)) a term is
    y s(-z) + (1 - y) s(z), and the unit's output is exp(-s(-z)).
    """
    xp = array_namespace(logits, targets)
    counted, z, y = _pairs(xp, "logits", logits, targets, mask, reduction)
    _checks.every("targets", y, (y >= 0) & (y <= 1), "numbers from 0 to 1")
    weights, if_one, if_zero = xp.astype(counted, z.dtype), y, 1 - y
    if weight is not None:
        weights = weights * _fits("weight", _weight(xp, "weight", weight, z), z)
    if pos_weight is not None:
        if_one = y * _fits("pos_weight", _weight(xp, "pos_weight", pos_weight, z), z)
    scale = _scale(xp, weights, counted, reduction)
    cost_of_one, cost_of_zero = _softplus(xp, -z), _softplus(xp, z)
    terms = if_one * cost_of_one + if_zero * cost_of_zero
    slopes = if_zero * xp.exp(-cost_of_one) - if_one * xp.exp(-cost_of_zero)
    return _reduce(xp, terms, slopes, scale)


def squared_error(outputs, targets, reduction="sum", mask=None):
    """Return half the sum of squared errors and its gradient for the outputs: outputs - targets.

    outputs: (...) floating point; targets: (...) real numbers; mask: (...).
    "mean" is half of torch's ``mse_loss``.
    Returns (loss, d_outputs): a scalar array and an array like outputs.
    """
    xp = array_namespace(outputs, targets)
    counted, p, y = _pairs(xp, "outputs", outputs, targets, mask, reduction)
    scale = _scale(xp, xp.astype(counted, p.dtype), counted, reduction)
    return _reduce(xp, (p - y) * (p - y) / 2, p - y, scale)


def gaussian_nll(mean, targets, variance, reduction="mean", mask=None):
    """Return the negative log likelihood of targets under a normal density, in nats.

    mean: (...) floating point; targets: (...) real numbers; mask: (...).
    variance: finite numbers > 0 that broadcast to (...).  It is held constant: the gradient
    returned is that for the mean alone.
    No constant is left out: a term is ((mean - target)²/variance + log variance + log 2π) / 2, as
    in torch's ``gaussian_nll_loss`` with full=True.
    Returns (loss, d_mean): a scalar array and an array like mean.
    """
    xp = array_namespace(mean, targets)
    counted, m, y = _pairs(xp, "mean", mean, targets, mask, reduction)
    v = _fits("variance", xp.asarray(variance, dtype=m.dtype, device=device(m)), m)
    v = _hide(xp, counted, v, 1)
    _checks.every("variance", v, (v > 0) & xp.isfinite(v), "finite numbers > 0")
    scale = _scale(xp, xp.astype(counted, m.dtype), counted, reduction)
    terms = ((m - y) * (m - y) / v + xp.log(v) + math.log(2 * math.pi)) / 2
    return _reduce(xp, terms, (m - y) / v, scale)


def _softplus(xp, z):
    """Return log(1 + exp(z)); no exponential in it is above 1."""
    return xp.maximum(z, xp.zeros_like(z)) + xp.log1p(xp.exp(-xp.abs(z)))


def _reduce(xp, terms, slopes, scale):
    """Return (the sum of the terms, the slopes), both times ``scale``."""
    results = xp.sum(terms * scale), slopes * scale
    # A cast, because NumPy 1 turns a float32 scalar times a float into float64.
    return tuple(xp.astype(x, scale.dtype, copy=False) for x in results)


def _scale(xp, weights, parts, reduction):
    """Return the weights, divided by the sum of ``parts`` for "mean"."""
    if reduction == "sum":
        return weights
    total = float(xp.sum(xp.astype(parts, xp.float64)))
    if total == 0:
        raise ValueError(
            'reduction: expected "sum" where nothing counts (no targets, a mask of zeros or '
            'weights of zero), got "mean"'
        )
    return weights * xp.asarray(1 / total, dtype=weights.dtype, device=device(weights))


def _hide(xp, counted, array, fill=0):
    """Return the array with ``fill`` where it does not count, whatever stood there."""
    return xp.where(counted, array, xp.full_like(array, fill))


def which_count(xp, mask, targets, reduction):
    """Return the mask as booleans, all True for None."""
    _checks.one_of("reduction", reduction, ("mean", "sum"))
    if mask is None:
        return xp.ones(targets.shape, dtype=xp.bool, device=device(targets))
    mask = xp.asarray(mask, device=device(targets))
    _checks.shape("mask", mask, targets.shape, "(the targets')")
    _checks.every("mask", mask, (mask == 0) | (mask == 1), "only 0 and 1")
    return mask != 0


def _pairs(xp, name, outputs, targets, mask, reduction):
    """Return what counts, the outputs and the targets of a loss that pairs them entry by entry."""
    _checks.floating(xp, name, outputs)
    _checks.shape("targets", targets, outputs.shape, f"(the shape of {name})")
    counted = which_count(xp, mask, targets, reduction)
    targets = xp.astype(targets, outputs.dtype)
    return counted, _hide(xp, counted, outputs), _hide(xp, counted, targets)


def _weight(xp, name, value, like):
    """Return a number or array as finite numbers >= 0 in the dtype of ``like``."""
    weight = xp.asarray(value, dtype=like.dtype, device=device(like))
    good = (weight >= 0) & xp.isfinite(weight)
    _checks.every(name, weight, good, "finite numbers >= 0")
    return weight


def _fits(name, array, like):
    """Return the array, or raise ValueError unless it broadcasts to the shape of ``like``."""
    shape = tuple(like.shape)
    fits = array.ndim <= len(shape) and all(
        a in (1, b) for a, b in zip(reversed(array.shape), reversed(shape), strict=False)
    )
    if not fits:
        raise ValueError(
            f"{name}: expected a number or a shape that broadcasts to {shape}, "
            f"got {tuple(array.shape)}"
        )
    return array


def check_classes(xp, logits, targets):
    _checks.floating(xp, "logits", logits)
    if logits.ndim < 1 or tuple(targets.shape) != tuple(logits.shape[:-1]):
        raise ValueError(
            f"targets: expected shape {tuple(logits.shape[:-1])} (logits' without the last axis), "
            f"got {tuple(targets.shape)}"
        )
    if not xp.isdtype(targets.dtype, "integral"):
        raise TypeError(f"targets: expected integers, got dtype {targets.dtype}")
