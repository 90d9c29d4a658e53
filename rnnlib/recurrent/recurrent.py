"""Recurrent, the network that Lua Torch's ``rnn`` package is known for, and Jordan's."""

from numbers import Integral

import numpy as np

from rnnlib import _checks
from rnnlib.recurrent.module import Module
from rnnlib.recurrent.simple import Add, Linear, Sequential, Sigmoid, Tanh, size_of
from rnnlib.recurrent.stepwise import AbstractRecurrent
from rnnlib.recurrent.tables import CAddTable


class Recurrent(AbstractRecurrent):
    """An Elman network without its output layer [Elman 1990], stepped by hand.

        y_1 = transfer(start(input(x_1)))
        y_t = transfer(merge([input(x_t), feedback(y_{t-1})]))

    The input module runs at every step.  ``start`` stands behind it at the first step only, in the
    place of the merge with what was fed back.

    start: an integer or a size, which gives ``Add(start)``, a learned bias; or a Module, which is
        used as it is.
    input, feedback: Modules, such as ``Linear``.
    transfer: a Module; None for a ``Sigmoid()`` of its own.
    rho: how many steps ``backward`` can go back; see ``AbstractRecurrent``.
    merge: a Module that takes a table; None for a ``CAddTable()`` of its own.
    dtype, rng: for the ``Add`` that a size stands for.

    | what | shape | goes to |
    |---|---|---|
    | x_t | (N, I), what ``input`` takes | input |
    | input(x_t) | (N, H) | start (t = 1), merge (t > 1) |
    | start(input(x_1)) | (N, H) | transfer |
    | y_{t-1} | (N, O) | feedback |
    | feedback(y_{t-1}) | (N, H) | merge |
    | merge([input(x_t), feedback(y_{t-1})]) | (N, H) | transfer |
    | y_t, d_output of ``backward`` | (N, O); O = H for a nonlinearity | |
    | d_input that ``backward`` returns | (N, I) | |

    ``parameters`` have the prefixes "start.", "input.", "feedback.", "transfer." and "merge.".
    In the printed tree time starts at 0, as it did in Lua.

    Raises TypeError and ValueError that name the argument.
    """

    def __init__(
        self,
        start,
        input,
        feedback,
        transfer=None,
        rho=99999,
        merge=None,
        *,
        dtype=np.float64,
        rng=None,
    ):
        children = {
            "start": _start(start, dtype, rng),
            "input": input,
            "feedback": feedback,
            "transfer": Sigmoid() if transfer is None else transfer,
            "merge": CAddTable() if merge is None else merge,
        }
        super().__init__(children=children, rho=rho)

    def mask_zero(self):
        """Raise: a masked row would have to start anew, and here the first step is different."""
        raise TypeError(_REFUSED.format("mask_zero"))

    def trim_zero(self):
        """Raise, as ``mask_zero`` does."""
        raise TypeError(_REFUSED.format("trim_zero"))

    def _first_state(self, input):
        return None

    def _new_step(self):
        return _Step(children={name: child.step_clone() for name, child in self.children.items()})

    def __repr__(self):
        tree = self.children
        lines = [
            f"{type(self).__name__} {{",
            "  [{input(t), output(t-1)} -> (1) -> (2) -> (3) -> output(t)]",
            "  (1): {",
            "    input(t)",
            *_hung("      `-> input: ", tree["input"], " " * 10),
            *_hung("          |`-> (t == 0) to (3): start: ", tree["start"], "          |     "),
            "           `-> (t != 0) to (2)",
            "    output(t-1)",
            *_hung("      `-> feedback: ", tree["feedback"], " " * 10),
            "  }",
            *_hung("  (2): merge: ", tree["merge"], " " * 4),
            *_hung("  (3): transfer: ", tree["transfer"], " " * 4),
            "}",
        ]
        return "\n".join(lines)


_REFUSED = (
    "{}: expected one module for all steps, but the first step of Recurrent uses another one "
    "(start), so a row that is masked could not start anew; use Recurrence, with its mask_zero()"
)


class _Step(Module):
    """One step of ``Recurrent``: [x, y before, or None at the first step] to y."""

    def _forward(self, pair):
        x, before = pair
        a = self._through("input", x)
        if before is None:
            a = self._through("start", a)
        else:
            a = self._through("merge", [a, self._through("feedback", before)])
        return self._through("transfer", a), before is None

    def _through(self, name, x):
        try:
            return self.children[name].forward(x)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{name}: {error}") from error

    def _backward(self, dy, is_first):
        tree = self.children
        da = tree["transfer"].backward(dy)
        if is_first:
            return tree["input"].backward(tree["start"].backward(da)), None
        d_input, d_fed_back = tree["merge"].backward(da)
        return tree["input"].backward(d_input), tree["feedback"].backward(d_fed_back)

    def _reinforce_step(self, reward):
        # Only what ran; the cache says whether this was the first step.
        idle = ("feedback", "merge") if self._cache else ("start",)
        for name, child in self.children.items():
            if child.stochastic and name not in idle:
                child._reinforce_step(reward)


def Jordan(
    input_size, hidden_size, output_size, rho=99999, *, output=None, dtype=np.float64, rng=None
):
    """Return a network that feeds back its output [Jordan 1986], as a ``Recurrent``.

        y_t = output(V tanh(W x_t + b + U y_{t-1} + c) + d),  with start's bias instead of
        U y_{t-1} + c at t = 1

    The hidden and the output layer stand in ``transfer``, so that what is fed back is the output.

    x_t: (N, input_size); y_t: (N, output_size).  output: a Module; None for a ``Tanh()``.
    Parameters: W and b are input.weight and input.bias; U and c feedback.weight and feedback.bias;
    V and d transfer.1.weight and transfer.1.bias; and start.bias.
    """
    options = {"dtype": dtype, "rng": _checks.generator(rng)}
    inside = Linear(hidden_size, output_size, **options)
    return Recurrent(
        hidden_size,
        Linear(input_size, hidden_size, **options),
        Linear(output_size, hidden_size, **options),
        Sequential(Tanh(), inside, Tanh() if output is None else output),
        rho,
        **options,
    )


def _start(start, dtype, rng):
    if isinstance(start, Module):
        return start
    sizes = start if isinstance(start, (tuple, list)) else [start]
    integers = all(isinstance(s, Integral) and not isinstance(s, bool) for s in sizes)
    if not integers or not sizes:
        raise TypeError(
            "start: expected an integer, a size (a tuple of integers) or a Module, "
            f"got {type(start).__name__} {start!r}"
        )
    return Add(size_of("start", start), dtype=dtype, rng=rng)


def _hung(head, tree, margin):
    """Return the lines of a printed tree, the first behind ``head``, the others behind a margin."""
    first, *rest = repr(tree).splitlines()
    return [head + first, *(margin + line for line in rest)]
