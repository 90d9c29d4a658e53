"""Modules that learn by reward: draws, gradients beside enumerated ones, errors, the criterion."""

import copy

import numpy as np
import planted_reinforce
import pytest
import torch
from planted_reinforce import SIGNALS, inputs, sampled

from rnnlib.recurrent.recurrence import Recursor
from rnnlib.recurrent.recurrent import Recurrent
from rnnlib.recurrent.reinforce import Bernoulli, Categorical, Normal, RewardCriterion
from rnnlib.recurrent.sequencer import Sequencer
from rnnlib.recurrent.simple import Linear, LogSoftMax, Sequential, Sigmoid, Tanh

MADE = {"bernoulli": Bernoulli, "categorical": Categorical, "normal": lambda **k: Normal(0.3, **k)}
kinds = pytest.mark.parametrize("kind", MADE)


@pytest.mark.parametrize("name", planted_reinforce.CHECKS)
def test_the_checks_that_slips_must_not_pass(name):
    assert planted_reinforce.check(name)


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("seed", range(4))
def test_the_mean_of_many_draws_is_the_exact_gradient(signal, seed):
    assert sampled(signal, seed) < 5


@pytest.mark.parametrize("seed", range(20, 25))
def test_the_enumerated_gradient_for_other_worlds(seed):
    assert planted_reinforce.check_enumerated(seed)


def test_a_wrong_reward_to_go_is_off(monkeypatch):
    later = {"later": lambda r: r - r + (r.sum(0) - r[::-1].cumsum(0)[::-1])}
    monkeypatch.setattr(planted_reinforce, "SIGNALS", later)
    assert not planted_reinforce.check_enumerated()


@kinds
def test_torch_arrays_draw_and_learn_the_same(kind):
    x = inputs(kind, (5, 4), 1)
    ours, theirs = MADE[kind](rng=2), MADE[kind](rng=2)
    drawn, t_drawn = ours(x), theirs(torch.tensor(x))
    assert isinstance(t_drawn, torch.Tensor)
    np.testing.assert_allclose(drawn, t_drawn.numpy(), rtol=1e-15)
    reward = np.arange(5.0)
    ours.reinforce(reward)
    theirs.reinforce(torch.tensor(reward))
    np.testing.assert_allclose(ours.backward(None), theirs.backward(None).numpy(), rtol=1e-12)


@kinds
def test_dtypes_and_shapes_stay(kind):
    x = inputs(kind, (5, 4), 1).astype(np.float32)
    module = MADE[kind](rng=2)
    drawn = module(x)
    module.reinforce([1, 2, 3, 4, 5])
    d_x = module.backward(None)
    assert drawn.dtype == d_x.dtype == np.float32
    assert drawn.shape == d_x.shape == x.shape


@kinds
def test_what_comes_from_above_is_ignored(kind):
    x, rng = inputs(kind, (5, 4), 1), np.random.default_rng(3)
    found = []
    for d_output in (None, rng.normal(size=(5, 4))):
        module = MADE[kind](rng=2)
        module(x)
        module.reinforce(np.arange(5.0))
        found.append(module.backward(d_output))
    assert (found[0] == found[1]).all()


@kinds
def test_the_state_of_the_generator_says_what_is_drawn(kind):
    x, module = inputs(kind, (50, 4), 1), MADE[kind](rng=2)
    state = module.rng.bit_generator.state
    first, second = module(x), module(x)
    assert (first != second).any()
    module.rng.bit_generator.state = state
    assert (module(x) == first).all()
    assert (MADE[kind](rng=2)(x) == first).all()
    copied = copy.deepcopy(module)
    assert (copied(x) == module(x)).all()


def test_a_generator_may_be_shared_by_hand():
    rng = np.random.default_rng(1)
    assert Normal(1.0, rng=rng).rng is Bernoulli(rng=rng).rng is rng


def test_what_is_certain_has_a_finite_gradient():
    p = np.array([[0.0, 1.0]])
    bernoulli = Bernoulli(rng=0)
    assert (bernoulli(p) == p).all()
    bernoulli.reinforce([1.0])
    assert np.isfinite(bernoulli.backward(None)).all()
    with np.errstate(divide="ignore"):
        never = np.log(np.array([[1.0, 0.0]]))
    categorical = Categorical(rng=0)
    assert (categorical(np.repeat(never, 1000, 0)) == [1, 0]).all()


