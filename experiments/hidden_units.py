"""Look for units of an LSTM that follow lines or quotations; write results/hidden_units.json.

    python experiments/hidden_units.py
    python experiments/hidden_units.py --text mine.txt --out runs    # another text, in UTF-8

A character LSTM is trained on the first nine tenths of Moby Dick, with its state carried.  Its
forget gates start open, some for a few steps and some for as many as a window has.  The last
tenth is read in two halves.  On the first, for each of two features, the unit is chosen whose
tanh(c) correlates most with it; on the second, which nothing was chosen on, its correlation is
reported, beside that of a unit chosen in the same way in the untrained network.

- line: characters since the last line end.
- quote: 1 between an opening and a closing double quotation mark, 0 elsewhere; an empty line ends
  a quotation, too.

Then the chosen unit is set by hand at moments in the middle of a line (for the quotation: outside
of one): its c becomes the mean that it has near the line's end (or inside quotations).  Reported is
how many line ends (or closing marks) the network then expects over the next characters of the
text, beside what it expects untouched, and the same for every other unit.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from tqdm import tqdm, trange

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "experiments"), str(ROOT)]

import own_text  # noqa: E402
import results_file  # noqa: E402
from character_model import CharacterModel, Streams  # noqa: E402

from rnnlib import text  # noqa: E402
from rnnlib.commands.numbers import count, positive, whole  # noqa: E402

TRAINING_PART = 0.9
OPENING, CLOSING, LINE_END = "“", "”", "\n"
# Reading starts in the middle of the text, with a state of zeros: so long until it counts.
WARM_UP = 200
LEAST = 8000  # characters of the validation text
MIDDLE, LATE = 30, 60  # places in a line of at most 74 characters


def line_places(words):
    """Return the number of characters since the last line end, for each: (n,)."""
    at = np.arange(len(words))
    ends = np.where(np.array(list(words)) == LINE_END, at, -1)
    return at - np.maximum.accumulate(ends)


def inside_quotes(words):
    """Return 1.0 after an opening mark, 0.0 after a closing one or an empty line: (n,)."""
    inside, out = 0.0, []
    for before, now in zip(" " + words[:-1], words, strict=True):
        if now == OPENING:
            inside = 1.0
        elif now == CLOSING or before == now == LINE_END:
            inside = 0.0
        out.append(inside)
    return np.array(out)


FEATURES = {"line": line_places, "quote": inside_quotes}


@torch.no_grad()
def remember(model, longest):
    """Draw biases for gates that keep a state for up to ``longest`` steps.

    As in Tallec and Ollivier, "Can recurrent neural networks warp time?", ICLR 2018.
    """
    H = model.rnn.hidden_size
    bias = torch.log(1 + (longest - 1) * torch.rand(H))
    for name in ("bias_ih_l0", "bias_hh_l0"):
        getattr(model.rnn, name).zero_()
    model.rnn.bias_ih_l0[H : 2 * H] = bias
    model.rnn.bias_ih_l0[:H] = -bias


def train(model, codes, options, label):
    """Train, the state carried, while Adam's rate falls to zero; return the last losses' mean."""
    windows = Streams(codes, options.streams, options.window, slice(None))
    optimizer = torch.optim.Adam(model.parameters(), lr=options.rate)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1 - k / options.updates)
    losses, state = [], None
    for update in trange(options.updates, desc=label, unit="update"):
        k = update % windows.count
        inputs, targets = windows.window(k)
        state = state.detach() if k else model.zero_state(options.streams)
        scores, state = model(inputs, state)
        loss = cross_entropy(scores.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        falling.step()
        losses.append(loss.item())
    return float(np.mean(losses[-50:]))


@torch.no_grad()
def read(model, codes, streams=16):
    """Read a text in ``streams`` pieces side by side, one character at a time.

    codes: (n,), of which the last n mod streams are left out.  Returns the states after each
    character (S, streams, n // streams, H) and the mean loss.
    """
    length = len(codes) // streams
    inputs = torch.as_tensor(codes[: streams * length]).reshape(streams, length)
    state, states, losses = model.zero_state(streams), [], []
    for t in range(length):
        scores, state = model(inputs[None, :, t], state)
        states.append(state[:, 0])
        if t + 1 < length and t >= WARM_UP:
            losses.append(cross_entropy(scores[0], inputs[:, t + 1]))
    return torch.stack(states, dim=2), float(torch.stack(losses).mean())


def correlations(c, feature):
    """Return the correlation of each unit's tanh(c) with a feature; c: (n, H); feature: (n,)."""
    units = np.tanh(c) - np.tanh(c).mean(axis=0)
    feature = feature - feature.mean()
    lengths = np.linalg.norm(units, axis=0) * np.linalg.norm(feature)
    return feature @ units / np.maximum(lengths, 1e-12)


class Half:
    """One half of the validation text as a model has read it, after the warm-up.

    states: (S, n, H); at: the places of the n characters in the half; features: {name: (n,)}.
    """

    def __init__(self, model, codes, words, streams=16):
        states, self.loss = read(model, codes, streams)
        length = states.shape[2]
        self.words, self.codes = words, torch.as_tensor(codes)
        places = np.arange(streams * length).reshape(streams, length)[:, WARM_UP:]
        self.at = places.ravel()
        self.states = states[:, :, WARM_UP:].flatten(1, 2)
        self.c = self.states[1].double().numpy()
        self.features = {name: f(words)[self.at] for name, f in FEATURES.items()}


def choose(half, feature):
    """Return the unit with the largest correlation, in size."""
    return int(np.abs(correlations(half.c, half.features[feature])).argmax())


@torch.no_grad()
def expected(model, half, moments, code, steps, unit=None, value=None):
    """Return how many times ``code`` is expected in the ``steps`` characters after the moments.

    moments: indices into the half's states.  A unit's c can be set to ``value`` first.
    """
    state = half.states[:, moments].clone()[:, None]
    if unit is not None:
        state[1, :, :, unit] = value
    places = torch.as_tensor(half.at[moments])
    total = 0.0
    for k in range(1, steps + 1):
        scores, state = model(half.codes[places + k][None], state)
        total += scores[0].softmax(dim=1)[:, code].mean().item()
    return total


def effects(model, half, unit, code, moments, target, steps):
    """Set each unit to its mean where ``target`` holds, and compare what is expected."""
    with torch.no_grad():
        means = half.states[1][torch.as_tensor(target)].mean(dim=0)
    plain = expected(model, half, moments, code, steps)
    each = [
        expected(model, half, moments, code, steps, u, means[u]) - plain for u in range(len(means))
    ]
    sizes = np.abs(each)
    return {
        "moments": len(moments),
        "steps": steps,
        "untouched": round(plain, 4),
        "set": round(plain + each[unit], 4),
        "rank": int((sizes > sizes[unit]).sum()) + 1,
        "largest_of_others": round(float(np.delete(sizes, unit).max()), 4),
        "median_of_others": round(float(np.median(np.delete(sizes, unit))), 4),
    }


def where(half, count=300):
    """Return {feature: (the moments at which a unit is set, where its mean is taken)}."""
    line, quote = half.features["line"], half.features["quote"]
    middle = (line == MIDDLE) & (half.at < len(half.codes) - 21)
    outside = middle & (quote == 0)
    return {
        "line": (np.flatnonzero(middle)[:count], line >= LATE),
        "quote": (np.flatnonzero(outside)[:count], quote > 0),
    }


def interventions(model, half, units, vocabulary):
    """Return {feature: effects} on the second half."""
    places, code = where(half), {m: int(vocabulary.encode(m)[0]) for m in (LINE_END, CLOSING)}
    return {
        "line": effects(model, half, units["line"], code[LINE_END], *places["line"], 10),
        "quote": effects(model, half, units["quote"], code[CLOSING], *places["quote"], 20),
    }


def check_half(half):
    """Raise TextError for a half without long lines or quotations to follow."""
    needed = {
        "line": f"lines of more than {LATE} characters",
        "quote": f"quotations between {OPENING} and {CLOSING}, and lines outside of them,",
    }
    for name, (moments, target) in where(half).items():
        if not len(moments) or not target.any():
            raise own_text.TextError(
                f"--text: expected {needed[name]} in each half of its last tenth"
            )


def passage(words, start, length):
    """Return where the next paragraph starts that opens, and soon closes, a quotation.

    Raises TextError where there is none with ``length`` characters to come.
    """
    place = words.find("\n\n" + OPENING, start)
    while place >= 0 and CLOSING not in words[place : place + length // 2]:
        place = words.find("\n\n" + OPENING, place + 1)
    if place < 0 or place + 2 + length > len(words):
        raise own_text.TextError(
            f"--text: expected, with {length} characters to come, a paragraph near the end that "
            f"opens a quotation with {OPENING} and soon closes it with {CLOSING}"
        )
    return place + 2


@torch.no_grad()
def along(model, codes, start, length):
    """Return tanh(c) over a passage, read from WARM_UP * 5 characters before it: (length, H)."""
    before = min(start, 5 * WARM_UP)
    states, _ = read(model, codes[start - before : start + length], streams=1)
    return torch.tanh(states[1, 0, before:]).numpy()


def read_options(arguments=None):
    """Return the options of the command line."""

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    own_text.add_option(parser)
    results_file.add_out(parser)
    add("--seeds", type=whole, nargs="+", default=[0, 1, 2])
    add("--updates", type=count, default=2500)
    add("--streams", type=count, default=32)
    add("--window", type=count, default=100)
    add("--hidden", type=count, default=128)
    add("--rate", type=positive, default=3e-3, help="of Adam, at the start")
    add("--length", type=count, default=480, help="characters of the passage")
    add("--part", type=count, help="use so many characters of the validation text only")
    options = parser.parse_args(arguments)
    if options.part is not None and options.part < LEAST:
        parser.error(f"--part: expected at least {LEAST}, got {options.part}")
    results_file.settle_out(parser, options)
    return options


def study(options, words, vocabulary, seed):
    """Train with one seed and return what its units do."""
    codes = vocabulary.encode(words)
    training, valid = text.split(codes, TRAINING_PART)
    valid = valid[: options.part]
    cut = len(valid) // 2
    first = len(training)
    halves = [(valid[:cut], first), (valid[cut:], first + cut)]
    halves = [(part, words[start : start + len(part)]) for part, start in halves]
    start = passage(words, first + cut + 5 * WARM_UP, options.length)
    torch.manual_seed(seed)
    model = CharacterModel("LSTM", len(vocabulary), options.hidden, 1)
    remember(model, options.window)
    untrained = [Half(model, *half) for half in halves]
    for half in untrained:
        check_half(half)
    training_loss = train(model, training, options, f"seed {seed}")
    chosen, test = (Half(model, *half) for half in halves)
    units = {name: choose(chosen, name) for name in FEATURES}
    result = {"seed": seed, "training_loss": training_loss, "validation_loss": test.loss}
    curves = along(model, codes, start, options.length)
    moved = interventions(model, test, units, vocabulary)
    for name, unit in units.items():
        by_chance = choose(untrained[0], name)

        def r(half, unit, name=name):
            return round(float(correlations(half.c, half.features[name])[unit]), 4)

        result[name] = {
            "unit": unit,
            "chosen_at": r(chosen, unit),
            "correlation": r(test, unit),
            "untrained": r(untrained[1], by_chance),
            "intervention": moved[name],
            "activation": [round(float(a), 3) for a in curves[:, unit]],
        }
    return result | {"start": start}


def main(arguments=None):
    """Run as the command line says, and write the file."""
    options = read_options(arguments)
    began, runs = time.perf_counter(), []
    with own_text.reported("hidden_units.py"):
        words = own_text.load(options.text)
        if len(words) < 10 * LEAST:
            raise own_text.TextError(
                f"--text: expected at least {10 * LEAST} characters, got {len(words)}"
            )
        vocabulary = text.Vocabulary.from_text(words)
        for seed in tqdm(options.seeds, desc="seeds"):
            runs.append(study(options, words, vocabulary, seed))
    about = results_file.about(
        "experiments/hidden_units.py",
        options.seeds,
        ("numpy", "torch"),
        text=own_text.name(options.text),
        threads=torch.get_num_threads(),
        minutes=round((time.perf_counter() - began) / 60, 1),
    )
    sizes = {name: getattr(options, name) for name in "updates streams window hidden rate".split()}
    places = {"middle": MIDDLE, "late": LATE, "length": options.length}
    result = {"about": about, "training": sizes, "places": places, "runs": runs}
    results_file.write({"hidden_units.json": results_file.as_json(result)}, options.out)


if __name__ == "__main__":
    main()
