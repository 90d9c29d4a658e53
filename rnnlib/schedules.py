"""Schedules that set an optimizer's learning rate, in the spellings of torch.optim.lr_scheduler.

Call ``step()`` after each epoch, or after each ``optimizer.step``, whichever t is to count.
One schedule steps at a time: each sets ``optimizer.lr`` from the base rate and its own t alone, so
two can follow one another, such as a warm-up and a decay, but what two set is not multiplied.
"""

import math
import numbers

from rnnlib import _checks
from rnnlib.optim import Optimizer


def _real(name, value):
    """Return ``value`` as a float, inf and NaN too, or raise TypeError."""
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{name}: expected a real number, got {value!r}")
    return float(value)


class Schedule:
    """What the schedules share: ``optimizer.lr`` is a function of t, the number of steps so far.

    A subclass writes ``rate(t)``.  t is ``last_epoch``, 0 at first.  ``base_lr`` is what the
    optimizer's lr was when its first schedule was made.

    Raises TypeError for anything but an optimizer of ``rnnlib.optim``.
    """

    # What changes, each with its check.
    _STATE = (("base_lr", _checks.not_negative), ("last_epoch", _checks.count))

    def __init__(self, optimizer, sets_first=False):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"optimizer: expected one of rnnlib.optim, got {type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        self.base_lr = optimizer.lr if optimizer.initial_lr is None else optimizer.initial_lr
        self.last_epoch = 0
        if sets_first:
            _set_lr(optimizer, self.rate(0))
        optimizer.initial_lr = self.base_lr

    def step(self):
        """Count one more step, and set the optimizer's learning rate."""
        _set_lr(self.optimizer, self.rate(self.last_epoch + 1))
        self.last_epoch += 1

    def state_dict(self):
        """Return a dict of the numbers that change.

        To go on with a run, make the optimizer and the schedule as before, and then load both: lr
        itself is in the optimizer's state.
        """
        return {name: getattr(self, name) for name, _ in self._STATE}

    def load_state_dict(self, state_dict):
        """Take over what ``state_dict()`` returned; numbers may be 0-d arrays.

        Raises KeyError for missing or unknown keys and ValueError for a number out of range; then
        nothing has been changed.
        """
        _checks.same_keys("state_dict", state_dict, dict(self._STATE))
        loaded = {
            name: check(f"state_dict[{name!r}]", _checks.plain(state_dict[name]))
            for name, check in self._STATE
        }
        for name, value in loaded.items():
            setattr(self, name, value)


