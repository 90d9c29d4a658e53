"""Learn by reward to remember which way to turn; write results/maze.json.

    python experiments/maze.py

A T-maze: a cue at the start says left or right, then comes a corridor of L steps with noise on its
walls, then a junction, where the cue is long gone.  Walking on is free, every bump into a wall
costs 0.1, turning at the junction ends the episode, with a reward of 1 for the right way.

All networks are trained by REINFORCE on --episodes new episodes an update, --updates times, with
Adam.  A **case** says what each action is rewarded with:

whole      the sum of all rewards of its episode
to go      the sum of the rewards from its step on
constant   the latter, less a running mean of it, one for each step
learned    the latter, less what a second network, which sees the same, has learned to expect

and whether the policy has a memory, how long the corridor is, and how large the **gift** is: a
reward at the end of every episode, whatever happened.  It teaches nothing.

The file has the mean return of every ten updates, without the gift, and the share of right turns
in 1,000 new episodes, with the likeliest action at every step.  Rate, size and episodes were chosen
with the seeds 100 to 104.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT)]

import results_file  # noqa: E402

from rnnlib import Adam, clip_grad_norm_  # noqa: E402
from rnnlib.commands.numbers import count, positive  # noqa: E402
from rnnlib.recurrent import (  # noqa: E402
    Categorical,
    Linear,
    LogSoftMax,
    Recurrent,
    Recursor,
    Sequential,
    Tanh,
)

SEES, ACTIONS = 4, 3
FORWARD, LEFT, RIGHT = range(ACTIONS)
# A bump's price; the noise on the walls; an episode ends after L + SPARE steps, and needs L + 1.
BUMP, NOISE, SPARE = 0.1, 0.5, 6
CLIP, KEEP, BLOCK, TRIALS = 1.0, 0.9, 10, 1000
GIFT, LENGTHS = 2.0, (2, 5, 10, 15)


class Maze:
    """N mazes with a corridor of L steps, walked at the same time."""

    def __init__(self, L, N, rng):
        self.L, self.N, self.rng, self.steps = L, N, rng, 0
        self.cue = rng.choice([LEFT, RIGHT], N)
        self.place, self.on = np.zeros(N, int), np.ones(N, bool)
        self.right = np.zeros(N, bool)

    def over(self):
        return self.steps == self.L + SPARE or not self.on.any()

    def look(self):
        """Return (N, 4): the cue, at the start only; a mark at the junction; two noisy walls."""
        x = np.zeros((self.N, SEES))
        if self.steps == 0:
            x[:, 0] = np.where(self.cue == RIGHT, 1, -1)
        x[:, 1] = self.place == self.L
        x[:, 2:] = self.rng.normal(0, NOISE, (self.N, 2))
        return x * self.on[:, None]

    def walk(self, actions):
        """Take one-hot actions (N, 3); return rewards (N,)."""
        turns, junction = actions.argmax(axis=1) != FORWARD, self.place == self.L
        ends = self.on & junction & turns
        right = ends & (actions.argmax(axis=1) == self.cue)
        bumps = self.on & (junction != turns)
        self.place += self.on & ~junction & ~turns
        self.on, self.right, self.steps = self.on & ~ends, self.right | right, self.steps + 1
        return 1.0 * right - BUMP * bumps


def network(outputs, hidden, memory, rng, *last):
    """Return a network to be stepped by hand; last: modules behind its output."""
    first = Linear(SEES, hidden, rng=rng)
    if memory:
        core = Recurrent(hidden, first, Linear(hidden, hidden, rng=rng), Tanh(), rng=rng)
    else:
        core = Sequential(first, Tanh())
    return Recursor(Sequential(core, Linear(hidden, outputs, rng=rng), *last))


def make_policy(hidden, memory, rng):
    return network(ACTIONS, hidden, memory, rng, LogSoftMax(), Categorical(rng=rng))


def episodes(policy, maze, critic=None):
    """Walk to the end; return rewards, who was still on, and the critic's values, (T, N) each."""
    rewards, on, values = [], [], []
    while not maze.over():
        x = maze.look()
        on.append(maze.on)
        values.append(critic(x)[:, 0] if critic else np.zeros(maze.N))
        rewards.append(maze.walk(policy(x)))
    return np.stack(rewards), np.stack(on), np.stack(values)


def to_go(rewards):
    """Return the sum of the rewards from each step on, (T, N)."""
    return rewards[::-1].cumsum(axis=0)[::-1]


