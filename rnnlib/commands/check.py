"""``python -m rnnlib check``: what a text holds, what training would take, and the gradient."""

import time
from collections import Counter

import numpy as np

from rnnlib.character import CharacterModel
from rnnlib.commands.numbers import plural
from rnnlib.commands.reading import cut, read_text
from rnnlib.commands.sample import named
from rnnlib.commands.train import new_model
from rnnlib.gradcheck import check_backward
from rnnlib.text import batches

RARE, NAMED = 5, 12  # A symbol is rare that occurs fewer times; so many of them are named.
SECONDS, MOST_STEPS = 2.0, 20  # How long a step is measured.
HIDDEN, STREAMS, WINDOW = 8, 2, 6  # The network and window on which the gradient is checked.


def run(options):
    """Print the findings; return 1 when the gradient is wrong, else 0."""
    file = read_text(options.text)
    describe_text(file)
    parts = cut(file, options.batch, options.window)
    describe_parts(options, file, parts)
    describe_cost(options, parts)
    report = check_gradient(options, parts)
    hidden = min(options.hidden, HIDDEN)
    print(f"gradient by hand against central differences, on {hidden} hidden units, float64:")
    print("  " + str(report).replace("\n", "\n  "))
    print("verdict: the gradient is right" if report else "verdict: the gradient is WRONG")
    return 0 if report else 1


def describe_text(file):
    """Print how long a text is and which characters it is made of."""
    counts = Counter(file.characters)
    lines = file.characters.count("\n") + (not file.characters.endswith("\n"))
    print(f"{file.path}: {file.size:,} bytes of UTF-8")
    print(f"characters: {len(file.characters):,} in {plural(lines, 'line')}")
    if file.foreign_ends:
        print(f"line ends: {file.foreign_ends:,} of Windows or old Macs, read as new lines")
    print(f"symbols: {len(counts)}")
    rare = sorted((n, symbol) for symbol, n in counts.items() if n < RARE)
    if rare:
        words = [f"{named(symbol)} {n}×" for n, symbol in rare[:NAMED]]
        more = f", and {len(rare) - NAMED} more" if len(rare) > NAMED else ""
        print(f"rare symbols (fewer than {RARE} times): {', '.join(words)}{more}")


def describe_parts(options, file, parts):
    """Print what is trained on and what is not."""
    windows = (len(parts.train) - 1) // (options.batch * options.window)
    print(
        f"training: the first {len(parts.train):,} characters, {plural(windows, 'window')} of "
        f"{options.batch} × {options.window}; {options.steps / windows:,.1f} epochs in "
        f"{plural(options.steps, 'step')}"
    )
    print(
        f"validation: the {len(parts.valid):,} characters after them, in "
        f"{plural(parts.streams, 'stream')}"
    )
    unseen = sorted(set(file.characters) - set(parts.vocabulary.decode(parts.train)))
    if unseen:
        more = f", and {len(unseen) - NAMED} more" if len(unseen) > NAMED else ""
        print(f"never seen in training: {', '.join(map(named, unseen[:NAMED]))}{more}")


def describe_cost(options, parts):
    """Print the size of the network, and how long it would take to train it here."""
    model, training = new_model(options, parts)
    parameters = sum(p.size for p in model.parameters.values())
    step = seconds_of(training.step)
    validation = seconds_of(
        lambda: model.evaluate(parts.valid, parts.streams, options.window), most=1
    )
    total = options.steps * step + -(-options.steps // options.every) * validation
    layers = f"{plural(options.layers, 'layer')} of {options.hidden}"
    print(f"network: {options.kind}, {layers}, {parameters:,} parameters")
    print(
        f"time: {1000 * step:,.1f} ms for a step, {1000 * validation:,.1f} ms for a validation; "
        f"about {in_words(total)} for {plural(options.steps, 'step')} on this machine"
    )


def seconds_of(work, most=MOST_STEPS):
    """Return the median time of some calls; the first one, which makes its memory, is not timed."""
    times, end = [], time.perf_counter() + SECONDS
    work()
    while not times or (len(times) < most and time.perf_counter() < end):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def in_words(seconds):
    """Return a time as a reader would say it."""
    if seconds < 120:
        return plural(round(seconds), "second")
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def check_gradient(options, parts):
    """Compare all gradients, also those of the carried state, with differences of the loss."""
    model = CharacterModel(
        parts.vocabulary,
        options.kind,
        min(options.hidden, HIDDEN),
        options.layers,
        rng=options.seed,
    )
    N, T = min(options.batch, STREAMS), min(options.window, WINDOW)
    inputs, targets = next(batches(parts.train, N, T))
    names = ("h_0", "c_0") if options.kind == "LSTM" else ("h_0",)
    rng = np.random.default_rng(options.seed)
    states = {name: rng.standard_normal((model.layers, N, model.hidden)) for name in names}
    kept = {}

    def unpacked(state):
        return state if len(names) > 1 else (state,)

    def forward(point):
        model.load_state_dict({name: point[name] for name in model.parameters})
        before = tuple(point[name] for name in names)
        loss, kept["d_logits"], after = model.loss(
            inputs, targets, before if len(names) > 1 else before[0]
        )
        return loss, *unpacked(after)

    def backward(d_loss, *d_after):
        d_before = model.backward(
            d_loss * kept["d_logits"], d_after if len(names) > 1 else d_after[0]
        )
        return {**dict(zip(names, unpacked(d_before), strict=True)), **model.grads}

    return check_backward(forward, backward, {**states, **model.parameters}, rng=rng)
