"""Whole sequences through modules that take one step a call."""

import copy

from rnnlib import _checks
from rnnlib.recurrent.arrays import added, stacked
from rnnlib.recurrent.module import Module
from rnnlib.recurrent.recurrence import Recursor
from rnnlib.recurrent.stepwise import AbstractRecurrent
from rnnlib.recurrent.tables import JoinTable

_WHEN = ("both", "train", "eval", "neither")


class _Steps(Module):
    """What modules over whole sequences share: ``self._stepper`` takes the steps."""

    when, runs_sequences = "neither", True
    # What helps where the module's rho is too small.
    advice = "make the module with a larger rho"

    def _start_memory(self):
        super()._start_memory()
        module = self.children["module"]
        self._stepper = module if isinstance(module, AbstractRecurrent) else Recursor(module)
        self._set_train(self.train)

    def _set_train(self, train):
        self.train = train
        if self._stepper is not self.children["module"]:
            self._stepper.train = train

    def _run(self, inputs):
        try:
            return [self._stepper.forward(x) for x in inputs]
        except BaseException:
            self.forget()
            raise

    def _back(self, d_outputs):
        """Return the gradients of the inputs, in the order of the steps."""
        rho, T = self._stepper.rho, len(d_outputs)
        if self._stepper.train and rho < T:
            raise RuntimeError(
                f"backward: expected at most rho = {rho} steps, got {T}; {self.advice}"
            )
        for d in d_outputs[::-1]:
            self._stepper.backward(d)
        return list(self._stepper.grad_inputs)

    def reinforce(self, reward):
        """Hand on a reward: one for all steps, or a list or tuple with one for each step."""
        self._stepper.reinforce(reward)

    def _reinforce_step(self, reward):
        self.reinforce(reward)

    def _reinforce_inside(self, rewards):
        """Nothing: a step of something else has one of its own."""

    def forget(self):
        self._stepper.forget()
        return super().forget()

    def step_clone(self):
        # It runs whole sequences, so a step of something else has one of its own.
        return self.shared_clone()

    def _switch(self, train):
        if train != self.train and self.when != "neither":
            self.forget()
        self._stepper._switch(train)
        return super()._switch(train)


class Sequencer(_Steps):
    """The module at each step of a sequence.

    Input: an array (T, N, ...) or a list of T tables or arrays (N, ...); output: (T, N, ...) or a
    list, in the same way.  T may differ from call to call.

    module: any Module; one with steps inside takes them in turn, others are the same at each step.

    Every call forgets the one before, unless ``remember()`` says otherwise.  Raises ValueError for
    a sequence without steps, and RuntimeError when ``backward`` would have to go back further than
    the module's rho.
    """

    advice = "use remember() and shorter windows, or make the module with a larger rho"

    def __init__(self, module):
        super().__init__(children={"module": module})

    def remember(self, when="both"):
        """Go on from call to call where the last one ended; returns the module.

        when: "both", "train" (in training only), "eval" or "neither".  ``backward`` goes no further
        back than the last call.  ``training()`` and ``evaluate()`` forget when they switch.
        """
        self.when = _checks.one_of("when", when, _WHEN)
        return self.forget()

    def _forward(self, inputs):
        T = _length(inputs)
        if self.when in ("both", "train" if self.train else "eval"):
            self._stepper.detach()
        else:
            self._stepper.forget()
        outputs = self._run(inputs[t] for t in range(T))
        return _like(inputs, outputs), isinstance(inputs, (list, tuple))

    def _backward(self, d_outputs, in_list):
        d_inputs = self._back([d_outputs[t] for t in range(len(d_outputs))])
        return d_inputs if in_list else stacked(d_inputs)

    def describe(self):
        return "Sequencer" if self.when == "neither" else f"Sequencer(remember {self.when})"


