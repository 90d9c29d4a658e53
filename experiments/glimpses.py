"""Read a digit through small windows, and learn by reward where to look; results/glimpses.json.

    python experiments/glimpses.py

A recurrent network sees an MNIST image through a window of 8 x 8 of its 28 x 28 pixels, four times,
and then names the digit.  How it decides is learned by cross-entropy.  A **case** says who chooses
where it looks:

learned   a normal density around a place that is computed from the state, which is trained by
          REINFORCE: reward 1 for the right digit, less a baseline that is learned from the state
random    chance: every place with the same probability
centre    the middle of the image, always
grid      four fixed places, around the middle

Everything else is the same: the network, --updates updates with --batch images each, Adam at a rate
that falls to 0.  The spread of the density falls as well, from SPREAD to SPREAD_END.  Rate and
spreads were chosen on the last 5,000 training images, from the seed 100, for the learned places; no
run here trains on these images.  The grid was not tuned.  The file has errors on them while
training, and those on the 10,000 test images, which are read once, at the end of a run.  "places"
are where the learned network of seed 0 looked at the first test images.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT)]

import results_file  # noqa: E402

from rnnlib import Adam, data, softmax_cross_entropy  # noqa: E402
from rnnlib.commands.numbers import count, positive  # noqa: E402
from rnnlib.recurrent import (  # noqa: E402
    CAddTable,
    Linear,
    Module,
    Normal,
    ParallelTable,
    ReLU,
    Sequential,
    Tanh,
)

CASES = ("learned", "random", "centre", "grid")
SIDE, WINDOW, LOOKS, CLASSES = 28, 8, 4, 10
# Places are (row, column), each from -1 to 1: from one end of the image to the other.
GRID = 0.3 * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
SPREAD, SPREAD_END = 0.2, 0.05
KEPT_BACK, SHOWN, EVERY = 5000, 12, 250


def window(images, places):
    """Return (N, 64): the grey values, 0 to 1, in a window around each place; 0 outside.

    images: (N, 28, 28) uint8; places: (N, 2).
    """
    middle = np.rint((np.clip(places, -1, 1) + 1) / 2 * (SIDE - 1)).astype(int)
    ends = middle[:, :, None] + np.arange(WINDOW) - WINDOW // 2
    rows, columns = ends[:, 0, :, None], ends[:, 1, None, :]
    inside = (rows >= 0) & (rows < SIDE) & (columns >= 0) & (columns < SIDE)
    n = np.arange(len(images))[:, None, None]
    pixels = images[n, rows.clip(0, SIDE - 1), columns.clip(0, SIDE - 1)]
    return np.where(inside, pixels, 0).reshape(len(images), -1).astype(places.dtype) / 255


class Look(Module):
    """[state, images, place] -> state: one look; a place of None means: choose one."""

    def __init__(self, hidden, rng, dtype):
        kind = {"dtype": dtype, "rng": rng}
        what, where = Linear(WINDOW**2, hidden, **kind), Linear(2, hidden, **kind)
        seen, before = Linear(hidden, hidden, **kind), Linear(hidden, hidden, **kind)
        super().__init__(
            children={
                "choice": Sequential(Linear(hidden, 2, **kind), Tanh(), Normal(SPREAD, rng=rng)),
                "baseline": Linear(hidden, 1, **kind),
                "glimpse": Sequential(ParallelTable(what, where), CAddTable(), ReLU()),
                "core": Sequential(ParallelTable(seen, before), CAddTable(), ReLU()),
            }
        )

    def _forward(self, table):
        h, images, place = table
        parts, chosen = self.children, place is None
        self.place = parts["choice"](h) if chosen else place
        self.expected = parts["baseline"](h)[:, 0] if chosen else None
        g = parts["glimpse"]([window(images, self.place), self.place])
        return parts["core"]([g, h]), chosen

    def _backward(self, d_h, chosen):
        parts = self.children
        d_g, d_before = parts["core"].backward(d_h)
        parts["glimpse"].backward(d_g)
        if chosen:  # The state is not trained by what follows, so d_before stays as it is.
            parts["choice"].backward(None)
            parts["baseline"].backward(self.d_expected[:, None])
        return d_before

    def reward(self, reward):
        """Take rewards (N,): the choice gets them less the baseline, the baseline its error."""
        N = len(reward)
        self.children["choice"].reinforce((reward - self.expected) / N)
        self.d_expected = (self.expected - reward) / N


class Reader:
    """A network that looks LOOKS times and returns scores for the digit."""

    def __init__(self, case, hidden, rng, dtype=np.float32):
        self.case, self.hidden, self.rng, self.dtype = case, hidden, rng, dtype
        self.look = Look(hidden, rng, dtype)
        self.head = Linear(hidden, CLASSES, dtype=dtype, rng=rng)
        self.looks = [self.look.shared_clone() for _ in range(LOOKS)]

    def places(self, n):
        """Return the places of each look, (LOOKS, n, 2), or None where they are learned."""
        if self.case == "learned":
            return [None] * LOOKS
        if self.case == "random":
            return self.rng.uniform(-1, 1, (LOOKS, n, 2)).astype(self.dtype)
        fixed = GRID if self.case == "grid" else np.zeros((LOOKS, 2))
        return np.repeat(fixed[:, None], n, axis=1).astype(self.dtype)

    def scores(self, images):
        h = np.zeros((len(images), self.hidden), self.dtype)
        for look, place in zip(self.looks, self.places(len(images)), strict=True):
            h = look([h, images, place])
        return self.head(h)

    def backward(self, d_scores, reward):
        """Set the gradients; reward: (N,), for the choices."""
        self.look.zero_grad_parameters()
        self.head.zero_grad_parameters()
        d_h = self.head.backward(d_scores)
        for look in reversed(self.looks):
            if self.case == "learned":
                look.reward(reward)
            d_h = look.backward(d_h)

    def named(self, kind):
        """Return what is trained, by name; kind: "parameters" or "grads"."""
        look, head = getattr(self.look, kind), getattr(self.head, kind)
        unused = () if self.case == "learned" else ("choice", "baseline")
        return {n: a for n, a in look.items() if not n.startswith(unused)} | head

    def set_spread(self, spread):
        for look in self.looks:
            look.children["choice"].children["2"].std = spread

    def read(self, images, parts=10):
        """Return the digits that it names, and where it looked, (LOOKS, n, 2); nothing is drawn."""
        named, places = [], []
        for look in self.looks:
            look.evaluate()
        for part in np.array_split(images, parts):
            named.append(self.scores(part).argmax(axis=1))
            places.append(np.stack([look.place for look in self.looks]))
        for look in self.looks:
            look.training().forget()
        self.head.forget()
        return np.concatenate(named), np.concatenate(places, axis=1)


def run(case, seed, options, digits, bar):
    """Train from one seed; return the errors, and where it looked."""
    rng = np.random.default_rng(seed)
    reader = Reader(case, options.hidden, rng)
    train, labels = digits.train_images[:-KEPT_BACK], digits.train_labels.astype(int)
    optimizer, curve = Adam(reader.named("parameters"), lr=options.rate), []
    for update in range(options.updates):
        left = 1 - update / options.updates
        optimizer.lr = options.rate * left
        reader.set_spread(SPREAD_END * (SPREAD / SPREAD_END) ** left)
        chosen = rng.integers(len(train), size=options.batch)
        scores = reader.scores(train[chosen])
        _, d_scores = softmax_cross_entropy(scores, labels[chosen])
        right = scores.argmax(axis=1) == labels[chosen]
        reader.backward(d_scores, right.astype(np.float32))
        optimizer.step(reader.named("grads"))
        bar.update()
        if (update + 1) % EVERY == 0 or update + 1 == options.updates:
            named, _ = reader.read(digits.train_images[-KEPT_BACK:])
            curve.append([update + 1, results_file.figure((named != labels[-KEPT_BACK:]).mean())])
    named, places = reader.read(digits.test_images)
    result = {
        "case": case,
        "seed": seed,
        "validation": curve,
        "test": results_file.figure((named != digits.test_labels).mean()),
        "place": rounded(places.mean(axis=1)),
        "scatter": rounded(places.std(axis=1)),
    }
    if case == "learned" and seed == 0:
        shown = places[:, :SHOWN].transpose(1, 0, 2)
        result |= {"places": rounded(shown), "named": named[:SHOWN].tolist()}
    return result


def rounded(array):
    return np.round(array.astype(float), 3).tolist()


def read_options(arguments=None):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=count, default=3, help="how many: 0, 1, …")
    parser.add_argument("--updates", type=count, default=6000)
    parser.add_argument("--batch", type=count, default=128)
    parser.add_argument("--hidden", type=count, default=128)
    parser.add_argument("--rate", type=positive, default=0.003, help="of Adam, at the start")
    results_file.add_out(parser)
    options = parser.parse_args(arguments)
    results_file.settle_out(parser, options)
    return options


def main(arguments=None):
    """Run every case from every seed and write the file."""
    options, digits = read_options(arguments), data.load_mnist()
    start, found = time.perf_counter(), []
    runs = [(case, seed) for case in CASES for seed in range(options.seeds)]
    with tqdm(total=len(runs) * options.updates) as bar:
        for case, seed in runs:
            bar.set_description(f"{case}, seed {seed}")
            found.append(run(case, seed, options, digits, bar))
    settings = {name: getattr(options, name) for name in ("updates", "batch", "hidden", "rate")}
    settings |= {"looks": LOOKS, "window": WINDOW, "spread": [SPREAD, SPREAD_END]}
    about = results_file.about(
        "experiments/glimpses.py",
        seed=list(range(options.seeds)),
        packages=("numpy",),
        minutes=round((time.perf_counter() - start) / 60, 1),
    )
    text = results_file.as_json({"about": about, "settings": settings, "runs": found})
    results_file.write({"glimpses.json": text}, options.out)
    print(f"wrote {options.out / 'glimpses.json'}")


if __name__ == "__main__":
    main()
