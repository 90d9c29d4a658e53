"""Repeat a failed experiment on digits, repair it, make it harder; write results/digits.json.

    python experiments/digits.py                 # all of it, three seeds
    python experiments/digits.py --budget 0.1    # a tenth of every run
    python experiments/digits.py --anew          # and keep nothing of an earlier file

The network reads an image of MNIST row by row and names the digit.  A **case** is a network with
everything that decides its training, and runs once from every seed.  The cases come in four parts:

suspects   the failed run as it was published, and the same with one thing changed
repairs    networks that learn: RNN, LSTM, GRU; and the RNN with one of its repairs taken away
pixels     images of 7 x 7, averaged over 4 x 4 pixels, read one pixel at a time: T = 49; in the
           usual order and in one that is shuffled, the same for all
long       the same at full length: all 784 pixels, one a step; in the usual order each network
           once more, for longer, from the first seed alone

Rates and repairs were chosen on the last 5,000 training images, from one seed; no run here trains
on these.  The 10,000 test images are read once, at the end of a run.  One choice came after that:
"RNN, twice as long" was added when the shorter runs had been seen to miss 97 % on them.

Every run starts from its own seed, so it does not matter which others there are: those that the
file has already, made with the same settings, versions and processor, are kept and not run again.
After a change of this script's training use --anew.
"""

import argparse
import dataclasses
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, cross_entropy
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT)]

import results_file  # noqa: E402

import rnnlib.torch  # noqa: E402
from rnnlib import data  # noqa: E402
from rnnlib.commands.numbers import count, positive  # noqa: E402

CLASSES, KEPT_BACK = 10, 5000
# A state counts as saturated beyond this.  The derivative of tanh is there below 0.02.
SATURATED = 0.99
# From this update on, the first losses being over, a run's level and noise are taken.
SETTLED = 100
WARM_UP = 50


@dataclasses.dataclass(frozen=True)
class Case:
    """A network and how it is trained.

    cell: RNN, IRNN (an RNN with relu, started from the identity), LSTM or GRU.
    state: what h_0 is, "zeros" or "random" (normal, new for every batch).
    optimizer: whose parameters Adam holds, the network's "own" or "another" network's.
    read: which output goes to the readout, the "last" or the "mean" of all.
    schedule: the rate is "constant", or "falling": up in 50 updates, then down to 0 in a line.
    clip: largest norm of the gradient.  orthogonal: whether W_hh starts as an orthogonal matrix.
    order: of what is read: "rows", "pixels", or "shuffled" pixels.
    square: an image read by pixels is averaged over squares of this side first.
    every: how many updates lie between two notes of the run's state.
    seeds: how many seeds it runs from, all when None.
    forget: an LSTM's bias of the forget gate when it reads pixels: "one"; or "spread", so that the
        units' memories begin with lengths between one step and all.
    """

    part: str
    name: str
    updates: int
    rate: float
    cell: str = "RNN"
    state: str = "zeros"
    optimizer: str = "own"
    read: str = "last"
    schedule: str = "constant"
    clip: float | None = None
    orthogonal: bool = False
    order: str = "rows"
    hidden: int = 128
    layers: int = 2
    batch: int = 100
    square: int = 4
    every: int = 10
    seeds: int | None = None
    forget: str = "one"


def all_cases():
    gated = Case("repairs", "", 600, 0.004, schedule="falling", clip=1.0)
    cases = [dataclasses.replace(gated, name=cell, cell=cell) for cell in ("LSTM", "GRU")]
    rnn = dataclasses.replace(gated, name="RNN", updates=800, rate=0.003, orthogonal=True)
    without = {
        "RNN": {},
        "RNN, twice as long": {"updates": 2 * rnn.updates},
        "RNN, constant rate": {"schedule": "constant"},
        "RNN, not clipped": {"clip": None},
        "RNN, not orthogonal": {"orthogonal": False},
    }
    cases += [dataclasses.replace(rnn, name=name, **change) for name, change in without.items()]
    failed = Case("suspects", "as published", 1100, 0.01, state="random")
    changes = {
        "another's parameters": {"optimizer": "another"},
        "zeros for h_0": {"state": "zeros"},
        "mean of all steps": {"read": "mean"},
        "rate 0.001": {"rate": 0.001},
        "rate 0.001, zeros": {"rate": 0.001, "state": "zeros"},
    }
    cases.append(failed)
    for name, change in changes.items():
        cases.append(dataclasses.replace(failed, name=name, updates=300, **change))
    small = Case("pixels", "", 1000, 0.001, schedule="falling", clip=1.0)
    small = dataclasses.replace(small, hidden=64, layers=1, batch=50)
    for order in ("pixels", "shuffled"):
        for cell, rate in {"RNN": 0.001, "IRNN": 0.001, "LSTM": 0.01}.items():
            change = {"name": cell, "cell": cell, "rate": rate, "order": order}
            cases.append(dataclasses.replace(small, **change))
    return cases + long_cases(small)