class RunningMean:
    """A baseline for each step: what was to go there, on average over the last updates."""

    def __init__(self, steps):
        self.mean = np.zeros(steps)

    def after(self, returns, on):
        """Return the means before these episodes, (T, 1), and take the episodes in."""
        T, there = len(returns), on.any(axis=1)
        before = self.mean[:T, None].copy()
        found = (returns * on).sum(axis=1)[there] / on.sum(axis=1)[there]
        self.mean[:T][there] += (1 - KEEP) * (found - self.mean[:T][there])
        return before


def go_back(net, optimizer, d_outputs):
    """Go back through all steps, and take a step of the optimizer."""
    net.zero_grad_parameters()
    for d_output in reversed(d_outputs):
        net.backward(d_output)
    grads = net.grads
    clip_grad_norm_(grads, CLIP)
    optimizer.step(grads)
    net.forget()


@dataclasses.dataclass(frozen=True)
class Case:
    """What is trained, and on what."""

    signal: str
    L: int = 5
    gift: float = 0.0
    memory: bool = True


def all_cases():
    cases = [Case(s, gift=g) for g in (0.0, GIFT) for s in ("whole", "to go", "constant")]
    cases += [Case("learned", gift=g) for g in (0.0, GIFT)]
    cases += [Case("learned", L=L) for L in LENGTHS if L != Case.L]
    return [*cases, Case("learned", memory=False)]


def run(case, seed, options, bar):
    """Train from one seed; return the learning curve and the share of right turns."""
    rng, N = np.random.default_rng(seed), options.episodes
    policy = make_policy(options.hidden, case.memory, rng)
    critic = network(1, options.hidden, case.memory, rng) if case.signal == "learned" else None
    optimizers = [Adam(net.parameters, lr=options.rate) for net in (policy, critic) if net]
    mean, curve = RunningMean(case.L + SPARE), []
    for _ in range(options.updates):
        maze = Maze(case.L, N, rng)
        rewards, on, values = episodes(policy, maze, critic)
        curve.append(rewards.sum(axis=0).mean())
        returns = to_go(rewards) + case.gift
        signal = returns[:1] if case.signal == "whole" else returns
        if case.signal == "constant":
            signal = returns - mean.after(returns, on)
        elif critic:
            signal = returns - values
            go_back(critic, optimizers[1], list(((values - returns) * on)[..., None] / N))
        policy.reinforce(list(signal * on / N))
        go_back(policy, optimizers[0], [None] * len(on))
        bar.update()
    blocks = [np.mean(curve[k : k + BLOCK]) for k in range(0, len(curve), BLOCK)]
    return {
        "returns": [results_file.figure(b) for b in blocks],
        "right": right_turns(policy, case.L, np.random.default_rng(1000 + seed)),
    }


def right_turns(policy, L, rng):
    """Return the share of right turns, with the likeliest action at every step."""
    maze = Maze(L, TRIALS, rng)
    policy.evaluate()
    episodes(policy, maze)
    policy.training().forget()
    return results_file.figure(maze.right.mean())


def read_options(arguments=None):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=count, default=6, help="how many: 0, 1, …")
    parser.add_argument("--updates", type=count, default=450)
    parser.add_argument("--episodes", type=count, default=32, help="for each update")
    parser.add_argument("--hidden", type=count, default=16)
    parser.add_argument("--rate", type=positive, default=0.01, help="of Adam")
    results_file.add_out(parser)
    options = parser.parse_args(arguments)
    results_file.settle_out(parser, options)
    return options


def main(arguments=None):
    """Run every case from every seed and write the file."""
    options = read_options(arguments)
    start, found = time.perf_counter(), []
    runs = [(case, seed) for case in all_cases() for seed in range(options.seeds)]
    with tqdm(total=len(runs) * options.updates) as bar:
        for case, seed in runs:
            bar.set_description(f"{case.signal}, L = {case.L}, seed {seed}")
            result = run(case, seed, options, bar)
            found.append(dataclasses.asdict(case) | {"seed": seed} | result)
    settings = {name: getattr(options, name) for name in ("updates", "episodes", "hidden", "rate")}
    about = results_file.about(
        "experiments/maze.py",
        seed=list(range(options.seeds)),
        packages=("numpy",),
        minutes=round((time.perf_counter() - start) / 60, 1),
    )
    results = {"about": about, "settings": settings | {"block": BLOCK, "trials": TRIALS}}
    text = results_file.as_json(results | {"runs": found})
    results_file.write({"maze.json": text}, options.out)
    print(f"wrote {options.out / 'maze.json'}")


if __name__ == "__main__":
    main()
