"""Train five models of the next character at one budget, and write results/five_models.json.

    python experiments/five_models.py                     # Moby Dick, three seeds
    python experiments/five_models.py --text nietzsche.txt --out runs    # another text, in UTF-8

The models are those of lesson 6 of fast.ai's course of 2018, each a small change from the one
before.  V is the number of symbols, E the size of the embedding, H of the state, T the number of
characters in a window, N the number of windows in a batch.

The budget is one number of updates for all, of ``--batch`` windows each: so all read as many
characters, but for the model of three characters, whose windows are shorter.  Before that each
model tries the rates ``--rates`` for ``--tuning-updates`` updates, with a seed of its own, and
keeps the best.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "experiments"), str(ROOT)]

import own_text  # noqa: E402
import results_file  # noqa: E402
from character_model import Streams  # noqa: E402

import rnnlib.torch  # noqa: E402
from rnnlib import text  # noqa: E402
from rnnlib.commands.numbers import count, positive, whole  # noqa: E402

TRAINING_PART, TUNING_SEED = 0.9, 100
# Validation windows start every so many characters: a number prime to the window's length.
STRIDE = 23


class Char3Model(nn.Module):
    """Three characters in, scores for the fourth out; every step written down."""

    def __init__(self, V, E=42, H=256):
        super().__init__()
        self.embedding = nn.Embedding(V, E)
        self.into = nn.Linear(E, H)
        self.hidden = nn.Linear(H, H)
        self.out = nn.Linear(H, V)

    def enter(self, h, code):
        return h + torch.relu(self.into(self.embedding(code)))

    def forward(self, codes):
        """codes: (3, N).  Returns (N, V)."""
        first, second, third = codes
        h = self.out.weight.new_zeros(codes.shape[1], self.hidden.in_features)
        h = torch.tanh(self.hidden(self.enter(h, first)))
        h = torch.tanh(self.hidden(self.enter(h, second)))
        h = torch.tanh(self.hidden(self.enter(h, third)))
        return self.out(h)


class CharLoopModel(Char3Model):
    """The same in a loop: any number of characters in."""

    def forward(self, codes):
        """codes: (T, N).  Returns (N, V)."""
        h = self.out.weight.new_zeros(codes.shape[1], self.hidden.in_features)
        for code in codes:
            h = torch.tanh(self.hidden(self.enter(h, code)))
        return self.out(h)


class CharLoopConcatModel(CharLoopModel):
    """State and character side by side, where the loop adds them."""

    def __init__(self, V, E=42, H=256):
        super().__init__(V, E, H)
        self.into = nn.Linear(H + E, H)

    def enter(self, h, code):
        return torch.relu(self.into(torch.cat([h, self.embedding(code)], dim=1)))


class CharRnn(nn.Module):
    """The loop by the library's layer."""

    def __init__(self, V, E=42, H=256):
        super().__init__()
        self.embedding = nn.Embedding(V, E)
        self.rnn = rnnlib.torch.RNN(E, H)
        self.out = nn.Linear(H, V)

    def forward(self, codes):
        """codes: (T, N).  Returns (N, V)."""
        output, _ = self.rnn(self.embedding(codes))
        return self.out(output[-1])


class CharSeqRnn(CharRnn):
    """Scores, and so a loss, at every step."""

    def run(self, codes, h=None):
        """codes: (T, N); h: (1, N, H), or None for zeros.  Returns (T, N, V) and the last h."""
        output, h = self.rnn(self.embedding(codes), h)
        return self.out(output), h

    def forward(self, codes):
        return self.run(codes)[0]


class PlainLoopModel(CharLoopModel):
    """The loop without its relu: CharRnn in other words."""

    def enter(self, h, code):
        return h + self.into(self.embedding(code))


def parameters(model):
    """Return how many numbers the model learns."""
    return sum(p.numel() for p in model.parameters())


def equal_hidden(V, E, H):
    """Return the H of a CharLoopConcatModel with as many parameters as a CharLoopModel, nearly."""
    with torch.device("meta"):  # Sizes without arrays.
        wanted = parameters(CharLoopModel(V, E, H))
        sizes = {h: parameters(CharLoopConcatModel(V, E, h)) for h in range(1, H + 1)}
    return min(sizes, key=lambda h: abs(sizes[h] - wanted))


def samples(codes, T, step):
    """Return windows of T characters and the one after: (n, T + 1), a view.

    step: from one window's start to the next: 1 for all windows, T for windows side by side.
    """
    return np.lib.stride_tricks.sliding_window_view(codes, T + 1)[::step]


def shuffled(rows, batch, rng):
    """Yield batches (T + 1, batch) for ever; each pass takes every row once, but for the rest."""
    while True:
        order = rng.permutation(len(rows))
        for k in range(0, len(rows) - batch + 1, batch):
            yield torch.from_numpy(rows[np.sort(order[k : k + batch])].T.copy())


def window_loss(model, rows):
    """Return the mean loss of a batch; rows: (T + 1, N)."""
    scores = model(rows[:-1])
    if scores.dim() == 2:
        return cross_entropy(scores, rows[-1])
    return cross_entropy(scores.flatten(0, 1), rows[1:].flatten())


