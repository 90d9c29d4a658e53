"""The book's equations as an operation that torch can differentiate, and differentiate again."""

import torch

from rnnlib.torch.autocast import autocast_off, in_autocast
from rnnlib.torch.ladder import make, transformed


def run(form, rung, weights, x, state, counts, reverse=False):
    """Run one direction of one layer over a batch of sequences.

    form: a key of ``ladder.PRODUCTS``; rung: one of ``ladder.RUNGS`` that is valid here.
    weights, x: (M, I), state, counts and reverse: as in ``rnnlib.sequences.Sequence``.  Under
    autocast all floating numbers but float64 are taken to its type first, on every device;
    torch.nn's GRU and its cells stay in float32 on the CPU.
    Returns the outputs (M, R) and the state after.  Both ways need the outputs, so that to change
    them in place before going back is an error, as with cuDNN.

    Raises RuntimeError for forward mode within forward mode.
    """
    if not torch.compiler.is_compiling():
        _refuse_nested_forward_mode()
    arrays = in_autocast([x, *state, *weights.values()])
    with autocast_off(x.device.type):
        results = _apply_whole(
            (form, rung), tuple(weights), tuple(counts), reverse, torch.is_grad_enabled(), *arrays
        )
    return results[0], results[1 : 1 + len(state)]


def _refuse_nested_forward_mode():
    # torch calls ``jvp`` of any Function with forward mode switched off: the tangents of another
    # level would be lost in silence.
    functorch = torch._C._functorch
    levels = functorch.get_interpreter_stack() or ()
    if sum(level.key() == functorch.TransformType.Jvp for level in levels) > 1:
        raise RuntimeError(
            "forward mode within forward mode (jvp of jvp, jacfwd of jacfwd): expected one level, "
            "got two, and torch would ignore one of them; go back in one of the two (jacfwd of "
            "jacrev, jvp of grad)"
        )


def _taken_apart(form, names, arrays):
    """Return the ``Sequence`` with its weights, and the state, from the arrays of ``apply``."""
    weights = dict(zip(names, arrays[len(arrays) - len(names) :], strict=True))
    return make(*form, weights), tuple(arrays[: len(arrays) - len(names)])


def _differentiable(form, names, arrays):
    """``_taken_apart`` on the rung that torch can differentiate."""
    return _taken_apart((form[0], "products"), names, arrays)


def _differentiated():
    """Return whether the caller differentiates what is computed now, back or in forward mode."""
    return torch.is_grad_enabled() or torch.autograd.forward_ad._current_level >= 0


class Derived(torch.autograd.Function):
    """``Sequence.forward``, with ``Sequence.backward`` for both ways of differentiating it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(form, names, counts, reverse, keep, x, *arrays):
        sequence, state = _taken_apart(form, names, arrays)
        y, after, kept = sequence.forward(x, state, counts, reverse, keep)
        return y, *after, *kept

    @staticmethod
    def setup_context(ctx, inputs, output):
        form, names, counts, reverse, keep, *arrays = inputs
        parts = len(arrays) - len(names)
        y, kept = output[0], output[parts:]
        ctx.call, ctx.count = (form, names, counts, reverse), len(arrays)
        ctx.by_products = len(kept)
        ctx.save_for_forward(*arrays)
        if keep:
            ctx.mark_non_differentiable(*kept)
            # Nobody asks for the gradients of what is kept: no zeros are made up for them.
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(*arrays, y, *kept)

    @staticmethod
    def backward(ctx, dy, *d_outputs):
        form, names, counts, reverse = ctx.call
        saved = ctx.saved_tensors  # once: hooks may load a tensor from elsewhere each time
        (x, *arrays), (y, *kept) = saved[: ctx.count], saved[ctx.count :]
        again = _differentiated() or transformed()
        sequence, state = (_differentiable if again else _taken_apart)(form, names, arrays)
        # Under autocast, forward was given arrays of one type, and backward stays with it.
        with autocast_off(x.device.type):
            if again:
                # What was kept is a result: it says nothing about how it came from x, state and
                # weights.  And what is written in place can neither be differentiated nor batched.
                y, _, kept = sequence.forward(x, state, counts, reverse)
            dy = torch.zeros_like(y) if dy is None else dy
            d_state = tuple(
                torch.zeros_like(s) if d is None else d
                for d, s in zip(d_outputs, state, strict=False)
            )
            of_x, *needed = ctx.needs_input_grad[5:]
            of_weights = zip(names, needed[len(state) :], strict=True)
            wanted = ["x"] * of_x + [name for name, of_weight in of_weights if of_weight]
            d_state, grads = sequence.backward(
                dy, d_state, x, state, y, kept, counts, reverse, wanted
            )
        return *[None] * 5, grads.get("x"), *d_state, *(grads.get(name) for name in names)

    @staticmethod
    def jvp(ctx, *tangents):
        # Backward is linear in the gradients u that come in: it is u -> Jᵀu.  The transpose of that
        # map takes tangents v to Jv, and torch finds it by going back through backward.
        form, names, counts, reverse = ctx.call
        given = ctx.saved_tensors
        tangents = tuple(
            torch.zeros_like(a) if v is None else v
            for a, v in zip(given, tangents[5:], strict=True)
        )
        x, *arrays = given
        sequence, state = _differentiable(form, names, arrays)
        y, after, kept = sequence.forward(x, state, counts, reverse)

        def transposed(dy, *d_state):
            d_state, grads = sequence.backward(dy, d_state, x, state, y, kept, counts, reverse)
            return grads["x"], *d_state, *(grads[name] for name in names)

        _, pull = torch.func.vjp(transposed, *map(torch.zeros_like, (y, *after)))
        return *pull(tangents), *[None] * ctx.by_products


@torch.compiler.allow_in_graph
def _apply_whole(*arguments):
    """``Derived.apply`` as one piece: ``torch.compile`` does not look into its Python code."""
    return Derived.apply(*arguments)