class StepLR(Schedule):
    """lr = base gamma^⌊t / step_size⌋, like ``torch.optim.lr_scheduler.StepLR``.

    Raises TypeError or ValueError unless step_size is an integer >= 1 and gamma finite and > 0.
    """

    def __init__(self, optimizer, step_size, gamma=0.1):
        self.step_size = _checks.positive_int("step_size", step_size)
        self.gamma = _checks.positive("gamma", gamma)
        super().__init__(optimizer)

    def rate(self, t):
        """Return the learning rate after t steps."""
        return self.base_lr * self.gamma ** (t // self.step_size)


class ExponentialLR(Schedule):
    """lr = base gamma^t, like ``torch.optim.lr_scheduler.ExponentialLR``.

    Raises ValueError unless gamma is finite and > 0.
    """

    def __init__(self, optimizer, gamma):
        self.gamma = _checks.positive("gamma", gamma)
        super().__init__(optimizer)

    def rate(self, t):
        """Return the learning rate after t steps."""
        return self.base_lr * self.gamma**t


class CosineAnnealingLR(Schedule):
    """lr = eta_min + (base - eta_min) (1 + cos(π t / T_max)) / 2: down, and up again after T_max.

    [Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017,
    equation 5, without the restarts]; like ``torch.optim.lr_scheduler.CosineAnnealingLR``.

    Raises TypeError or ValueError unless T_max is an integer >= 1 and eta_min finite and >= 0.
    """

    def __init__(self, optimizer, T_max, eta_min=0.0):
        self.T_max = _checks.positive_int("T_max", T_max)
        self.eta_min = _checks.not_negative("eta_min", eta_min)
        super().__init__(optimizer)

    def rate(self, t):
        """Return the learning rate after t steps."""
        share = (1 + math.cos(math.pi * t / self.T_max)) / 2
        return self.eta_min + (self.base_lr - self.eta_min) * share


class LambdaLR(Schedule):
    """lr = base lr_lambda(t), from t = 0 on, like ``torch.optim.lr_scheduler.LambdaLR``.

    Raises TypeError for an lr_lambda that cannot be called, and ValueError when it returns
    anything but a finite number >= 0; then lr and t are as before.
    """

    def __init__(self, optimizer, lr_lambda):
        if not callable(lr_lambda):
            raise TypeError(f"lr_lambda: expected a function of t, got {lr_lambda!r}")
        self.lr_lambda = lr_lambda
        super().__init__(optimizer, sets_first=True)

    def rate(self, t):
        """Return the learning rate after t steps."""
        factor = _checks.plain(self.lr_lambda(t))
        return self.base_lr * _checks.not_negative(f"lr_lambda({t})", factor)


class LinearLR(Schedule):
    """A warm-up: lr goes from base start_factor to base end_factor in total_iters equal steps.

    It starts at once, and stays at the end.  Like ``torch.optim.lr_scheduler.LinearLR``.

    Raises ValueError unless start_factor is in (0, 1] and end_factor in [0, 1], and TypeError or
    ValueError unless total_iters is an integer >= 1.
    """

    def __init__(self, optimizer, start_factor=1 / 3, end_factor=1.0, total_iters=5):
        check = _checks.number
        self.start_factor = check("start_factor", start_factor, "0 < x <= 1", lambda x: 0 < x <= 1)
        self.end_factor = check("end_factor", end_factor, "0 <= x <= 1", lambda x: 0 <= x <= 1)
        self.total_iters = _checks.positive_int("total_iters", total_iters)
        super().__init__(optimizer, sets_first=True)

    def rate(self, t):
        """Return the learning rate after t steps."""
        share = min(t, self.total_iters) / self.total_iters
        return self.base_lr * (self.start_factor + (self.end_factor - self.start_factor) * share)


class ReduceLROnPlateau(Schedule):
    """Multiply lr by factor when a metric has not become better for more than patience steps.

    Better is below best (1 - threshold) with mode="min", and above best (1 + threshold) with
    mode="max"; NaN is never better.  Then the count starts again.  As in
    ``torch.optim.lr_scheduler.ReduceLROnPlateau``, an lr that would change by no more than 1e-8
    stays.

    Raises ValueError for an unknown mode, a factor outside (0, 1), a patience that is no integer
    >= 0, and a threshold that is not finite and >= 0.
    """

    _STATE = (*Schedule._STATE, ("best", _real), ("num_bad_epochs", _checks.count))

    def __init__(self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4):
        self.mode = _checks.one_of("mode", mode, ("min", "max"))
        self.factor = _checks.number("factor", factor, "0 < x < 1", lambda x: 0 < x < 1)
        self.patience = _checks.count("patience", patience)
        self.threshold = _checks.not_negative("threshold", threshold)
        super().__init__(optimizer)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0

    def step(self, metric):
        """Look at the metric, a number, and lower the learning rate if it is time.

        Raises TypeError for anything but a real number; then nothing has been changed.
        """
        metric = _real("metric", _checks.plain(metric))
        self.last_epoch += 1
        if self._better(metric):
            self.best, self.num_bad_epochs = metric, 0
            return
        self.num_bad_epochs += 1
        if self.num_bad_epochs > self.patience:
            self.num_bad_epochs = 0
            lr = self.optimizer.lr * self.factor
            if self.optimizer.lr - lr > 1e-8:
                _set_lr(self.optimizer, lr)

    def _better(self, metric):
        if self.mode == "min":
            return metric < self.best * (1 - self.threshold)
        return metric > self.best * (1 + self.threshold)


def _set_lr(optimizer, lr):
    # Past the setter, which refuses 0: nobody means to set 0 by hand, but a schedule may end there.
    optimizer._lr = _checks.not_negative("lr", lr)
