"""Sequences of different lengths in one padded batch, longest first."""

import numpy as np

from rnnlib import _checks


class Lengths:
    """Where each of N sequences ends within T steps.

    lengths: N integers from 1 to T in any order, or None when all sequences have T steps.
    Inside a layer the longest sequence stands first: then the sequences that still run at step t
    are the first ``active[t]`` ones.

    Raises TypeError or ValueError that names ``lengths``.
    """

    def __init__(self, lengths, T, N):
        self.ragged = lengths is not None
        self.active = [N] * T
        if self.ragged:
            lengths = checked_lengths(lengths, T, N)
            self.order = np.argsort(-lengths, kind="stable")
            self.inverse = np.argsort(self.order)
            lengths = lengths[self.order]
            steps = np.arange(T)[:, None]
            self.active = np.sum(steps < lengths, axis=1).tolist()
            self.behind = steps >= lengths
            # Reversing a sequence within its length; what is behind the end stays there.
            self.flipped = np.where(self.behind, steps, lengths - 1 - steps)

    def sort(self, a):
        """Return (T, N, ·) or (N, ·) with the longest sequence first."""
        return a[..., self.order, :] if self.ragged else a

    def unsort(self, a):
        """Undo ``sort``."""
        return a[..., self.inverse, :] if self.ragged else a

    def without_padding(self, x):
        """Return sorted x with zeros behind the ends: nothing there counts, not even NaN."""
        return np.where(self.behind[..., None], 0, x) if self.ragged else x

    def flip(self, a):
        """Reverse each sequence of a sorted batch in time; flipping twice changes nothing."""
        return np.take_along_axis(a, self.flipped[..., None], axis=0) if self.ragged else a[::-1]


def checked_lengths(lengths, T, N):
    """Return N lengths from 1 to T as int64, or raise an error that names them."""
    try:
        array = np.asarray(lengths)
    except ValueError as error:
        raise TypeError(f"lengths: expected integers; {error}") from error
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths: expected integers, got dtype {array.dtype}")
    _checks.shape("lengths", array, (N,), "(one length for each sequence)")
    if N and (array.min() < 1 or array.max() > T):
        raise ValueError(
            f"lengths: expected numbers from 1 to {T}, the steps of the input, "
            f"got {array.min()} to {array.max()}"
        )
    return array.astype(np.int64)
