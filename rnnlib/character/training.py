"""Training with carried state: windows along streams of text, Adam, clipping, a falling rate."""

import numpy as np

from rnnlib import _checks
from rnnlib.clipping import clip_grad_norm_
from rnnlib.optim import Adam
from rnnlib.schedules import CosineAnnealingLR
from rnnlib.text import batches


class Training:
    """A model on its way through a text.

    codes: (n,) integers, the text to train on, cut into ``batch`` streams side by side that are
        read ``window`` steps at a time.  The state is carried from window to window, without its
        gradient.  Each epoch starts with a state of zeros, and at another place among the first
        ``window`` characters, so that the windows are cut anew.
    steps: how many there will be: the rate falls from ``lr`` to 0 along half a cosine.
    clip: the largest norm of a gradient, or None.
    rng: a seed or a NumPy Generator, for the places where epochs start.

    Raises ValueError for n < batch * window + 1.
    """

    def __init__(self, model, codes, *, batch, window, steps, lr=2e-3, clip=1.0, rng=None):
        self.model, self.codes = model, np.asarray(codes)
        self.batch, self.window, self.clip = batch, window, clip
        self.rng = _checks.generator(rng)
        self.optimizer = Adam(model.parameters, lr=lr)
        self.schedule = CosineAnnealingLR(self.optimizer, _checks.positive_int("steps", steps))
        self.state = None
        self._windows = self._epoch()

    def step(self):
        """Take one step; returns the window's mean loss in nats per character, before the step.

        Raises FloatingPointError for a loss or gradient that is not finite; then the weights are
        those of the step before.
        """
        inputs, targets = self._next_window()
        loss, d_logits, self.state = self.model.train().loss(inputs, targets, self.state)
        self.model.backward(d_logits)
        norm = clip_grad_norm_(self.model.grads, np.inf if self.clip is None else self.clip)
        if not (np.isfinite(loss) and np.isfinite(norm)):
            raise FloatingPointError(
                f"expected a finite loss and gradient, got a loss of {loss:g}, a norm of {norm:g}"
            )
        self.optimizer.step(self.model.grads)
        self.schedule.step()
        return loss

    def _next_window(self):
        window = next(self._windows, None)
        if window is None:
            self._windows, self.state = self._epoch(), None
            window = next(self._windows)
        return window

    def _epoch(self):
        spare = len(self.codes) - self.batch * self.window
        start = int(self.rng.integers(min(self.window, spare))) if spare > 1 else 0
        return batches(self.codes[start:], self.batch, self.window)
