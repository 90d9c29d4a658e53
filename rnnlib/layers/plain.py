"""A block of time steps by ``rnnlib.sequences``, for every variant of every cell.

A block is one direction of one layer over some steps.  Rows are the examples of the batch, longest
sequence first, so that the sequences still running at step t are the first ``active[t]`` rows.

``columns`` does the same in place for the common variants.
"""

import numpy as np


class Plain:
    """Blocks of steps of a ``Sequence``."""

    def __init__(self, sequence):
        self.sequence = sequence

    def block(self, x):
        """Return the number of steps after which a block should end: all of them."""
        return len(x)

    def forward(self, x, state, active, y=None, slot=0):
        """Run over x: (k, N, I) from the state, a tuple of (N, ·).

        active: k numbers, the rows still running at each step.
        y: (k, N, R), to be filled with the outputs, zeros where a sequence is over; None to drop
            them.
        Returns the state after, and the cache.
        """
        running = _running(x, active)
        rows, after, kept = self.sequence.forward(x[running], state, active)
        if y is not None:
            y[...] = 0
            y[running] = rows
        return after, (state, rows, kept)

    def backward(self, dy, d_state, x, cache, active, dx, grads):
        """Go back through ``forward``, given the gradients of y and of the state after.

        Writes the gradient of x into dx: (k, N, I), adds the weights' shares to grads, a ``Grads``,
        and returns the gradient of the state before.
        """
        running = _running(x, active)
        d_before, shares = self.sequence.backward(dy[running], d_state, x[running], *cache, active)
        dx[...] = 0
        dx[running] = shares.pop("x")
        for name, share in shares.items():
            grads.add(name, share)
        return d_before


def _running(x, active):
    """Return for each step and row whether the sequence is still running."""
    return np.arange(x.shape[1]) < np.asarray(active)[:, None]