def long_cases(small):
    """Return the cases that read all 784 pixels; small: one that reads 49."""
    full = dataclasses.replace(small, part="long", square=1, updates=2200)
    irnn = dataclasses.replace(full, name="IRNN, 784", cell="IRNN", hidden=100, rate=0.0003)
    lstm = dataclasses.replace(full, name="LSTM, 784", cell="LSTM", rate=0.01, forget="spread")
    cases = [
        dataclasses.replace(case, order=order)
        for order in ("pixels", "shuffled")
        for case in (irnn, lstm)
    ]
    for case, times in ((irnn, 10), (lstm, 3)):
        change = {"updates": times * case.updates, "every": times * case.every, "seeds": 1}
        cases.append(
            dataclasses.replace(case, name=f"{case.name}, longer", order="pixels", **change)
        )
    return cases


class Reader(nn.Module):
    """A recurrent network that reads an image, and scores for the digit."""

    def __init__(self, case, size):
        super().__init__()
        H, self.read = case.hidden, case.read
        kind = "RNN" if case.cell == "IRNN" else case.cell
        more = {"nonlinearity": "relu"} if case.cell == "IRNN" else {}
        self.rnn = getattr(rnnlib.torch, kind)(size, H, case.layers, **more)
        self.head = nn.Linear(H, CLASSES)
        if case.cell == "IRNN":
            start_from_identity(self.rnn)
        if case.orthogonal:
            for name, weight in self.rnn.named_parameters():
                if name.startswith("weight_hh"):
                    nn.init.orthogonal_(weight)
        if case.cell == "LSTM" and case.order != "rows":
            start_with_memory(self.rnn, case)

    def forward(self, x, state):
        """x: (T, N, I); state: h_0 or None.  Returns scores (N, 10) and the outputs (T, N, H)."""
        output, _ = self.rnn(x, state)
        read = output[-1] if self.read == "last" else output.mean(dim=0)
        return self.head(read), output


@torch.no_grad()
def start_from_identity(rnn, size=0.1):
    """W_hh the identity, no bias, small inputs: a relu network that adds up what it reads."""
    rnn.weight_hh_l0.copy_(torch.eye(rnn.hidden_size))
    rnn.weight_ih_l0.normal_(0, size)
    rnn.bias_ih_l0.zero_()
    rnn.bias_hh_l0.zero_()


