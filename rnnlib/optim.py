"""Optimizers and gradient clipping for dicts of NumPy arrays, in place, in torch's spellings.

``parameters`` and ``grads`` are dicts with the same names and shapes, such as a layer's own.
Schedules for the learning rate stand in ``rnnlib.schedules``.
"""

import numpy as np

from rnnlib import _checks
from rnnlib.clipping import clip_grad_norm_, clip_grad_value_

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm_",
    "clip_grad_value_",
]


def _betas(name, value):
    """Return ``value`` as two floats, or raise ValueError unless both lie in [0, 1)."""
    try:
        first, second = value
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected two numbers in [0, 1), got {value!r}") from None
    return _checks.fraction(f"{name}[0]", first), _checks.fraction(f"{name}[1]", second)


_CHECKS = {
    "momentum": _checks.not_negative,
    "dampening": _checks.not_negative,
    "weight_decay": _checks.not_negative,
    "nesterov": lambda name, value: bool(value),
    "eps": _checks.positive,
    "eps_inside": lambda name, value: bool(value),
    "alpha": _checks.fraction,
    "centered": lambda name, value: bool(value),
    "betas": _betas,
}


class Optimizer:
    """What all optimizers share: the checks before a step, the learning rate, and the state.

    A subclass writes ``_update(name, p, g)``, which changes the array ``p`` in place and leaves
    ``g``, which has p's shape and dtype, as it is.

    - ``lr`` can be assigned between steps.
    - ``steps`` counts the steps, and is 1 during the first.
    - ``state`` holds, for each word in ``kinds``, a dict of arrays like the parameters, zero at
      first: what the update rule remembers.

    Raises ValueError for no parameters or an lr that is not finite and > 0, and TypeError for a
    parameter that cannot be updated in place.
    """

    def __init__(self, parameters, lr, kinds=(), **options):
        if not parameters:
            raise ValueError("parameters: expected at least one array, got none")
        for name, p in parameters.items():
            _checks.in_place(f"parameters[{name!r}]", p)
        self.parameters = parameters
        self.lr = lr
        self.initial_lr = None  # What lr was when the first schedule came; see rnnlib.schedules.
        self.steps = 0
        for option, value in options.items():
            setattr(self, option, _CHECKS[option](option, value))
        self._options = tuple(options)
        self.state = {
            kind: {name: np.zeros_like(p) for name, p in parameters.items()} for kind in kinds
        }

    @property
    def lr(self):
        """The learning rate, finite and > 0 (a schedule may end at 0)."""
        return self._lr

    @lr.setter
    def lr(self, value):
        self._lr = _checks.positive("lr", value)

    def step(self, grads):
        """Update every parameter by its gradient.

        grads: a dict with exactly the parameters' names, each array in its parameter's shape.

        Raises KeyError for missing or unknown names, ValueError for a wrong shape and TypeError
        for anything but real numbers; then no parameter has been changed.
        """
        _checks.same_keys("grads", grads, self.parameters)
        checked = {}
        for name, p in self.parameters.items():
            checked[name] = _checks.real_array(f"grads[{name!r}]", grads[name])
            _checks.shape(f"grads[{name!r}]", checked[name], p.shape, "(the parameter's)")
        self.steps += 1
        for name, p in self.parameters.items():
            self._update(name, p, checked[name].astype(p.dtype, copy=False))

    def state_dict(self):
        """Return what a run needs to go on as if it had not been interrupted, as copies.

        A plain dict: the numbers "lr", "step" (how many there were) and the constructor's other
        options by name, and the arrays of ``state`` as "kind.parameter", such as
        "exp_avg.weight_hh_l0", with torch's word for the kind.  The parameters are not in it.
        ``rnnlib.saving.save_file`` writes it to a file.
        """
        numbers = {"lr": self.lr, "step": self.steps}
        numbers |= {option: getattr(self, option) for option in self._options}
        return numbers | {key: array.copy() for key, array in self._arrays().items()}

    def load_state_dict(self, state_dict):
        """Copy in what ``state_dict()`` returned, or a file gave back; numbers may be 0-d arrays.

        Raises KeyError for missing or unknown keys (they differ when the optimizer was made with
        other options), ValueError for a wrong shape or a number out of range, and TypeError for
        anything but real numbers; then nothing has been changed.
        """
        arrays = self._arrays()
        _checks.same_keys("state_dict", state_dict, ("lr", "step", *self._options, *arrays))
        loaded = {}
        for key, array in arrays.items():
            name = f"state_dict[{key!r}]"
            loaded[key] = _checks.real_array(name, state_dict[key], array.dtype)
            _checks.shape(name, loaded[key], array.shape, "(the parameter's)")
        # A schedule may have ended at 0, so lr does not go through its setter.
        checks = {"lr": _checks.not_negative, "step": _checks.count}
        checks |= {option: _CHECKS[option] for option in self._options}
        numbers = {
            key: check(f"state_dict[{key!r}]", _checks.plain(state_dict[key]))
            for key, check in checks.items()
        }
        self._lr, self.steps = numbers.pop("lr"), numbers.pop("step")
        for option, value in numbers.items():
            setattr(self, option, value)
        for key, array in arrays.items():
            array[...] = loaded[key]

    def _arrays(self):
        return {
            f"{kind}.{name}": a for kind, group in self.state.items() for name, a in group.items()
        }


