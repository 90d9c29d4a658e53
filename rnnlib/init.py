"""Initialisers that fill a NumPy array in place, in the spellings of torch.nn.init.

``init.orthogonal_(layer.parameters["weight_hh_l0"])`` replaces what the layer has drawn.
"""

import numpy as np

from rnnlib import _checks


def orthogonal_(array, gain=1.0, rng=None):
    """Fill a matrix with gain times an orthogonal one, drawn uniformly (Haar's measure).

    array: (m, n).  All min(m, n) singular values become ``gain``: for m >= n the columns are
    orthogonal to one another, for m <= n the rows.
    rng: a seed or a NumPy Generator.

    Returns the array.  [Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics
    of learning in deep linear neural networks", ICLR 2014; the signs that make QR's factor uniform:
    Mezzadri, "How to generate random matrices from the classical compact groups", 2007.]

    Raises TypeError for what is no writeable array of floats, and ValueError for another number of
    axes than two, an empty array, or a gain that is no finite number.
    """
    rows, columns = _matrix(array)
    gain = _gain(gain)
    if not array.size:
        raise ValueError(f"array: expected at least one entry, got shape {array.shape}")
    normal = _checks.generator(rng).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(normal)
    q *= np.sign(np.diag(r))
    array[...] = gain * (q if rows >= columns else q.T)
    return array


def eye_(array, gain=1.0):
    """Fill a matrix with gain times the identity: gain on the main diagonal, 0 elsewhere.

    array: (m, n), square or not.  Returns the array.  For the recurrent weights of a relu network
    this is the IRNN [Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of
    rectified linear units", 2015].

    Raises TypeError for what is no writeable array of floats, and ValueError for another number of
    axes than two or a gain that is no finite number.
    """
    shape = _matrix(array)
    array[...] = _gain(gain) * np.eye(*shape)
    return array


def _matrix(array):
    _checks.in_place("array", array)
    if array.ndim != 2:
        raise ValueError(f"array: expected two axes, got shape {array.shape}")
    return array.shape


def _gain(gain):
    return _checks.number("gain", gain, "a finite number", np.isfinite)