def test_rewards_of_a_network():
    network = Sequential(Linear(3, 4, rng=1), LogSoftMax(), Categorical(rng=2))
    x = np.random.default_rng(3).normal(size=(6, 3))
    reward = np.random.default_rng(4).normal(size=6)
    action = network(x)
    network.reinforce(reward)
    d_x = network.backward(None)
    w, b, at = (
        torch.tensor(a, requires_grad=True)
        for a in (network.parameters["0.weight"], network.parameters["0.bias"], x)
    )
    log_p = torch.log_softmax(at @ w.T + b, -1)
    (-(log_p * torch.tensor(action)).sum(-1) * torch.tensor(reward)).sum().backward()
    for ours, theirs in ((network.grads["0.weight"], w), (network.grads["0.bias"], b), (d_x, at)):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), atol=1e-12)


def recurrent_policy(seed):
    rng = np.random.default_rng(seed)
    core = Recurrent(4, Linear(3, 4, rng=rng), Linear(4, 4, rng=rng), Tanh(), rng=rng)
    return Sequential(core, Linear(4, 2, rng=rng), LogSoftMax(), Categorical(rng=rng))


def by_torch(policy, x, actions, reward):
    """Gradients by name of -sum of reward log p over steps and rows; reward: (T, N)."""
    p = {name: torch.tensor(a, requires_grad=True) for name, a in policy.parameters.items()}

    def linear(name, a):
        return a @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    h, loss = None, 0
    for x_t, a_t, r_t in zip(*map(torch.tensor, (x, actions, reward)), strict=True):
        before = p["0.start.bias"] if h is None else linear("0.feedback", h)
        h = torch.tanh(linear("0.input", x_t) + before)
        loss = loss - ((torch.log_softmax(linear("1", h), -1) * a_t).sum(-1) * r_t).sum()
    loss.backward()
    return {name: a.grad.numpy() for name, a in p.items()}


@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("way", ["sequencer", "by hand"])
def test_a_recurrent_policy_gets_one_reward_or_one_a_step(way, each):
    policy, rng = recurrent_policy(1), np.random.default_rng(2)
    x, reward = rng.normal(size=(5, 6, 3)), rng.normal(size=(5, 6))
    if not each:
        reward[:] = reward[0]
    told = list(reward) if each else reward[0]
    if way == "sequencer":
        runner = Sequencer(policy)
        actions = runner(x)
        runner.reinforce(told)
        runner.backward(None)
    else:
        runner = Recursor(policy)
        actions = np.stack([runner(x_t) for x_t in x])
        runner.reinforce(told)
        for _ in x:
            runner.backward(None)
    assert not (actions == actions[0]).all()
    theirs = by_torch(policy, x, actions, reward)
    assert policy.grads.keys() == theirs.keys()
    for name, g in theirs.items():
        np.testing.assert_allclose(policy.grads[name], g, atol=1e-10, err_msg=name)


def test_a_recurrent_policy_without_a_reward():
    runner = Recursor(recurrent_policy(1))
    runner(np.zeros((2, 3)))
    with pytest.raises(RuntimeError, match=r"call reinforce\(reward\) of the network"):
        runner.backward(None)


def test_the_steps_of_a_recurrent_policy_draw_anew():
    x = np.zeros((40, 3))
    drawn = []
    for _ in range(2):
        runner = Recursor(recurrent_policy(1))
        drawn.append([runner(x) for _ in range(3)])
    assert (np.array(drawn[0]) == drawn[1]).all()
    assert (drawn[0][1] != drawn[0][2]).any()
    quiet = Recursor(recurrent_policy(1)).evaluate()
    assert (quiet(x) == quiet.forget()(x)).all()


@pytest.mark.parametrize(
    ("squash", "draw", "lr"),
    [(Sigmoid, Bernoulli, 0.3), (Tanh, lambda **k: Normal(0.2, **k), 0.05)],
)
def test_reward_is_learned_from(squash, draw, lr):
    """A network that is paid for ones, or for being near -0.8, gets more of it."""
    rng = np.random.default_rng(5)
    network = Sequential(Linear(2, 1, rng=rng), squash(), draw(rng=rng))
    x, paid = np.ones((50, 2)), []
    for _ in range(100):
        y = network(x)
        reward = y[:, 0] if squash is Sigmoid else -np.abs(y[:, 0] + 0.8)
        paid.append(reward.mean())
        network.zero_grad_parameters()
        network.reinforce((reward - reward.mean()) / len(x))
        network.backward(None)
        network.update_parameters(lr)
    assert np.mean(paid[-10:]) > np.mean(paid[:10]) + 0.1