class SGD(Optimizer):
    """Gradient descent, for whatever batch g was computed on [Robbins, Monro 1951].

    p ← p - lr d, where d is found in this order:

    - weight_decay λ: g ← g + λ p, the gradient of λ ‖p‖² / 2 [Krogh and Hertz, "A simple weight
      decay can improve generalization", NeurIPS 1991].
    - momentum μ and dampening τ: b ← μ b + (1 - τ) g, but b ← g in the first step, and d = b
      [Polyak, "Some methods of speeding up the convergence of iteration methods", 1964].
    - nesterov: d = g + μ b [Sutskever, Martens, Dahl and Hinton, "On the importance of
      initialization and momentum in deep learning", ICML 2013, equations 3 and 4, written for
      the point ahead, at which they take the gradient].

    Without them d = g.  Equals ``torch.optim.SGD``.

    Raises ValueError unless momentum, dampening and weight_decay are finite and >= 0, and for
    nesterov without momentum or with dampening.
    """

    def __init__(
        self, parameters, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False
    ):
        super().__init__(
            parameters,
            lr,
            ["momentum_buffer"] if momentum else [],
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
        )
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError(
                "nesterov: expected momentum > 0 and dampening 0 with it, "
                f"got momentum {momentum!r} and dampening {dampening!r}"
            )

    def _update(self, name, p, g):
        if self.weight_decay:
            g = g + self.weight_decay * p
        if self.momentum:
            b = self.state["momentum_buffer"][name]
            if self.steps == 1:
                b[...] = g
            else:
                b *= self.momentum
                b += (1 - self.dampening) * g
            if self.nesterov:
                ahead = self.momentum * b
                ahead += g
            g = ahead if self.nesterov else b
        p -= self.lr * g


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far, entry by entry.

    With s ← s + g², starting from zero:

    - eps_inside=False: p ← p - lr g / (√s + eps), as in ``torch.optim.Adagrad``, with torch's
      default eps of 1e-10; it is the diagonal form of Duchi, Hazan and Singer, "Adaptive
      Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12, 2011,
      section 1.1, with their δ as eps.
    - eps_inside=True: p ← p - lr g / √(s + eps), as in Karpathy's min-char-rnn (2015), which has
      eps = 1e-8 and lr = 0.1.

    ``sums`` holds s, a dict of arrays in the parameters' shapes.

    Raises ValueError unless lr and eps are finite and > 0.
    """

    def __init__(self, parameters, lr=0.01, eps=1e-10, eps_inside=False):
        super().__init__(parameters, lr, ["sum"], eps=eps, eps_inside=eps_inside)
        self.sums = self.state["sum"]

    def _update(self, name, p, g):
        s = self.sums[name]
        s += g * g
        root = np.sqrt(s + self.eps) if self.eps_inside else np.sqrt(s) + self.eps
        step = self.lr * g
        step /= root
        p -= step


class RMSprop(Optimizer):
    """Steps divided by the root of a moving average of the squared gradients, entry by entry.

    g ← g + weight_decay p; then, starting from zero:

    - v ← alpha v + (1 - alpha) g², and r = √v + eps [Tieleman and Hinton, "Lecture 6.5: rmsprop",
      Coursera, 2012].
    - centered: also m ← alpha m + (1 - alpha) g, and r = √(v - m²) + eps, the root of an estimated
      variance [Graves, "Generating sequences with recurrent neural networks", arXiv:1308.0850,
      2013, equations 38 to 41, where eps stands in the root].  Where rounding makes v - m²
      negative, it counts as 0; in torch the root is NaN.
    - momentum μ: b ← μ b + g / r, and p ← p - lr b; without it p ← p - lr g / r.

    Equals ``torch.optim.RMSprop``.

    Raises ValueError unless lr and eps are finite and > 0, weight_decay and momentum finite and
    >= 0, and alpha in [0, 1).
    """

    def __init__(
        self,
        parameters,
        lr=0.01,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0.0,
        momentum=0.0,
        centered=False,
    ):
        kinds = {"square_avg": True, "grad_avg": centered, "momentum_buffer": momentum}
        super().__init__(
            parameters,
            lr,
            [kind for kind, used in kinds.items() if used],
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
        )

    def _update(self, name, p, g):
        if self.weight_decay:
            g = g + self.weight_decay * p
        v = self.state["square_avg"][name]
        _average_square(v, g, self.alpha)
        if self.centered:
            m = self.state["grad_avg"][name]
            _average(m, g, self.alpha)
            root = np.multiply(m, m, out=np.empty_like(m))
            np.subtract(v, root, out=root)
            np.maximum(root, 0, out=root)
        else:
            root = v.copy()
        np.sqrt(root, out=root)
        root += self.eps
        step = np.divide(g, root, out=root)
        if self.momentum:
            b = self.state["momentum_buffer"][name]
            b *= self.momentum
            b += step
            step[...] = b
        step *= self.lr
        p -= step


class Adam(Optimizer):
    """Steps along a moving average of the gradients, divided by the root of one of their squares.

    g ← g + weight_decay p; then with betas = (β₁, β₂), starting from zero, in step t = 1, 2, …

    - m ← β₁ m + (1 - β₁) g and v ← β₂ v + (1 - β₂) g²,
    - p ← p - lr m̂ / (√v̂ + eps) with m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ), which takes out the
      pull towards the zero start

    [Kingma and Ba, "Adam: A method for stochastic optimization", ICLR 2015, algorithm 1].  Equals
    ``torch.optim.Adam``.

    Raises ValueError unless lr and eps are finite and > 0, both betas in [0, 1), and weight_decay
    finite and >= 0.
    """

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        kinds = ["exp_avg", "exp_avg_sq"]
        super().__init__(parameters, lr, kinds, betas=betas, eps=eps, weight_decay=weight_decay)

    def _update(self, name, p, g):
        self._move(name, p, g + self.weight_decay * p if self.weight_decay else g)

    def _move(self, name, p, g):
        m, v = (self.state[kind][name] for kind in ("exp_avg", "exp_avg_sq"))
        beta1, beta2 = self.betas
        _average(m, g, beta1)
        _average_square(v, g, beta2)
        root = v.copy()  # np.sqrt(v) alone makes a scalar of a 0-d array.
        np.sqrt(root, out=root)
        root /= (1 - beta2**self.steps) ** 0.5
        root += self.eps
        step = np.divide(m, root, out=root)
        step *= self.lr / (1 - beta1**self.steps)
        p -= step


class AdamW(Adam):
    """Adam whose weight decay takes no part in the averages: p ← (1 - lr weight_decay) p first.

    [Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2, where
    the decay is multiplied by a schedule only, not by lr].  Equals ``torch.optim.AdamW``.

    Raises what Adam raises.
    """

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def _update(self, name, p, g):
        p *= 1 - self.lr * self.weight_decay
        self._move(name, p, g)


def _average(mean, new, keep):
    """mean ← keep mean + (1 - keep) new, in place."""
    mean *= keep
    mean += (1 - keep) * new


def _average_square(mean, new, keep):
    """mean ← keep mean + (1 - keep) new², in place."""
    part = (1 - keep) * new
    part *= new
    mean *= keep
    mean += part
