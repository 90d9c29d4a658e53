"""Learn to pronounce English spellings, with and without attention; write results/phonemes.json.

    python experiments/phonemes.py                # six runs: three seeds, with and without
    python experiments/phonemes.py --steps 100    # short runs

An encoder reads the letters of a word in both directions, a decoder writes its phonemes, all layers
being those of ``rnnlib``.  Trained on words of 3 to 10 letters of the CMU Pronouncing Dictionary
with the right phonemes given to the decoder.  The first rate was chosen on the validation part,
from one seed and short runs, the number of steps by the time they take.  The figures in the file
are those of words of the test part, read once at the end of a run.

Words are named in the file by their places in ``load_pronunciations()``, phonemes by their codes,
1 to 39 in alphabetical order.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT)]

import results_file  # noqa: E402

from rnnlib import GRU, Linear, clip_grad_norm_, softmax_cross_entropy, text, words  # noqa: E402
from rnnlib.attention import AdditiveAttention  # noqa: E402
from rnnlib.beam import beam_search  # noqa: E402
from rnnlib.commands.numbers import count, positive  # noqa: E402
from rnnlib.data import pronunciations  # noqa: E402
from rnnlib.edit_distance import edit_distance, error_rate  # noqa: E402
from rnnlib.losses import log_softmax  # noqa: E402
from rnnlib.optim import Adam  # noqa: E402

LETTERS = "abcdefghijklmnopqrstuvwxyz"
END = 0  # among the codes of the phonemes; the first real one is 1
SHORTEST, LONGEST = 3, 10
WIDTHS = (1, 3, 5)
LONGEST_ANSWER = 20  # phonemes
# Words of the test part whose alignment is kept, chosen for their spelling before any run.
SHOWN = """knapsack philosophy euphemism exhaust hatchery masquerade nighthawk quotation starlight
    throughout""".split()


class EncoderDecoder:
    """Letters in, phonemes out, for N words at once.

    P is the number of codes that can be written, END among them; the code P is START, which the
    decoder reads first.  The encoder has H/2 units in each direction, the decoder H.  Without
    attention nothing of the word reaches the decoder but its first state.
    """

    def __init__(self, P, H, attend=True, *, dtype=np.float32, rng=None):
        more = {"dtype": dtype, "rng": np.random.default_rng(rng)}
        self.P, self.dtype = P, dtype
        self.encoder = GRU(len(LETTERS), H // 2, bidirectional=True, **more)
        self.decoder = GRU(P + 1, H, **more)
        self.attention = AdditiveAttention(H, H, H // 2, **more) if attend else None
        self.mix = Linear(2 * H if attend else H, H, **more)
        self.readout = Linear(H, P, **more)

    def collect(self, what):
        """Return the parameters or the grads of all layers, under "layer.name"."""
        layers = {k: v for k, v in vars(self).items() if hasattr(v, "grads")}
        return {f"{k}.{n}": a for k, v in layers.items() for n, a in getattr(v, what).items()}

    def read(self, letters, lengths):
        """letters: (S, N).  Returns memory (S, N, H) and the decoder's first state (1, N, H)."""
        x = text.one_hot(letters, len(LETTERS), self.dtype)
        memory, h_n = self.encoder(x, lengths=lengths)
        self.memory = memory
        return memory, np.concatenate([h_n[0], h_n[1]], axis=-1)[None]

    def write(self, given, state, memory, lengths=None):
        """given: (T, N), what was written before.  Returns logits (T, N, P), weights, the state."""
        s, state = self.decoder(text.one_hot(given, self.P + 1, self.dtype), state)
        seen, weights = s, None
        if self.attention:
            context, weights = self.attention(s, memory, lengths)
            seen = np.concatenate([s, context], axis=-1)
        self.mixed = np.tanh(self.mix(seen))
        return self.readout(self.mixed), weights, state

    def loss(self, batch):
        """Return the mean cross-entropy of a batch, and fill every layer's grads."""
        letters, lengths, given, targets, counts = batch
        memory, first = self.read(letters, lengths)
        logits, _, _ = self.write(given, first, memory, lengths)
        loss, d_logits = softmax_cross_entropy(logits, targets, mask=counts)
        self.backward(d_logits)
        return loss

    def backward(self, d_logits):
        """Go back through ``write`` and ``read``, the last step first."""
        d_mixed = self.readout.backward(d_logits)
        d_seen = self.mix.backward(d_mixed * (1 - self.mixed**2))
        d_s, d_memory = d_seen, np.zeros_like(self.memory)
        if self.attention:
            d_s, d_context = np.split(d_seen, 2, axis=-1)
            d_query, d_memory = self.attention.backward(d_context)
            d_s = d_s + d_query  # s is used twice
        _, d_first = self.decoder.backward(d_s)
        d_h_n = np.stack(np.split(d_first[0], 2, axis=-1))
        self.encoder.backward(d_memory, d_h_n)


