"""One module at every step: Recurrence, and Recursor, which steps through a whole network."""

from array_api_compat import array_namespace, device

from rnnlib import _checks
from rnnlib.recurrent.arrays import check_input, check_table, copied, first
from rnnlib.recurrent.module import Module
from rnnlib.recurrent.simple import Sequential, size_of
from rnnlib.recurrent.stepwise import AbstractRecurrent


class FromStart(AbstractRecurrent):
    """A recurrent module whose first step has a state before it: zeros, or ``start``.

    start: None for zeros, or an array (N, *size); for a state of two parts a pair of them.  It may
        be set between two sequences, to what an encoder ends with; ``grad_state`` is its gradient
        when the first step has been gone back through.
    """

    sizes = ()

    def _first_state(self, input):
        x = first(input)
        rows = getattr(x, "shape", (0,))[:1]
        like = next(iter(self.parameters.values()), x)
        if self.start is None:
            xp = array_namespace(like)
            states = [
                xp.zeros((*rows, *size), dtype=like.dtype, device=device(like))
                for size in self.sizes
            ]
        else:
            parts = len(self.sizes)
            if parts > 1:
                check_table("start", self.start, parts, "(one for each part of the state)")
            states = copied(self.start if parts > 1 else [self.start])
            for k, (state, size) in enumerate(zip(states, self.sizes, strict=True)):
                name = "start" if len(states) == 1 else f"start[{k}]"
                check_input(name, state, 1 + len(size), "(N, *size)", like)
                _checks.shape(name, state, (*rows, *size), "(one row for each of the input's)")
        return states if len(states) > 1 else states[0]


class Recurrence(FromStart):
    """One module at every step: y_t = module([x_t, y_{t-1}]), with y_0 = 0, or ``start``.

    module: a Module that takes a table [(N, ...), (N, *output_size)] and returns (N, *output_size).
    output_size: an integer, or a tuple of integers.
    rho: see ``AbstractRecurrent``.  (Lua has one more argument, the number of the input's axes.)
    start: see ``FromStart``.

    Since all steps are alike it can handle masks: see ``mask_zero``.
    """

    def __init__(self, module, output_size, rho=99999, start=None):
        self.sizes, self.start = (size_of("output_size", output_size),), start
        super().__init__(children={"module": module}, rho=rho)

    def _new_step(self):
        return _Sized(self.children["module"].step_clone(), self.sizes[0])


class Recursor(AbstractRecurrent):
    """A whole network, stepped by hand: y_t = module(x_t), with a buffer for each step.

    Modules with steps of their own, such as ``Recurrent``, take a step at each call; the others
    get a shared clone for each step.  So a ``Sequential`` of both can be called T times and gone
    back through T times, which it cannot on its own.
    """

    def __init__(self, module, rho=99999):
        super().__init__(children={"module": module}, rho=rho)

    def mask_zero(self):
        """Raise: call ``mask_zero`` of the recurrent modules inside."""
        raise TypeError("mask_zero: call that of the recurrent modules inside")

    def _new_step(self):
        return Sequential(self.children["module"].step_clone())

    def _first_state(self, input):
        return None

    def _check_rows(self, input):
        """Nothing: the modules inside know which axis has their rows."""

    def _pair(self, input, before):
        return input

    def _unpair(self, d_input):
        return d_input, None


class _Sized(Module):
    """The module of one step, whose output must have the shape of the state."""

    def __init__(self, module, size):
        super().__init__(children={"module": module})
        self.size = size

    def _forward(self, pair):
        y = self.children["module"].forward(pair)
        _checks.shape("output of module", y, (y.shape[0], *self.size), "(N, *output_size)")
        return y, ()

    def _backward(self, dy, _):
        return self.children["module"].backward(dy)
