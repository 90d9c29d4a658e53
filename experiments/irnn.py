"""Does it help to start recurrent weights from the identity?  The adding problem, and text.

    python experiments/irnn.py adding     # writes experiments/results/irnn_adding.json
    python experiments/irnn.py text       # writes experiments/results/irnn_text.json
    python experiments/irnn.py text --text mine.txt --out runs    # another text, in UTF-8

adding: two numbers out of T random ones are marked, and the answer is their sum.  Every network
has --hidden units and takes --steps steps of Adam on fresh sequences, at every rate of RATES.  The
file has the squared errors, in blocks of 50 steps, and that on 2,000 new sequences.

text: the CharSeqRnn of fast.ai's lesson 6 on the first --length characters of Moby Dick, or of
--text: embedding 42, 8 characters from a state of zeros, a loss at every one, Adam, 128 windows at
a time.  The lesson's text and its batch are four times as large, so the number of updates is the
same.  The last fifth is for validation.  A schedule is a list of (rate, epochs): "slow" is that of
the default in the lesson's notebook, "fast" that of its identity.  The file has the validation loss
after each epoch, in nats per character.

All runs of a part are made from each of --seeds, which draws weights and data.
"""

import argparse
import math
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "experiments"), str(ROOT)]

import own_text  # noqa: E402
import results_file  # noqa: E402

from rnnlib import (  # noqa: E402
    LSTM,
    RNN,
    Adam,
    Linear,
    clip_grad_norm_,
    init,
    softmax_cross_entropy,
    text,
)
from rnnlib.commands.numbers import count, number, whole  # noqa: E402

RATES = (3e-3, 1e-3, 3e-4)
ADDING = ("tanh", "tanh, orthogonal", "relu", "relu, identity", "relu, identity, small", "LSTM")
# The threshold of clipping; the block of steps; the LSTM's bias; "small" input weights.
CLIP, BLOCK, KEEP, SMALL = 10.0, 50, 4.0, 0.001

TEXT = ("tanh", "tanh, identity", "relu, identity")
SCHEDULES = {"slow": [(1e-3, 4), (1e-4, 1)], "fast": [(1e-2, 4), (1e-3, 4)]}
EMBEDDING, WINDOW, BATCH = 42, 8, 128


def network(model, features, H, rng):
    """Return a recurrent layer; model: "LSTM", or the nonlinearity and what W_hh starts from."""
    if model == "LSTM":
        layer = LSTM(features, H, dtype=np.float32, rng=rng)
        # Keep much, add little; as in the book's chapter on the LSTM.
        layer.parameters["bias_hh_l0"][:H] = -KEEP
        layer.parameters["bias_hh_l0"][H : 2 * H] = KEEP
        return layer
    nonlinearity, *start = model.split(", ")
    layer = RNN(features, H, nonlinearity=nonlinearity, dtype=np.float32, rng=rng)
    if "orthogonal" in start:
        init.orthogonal_(layer.parameters["weight_hh_l0"], rng=rng)
    if "identity" in start:
        init.eye_(layer.parameters["weight_hh_l0"])
    if "small" in start:
        layer.parameters["weight_ih_l0"][...] = rng.normal(0, SMALL, (H, features))
    return layer


