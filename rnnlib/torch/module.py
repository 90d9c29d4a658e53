"""What layers and cells share: the rung they run on, and their states."""

import torch

from rnnlib.torch.autocast import autocast_is_on, type_in_autocast
from rnnlib.torch.function import run
from rnnlib.torch.ladder import choose


class OnLadder:
    """A module that runs on a rung of ``rnnlib.torch.ladder``.  Stands before torch's class.

    A subclass names its ``states`` and its ``form``, a key of ``ladder.PRODUCTS``.

    rung: "auto", or the name of a rung; may be set on a module.
    took: the rung of the last call.
    """

    states = ("h",)
    rung, took = "auto", None

    def _run(self, weights, x, state, counts, reverse=False):
        """As ``function.run``, on the rung asked for, which is noted in ``took``."""
        dtype = type_in_autocast(x)
        rung = choose(self.rung, self.form, weights, dtype, x.device, counts)
        if not torch.compiler.is_compiling():
            self.took = rung
        return run(self.form, rung, weights, x, state, counts, reverse)

    def _parts(self, hx):
        """Return the parts of a state as a tuple; raise RuntimeError unless there is one a name."""
        parts = (hx,) if torch.is_tensor(hx) else tuple(hx)
        if len(parts) != len(self.states):
            expected = f"{len(self.states)} tensors ({', '.join(self.states)})"
            raise RuntimeError(f"hx: expected {expected}, got {len(parts)}")
        return parts

    def _as_hx(self, states):
        return tuple(states) if len(self.states) > 1 else states[0]


class ResetOption:
    """What torch's GRU does not have: the choice where to reset.  Stands before the base class."""

    reset_after = True

    @property
    def form(self):
        return "GRU" if self.reset_after else "GRU_RESET_BEFORE"

    def extra_repr(self):
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")


def check_alike(name, tensor, x):
    """Raise RuntimeError unless tensor has the input's type and device."""
    for what in ("dtype", "device"):
        ours, theirs = getattr(tensor, what), getattr(x, what)
        autocast = what == "dtype" and autocast_is_on(x.device.type)
        if ours != theirs and not autocast:
            raise RuntimeError(f"{name}: expected the input's {what} {theirs}, got {ours}")
