"""One direction of one layer over a whole sequence: blocks of time steps, forward and back.

Time is cut into blocks.  Normally every block keeps what its way back needs.  With ``checkpoint``
only the states at the cuts are kept, and the way back runs each block forward once more [Chen et
al., "Training deep nets with sublinear memory cost", arXiv 1604.06174]: blocks of √T steps then
need memory for √T states and √T steps, instead of T steps.
"""

import numpy as np

from rnnlib.layers.grads import Grads


class Sweep:
    """A run of ``steps`` (see ``plain`` and ``columns``) over time.

    checkpoint: None, or the number of steps from one kept state to the next.
    """

    def __init__(self, steps, checkpoint=None):
        self.steps = steps
        self.checkpoint = checkpoint

    def forward(self, x, state, active):
        """Run over x: (T, N, I) from the state; returns y: (T, N, R) and the state after.

        active: T numbers, how many rows are still running at each step.
        """
        self.x, self.active, self.kept = x, active, []
        # An output is a state: h.
        y = np.empty((len(x), *state[0].shape), x.dtype)
        for slot, block in enumerate(self._blocks()):
            before = state
            state, cache = self._run(slot, block, state, y[block])
            self.kept.append((block, before if self.checkpoint else cache))
        return y, state

    def backward(self, dy, d_state, grads):
        """Fill the arrays of grads, a dict by the weights' names.

        Returns dx and the gradient of the state before.
        """
        dx, grads = np.empty(self.x.shape, self.x.dtype), Grads(grads)
        for block, kept in reversed(self.kept):
            cache = self._run(0, block, kept)[1] if self.checkpoint else kept
            d_state = self.steps.backward(
                dy[block], d_state, self.x[block], cache, self.active[block], dx[block], grads
            )
        return dx, d_state

    def _run(self, slot, block, state, y=None):
        slot = 0 if self.checkpoint else slot
        return self.steps.forward(self.x[block], state, self.active[block], y, slot)

    def _blocks(self):
        T = len(self.x)
        k = self.checkpoint or self.steps.block(self.x)
        return [slice(t, min(t + k, T)) for t in range(0, T, k)]
