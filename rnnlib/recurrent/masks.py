"""Rows of zeros that stand for "nothing here"."""

import math

from array_api_compat import array_namespace, device

from rnnlib.recurrent.arrays import first, mapped
from rnnlib.recurrent.module import Module


class MaskZero(Module):
    """The module, but rows (examples) whose input is all zeros give zeros, and zero gradients.

    Input: an array (N, ...) or a table of them; a row is masked when it is all zeros in the first
    array.  Output: the module's, N rows each, with zeros in the masked rows.

    Under a ``Recurrence`` the first array is x_t, so that the state of a masked row is 0, and what
    follows starts anew: ``Recurrence(MaskZero(module), size)``, or its ``mask_zero()``, which does
    the same.  Padding therefore stands before a sequence, or between two.

    A reward of a masked row does not count.

    Raises ValueError for a module with steps of its own inside, whose state would not start anew,
    and for one that runs whole sequences, whose rows are not along the first axis.
    """

    def __init__(self, module):
        super().__init__(children={"module": module})
        for inside in module.modules():
            if inside.runs_sequences:
                raise ValueError(
                    f"module: expected one for a single step, got {type(inside).__name__}, which "
                    "runs whole sequences; put MaskZero inside it"
                )
            if inside.step_clone() is inside:
                raise ValueError(
                    f"module: expected one without steps of its own, got {type(inside).__name__}, "
                    "whose state would not start anew; use its mask_zero()"
                )

    def _forward(self, input):
        x = first(input)
        xp = array_namespace(x)
        masked = xp.all(xp.reshape(x == 0, (x.shape[0], math.prod(x.shape[1:]))), axis=1)
        return _hidden(self.children["module"].forward(input), masked), masked

    def _backward(self, d_output, masked):
        d_input = self.children["module"].backward(_hidden(d_output, masked))
        return _hidden(d_input, masked)

    def reinforce(self, reward):
        """Hand on the reward, but 0 for the masked rows."""
        super().reinforce(self._unmasked(reward))

    def _reinforce_step(self, reward):
        super()._reinforce_step(self._unmasked(reward))

    def _unmasked(self, reward):
        if self._cache is None:
            return reward
        xp = array_namespace(self._cache)
        reward = xp.asarray(reward, device=device(self._cache))
        fits = reward.shape[:1] == self._cache.shape
        return _hidden(reward, self._cache) if fits else reward


def _hidden(table, masked):
    """Return the table with zeros in the masked rows."""

    def hide(a):
        xp = array_namespace(a)
        return xp.where(masked[(..., *[None] * (a.ndim - 1))], xp.zeros_like(a), a)

    return mapped(hide, table)