class Words:
    """Pairs as codes, and batches of them."""

    def __init__(self, pairs, phonemes):
        """pairs: (spelling, phonemes); phonemes: all there are, in order: the first has code 1."""
        letter = {c: k for k, c in enumerate(LETTERS)}
        phoneme = {p: k for k, p in enumerate(phonemes, start=1)}
        self.start = len(phonemes) + 1
        self.letters = [[letter[c] for c in word] for word, _ in pairs]
        self.phonemes = [[phoneme[p] for p in spoken] for _, spoken in pairs]

    def __len__(self):
        return len(self.letters)

    def batch(self, index):
        """Return letters (S, N), their lengths, given (T, N), targets (T, N) and the mask (T, N).

        The target of the step behind the last phoneme is END.
        """
        letters, spoken = ([rows[i] for i in index] for rows in (self.letters, self.phonemes))
        lengths = np.array([len(row) for row in letters])
        x = padded(letters, lengths.max())
        counts = words.mask(np.array([len(row) + 1 for row in spoken]))
        targets = padded(spoken, len(counts))
        given = np.vstack([np.full(len(index), self.start), targets[:-1]])
        return x, lengths, given, targets, counts


def padded(rows, T):
    """Return (T, N): the rows as columns, zeros behind their ends."""
    result = np.zeros((T, len(rows)), dtype=np.int64)
    for n, row in enumerate(rows):
        result[: len(row), n] = row
    return result


def train(model, words_, steps, rng, *, lr, batch_size, each=None):
    """Train with the right phonemes given; the rate falls in a line.  Returns the losses."""
    optimizer = Adam(model.collect("parameters"), lr=lr)
    losses, order = [], []
    for step in range(steps):
        if len(order) < batch_size:
            order = rng.permutation(len(words_))
        index, order = order[:batch_size], order[batch_size:]
        losses.append(float(model.loss(words_.batch(index))))
        grads = model.collect("grads")
        clip_grad_norm_(grads, 1.0)
        optimizer.lr = lr * (1 - step / steps)
        optimizer.step(grads)
        if each:
            each(step)
    return losses


def loss_of(model, batch):
    """Return the mean cross-entropy of a batch and the most probable codes (T, N)."""
    letters, lengths, given, targets, counts = batch
    memory, first = model.read(letters, lengths)
    logits, _, _ = model.write(given, first, memory, lengths)
    loss, _ = softmax_cross_entropy(logits, targets, mask=counts)
    return float(loss), logits.argmax(axis=-1)


def until_end(codes):
    """Return a list of codes up to the first END."""
    return list(itertools.takewhile(lambda code: code != END, codes))


def answers_when_told(predicted, right):
    """Return each word's predictions up to the first END, or to the last step that it has.

    predicted: (T, N) codes; right: N lists of phonemes, each of which takes a step more, for END.
    """
    return [
        until_end(column[: len(phonemes) + 1])
        for column, phonemes in zip(predicted.T.tolist(), right, strict=True)
    ]


def search(model, letters, width, length_penalty=0.0):
    """Return the hypotheses for one word's letters, best first."""
    memory, first = model.read(np.array(letters)[:, None], [len(letters)])
    if model.attention:
        memory = model.attention.project(memory)

    def step(codes, state):
        K = len(codes)
        seen = memory.rows([0] * K) if model.attention else memory
        logits, _, state = model.write(codes[None], state, seen)
        return log_softmax(logits[0].astype(np.float64)), state

    return beam_search(
        step, first, model.P, END, width, LONGEST_ANSWER, length_penalty,
        select=lambda state, rows: state[:, rows],
    )  # fmt: skip


def alignment(model, letters, codes):
    """Return the weights (T, S) with which the model writes these codes, and END behind them."""
    memory, first = model.read(np.array(letters)[:, None], [len(letters)])
    given = np.array([model.P, *codes])[:, None]
    return model.write(given, first, memory)[1][:, 0]


def errors(answers, right):
    """Return the phoneme and the word error rate."""
    wrong = sum(answer != truth for answer, truth in zip(answers, right, strict=True))
    return {
        "phoneme": results_file.figure(error_rate(answers, right)),
        "word": results_file.figure(wrong / len(right)),
    }


def by_length(answers, words_):
    """Return for each number of letters: how many words, phonemes, wrong phonemes, wrong words."""
    table = {}
    for letters, answer, right in zip(words_.letters, answers, words_.phonemes, strict=True):
        row = table.setdefault(len(letters), [0, 0, 0, 0])
        edits = edit_distance(answer, right)
        for k, number in enumerate((1, len(right), edits, edits > 0)):
            row[k] += int(number)
    return [[length, *table[length]] for length in sorted(table)]