@kinds
def test_errors_about_rewards(kind):
    module, x = MADE[kind](rng=1), inputs(kind, (5, 4), 1)
    with pytest.raises(RuntimeError, match="reinforce: expected a forward call of"):
        module.reinforce(np.ones(5))
    module(x)
    with pytest.raises(ValueError, match=r"reward: expected shape \(5,\) .*, got \(4,\)"):
        module.reinforce(np.ones(4))
    with pytest.raises(ValueError, match=r"reward: expected shape \(5,\) .*, got \(\)"):
        module.reinforce(1.0)
    with pytest.raises(RuntimeError, match=r"call reinforce\(reward\) of the network between"):
        module.backward(None)
    module.evaluate()(x)
    with pytest.raises(RuntimeError, match=r"call training\(\), then forward"):
        module.reinforce(np.ones(5))
    with pytest.raises(RuntimeError, match=r"call training\(\), then forward"):
        module.backward(None)
    module.training()(x)
    module.reinforce(np.ones(5))
    module.backward(None)
    with pytest.raises(RuntimeError, match="backward: expected a forward call"):
        module.backward(None)
    with pytest.raises(RuntimeError, match="reinforce: expected a forward call"):
        module.reinforce(np.ones(5))


@pytest.mark.parametrize(
    ("kind", "x", "message"),
    [
        ("bernoulli", np.array([[0.5, 1.5]]), "input: expected probabilities from 0 to 1, got 1.5"),
        ("bernoulli", np.array([[np.nan]]), "input: expected probabilities from 0 to 1, got nan"),
        ("categorical", np.array([[0.5, 0.5]]), "log-probabilities, whose exponentials sum to 1"),
        ("categorical", np.array([0.0]), r"input: expected shape \(N, ..., K\), got \(1,\)"),
        ("normal", np.array([[np.inf]]), "input: expected finite means, got inf"),
        ("normal", np.array(1.0), r"input: expected shape \(N, ...\), got \(\)"),
    ],
)
def test_wrong_inputs(kind, x, message):
    with pytest.raises(ValueError, match=message):
        MADE[kind](rng=1)(x)


def test_wrong_kinds():
    for make in MADE.values():
        with pytest.raises(TypeError, match="input: expected"):
            make(rng=1)(np.array([[1, 0]]))
        with pytest.raises(TypeError, match="input: expected an array"):
            make(rng=1)([[0.5]])
        with pytest.raises(TypeError, match="rng: expected a seed or a NumPy Generator"):
            make(rng="x")
    for std in (0, -1.0, np.inf, "x"):
        with pytest.raises(ValueError, match="std: expected a finite number > 0"):
            Normal(std)


def test_printed():
    network = Sequential(Linear(2, 3), LogSoftMax(), Categorical())
    assert repr(network).splitlines()[-1].strip() == "(2): Categorical"
    assert repr(Normal(0.25)) == "Normal(0.25)"


def test_the_criterion_takes_torch_arrays_and_calls_nobody_in_forward():
    draw = Normal(1.0, rng=1)
    draw(torch.zeros(4, 2))
    criterion = RewardCriterion(draw)
    scores, baseline = torch.eye(4), torch.zeros(4, 1)
    loss = criterion((scores, baseline), torch.tensor([0, 1, 0, 0]))
    assert loss.item() == -0.5
    with pytest.raises(RuntimeError, match="reinforce"):
        draw.backward(None)
    draw(torch.zeros(4, 2))
    d_scores, d_baseline = criterion.backward()
    assert d_scores.shape == (4, 4)
    assert torch.allclose(d_baseline, torch.tensor([[-0.25], [-0.25], [0.0], [0.0]]))
    assert draw.backward(None).shape == (4, 2)


def test_errors_of_the_criterion():
    with pytest.raises(TypeError, match="module: expected a Module"):
        RewardCriterion("net")
    with pytest.raises(ValueError, match="scale: expected a finite number > 0"):
        RewardCriterion(Normal(1.0), scale=0)
    criterion = RewardCriterion(Normal(1.0))
    scores = np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"baseline: expected shape \(4,\) \(N,\) or \(N, 1\)"):
        criterion((scores, np.zeros(3)), np.zeros(4, int))
    with pytest.raises(ValueError, match=r"baseline: expected shape \(4, 1\)"):
        criterion((scores, np.zeros((4, 2))), np.zeros(4, int))
    with pytest.raises(ValueError, match="targets: expected shape"):
        criterion((scores, np.zeros(4)), np.zeros(3, int))
    with pytest.raises(TypeError, match="targets: expected integers"):
        criterion((scores, np.zeros(4)), np.zeros(4))
    with pytest.raises(TypeError, match="input: expected a table"):
        criterion(scores, np.zeros(4, int))
    with pytest.raises(RuntimeError, match="backward: expected a forward call"):
        criterion.backward()