@torch.no_grad()
def start_with_memory(lstm, case):
    """Set the forget gates' biases so that the LSTM forgets little at first.

    "spread": b_f = ln u with u uniform from 1 to T - 1, and b_i = -b_f.  A cell forgets the share
    1 / (1 + u) in a step [Tallec and Ollivier 2018, "Can recurrent neural networks warp time?"].
    """
    H, T = lstm.hidden_size, (28 // case.square) ** 2
    i, f = slice(H), slice(H, 2 * H)
    lstm.bias_ih_l0[f], lstm.bias_hh_l0[f] = 1, 0
    if case.forget == "spread":
        lstm.bias_ih_l0[f] = torch.empty(H).uniform_(1, T - 1).log()
        lstm.bias_ih_l0[i], lstm.bias_hh_l0[i] = -lstm.bias_ih_l0[f], 0


class Images:
    """Digits as the network reads them: batches (T, N, I), white on black from 0 to 1."""

    def __init__(self, images, labels, order, square):
        self.images = torch.from_numpy(images.copy())  # those are read-only
        self.labels = torch.from_numpy(labels.astype(np.int64))
        pixels = np.arange((28 // square) ** 2)
        if order == "shuffled":  # by a fixed seed: it is part of the task
            pixels = np.random.default_rng(7).permutation(pixels)
        self.rows, self.square, self.pixels = order == "rows", square, torch.from_numpy(pixels)

    def batch(self, index):
        images = self.images[index].float() / 255
        if self.rows:
            return images.transpose(0, 1), self.labels[index]
        small = avg_pool2d(images[:, None], self.square).flatten(1)
        return small[:, self.pixels].T[..., None], self.labels[index]


def start_state(case, N):
    return torch.randn(case.layers, N, case.hidden) if case.state == "random" else None


def rate_at(case, update, updates):
    if case.schedule == "constant":
        return case.rate
    return case.rate * min(1, (update + 1) / WARM_UP) * (1 - update / updates)


@torch.no_grad()
def accuracy(model, case, images, batch=500):
    """Return the share of images that the model names right."""
    model.eval()
    right = 0
    for index in torch.arange(len(images.labels)).split(batch):
        x, labels = images.batch(index)
        scores, _ = model(x, start_state(case, len(index)))
        right += (scores.argmax(dim=1) == labels).sum().item()
    return right / len(images.labels)


@torch.no_grad()
def spreads(scores):
    """Return how the scores vary: over classes in their mean image, and over images.

    scores: (N, 10).  A softmax takes no notice of a number added to all ten, so it is taken off.
    """
    z = scores - scores.mean(dim=1, keepdim=True)
    shared = z.mean(dim=0)
    return shared.square().mean().item(), (z - shared).square().mean().item()


def run(case, seed, updates, train, test, bar):
    """Train once and return the curves and the accuracy."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Reader(case, 28 if train.rows else 1)
    held = model if case.optimizer == "own" else Reader(case, 28 if train.rows else 1)
    optimizer = torch.optim.Adam(held.parameters(), lr=case.rate)
    losses, notes, order = [], [], []
    for update in range(updates):
        if len(order) < case.batch:
            order = rng.permutation(len(train.labels))
        index, order = order[: case.batch], order[case.batch :]
        x, labels = train.batch(torch.from_numpy(index))
        scores, output = model(x, start_state(case, len(labels)))
        loss = cross_entropy(scores, labels)
        model.zero_grad()
        loss.backward()
        clip = case.clip or math.inf
        norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.param_groups[0]["lr"] = rate_at(case, update, updates)
        optimizer.step()
        losses.append(loss.item())
        if update % case.every == 0:
            saturated = (output.detach().abs() > SATURATED).float().mean().item()
            notes.append([loss.item(), norm.item(), saturated, *spreads(scores)])
        bar.update()
    settled = np.array(losses[min(SETTLED, updates // 2) :])
    columns = [[results_file.figure(v) for v in column] for column in zip(*notes, strict=True)]
    names = ("loss", "gradient", "saturated", "shared", "image")
    return {
        "case": case.name,
        "order": case.order,
        "seed": seed,
        "level": results_file.figure(settled.mean()),
        "noise": results_file.figure(settled.std()),
        "last": results_file.figure(np.mean(losses[-SETTLED:])),
        "accuracy": results_file.figure(accuracy(model, case, test)),
        "curves": dict(zip(names, columns, strict=True)),
    }


def read_options(arguments=None):
    """Return the options of the command line."""

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add(
        "--seeds",
        type=count,
        default=3,
        help="how many: 0, 1, ...",
    )
    add("--budget", type=positive, default=1.0, help="times the updates of every run")
    add("--images", type=count, default=60_000, help="use the first so many, train and test")
    results_file.add_out(parser)
    add("--anew", action="store_true", help="keep no run of an earlier file")
    options = parser.parse_args(arguments)
    if options.images < 200:
        parser.error(f"--images: expected at least 200, got {options.images}")
    results_file.settle_out(parser, options, "anew")
    return options


def earlier_runs(path, about):
    """Return the runs of an earlier file, {(case's settings, seed): run}, and their minutes."""
    if not path.exists():
        return {}, 0.0
    earlier = json.loads(path.read_text(encoding="utf-8"))
    for name in ("processor", "versions", "threads", "budget", "images"):
        if earlier["about"][name] != about[name]:
            return {}, 0.0
    # A setting that the earlier file does not know had then the value that is now the default.
    cases = [dataclasses.asdict(Case(**case)) for case in earlier["cases"]]
    settings = {(case["name"], case["order"]): as_key(case) for case in cases}
    runs = {(settings[r["case"], r["order"]], r["seed"]): r for r in earlier["runs"]}
    return runs, earlier["about"]["cpu_minutes"]


def as_key(settings):
    return tuple(sorted(settings.items()))


def run_all(options, runs):
    """Run every case from every seed but for those in ``runs``; return settings and runs."""
    digits = data.load_mnist()
    for_training = slice(min(options.images, 60_000 - KEPT_BACK))
    for_test = slice(options.images)
    cases = all_cases()
    sets = {
        reading: (
            Images(digits.train_images[for_training], digits.train_labels[for_training], *reading),
            Images(digits.test_images[for_test], digits.test_labels[for_test], *reading),
        )
        for reading in {(case.order, case.square) for case in cases}
    }
    length = {case: max(2, round(options.budget * case.updates)) for case in cases}
    settings = {case: dataclasses.asdict(case) | {"updates": length[case]} for case in cases}
    seeds = {case: range(min(options.seeds, case.seeds or options.seeds)) for case in cases}
    wanted = [(case, seed) for case in cases for seed in seeds[case]]
    found = {(case, seed): runs.get((as_key(settings[case]), seed)) for case, seed in wanted}
    left = [key for key in wanted if found[key] is None]
    with tqdm(total=sum(length[case] for case, _ in left)) as bar:
        for case, seed in left:
            bar.set_description(f"{case.part}: {case.name}, {case.order}, seed {seed}")
            found[case, seed] = run(case, seed, length[case], *sets[case.order, case.square], bar)
            share = found[case, seed]["accuracy"]
            bar.write(f"{bar.desc}accuracy {share:.4f}", file=sys.stderr)
    return {
        "settled": SETTLED,
        "cases": list(settings.values()),
        "runs": list(found.values()),
    }


def main(arguments=None):
    """Run what is missing and write the file."""
    options = read_options(arguments)
    torch.set_num_threads(1)
    path, start = options.out / "digits.json", time.process_time()
    about = results_file.about(
        "experiments/digits.py",
        seed=list(range(options.seeds)),
        packages=("numpy", "torch"),
        threads=1,
        budget=options.budget,
        images=options.images,
    )
    runs, minutes = ({}, 0.0) if options.anew else earlier_runs(path, about)
    results = run_all(options, runs)
    about["cpu_minutes"] = round(minutes + (time.process_time() - start) / 60, 1)
    text = results_file.as_json({"about": about} | results)
    results_file.write({path.name: text}, options.out)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