class Repeater(_Steps):
    """The module at ``rho`` steps with the same input; Lua's number of steps, nStep.

    Input: (N, ...); output: (rho, N, ...).  The gradient of the input is the sum over the steps.
    """

    def __init__(self, module, rho):
        self.rho = _checks.positive_int("rho", rho)
        super().__init__(children={"module": module})

    def _forward(self, x):
        self._stepper.forget()
        return stacked(self._run([x] * self.rho)), ()

    def _backward(self, d_outputs, _):
        total = None
        for d_x in self._back([d_outputs[t] for t in range(self.rho)]):
            total = added(total, d_x)
        return total

    def describe(self):
        return f"Repeater({self.rho} steps)"


class BiSequencer(Module):
    """One module from the first step to the last, one from the last to the first, merged.

    Input: (T, N, ...) or a list; output: the same, of what ``merge`` makes of the table
    [forward's output, backward's output] of each step.

    forward: a Module, for ``Sequencer``.
    backward: another one, or None for a copy of ``forward`` with weights drawn anew by ``rng``.
    merge: a Module that takes a table; None for ``JoinTable()``, side by side.
    """

    runs_sequences = True

    def __init__(self, forward, backward=None, merge=None, *, rng=None):
        if backward is None and isinstance(forward, Module):
            # With one Generator for both: two in the same state would draw the same.
            memo = {id(m.rng): m.rng for m in forward.modules() if hasattr(m, "rng")}
            backward = copy.deepcopy(forward, memo).reset(rng)
            backward.zero_grad_parameters()
        super().__init__(
            children={
                "forward": forward,
                "backward": backward,
                "merge": JoinTable() if merge is None else merge,
            }
        )

    def _start_memory(self):
        super()._start_memory()
        self._ways = {name: Sequencer(child) for name, child in self.children.items()}
        for way in self._ways.values():
            way._set_train(self.train)

    def _forward(self, inputs):
        T, ways = _length(inputs), self._ways
        steps = [inputs[t] for t in range(T)]
        there, back = ways["forward"].forward(steps), ways["backward"].forward(steps[::-1])[::-1]
        outputs = ways["merge"].forward([list(pair) for pair in zip(there, back, strict=True)])
        return _like(inputs, outputs), isinstance(inputs, (list, tuple))

    def _backward(self, d_outputs, in_list):
        pairs = self._ways["merge"].backward([d_outputs[t] for t in range(len(d_outputs))])
        d_there, d_back = zip(*pairs, strict=True)
        parts = (
            self._ways["forward"].backward(list(d_there)),
            self._ways["backward"].backward(list(d_back[::-1]))[::-1],
        )
        d_inputs = [added(a, b) for a, b in zip(*parts, strict=True)]
        return d_inputs if in_list else stacked(d_inputs)

    def reinforce(self, reward):
        """Hand on a reward: one for all steps, or a list or tuple with one for each step."""
        turned = reward[::-1] if isinstance(reward, (list, tuple)) else reward
        for name, way in self._ways.items():
            if way.stochastic:
                way.reinforce(turned if name == "backward" else reward)

    def _reinforce_step(self, reward):
        self.reinforce(reward)

    def _reinforce_inside(self, rewards):
        """Nothing, as in ``Sequencer``."""

    def forget(self):
        for way in self._ways.values():
            way.forget()
        return super().forget()

    def step_clone(self):
        return self.shared_clone()

    def _switch(self, train):
        for way in self._ways.values():
            way._switch(train)
        return super()._switch(train)


def _length(inputs):
    """Return the number of steps, or raise."""
    table = isinstance(inputs, (list, tuple))
    if not table and not getattr(inputs, "ndim", 0):
        raise TypeError(
            f"input: expected an array (T, N, ...) or a list of steps, got {type(inputs).__name__}"
        )
    if not len(inputs):
        raise ValueError("input: expected at least 1 step, got none")
    return len(inputs)


def _like(inputs, outputs):
    """Return the outputs as an array if the inputs were one."""
    return outputs if isinstance(inputs, (list, tuple)) else stacked(outputs)
