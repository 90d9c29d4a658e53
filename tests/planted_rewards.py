"""Rewards on their way through modules with steps; for planted slips."""

import itertools

import numpy as np
from planted_pieces import Rewarded, close, drawn, guarded, raises

from rnnlib import recurrent as r


@guarded
def rewards():
    """One reward for all steps, or one a step, also through modules around and inside."""
    x, right = drawn(3, 4, 4), True

    def rewarded():
        net = r.Recurrent(r.Identity(), r.Identity(), r.Linear(4, 4), Rewarded())
        net.parameters["feedback.weight"][...] = 0
        return net

    nets = [
        rewarded(),
        r.Recursor(Rewarded()),
        r.Recursor(r.Sequential(rewarded(), r.Tanh())),
        r.Recursor(r.Sequential(r.Recurrent(4, r.Identity(), r.Linear(4, 4)), Rewarded())),
        r.Sequencer(rewarded()),
        r.Repeater(Rewarded(), 3),
    ]
    for net, (reward, each) in itertools.product(nets, [(2.0, [2, 2, 2]), ([1, 2, 5], [1, 2, 5])]):
        wanted = np.array(each)[:, None, None] + 0 * x
        if isinstance(net, r.AbstractRecurrent):
            for x_t in x:
                net(x_t)
            few = "expected one for all steps, or a list of 3"
            right = right and raises(lambda net=net: net.reinforce([1.0, 2.0]), few, ValueError)
            net.reinforce(reward)
            found = [net.backward(None) for _ in x][::-1]
            net.forget()
        else:
            net(x if isinstance(net, r.Sequencer) else x[0])
            net.reinforce(reward)
            found = net.backward(None)
        if isinstance(net, r.Repeater):
            wanted = wanted.sum(axis=0)
        if net is nets[3]:  # Its reward has a way to go.
            right = right and len(found) == 3 and all(np.abs(d).max() > 0 for d in found)
        else:
            right = right and close({"d": found}, {"d": wanted})
    return right


@guarded
def inside():
    """Rewards of modules inside that do not run at every step, or have steps of their own."""
    x, right, idle = drawn(3, 2, 4), True, r.Identity

    def stepping():
        net = r.Recurrent(idle(), idle(), r.Linear(4, 4), Rewarded())
        net.parameters["feedback.weight"][...] = 0
        return net

    def told(start, feedback, rho, rewards):
        """What each input is told."""
        net = r.Recurrent(start, idle(), feedback, idle(), rho)
        for x_t in x[: len(rewards)] if rho > 3 else x:
            net(x_t)
        net.reinforce(rewards)
        for _ in rewards:
            net.backward(None)
        return [d[0, 0] for d in net.grad_inputs]

    for feedback in (Rewarded, stepping, lambda: r.Sequential(stepping(), idle())):
        # Feedback sends its reward to the step before.
        right = right and told(idle(), feedback(), 9, [1, 2, 5]) == [2, 5, 0]
        right = right and told(idle(), feedback(), 9, [1]) == [0]
        right = right and told(idle(), feedback(), 2, [2, 5]) == [5, 0]
    long, feedback = drawn(9, 2, 4), stepping()
    net = r.Recurrent(idle(), idle(), feedback, idle(), 2)
    for x_t in long:
        net(x_t)
    right = right and feedback.clones <= 3
    plain = r.Sequential(idle(), Rewarded())
    plain(x[0])
    plain.reinforce(3)
    right = right and (plain.backward(None) == 3).all()
    for kind in (Rewarded, lambda: r.Sequential(Rewarded(), idle())):
        right = right and told(kind(), idle(), 9, [1, 2, 5]) == [1, 0, 0]
    return right


CHECKS = {
    "rewards": rewards,
    "inside": inside,
}
