"""Rung "loop": one step after the other, as the formulas stand; nothing is done for all at once.

Every step has its product for the inputs, and on the way back its own share of each weight's
gradient.  The rungs above are compared with this one.
"""

import torch

from rnnlib.sequences import Sequence, rows_before, steps_of


class Loop(Sequence):
    """Any ``Sequence``, run a step at a time.

    one_step: the sequence.
    """

    def __init__(self, one_step):
        super().__init__(one_step.weights)
        self.one_step = one_step

    def forward(self, x, state, counts, reverse=False, keep=True):
        """As in ``Sequence``."""
        outputs, kept = [], []
        for rows, n in steps_of(counts, reverse):
            now = tuple(s[:n] for s in state)
            y, after, cache = self.one_step.forward(x[rows], now, [n], keep=keep)
            state = tuple(torch.cat([u, s[n:]]) for u, s in zip(after, state, strict=True))
            outputs.append(y)
            kept.append(cache)
        order = slice(None, None, -1 if reverse else 1)
        kept = [torch.cat(parts) for parts in zip(*kept[order], strict=True)]
        return torch.cat(outputs[order]), state, tuple(kept)

    def backward(self, dy, d_state, x, state, y, kept, counts, reverse=False, wanted=None):
        """As in ``Sequence``."""
        h_prev = rows_before(torch, state[0], y, counts, reverse)
        dx, total = x.new_empty(x.shape), {}
        for rows, n in reversed(steps_of(counts, reverse)):
            before, grads = self.one_step.backward(
                dy[rows],
                tuple(d[:n] for d in d_state),
                x[rows],
                (h_prev[rows],),
                y[rows],
                [k[rows] for k in kept],
                [n],
                wanted=wanted,
            )
            d_state = tuple(torch.cat([u, d[n:]]) for u, d in zip(before, d_state, strict=True))
            dx[rows] = grads.pop("x", 0)
            total = {name: total.get(name, 0) + share for name, share in grads.items()}
        if wanted is None or "x" in wanted:
            total["x"] = dx
        return d_state, total
