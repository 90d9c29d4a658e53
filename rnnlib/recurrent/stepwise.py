"""What modules that take one step a call have in common: the steps, their buffers, the way back."""

from collections import deque
from numbers import Integral

from rnnlib import _checks
from rnnlib.recurrent.arrays import added, copied, first, gradient_of
from rnnlib.recurrent.masks import MaskZero
from rnnlib.recurrent.module import Module


class AbstractRecurrent(Module):
    """A module whose ``forward`` takes one step in time; Lua's class of that name.

    Call ``forward`` once for each step, then ``backward`` once for each step, in reverse order:
    each call gets the gradient of the loss for that step's output, adds what later steps sent, and
    returns the gradient for that step's input.  So backpropagation through time is a loop.

    The whole of a window in training:

        outputs = [module.forward(x) for x in inputs]
        for t in reversed(range(T)):
            module.backward(d_outputs[t])
        module.update_parameters(lr)
        module.forget()  # A new sequence; or detach(), the next window of this one.

    step: steps taken since ``forget``.  (Lua's counter, which begins at 1, is one ahead.)
    output: what the last ``forward`` returned.
    rho: ``backward`` can go back through the last min(rho, step) steps.  The state before the
        oldest of them is a constant, so this is truncated backpropagation through time.
    grad_inputs: what ``backward`` returned, in the order of the steps.
    grad_state: the gradient for the state before the step that was last gone back through; the
        next ``backward`` adds it.  None before the first ``backward``, and where there is no state.
    clones: how many buffers there are, at most rho + 1.

    Every step has a buffer: a clone that shares weights and gradients.  A buffer that is not needed
    any more is used again; ``forget`` keeps them for the next sequence.  After ``evaluate()`` a
    step leaves nothing but the state.

    A subclass gives ``_new_step()``, the module of one step, which maps a table [x, state before]
    to the state after, and ``_first_state(x)``.
    """

    def __init__(self, own=None, children=None, rho=99999, bound=None):
        self.rho = _checks.positive_int("rho", rho)
        self.masked = False
        super().__init__(own, children, bound)

    def _start_memory(self):
        super()._start_memory()
        # The steps that can be gone back through, oldest first, and the buffers to be used again.
        self._kept, self._free = deque(), []
        self._start_sequence()

    def _start_sequence(self):
        self.step, self._state = 0, None
        self._start_window()

    def _start_window(self):
        self._gone_back, self._truncated = 0, False
        self._d_inputs, self.grad_state = [], None

    @property
    def grad_inputs(self):
        return self._d_inputs[::-1]

    @property
    def stochastic(self):
        return any(child.stochastic for child in self.children.values())

    @property
    def clones(self):
        return len(self._kept) + len(self._free)

    def forward(self, input):
        """Take one step; return the output, of which the caller has a copy.

        Raises RuntimeError after ``backward`` has begun, and ValueError for another number of rows
        than at the step before.  If anything raises, no step was taken; but where modules inside
        have steps of their own the whole sequence is forgotten.
        """
        if self._gone_back:
            raise RuntimeError(
                f"forward: expected none after backward, which has gone back through "
                f"{self._gone_back} of {self._gone_back + len(self._kept)} steps; call forget() "
                "for a new sequence, or detach() for the next window of this one"
            )
        before = self._state if self.step else self._first_state(input)
        if self.step:
            self._check_rows(input)
        clone = self._free.pop() if self._free else self._made()
        try:
            state = clone.forward(self._pair(copied(input), before))
        except BaseException:
            self._put_back(clone)
            if any(isinstance(inside, AbstractRecurrent) for inside in clone.modules()):
                self.forget()
            raise
        self._kept.append(clone)
        self.step, self._state = self.step + 1, state
        self.recycle()
        self.output = copied(self._visible(state))
        return self.output

    def recycle(self):
        """Free the buffers of the steps that ``backward`` cannot reach; ``forward`` calls it."""
        self._keep_steps(self.rho if self.train else 0)

    def _keep_steps(self, count):
        while len(self._kept) > count:
            self._put_back(self._kept.popleft())
            self._truncated = self.train
        super()._keep_steps(count)

    def backward(self, d_output, step=None):
        """Go back through the last step that was not gone back through.

        d_output: the gradient of the loss for that step's output, in its shape; None for zeros.
        step: the number of the step (from 1) that the caller means, or None.  With it a wrong
            order is noticed.

        Returns the gradient for that step's input, and adds to ``grads``.

        Raises RuntimeError when there is no step to go back through, or the step is another one;
        TypeError and ValueError for a d_output that does not fit.  Then nothing has changed.
        """
        self._check_backward(step)
        clone = self._kept[-1]
        d_output = copied(gradient_of("d_output", d_output, self._visible(clone.output)))
        d_state = added(self._in_state(d_output), self.grad_state)
        try:
            d_input, d_before = self._unpair(clone.backward(d_state))
        except BaseException:
            self.forget()
            raise
        self._put_back(self._kept.pop())
        self._gone_back += 1
        # A copy: it may be the very array that the step before is to add.
        d_input = copied(d_input)
        self._d_inputs.append(d_input)
        self.grad_state = d_before
        return d_input

    def _check_backward(self, step):
        last = self.step - self._gone_back
        if step is not None and (isinstance(step, bool) or not isinstance(step, Integral)):
            raise TypeError(
                f"step: expected an integer or None, got {type(step).__name__}; backward takes the "
                "gradient of the output alone, not the input before it as in Lua"
            )
        if not self._kept:
            raise RuntimeError(f"backward: {self._why_none()}")
        if step is not None and step != last:
            raise RuntimeError(
                f"backward: expected step {last}, the last one not gone back through, got "
                f"{step!r}; go back in the reverse order of forward"
            )

    def _why_none(self):
        if not self.step:
            return "expected a forward call before it, but there was none since forget()"
        if self._truncated:
            return (
                f"expected at most rho = {self.rho} calls after {self.step} steps, since only "
                f"the last {self.rho} are kept; call forget() or detach(), or give a larger rho"
            )
        if self._gone_back:
            return (
                f"expected one call for each step, and all {self._gone_back} have been gone back "
                "through; call forget() or detach(), then forward"
            )
        return (
            "expected a forward call in training before it; steps taken after evaluate(), or "
            "before detach(), keep nothing"
        )

    def backward_through_time(self):
        """Raise: this is the interface of before 2016, and ``backward`` now does the work."""
        raise RuntimeError(
            "backward_through_time: expected no call, because backward now does this work: call "
            "backward once for each step, in the reverse order of forward"
        )

    def reinforce(self, reward):
        """Hand a reward to the stochastic modules inside, for the steps that are kept.

        reward: one for all steps, or a list or tuple with one for each step.

        Raises RuntimeError where no step is kept, and ValueError for a list of another length.
        """
        if not self._kept:
            raise RuntimeError(
                "reinforce: expected a forward call in training before it; call training(), then "
                "forward, then reinforce, then backward"
            )
        rewards = reward if isinstance(reward, (list, tuple)) else [reward] * len(self._kept)
        if len(rewards) != len(self._kept):
            raise ValueError(
                f"reward: expected one for all steps, or a list of {len(self._kept)}, one for each "
                f"step that can be gone back through, got {len(rewards)}"
            )
        for clone, one in zip(self._kept, rewards, strict=True):
            clone._reinforce_step(one)
        super()._reinforce_inside(rewards)

    def _reinforce_step(self, reward):
        """Nothing: the steps here are many, and ``_reinforce_inside`` brings all their rewards."""

    def _reinforce_inside(self, rewards):
        # It may have taken fewer steps than what it is in, as feedback does: then the last ones.
        if self._kept:
            self.reinforce(rewards[-len(self._kept) :])

    def detach(self):
        """Keep the state as a constant, and forget the way to it; returns the module.

        The next steps go on from here, and ``backward`` goes back through them alone.
        """
        self._release()
        self._start_window()
        for child in self.children.values():
            detach(child)
        return self

    def forget(self):
        """Forget the sequence: the next step is a first one.  Returns the module."""
        self._release()
        self._start_sequence()
        return super().forget()

    def mask_zero(self):
        """From now on treat rows whose input is all zeros as in ``MaskZero``; returns the module.

        Their output and state are 0, so that what follows starts anew, and no gradient passes.
        """
        self.forget()
        self._free.clear()
        self.masked = True
        return self

    def trim_zero(self):
        """Raise: in Lua this is a faster way to the numbers of ``mask_zero``."""
        raise TypeError("trim_zero: use mask_zero(), which gives the same numbers")

    def step_clone(self):
        return self

    def _switch(self, train):
        for clone in (*self._kept, *self._free):
            clone._switch(train)
        return super()._switch(train)

    def _made(self):
        step = self._new_step()
        return MaskZero(step) if self.masked else step

    def _put_back(self, clone):
        clone._drop()
        self._free.append(clone)

    def _release(self):
        while self._kept:
            self._put_back(self._kept.pop())

    def _check_rows(self, input):
        rows, before = (getattr(first(a), "shape", ())[:1] for a in (input, self._state))
        if rows and before and rows != before:
            raise ValueError(
                f"input: expected {before[0]} rows, as at the step before, got {rows[0]}; call "
                "forget() for a new sequence"
            )

    def _pair(self, input, before):
        """Return what the module of one step is given."""
        return [input, before]

    def _unpair(self, d_pair):
        """Return (d_input, d_state before) from what the module of one step gave back."""
        return d_pair

    def _visible(self, state):
        """Return the output, which is the part of the state that others see."""
        return state

    def _in_state(self, d_output):
        """Return the gradient of the state as far as it comes from the output."""
        return d_output


def detach(tree):
    """Call ``detach`` of the recurrent modules in a tree."""
    if isinstance(tree, AbstractRecurrent):
        tree.detach()
    else:
        for child in tree.children.values():
            detach(child)
