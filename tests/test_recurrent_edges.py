"""Edges of rnnlib.recurrent: draws in odd places, types of targets, arrays that others write to."""

from itertools import product

import numpy as np
import pytest
import torch

from rnnlib import recurrent as r


class Told(r.Bernoulli):
    """Does not draw: takes the next number from a list that all clones share."""

    bits = ()

    def _draw(self, p):
        return np.full_like(p, self.bits.pop(0))


def test_draws_in_feedback_have_the_enumerated_gradient():
    # Feedback draws at the second and the third step; the reward depends on both draws.
    rng = np.random.default_rng(0)
    x, rewards = rng.standard_normal((3, 1, 2)), rng.standard_normal((2, 2))
    draw = Told()
    feedback = r.Sequential(r.Linear(2, 1, rng=2), r.Sigmoid(), draw, r.Linear(1, 2, rng=5))
    net = r.Recurrent(2, r.Linear(2, 2, rng=1), feedback, rng=4)
    p = {name: torch.tensor(a, requires_grad=True) for name, a in net.parameters.items()}

    def probability(bits):
        total, y = 1.0, None
        for t, x_t in enumerate(torch.tensor(x)):
            a = x_t @ p["input.weight"].T + p["input.bias"]
            if t == 0:
                a = a + p["start.bias"]
            else:
                one = torch.sigmoid(y @ p["feedback.0.weight"].T + p["feedback.0.bias"])[0, 0]
                total = total * (one if bits[t - 1] else 1 - one)
                a = a + bits[t - 1] * p["feedback.3.weight"][:, 0] + p["feedback.3.bias"]
            y = torch.sigmoid(a)
        return total

    pairs = list(product((0, 1), repeat=2))
    mean = sum(probability(bits) * rewards[bits] for bits in pairs)
    exact = torch.autograd.grad(-mean, list(p.values()), allow_unused=True)
    found = {name: np.zeros_like(a) for name, a in net.parameters.items()}
    for bits in pairs:
        Told.bits = list(bits)
        net.zero_grad_parameters()
        for x_t in x:
            net(x_t)
        net.reinforce([rewards[bits].reshape(1)] * 3)
        for _ in x:
            net.backward(None)
        net.forget()
        for name, g in net.grads.items():
            found[name] += probability(bits).item() * g
    for (name, ours), theirs in zip(found.items(), exact, strict=True):
        wanted = 0 if theirs is None else theirs.numpy()
        np.testing.assert_allclose(ours, wanted, atol=1e-12, err_msg=name)


def test_both_directions_draw_apart():
    draw = r.Sequential(r.Linear(1, 1), r.Sigmoid(), r.Bernoulli(rng=0))
    net = r.BiSequencer(draw, rng=1)
    for p in net.parameters.values():
        p[...] = 0
    a, b = net(np.ones((1, 20_000, 1)))[0].T
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


def test_a_sequence_inside_a_step_takes_the_step_s_reward():
    policy = r.Sequential(r.FastLSTM(3, 4, rng=0), r.Linear(4, 2, rng=1), r.LogSoftMax())
    net = r.Sequencer(r.Sequencer(r.Sequential(policy, r.Categorical(rng=2))))
    x = np.random.default_rng(3).standard_normal((2, 5, 6, 3))
    assert net(x).shape == (2, 5, 6, 2)
    net.reinforce([np.ones(6), np.zeros(6)])
    d = net.backward(None)
    assert d.shape == x.shape
    assert np.abs(d[0]).max() > 0
    assert np.abs(d[1]).max() == 0


def test_certain_ones_are_always_drawn():
    class Nearly(np.random.Generator):
        def random(self, size):
            return np.full(size, 1 - 1e-12)

    draw = r.Bernoulli(rng=Nearly(np.random.PCG64(0)))
    assert (draw(np.ones((2, 3), np.float32)) == 1).all()


def test_scores_of_minus_infinity_and_no_rows():
    net = r.Normal(1.0, rng=0)
    scores, baseline = np.array([[0.0, -np.inf], [-np.inf, 0.0]]), np.zeros(2)
    net(np.zeros((2, 1)))
    criterion = r.RewardCriterion(net)
    assert criterion((scores, baseline), np.array([0, 0])) == -0.5
    assert (criterion.backward()[0] == 0).all()
    with pytest.raises(ValueError, match="input: expected scores of at least 1 row"):
        criterion((scores[:0], baseline[:0]), np.zeros(0, int))
    with pytest.raises(TypeError, match="baseline: expected an array"):
        criterion((scores, 0.5), np.array([0, 0]))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32])
@pytest.mark.parametrize("criterion", [r.ClassNLLCriterion, r.CrossEntropyCriterion])
def test_classes_of_any_integer_type(criterion, dtype):
    log_p = torch.log_softmax(torch.randn(3, 256, dtype=torch.float64), -1)
    target = torch.tensor([5, 0, 100])
    wanted = torch.nn.functional.cross_entropy(log_p, target)
    assert abs(criterion()(log_p, target.to(dtype)) - wanted) < 1e-12


@pytest.mark.parametrize("target", [None, [0, 1], torch.tensor([0, 1])])
def test_a_target_of_another_kind(target):
    with pytest.raises(TypeError, match="target: expected"):
        r.ClassNLLCriterion()(np.zeros((2, 3)), target)


def test_a_batch_without_rows_under_a_mask():
    net = r.FastLSTM(3, 4, rng=0).mask_zero()
    assert net(np.zeros((0, 3))).shape == (0, 4)


def test_a_start_that_is_written_to_later():
    x, d_y = np.random.default_rng(0).standard_normal((2, 2, 3)), np.ones((2, 3))

    def grads(write):
        start = np.full((2, 3), 0.5)
        sums = r.ParallelTable(r.Linear(3, 3, rng=0), r.Linear(3, 3, rng=1))
        net = r.Recurrence(r.Sequential(sums, r.CAddTable(), r.Tanh()), 3, start=start)
        net(x[0])
        start *= write
        net.backward(d_y)
        return net.grads["module.0.1.weight"]

    np.testing.assert_array_equal(grads(0), grads(1))


@pytest.mark.parametrize("start", [7.0, (np.zeros((2, 4)),) * 3])
def test_a_start_of_other_parts(start):
    with pytest.raises((TypeError, ValueError), match="start: expected"):
        r.LSTM(3, 4, start=start)(np.zeros((2, 3)))


def test_a_failed_sequence_is_forgotten():
    net = r.Sequencer(r.FastLSTM(3, 4, rng=0)).remember()
    x = np.ones((3, 2, 3))
    first = net(x)
    with pytest.raises(ValueError, match="input: expected"):
        net([x[0], x[1, :, :2]])
    np.testing.assert_array_equal(net(x), first)


def test_a_repeater_is_not_told_to_remember():
    net = r.Repeater(r.FastLSTM(3, 4, 2, rng=0), 3)
    net(np.zeros((2, 3)))
    with pytest.raises(RuntimeError, match="got 3; make the module with a larger rho"):
        net.backward(np.zeros((3, 2, 4)))