def adding_problem(rng, T, N):
    """Return inputs (T, N, 2), a number and a mark, and the sums of the marked ones, (N, 1)."""
    x = np.zeros((T, N, 2), np.float32)
    x[..., 0] = rng.random((T, N))
    for low, high in ((0, T // 2), (T // 2, T)):
        x[rng.integers(low, high, size=N), np.arange(N), 1] = 1
    return x, x.prod(axis=-1).sum(axis=0)[:, None]


def run_adding(model, rate, seed, options, bar):
    """Return the squared errors, a mean for every block of steps, and that on new sequences."""
    rng, N, H = np.random.default_rng(seed), options.batch, options.hidden
    layer = network(model, 2, H, rng)
    if "identity" in model:
        for bias in ("bias_ih_l0", "bias_hh_l0"):
            layer.parameters[bias][...] = 0
    readout = Linear(H, 1, dtype=np.float32, rng=rng)
    optimizer, errors = Adam(layer.parameters | readout.parameters, lr=rate), []
    for _ in range(options.steps):
        x, y = adding_problem(rng, options.T, N)
        output, _ = layer(x)
        error = readout(output[-1]) - y
        errors.append(float(np.mean(error**2)))
        d_output = np.zeros_like(output)
        d_output[-1] = readout.backward(2 * error / N)
        layer.backward(d_output)
        grads = layer.grads | readout.grads
        clip_grad_norm_(grads, CLIP)
        optimizer.step(grads)
        bar.update()
    x, y = adding_problem(np.random.default_rng(1000 + seed), options.T, 2000)
    error = np.mean((readout(layer(x)[0][-1]) - y) ** 2)
    blocks = [np.mean(errors[k : k + BLOCK]) for k in range(0, len(errors), BLOCK)]
    return {
        "training": [results_file.figure(b) for b in blocks],
        "new": results_file.figure(error),
    }


def adding(options):
    """Run every network at every rate from every seed."""
    runs = [(m, r, s) for m in ADDING for r in RATES for s in options.seeds]
    found = []
    with tqdm(total=len(runs) * options.steps) as bar:
        for model, rate, seed in runs:
            bar.set_description(f"{model}, rate {rate}, seed {seed}")
            result = run_adding(model, rate, seed, options, bar)
            found.append({"model": model, "rate": rate, "seed": seed} | result)
    settings = {name: getattr(options, name) for name in ("T", "hidden", "batch", "steps")}
    settings |= {"rates": RATES, "clip": CLIP, "block": BLOCK, "keep": KEEP, "small": SMALL}
    return {"settings": settings, "runs": found}


class CharacterNet:
    """Embedding, recurrent layer and readout."""

    def __init__(self, model, V, H, rng):
        self.table = rng.standard_normal((V, EMBEDDING)).astype(np.float32)
        self.layer = network(model, EMBEDDING, H, rng)
        self.readout = Linear(H, V, dtype=np.float32, rng=rng)
        self.parameters = {"table": self.table} | self.layer.parameters | self.readout.parameters

    def loss(self, inputs, targets):
        """Return the mean loss; codes are (T, N).  Keeps what ``gradients`` needs."""
        self.inputs = inputs
        output, _ = self.layer(self.table[inputs])
        loss, self.d_scores = softmax_cross_entropy(self.readout(output), targets)
        return loss

    def gradients(self):
        """Return the gradients of the last loss, by name."""
        dx, _ = self.layer.backward(self.readout.backward(self.d_scores))
        marks = text.one_hot(self.inputs.ravel(), len(self.table), np.float32)
        table = marks.T @ dx.reshape(-1, EMBEDDING)
        return {"table": table} | self.layer.grads | self.readout.grads


def run_text(model, schedule, seed, options, samples, bar):
    """Return the validation loss after each epoch; samples: windows of 9 codes to train, to try."""
    rng = np.random.default_rng(seed)
    train, valid = samples
    net = CharacterNet(model, 1 + max(train.max(), valid.max()), options.hidden, rng)
    optimizer, losses = Adam(net.parameters, lr=schedule[0][0]), []
    for rate, epochs in schedule:
        optimizer.lr = rate
        for _ in range(min(epochs, options.epochs)):
            order = rng.permutation(len(train))
            for k in range(0, len(order) - BATCH + 1, BATCH):
                codes = train[order[k : k + BATCH]].T
                net.loss(codes[:-1], codes[1:])
                optimizer.step(net.gradients())
                bar.update()
            losses.append(net.loss(valid.T[:-1], valid.T[1:]))
    return {"validation": [results_file.figure(loss) for loss in losses]}


def text_samples(letters):
    """Return windows that do not overlap, (n, 9) codes, of the first four fifths and of the last.

    The ninth code is the next window's first: it is a target alone.
    Raises TextError when the first part has no full batch.
    """
    if round(0.8 * len(letters)) <= BATCH * WINDOW:
        least = math.ceil((BATCH * WINDOW + 1) / 0.8)
        raise own_text.TextError(
            f"--text, --length: expected at least {least} characters, got {len(letters)}"
        )
    parts = text.split(text.Vocabulary.from_text(letters).encode(letters), 0.8)
    return [np.lib.stride_tricks.sliding_window_view(part, WINDOW + 1)[::WINDOW] for part in parts]


def texts(options):
    """Run every network by the fast schedule, and the default by the slow one, from every seed."""
    with own_text.reported("irnn.py"):
        letters = own_text.load(options.text)[: options.length]
        samples = text_samples(letters)
    runs = [("tanh", "slow"), *((model, "fast") for model in TEXT)]
    runs = [(*run, seed) for run in runs for seed in options.seeds]
    epochs = [min(e, options.epochs) for _, name, _ in runs for _, e in SCHEDULES[name]]
    found = []
    with tqdm(total=sum(epochs) * (len(samples[0]) // BATCH)) as bar:
        for model, name, seed in runs:
            bar.set_description(f"{model}, {name}, seed {seed}")
            result = run_text(model, SCHEDULES[name], seed, options, samples, bar)
            found.append({"model": model, "schedule": name, "seed": seed} | result)
    settings = {"hidden": options.hidden, "length": len(letters), "schedules": SCHEDULES}
    return {
        "settings": settings
        | {"embedding": EMBEDDING, "window": WINDOW, "batch": BATCH, "epochs": options.epochs},
        "runs": found,
    }


PARTS = {"adding": adding, "text": texts}


def read_options(arguments=None):
    """Return the options of the command line."""

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    for name in PARTS:
        part = parts.add_parser(name)
        part.add_argument("--seeds", type=whole, nargs="+", default=[0, 1, 2])
        part.add_argument("--hidden", type=count, default=100 if name == "adding" else 256)
        results_file.add_out(part)
    part = parts.choices["adding"]
    part.add_argument(
        "--T",
        type=number(int, "an integer of at least 2", lambda n: n >= 2),
        default=100,
        help="time steps",
    )
    part.add_argument("--batch", type=count, default=16)
    part.add_argument("--steps", type=count, default=1500, help="training steps")
    part = parts.choices["text"]
    own_text.add_option(part)
    part.add_argument("--length", type=count, default=150_000, help="characters of the text")
    part.add_argument("--epochs", type=count, default=99, help="at most so many at each rate")
    options = parser.parse_args(arguments)
    results_file.settle_out(parts.choices[options.part], options)
    return options


def main(arguments=None):
    """Run one part and write its file."""
    options = read_options(arguments)
    start = time.perf_counter()
    results = PARTS[options.part](options)
    about = results_file.about(
        f"experiments/irnn.py {options.part}",
        options.seeds,
        packages=("numpy",),
        **({"text": own_text.name(options.text)} if options.part == "text" else {}),
        minutes=round((time.perf_counter() - start) / 60, 1),
    )
    name = f"irnn_{options.part}.json"
    results_file.write({name: results_file.as_json({"about": about} | results)}, options.out)
    print(f"wrote {options.out / name}")


if __name__ == "__main__":
    main()
