"""Modules that draw, and learn by reward: REINFORCE [Williams 1992].

Derived in the chapter "Learning by reward".  A draw has no derivative, so what ``backward`` gets
is ignored.  It returns the gradient of -reward * log p(draw) for the input instead.  Averaged over
all draws that is the gradient of minus the expected reward, so it goes down like any loss.

    actions = network.forward(x)      # somewhere inside, a Categorical
    network.reinforce(reward)         # one number for each of the N rows
    network.backward(None)

Nothing is divided by N: for the mean over a batch hand in reward / N.
"""

from array_api_compat import array_namespace, device

from rnnlib import _checks, losses
from rnnlib.recurrent.arrays import check_input, check_table
from rnnlib.recurrent.module import Criterion, Module


class Reinforce(Module):
    """What the three modules share; Lua's ``Reinforce``.

    In training ``forward`` draws with ``rng`` (a seed or a NumPy Generator, also for torch arrays).
    Clones share the Generator, ``module.rng``, whose state says what is drawn next.  After
    ``evaluate()`` the most likely output is returned, and nothing is drawn.

    A subclass gives ``_check(input)``, ``_draw(input)``, ``_likeliest(input)`` and
    ``_score(input, drawn)``, the gradient of log p(drawn) for the input.
    """

    # How many of the input's last axes one reward is at least for.
    event_axes = 0

    def __init__(self, *, rng=None):
        super().__init__()
        self.rng = _checks.generator(rng)

    def _forward(self, input):
        axes = max(1 + self.event_axes, getattr(input, "ndim", 0))
        check_input("input", input, axes, "(N, ..., K)" if self.event_axes else "(N, ...)")
        self._check(input)
        if not self.train:
            return self._likeliest(input), "not drawn"
        drawn = self._draw(input)
        return drawn, (input, drawn, None)

    def reinforce(self, reward):
        """Keep the reward of the last draw for ``backward``.

        reward: (N,) for an input (N, ...): one number for all that a row draws.  More axes give
        parts of a row rewards of their own; they are the input's first ones.

        Raises RuntimeError where nothing was drawn, and ValueError for another shape.
        """
        name = type(self).__name__
        if self._cache is None or self._cache == "not drawn":
            raise RuntimeError(
                f"reinforce: expected a forward call of {name} in training before it; "
                "call training(), then forward"
            )
        input, drawn, _ = self._cache
        xp = array_namespace(input)
        reward = xp.asarray(reward, dtype=input.dtype, device=device(input))
        axes = min(max(reward.ndim, 1), input.ndim - self.event_axes)
        _checks.shape("reward", reward, input.shape[:axes], f"(the first axes of {name}'s input)")
        self._cache = input, drawn, reward

    def _backward(self, _, cache):
        name = type(self).__name__
        if cache == "not drawn":
            raise RuntimeError(
                f"backward: expected a draw of {name}, and after evaluate() there is none; "
                "call training(), then forward"
            )
        input, drawn, reward = cache
        if reward is None:
            raise RuntimeError(
                f"backward: expected a reward for what {name} drew; call reinforce(reward) of the "
                "network between forward and backward"
            )
        reward = reward[(..., *[None] * (input.ndim - reward.ndim))]
        return -reward * self._score(input, drawn)

    def _noise(self, draw, like):
        """Return random numbers in the shape, kind and dtype of ``like``."""
        xp = array_namespace(like)
        return xp.asarray(draw(size=tuple(like.shape)), dtype=like.dtype, device=device(like))


class Bernoulli(Reinforce):
    """Ones with the probabilities that come in, else zeros; Lua's ``ReinforceBernoulli``.

    Input and output: (N, ...); every entry is a draw of its own.  ``evaluate()``: 1 where the
    probability is above 1/2.  (Lua's module returns the probabilities.)
    """

    def _check(self, p):
        _checks.every("input", p, (p >= 0) & (p <= 1), "probabilities from 0 to 1")

    def _draw(self, p):
        # In float64: rounded to float32, noise just below 1 would not be below a p of 1.
        xp = array_namespace(p)
        noise = xp.asarray(self.rng.random(size=tuple(p.shape)), device=device(p))
        return xp.astype(noise < p, p.dtype)

    def _likeliest(self, p):
        return array_namespace(p).astype(p > 0.5, p.dtype)

    def _score(self, p, drawn):
        # In two cases, so that nothing is divided by the probability of what was not drawn.
        xp = array_namespace(p)
        of_drawn = xp.where(drawn > 0, p, 1 - p)
        return (2 * drawn - 1) / of_drawn


