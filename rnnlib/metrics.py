"""What a loss or a prediction is worth, as a number to compare."""

import numpy as np
from array_api_compat import array_namespace

from rnnlib import _checks
from rnnlib.losses import check_classes, which_count


def perplexity(mean_nll):
    """Return exp(mean_nll): among how many words, all equally likely, the choice would be as hard.

    mean_nll: the mean negative log likelihood in nats, as ``softmax_cross_entropy`` returns it: a
    number >= 0 or an array (...) of them.  A uniform guess among V has perplexity V.
    Returns a float or a float64 array (...); infinity where the loss is too large for exp.

    Source: Jelinek, Mercer, Bahl and Baker, "Perplexity: a measure of the difficulty of speech
    recognition tasks", J. Acoust. Soc. Am. 62, 1977.
    Raises ValueError for NaN or a number below 0, and TypeError for anything but real numbers.
    """
    with np.errstate(over="ignore"):
        return _plain(np.exp(_nats(mean_nll)))


def bits(mean_nll):
    """Return a loss in bits: mean_nll / ln 2.

    mean_nll: nats, a number >= 0 or an array (...) of them.  Returns a float or an array (...).

    Raises what ``perplexity`` raises.
    """
    return _plain(_nats(mean_nll) / np.log(2))


def accuracy(logits, targets, mask=None):
    """Return the share of targets that have the largest logit, a float from 0 to 1.

    logits: (..., V) floating point; targets: (...) integers in [0, V), both arrays of one library.
    mask: in the targets' shape, booleans or 0 and 1, or None.  Where it is 0 nothing counts.
    Of equal logits the first is taken to be the largest.

    Raises ValueError for shapes that do not fit, targets outside [0, V), NaN among the logits, or
    when nothing counts; and TypeError for dtypes that do not fit.
    """
    xp = array_namespace(logits, targets)
    check_classes(xp, logits, targets)
    counted = which_count(xp, mask, targets, "sum")
    total = int(xp.sum(xp.astype(counted, xp.int64)))
    if not total:
        raise ValueError("mask: expected at least one target that counts, got none")
    size = logits.shape[-1]
    inside = (targets >= 0) & (targets < size)
    _checks.every("targets", targets, inside | ~counted, f"classes from 0 to {size - 1}")
    largest = xp.max(logits, axis=-1)
    _checks.every("logits", largest, ~xp.isnan(largest) | ~counted, "numbers")
    right = counted & (xp.argmax(logits, axis=-1) == targets)
    return int(xp.sum(xp.astype(right, xp.int64))) / total


def _nats(value):
    array = _checks.real_array("mean_nll", value, np.float64)
    _checks.every("mean_nll", array, array >= 0, "nats >= 0")
    return array


def _plain(result):
    """Return a float for no axes."""
    return result if np.ndim(result) else float(result)