def run(settings, attend, seed, parts, shown, bar):
    """Train one model and return the figures of its test.

    parts: ``Words`` to train on, to watch and to test by.  shown: (place, letters) of words whose
    alignment is kept.
    """
    rng = np.random.default_rng(seed)
    model = EncoderDecoder(parts.train.start, settings["hidden"], attend, rng=rng)
    sizes = [p.size for p in model.collect("parameters").values()]
    validation = parts.validation.batch(np.arange(len(parts.validation)))
    every, curve = max(1, settings["steps"] // 20), []

    def each(step):
        bar.update()
        if (step + 1) % every == 0:
            curve.append([step + 1, results_file.figure(loss_of(model, validation)[0])])

    options = {name: settings[name] for name in ("lr", "batch_size")}
    losses = train(model, parts.train, settings["steps"], rng, each=each, **options)
    test = parts.test
    told_loss, told = loss_of(model, test.batch(np.arange(len(test))))
    right = test.phonemes
    found = {w: [search(model, x, w) for x in test.letters] for w in WIDTHS}
    own = {w: [hypotheses[0].codes for hypotheses in found[w]] for w in WIDTHS}
    return {
        "attention": attend,
        "seed": seed,
        "parameters": sum(sizes),
        "first_losses": [results_file.figure(x) for x in losses[:3]],
        "curve": curve,
        "test_loss": results_file.figure(told_loss),
        "told": errors(answers_when_told(told, right), right),
        "own": {str(w): errors(own[w], right) for w in WIDTHS},
        "log_prob": {
            str(w): results_file.figure(np.mean([h[0].log_prob for h in found[w]])) for w in WIDTHS
        },
        "by_length": by_length(own[1], test),
        "forward": results_file.figure(forward_share(model, test)) if attend else None,
        "alignments": [aligned(model, *word) for word in shown] if attend else [],
    }


def forward_share(model, words_):
    """Return the share of steps whose most weighted letter does not stand before the last one's."""
    forward = [
        later >= earlier
        for letters, codes in zip(words_.letters, words_.phonemes, strict=True)
        for earlier, later in itertools.pairwise(alignment(model, letters, codes).argmax(axis=1))
    ]
    return sum(forward) / len(forward)


def aligned(model, place, letters):
    """Return what the model writes for the word at this place, and where it looks."""
    codes = search(model, letters, WIDTHS[-1])[0].codes
    weights = alignment(model, letters, codes)
    rows = [[results_file.figure(w) for w in row] for row in np.round(weights, 3)]
    return {"place": place, "codes": codes, "weights": rows}


def read_options(arguments=None):
    """Return the options of the command line."""

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--seeds", type=count, default=3, help="how many: 0, 1, ...")
    add("--steps", type=count, default=4000, help="updates of a run")
    add("--hidden", type=count, default=128, help="units of the decoder, even")
    add("--batch-size", type=count, default=64, help="words of an update")
    add("--lr", type=positive, default=0.016, help="Adam's first rate")
    add("--test-words", type=count, default=1000, help="of the test part")
    add("--validation-words", type=count, default=500, help="of the validation part")
    results_file.add_out(parser)
    options = parser.parse_args(arguments)
    if options.hidden % 2:
        parser.error(f"--hidden: expected an even number, got {options.hidden}")
    results_file.settle_out(parser, options)
    return options


def chosen(words_, count):
    """Return so many of a list, spread evenly over it, or all of a shorter one."""
    return words_[:: max(1, len(words_) // count)][:count]


def main(arguments=None):
    """Run all six and write the file."""
    options = read_options(arguments)
    start = time.process_time()
    pairs = pronunciations.load_pronunciations()
    place = {word: k for k, (word, _) in enumerate(pairs)}
    phonemes = sorted({phoneme for _, spoken in pairs for phoneme in spoken})
    short = [pair for pair in pairs if SHORTEST <= len(pair[0]) <= LONGEST]
    parts = pronunciations.split_pronunciations(short)
    used = pronunciations.Parts(
        Words(parts.train, phonemes),
        Words(chosen(parts.validation, options.validation_words), phonemes),
        Words(chosen(parts.test, options.test_words), phonemes),
    )
    listed = [pair for pair in parts.test if pair[0] in SHOWN]
    shown = list(zip((place[w] for w, _ in listed), Words(listed, phonemes).letters, strict=True))
    settings = {k: v for k, v in vars(options).items() if k not in ("out", "seeds")}
    wanted = [(attend, seed) for seed in range(options.seeds) for attend in (True, False)]
    runs = []
    with tqdm(total=options.steps * len(wanted)) as bar:
        for attend, seed in wanted:
            bar.set_description(f"{'with' if attend else 'without'} attention, seed {seed}")
            runs.append(run(settings, attend, seed, used, shown, bar))
            bar.write(f"{bar.desc}{runs[-1]['own']}", file=sys.stderr)
    about = results_file.about(
        "experiments/phonemes.py",
        seed=list(range(options.seeds)),
        packages=("numpy",),
        threads=1,
        cpu_minutes=round((time.process_time() - start) / 60, 1),
        words={part: len(words_) for part, words_ in used._asdict().items()},
        **settings,
    )
    text_ = results_file.as_json({"about": about, "runs": runs})
    results_file.write({"phonemes.json": text_}, options.out)
    print(f"wrote {options.out / 'phonemes.json'}")


if __name__ == "__main__":
    main()
