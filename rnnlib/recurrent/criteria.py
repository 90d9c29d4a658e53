"""Criteria: the losses of ``rnnlib.losses`` as objects that remember what to go back through.

``criterion(output, target)`` returns the loss, and ``criterion.backward()`` the gradient for the
output.  Shapes and errors are those of the functions in ``rnnlib.losses``.
"""

import copy

from array_api_compat import array_namespace, device, size

from rnnlib import _checks, losses
from rnnlib.recurrent.arrays import check_arrays, stacked
from rnnlib.recurrent.module import Criterion


class _Loss(Criterion):
    """A loss, summed or averaged.  A subclass gives ``_loss``, which returns it with its gradient.

    reduction: "mean" over all terms, or "sum".  (Lua's ``sizeAverage`` true or false.)
    """

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = _checks.one_of("reduction", reduction, ("mean", "sum"))

    def _forward(self, input, target):
        check_arrays({"input": input, "target": target})
        return self._loss(input, target)

    def _backward(self, d_input):
        return d_input


class SSECriterion(_Loss):
    """Half the sum of squared errors, ½ Σ (y - d)²; its gradient is y - d.

    input, target: (...).  ½ of torch's ``mse_loss`` with reduction="sum".
    """

    def __init__(self):
        super().__init__("sum")

    def _loss(self, input, target):
        return losses.squared_error(input, target, "sum")


class MSECriterion(_Loss):
    """The mean squared error, equal to torch's ``mse_loss``: no ½; input, target: (...)."""

    def _loss(self, input, target):
        loss, d_input = losses.squared_error(input, target, self.reduction)
        return loss + loss, 2 * d_input


class BCECriterion(_Loss):
    """The cross-entropy of probabilities, as ``Sigmoid`` returns them.

    input: (...) probabilities in [0, 1]; target: (...) numbers in [0, 1].  Equal to torch's
    ``binary_cross_entropy`` but where a probability is 0 or 1 and wrong: the loss is infinite
    there.  ``BCEWithLogitsCriterion`` without the ``Sigmoid`` never is: prefer it.
    """

    def _loss(self, input, target):
        xp = array_namespace(input, target)
        _checks.floating(xp, "input", input)
        _checks.every("input", input, (input >= 0) & (input <= 1), "probabilities from 0 to 1")
        _checks.shape("target", target, input.shape, "(the shape of input)")
        y = xp.astype(target, input.dtype)
        _checks.every("target", y, (y >= 0) & (y <= 1), "numbers from 0 to 1")
        one = xp.ones_like(y)
        # What has no weight counts nothing, even where log or 1/p is infinite.
        p, q = xp.where(y > 0, input, one), xp.where(y < 1, 1 - input, one)
        scale = _scale(self.reduction, y)
        terms = y * xp.log(p) + (1 - y) * xp.log(q)
        d_input = (1 - y) / q - y / p
        return -xp.sum(terms * scale), d_input * scale


class BCEWithLogitsCriterion(_Loss):
    """The cross-entropy of logistic units, equal to torch's ``binary_cross_entropy_with_logits``.

    input: (...) logits; target: (...) numbers in [0, 1].  The sigmoid is inside: put none before.
    """

    def _loss(self, input, target):
        return losses.binary_cross_entropy_with_logits(input, target, self.reduction)


class ClassNLLCriterion(_Loss):
    """Minus the log-probability of the class, equal to torch's ``nll_loss``.

    input: (..., V) log-probabilities, as ``LogSoftMax`` returns them; target: (...) integers in
    [0, V).  (Lua counts classes from 1.)
    """

    def _loss(self, input, target):
        xp = array_namespace(input, target)
        losses.check_classes(xp, input, target)
        target = xp.astype(target, xp.int64)  # As in losses.softmax_cross_entropy.
        V = input.shape[-1]
        good = (target >= 0) & (target < V)
        _checks.every("target", target, good, f"classes from 0 to {V - 1}")
        chosen = target[..., None] == xp.arange(V, device=device(target))
        scale = _scale(self.reduction, target)
        # where, not a product: 0 * -inf is NaN.
        terms = xp.where(chosen, input, xp.zeros_like(input))
        return -xp.sum(terms * scale), -xp.astype(chosen, input.dtype) * scale


class CrossEntropyCriterion(_Loss):
    """The cross-entropy of a softmax, equal to torch's ``cross_entropy``.

    input: (..., V) logits; target: (...) integers in [0, V).  ``LogSoftMax`` and
    ``ClassNLLCriterion`` in one: put no softmax before.
    """

    def _loss(self, input, target):
        return losses.softmax_cross_entropy(input, target, self.reduction)


class GaussianNLLCriterion(_Loss):
    """The negative log likelihood under a normal density whose mean is the input.

    input, target: (...); variance: a number > 0 or an array that broadcasts, held constant.  Equal
    to torch's ``gaussian_nll_loss`` with full=True.
    """

    def __init__(self, variance=1.0, reduction="mean"):
        super().__init__(reduction)
        self.variance = variance

    def _loss(self, input, target):
        return losses.gaussian_nll(input, target, self.variance, self.reduction)


class SequencerCriterion(Criterion):
    """The criterion at each step, the losses added up.

    input: (T, ...) or a list of T; target: (T, ...) or a list of T, one for each step.
    The gradient comes in the same way as the input.
    """

    def __init__(self, criterion):
        super().__init__()
        if not isinstance(criterion, Criterion):
            raise TypeError(f"criterion: expected a Criterion, got {criterion!r}")
        self.criterion = criterion

    def _targets(self, target, steps):
        if len(target) != steps:
            raise ValueError(f"target: expected {steps} steps (the input's), got {len(target)}")
        return [target[t] for t in range(steps)]

    def _forward(self, input, target):
        T = len(input)
        if not T:
            raise ValueError("input: expected at least 1 step, got none")
        criteria = [copy.copy(self.criterion) for _ in range(T)]
        targets = self._targets(target, T)
        terms = [c.forward(input[t], targets[t]) for t, c in enumerate(criteria)]
        return sum(terms[1:], terms[0]), (criteria, isinstance(input, (list, tuple)))

    def _backward(self, cache):
        criteria, in_list = cache
        d_inputs = [criterion.backward() for criterion in criteria]
        return d_inputs if in_list else stacked(d_inputs)

    def describe(self):
        return f"{type(self).__name__}({self.criterion.describe()})"


class RepeaterCriterion(SequencerCriterion):
    """The criterion at each step with the same target, the losses added up.

    input: (T, ...) or a list of T; target: what the criterion takes at one step.
    """

    def _targets(self, target, steps):
        return [target] * steps


def _scale(reduction, target):
    """Return 1 for a sum, and 1 over the number of targets for a mean."""
    count = size(target) if reduction == "mean" else 1
    if not count:
        raise ValueError('reduction: expected "sum" where there are no targets, got "mean"')
    return 1 / count