@torch.no_grad()
def last_loss(model, rows):
    """Return the mean loss of the last character of each row; rows: (n, T + 1)."""
    if type(model) is Char3Model:
        rows = rows[:, -4:]
    total = 0.0
    for part in np.array_split(rows, max(1, len(rows) // 1000)):
        codes = torch.from_numpy(part.T.copy())
        scores = model(codes[:-1])
        scores = scores if scores.dim() == 2 else scores[-1]
        total += cross_entropy(scores, codes[-1], reduction="sum").item()
    return total / len(rows)


@torch.no_grad()
def position_losses(model, rows):
    """Return the mean loss at each place of a window read from zeros: (T,); rows: (n, T + 1)."""
    model = as_seq(model)
    total = 0.0
    for part in np.array_split(rows, max(1, len(rows) // 1000)):
        codes = torch.from_numpy(part.T.copy())
        scores = model(codes[:-1]).movedim(2, 1)
        total = total + cross_entropy(scores, codes[1:], reduction="none").sum(dim=1).double()
    return (total / len(rows)).tolist()


@torch.no_grad()
def carried_losses(model, codes, T, streams=32):
    """Return the same (T,) with the state carried from window to window; codes: (n,)."""
    model, h, losses = as_seq(model), None, []
    windows = Streams(codes, streams, T, slice(None))
    for k in range(windows.count):
        inputs, targets = windows.window(k)
        scores, h = model.run(inputs, h)
        losses.append(cross_entropy(scores.movedim(2, 1), targets, reduction="none").mean(dim=1))
    return torch.stack(losses).double().mean(dim=0).tolist()


def as_seq(model):
    """Return a CharSeqRnn with the weights of a CharRnn (or the model, if it is one)."""
    if isinstance(model, CharSeqRnn):
        return model
    seq = CharSeqRnn(*model.embedding.weight.shape, model.rnn.hidden_size)
    seq.load_state_dict(model.state_dict())
    return seq


@torch.no_grad()
def generate(model, vocabulary, prompt, length, rng, temperature=1.0, top_k=None, top_p=None):
    """Return ``length`` characters as a CharSeqRnn goes on from the prompt; rng: a Generator.

    The others as in ``rnnlib.text.sample_index``.
    """
    scores, h = model.run(torch.from_numpy(vocabulary.encode(prompt))[:, None])
    drawn = []
    while len(drawn) < length:
        logits = scores[-1, 0].double().numpy()
        drawn.append(text.sample_index(logits, temperature, rng, top_k, top_p))
        scores, h = model.run(torch.tensor([drawn[-1:]]), h)
    return vocabulary.decode(drawn)


class Run:
    """A model on its way: ``advance`` trains it up to a number of updates.

    kind: a class of this file; codes: the training text.  T: the window's length; step: from one
    window to the next, or None for windows in order with the state carried between them.
    """

    def __init__(self, kind, codes, V, E, H, T, step, batch, rate, seed):
        torch.manual_seed(seed)
        self.model = kind(V, E, H)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=rate)
        self.updates, self.seconds, self.state = 0, 0.0, None
        self.carried = step is None
        if self.carried:
            self.streams = Streams(codes, batch, T, slice(None))
            self.per_pass = self.streams.count
        else:
            rows = samples(codes, T, step)
            self.per_pass = len(rows) // batch
            self.batches = shuffled(rows, batch, np.random.default_rng(seed))

    def loss(self):
        if not self.carried:
            return window_loss(self.model, next(self.batches))
        k = self.updates % self.per_pass
        inputs, targets = self.streams.window(k)
        scores, state = self.model.run(inputs, self.state if k else None)
        self.state = state.detach()
        return cross_entropy(scores.flatten(0, 1), targets.flatten())

    def advance(self, updates):
        start = time.perf_counter()
        while self.updates < updates:
            self.optimizer.zero_grad()
            self.loss().backward()
            self.optimizer.step()
            self.updates += 1
        self.seconds += time.perf_counter() - start


def read_options(arguments=None):
    """Return the options of the command line, with the text in codes."""

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    own_text.add_option(parser)
    results_file.add_out(parser)
    add("--seeds", type=whole, nargs="+", default=[0, 1, 2])
    add("--updates", type=count, default=800)
    add("--batch", type=count, default=512)
    add("--window", type=count, default=8, help="characters in a window, at least 3")
    add("--embedding", type=count, default=42)
    add("--hidden", type=count, default=256)
    add("--rates", type=positive, nargs="+", default=[2e-3, 5e-3], help="of Adam")
    add("--tuning-updates", type=count, default=100)
    options = parser.parse_args(arguments)
    if options.window < 3:
        parser.error(f"--window: expected at least 3, got {options.window}")
    results_file.settle_out(parser, options)
    with own_text.reported("five_models.py"):
        take_text(options)
    return options


def take_text(options):
    """Add the vocabulary, and the codes to train and to validate on, to the options."""
    words = own_text.load(options.text)
    options.vocabulary = text.Vocabulary.from_text(words)
    codes = options.vocabulary.encode(words)
    train, least = round(TRAINING_PART * len(codes)), options.batch * options.window + 1
    if train < least or len(codes) - train < 32 * options.window + 1:
        raise own_text.TextError(
            f"--text: expected at least {least} characters to train on and "
            f"{32 * options.window + 1} to validate on, got {train} and {len(codes) - train}"
        )
    options.train, options.valid = text.split(codes, TRAINING_PART)


def contestants(options):
    """Return {name: (class, H, T, step)}."""
    H, T = options.hidden, options.window
    small = equal_hidden(len(options.vocabulary), options.embedding, H)
    return {
        "Char3Model": (Char3Model, H, 3, 1),
        "CharLoopModel": (CharLoopModel, H, T, 1),
        "CharLoopConcatModel": (CharLoopConcatModel, H, T, 1),
        "CharRnn": (CharRnn, H, T, 1),
        "CharSeqRnn": (CharSeqRnn, H, T, T),
        "smaller Concat": (CharLoopConcatModel, small, T, 1),
        "Loop without relu": (PlainLoopModel, H, T, 1),
        "CharSeqRnn, state carried": (CharSeqRnn, H, T, None),
    }


def start(options, contestant, rate, seed):
    kind, H, T, step = contestant
    V, E = len(options.vocabulary), options.embedding
    return Run(kind, options.train, V, E, H, T, step, options.batch, rate, seed)


def tune(options, contestant, rows):
    """Return the loss that each rate reaches."""
    reached = []
    for rate in options.rates:
        run = start(options, contestant, rate, TUNING_SEED)
        run.advance(options.tuning_updates)
        reached.append(round(last_loss(run.model, rows), 4))
    return reached


def measure(options, contestant, rate, seed, rows):
    """Train one model; return what it reached and the model at the end of the budget."""
    run = start(options, contestant, rate, seed)
    marks = {max(1, options.updates // k) for k in (8, 4, 2, 1)}
    curve = []
    for mark in sorted(marks):
        run.advance(mark)
        curve.append([mark, round(last_loss(run.model, rows), 4)])
    result = {"curve": curve, "per_update": round(run.seconds / run.updates, 4)}
    if isinstance(run.model, CharRnn):
        T = options.window
        by_place = {"zeros": position_losses(run.model, rows)}
        by_place["carried"] = carried_losses(run.model, options.valid, T)
        result |= {k: [round(loss, 4) for loss in v] for k, v in by_place.items()}
    return result, run.model


SETTINGS = {
    "temperature 1": {},
    "temperature 0.5": {"temperature": 0.5},
    "temperature 1.5": {"temperature": 1.5},
    "top_k 3": {"top_k": 3},
    "top_p 0.8": {"top_p": 0.8},
    "temperature 0": {"temperature": 0},
}


def write_text(model, vocabulary, length=300):
    """Return what the model generates by each setting, all from one seed."""
    prompt = vocabulary.symbols[0]
    return {
        name: generate(model, vocabulary, prompt, length, np.random.default_rng(0), **setting)
        for name, setting in SETTINGS.items()
    }


def main(arguments=None):
    """Train as the command line says, and write the file."""
    options = read_options(arguments)
    rows = samples(options.valid, options.window, STRIDE)
    began, models, tuning, generated = time.perf_counter(), {}, {}, {}
    entries = contestants(options)
    bar = tqdm(total=len(entries) * (1 + len(options.seeds)), unit="run")
    for name, contestant in entries.items():
        bar.set_description(name)
        tuning[name] = tune(options, contestant, rows)
        rate = options.rates[int(np.argmin(tuning[name]))]
        bar.update()
        runs = []
        for seed in options.seeds:
            result, model = measure(options, contestant, rate, seed, rows)
            runs.append(result)
            if name == "CharSeqRnn, state carried" and seed == options.seeds[0]:
                generated = write_text(model, options.vocabulary)
            bar.update()
        _, H, T, step = contestant
        models[name] = {
            "parameters": parameters(model),
            "hidden": H,
            "window": T,
            "per_pass": start(options, contestant, rate, 0).per_pass,
            "labels": 1 if step == 1 else T,
            "rate": rate,
            "runs": runs,
        }
    bar.close()
    about = results_file.about(
        "experiments/five_models.py",
        options.seeds,
        ("numpy", "torch"),
        text=own_text.name(options.text),
        threads=torch.get_num_threads(),
        minutes=round((time.perf_counter() - began) / 60, 1),
    )
    result = {
        "about": about,
        "symbols": len(options.vocabulary),
        "characters": [len(options.train), len(options.valid)],
        "validation_windows": len(rows),
        "updates": options.updates,
        "batch": options.batch,
        "window": options.window,
        "models": models,
        "tuning": {
            "seed": TUNING_SEED,
            "updates": options.tuning_updates,
            "rates": options.rates,
            "loss": tuning,
        },
        "generated": generated,
    }
    results_file.write({"five_models.json": results_file.as_json(result)}, options.out)


if __name__ == "__main__":
    main()