class Categorical(Reinforce):
    """One of K, as a one-hot row; Lua's ``ReinforceCategorical``, but for log-probabilities.

    Input: (N, K) log-probabilities, as ``LogSoftMax`` returns them (Lua's module takes
    probabilities).  Output: (N, K), zeros and a 1.  More axes may stand before K.
    ``evaluate()``: the likeliest one.  (Lua's module returns the probabilities.)
    """

    event_axes = 1

    def _check(self, log_p):
        xp = array_namespace(log_p)
        sums = xp.sum(xp.exp(log_p), axis=-1)
        _checks.every(
            "input", sums, xp.abs(sums - 1) < 1e-3, "log-probabilities, whose exponentials sum to 1"
        )

    def _draw(self, log_p):
        # The largest of log p plus Gumbel noise is class k with probability p_k.
        return self._likeliest(log_p + self._noise(self.rng.gumbel, log_p))

    def _likeliest(self, log_p):
        xp = array_namespace(log_p)
        best = xp.argmax(log_p, axis=-1)
        classes = xp.arange(log_p.shape[-1], device=device(log_p))
        return xp.astype(best[..., None] == classes, log_p.dtype)

    def _score(self, log_p, drawn):
        return drawn


class Normal(Reinforce):
    """The input plus normal noise of standard deviation ``std``; Lua's ``ReinforceNormal``.

    Input and output: (N, ...); every entry is a draw of its own around its mean, the input.
    ``evaluate()``: the mean.  Raises ValueError unless std is a finite number > 0.
    """

    def __init__(self, std, *, rng=None):
        super().__init__(rng=rng)
        self.std = _checks.positive("std", std)

    def _check(self, mean):
        xp = array_namespace(mean)
        _checks.every("input", mean, xp.isfinite(mean), "finite means")

    def _draw(self, mean):
        return mean + self.std * self._noise(self.rng.standard_normal, mean)

    def _likeliest(self, mean):
        return mean

    def _score(self, mean, drawn):
        return (drawn - mean) / self.std**2

    def describe(self):
        return f"Normal({self.std:g})"


class RewardCriterion(Criterion):
    """Reward ``scale`` for the right class and 0 else, less a baseline; Lua's ``VRClassReward``.

    module: whose ``reinforce`` gets the reward less the baseline, when ``backward`` is called.

    ``forward((scores, baseline), target)``: scores (N, V), whose largest is the answer; baseline
    (N,) or (N, 1), what the network expects of the reward; target (N,) classes.  Returns minus the
    mean reward.  ``backward()`` returns (zeros for the scores, the gradient for the baseline), the
    latter of half the squared error between baseline and reward.  All are means over the batch: the
    module gets (reward - baseline) / N, and Lua's, which takes sums, N times that.

    Raises like ``losses.softmax_cross_entropy`` for scores and target, ValueError for a baseline
    of another shape or without rows, and TypeError for a module or a baseline that is none.  Not
    for ``SequencerCriterion``: a module is handed one reward, or all its steps' at once.
    """

    def __init__(self, module, scale=1.0):
        super().__init__()
        if not isinstance(module, Module):
            raise TypeError(f"module: expected a Module, got {module!r}")
        self.module, self.scale = module, _checks.positive("scale", scale)

    def _forward(self, input, target):
        check_table("input", input, 2, "(scores, baseline)")
        scores, baseline = input
        xp = array_namespace(scores)
        losses.check_classes(xp, scores, target)
        if not len(scores):
            raise ValueError("input: expected scores of at least 1 row, got none")
        columns = (1,) if getattr(baseline, "ndim", 0) == 2 else ()
        check_input("baseline", baseline, 1 + len(columns), "(N,) or (N, 1)", scores)
        _checks.shape("baseline", baseline, (*target.shape, *columns), "(N,) or (N, 1)")
        right = xp.argmax(scores, axis=-1) == target
        reward = self.scale * xp.astype(right, scores.dtype)
        return -xp.mean(reward), (scores, baseline, reward)

    def _backward(self, cache):
        scores, baseline, reward = cache
        expected = array_namespace(scores).reshape(baseline, reward.shape)
        _, d_expected = losses.squared_error(expected, reward, "mean")
        self.module.reinforce(-d_expected)
        return array_namespace(scores).zeros_like(scores), d_expected.reshape(baseline.shape)
