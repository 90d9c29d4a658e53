"""What the initialisers promise; see ``test_planted_errors``."""

import numpy as np

from rnnlib import init

SHAPES = (1, 1), (4, 4), (3, 5), (5, 3), (1, 4), (4, 1)


def orthogonal():
    """All singular values are the gain, whatever stood in the array."""
    for m, n in SHAPES:
        for gain in (1.0, 1.5, -2.0, 0.0):
            array = np.full((m, n), np.nan)
            if init.orthogonal_(array, gain, rng=3) is not array:
                return False
            small = array @ array.T if m <= n else array.T @ array
            if not np.allclose(small, gain**2 * np.eye(min(m, n)), atol=1e-12):
                return False
    return True


def uniform():
    """Drawn uniformly: each entry has mean 0 and variance 1/n, and rotating changes nothing.

    Of a rotation drawn uniformly the trace has mean 0 and variance 1.  Without the signs of R's
    diagonal, LAPACK's factor has a trace that is far below 0.
    """
    rng = np.random.default_rng(0)
    draws = np.array([init.orthogonal_(np.empty((3, 3)), rng=rng) for _ in range(4000)])
    traces = np.trace(draws, axis1=1, axis2=2)
    entries = np.abs(draws.mean(axis=0)).max(), np.abs((draws**2).mean(axis=0) - 1 / 3).max()
    determinants = np.linalg.det(draws)
    return (
        max(entries) < 0.06
        and abs(traces.mean()) < 0.1
        and abs(traces.var() - 1) < 0.1
        and abs(determinants.mean()) < 0.1
    )


def eye():
    """The gain stands on the diagonal alone, whatever stood in the array."""
    for m, n in SHAPES:
        array = np.full((m, n), np.nan)
        if init.eye_(array, -1.5) is not array:
            return False
        if not np.array_equal(array, [[-1.5 * (i == j) for j in range(n)] for i in range(m)]):
            return False
    return True


def check(name):
    return {"orthogonal": orthogonal, "uniform": uniform, "eye": eye}[name]()
