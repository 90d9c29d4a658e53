"""Train language models over words, beside the n-grams that they have to beat.

    python experiments/words.py                   # writes experiments/results/words.json
    python experiments/words.py --text mine.txt --out runs     # the same for a text of your own

The text is cut into sentences and these into blocks of --block, one after another.  Of ten blocks
eight are for training, one for validation and one for the test, so that test sentences do not stand
between training sentences of the same page.  The vocabulary is that of the training part.

Interpolated Kneser-Ney n-grams of the orders 1 to --orders are counted on the training part.  For
each seed a network (embedding, LSTM, class softmax; dropout before and after the LSTM) is trained
by Adam on batches of whole sentences, each of which starts from an empty state.  After each epoch
comes the validation loss: where it is no better than the best so far, the rate is halved; and the
weights of the best epoch are those that are tested.  The mixture is w times the network's
probability plus 1 - w times that of the best n-gram; w and the order are chosen on the validation
part.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "experiments"), str(ROOT)]

import own_text  # noqa: E402
import results_file  # noqa: E402

from rnnlib import LSTM, Adam, clip_grad_norm_  # noqa: E402
from rnnlib.class_softmax import ClassSoftmax, frequency_classes  # noqa: E402
from rnnlib.commands.numbers import count, plural, positive, share, whole  # noqa: E402
from rnnlib.ngram import KneserNey  # noqa: E402
from rnnlib.schedules import ReduceLROnPlateau  # noqa: E402
from rnnlib.words import END, START, UNKNOWN, WordVocabulary, padded, sentences  # noqa: E402

PARTS = ("train", "validation", "test")
WEIGHTS = np.linspace(0, 1, 41)  # the network's share in the mixture
TEMPERATURES = (0.5, 0.8, 1.0)
DECIDING = "vocabulary block hidden classes dropout tokens lr clip epochs steps".split()
LONGEST = 40  # words in a sentence that is kept as an example


def read_options(arguments=None):
    """Return the options of the command line."""

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    results_file.add_out(parser)
    own_text.add_option(parser)
    add("--seeds", type=whole, nargs="+", default=[0, 1, 2])
    add("--epochs", type=count, default=8)
    add("--steps", type=count, help="batches in an epoch; all when left out")
    add("--vocabulary", type=count, default=8000, help="words, with the unknown and the marks")
    add("--hidden", type=count, default=128, help="size of embedding and state")
    add("--classes", type=count, default=90)
    add("--dropout", type=share, default=0.5)
    add("--tokens", type=count, default=600, help="targets in a batch, about")
    add("--lr", type=positive, default=4e-3, help="Adam's first rate")
    add("--clip", type=positive, default=1.0, help="largest norm of the gradient")
    add("--orders", type=count, default=5, help="the longest n-gram")
    add("--block", type=count, default=100, help="sentences in a block of the split")
    add("--examples", type=int, default=4, help="sentences to sample for each temperature")
    options = parser.parse_args(arguments)
    results_file.settle_out(parser, options)
    return options


def split(items, block):
    """Cut a list into blocks, and share these out: eight, one and one of every ten."""
    parts = {name: [] for name in PARTS}
    for start in range(0, len(items), block):
        turn = start // block % 10
        parts["train" if turn < 8 else PARTS[turn - 7]] += items[start : start + block]
    return parts


class Text:
    """A text as codes: ``parts`` of sentences, and what was counted on the way."""

    def __init__(self, characters, vocabulary_size, block):
        found = sentences(characters)
        parts = split(found, block)
        if not all(parts.values()):
            raise ValueError(
                f"--block {block}: expected a text of at least ten blocks of sentences, got "
                + plural(len(found), "sentence")
            )
        self.vocabulary = WordVocabulary.from_sentences(parts["train"], vocabulary_size)
        self.parts = {
            name: [self.vocabulary.encode(s) for s in part] for name, part in parts.items()
        }
        self.unknown = self.vocabulary.index(UNKNOWN)

    def sizes(self):
        """Return sentences, targets and the share of unknown ones, for each part."""
        return {
            name: {
                "sentences": len(part),
                "targets": sum(len(codes) - 1 for codes in part),
                "unknown": float(np.mean(np.concatenate([c[1:] for c in part]) == self.unknown)),
            }
            for name, part in self.parts.items()
        }


def batches(codes_list, tokens, rng):
    """Return lists of sentences of about one length, with about ``tokens`` targets in each.

    rng: mixes sentences of about one length, and the batches; None for the order of lengths.
    """
    lengths = np.array([len(codes) for codes in codes_list])
    jitter = np.ones(len(lengths)) if rng is None else rng.uniform(0.9, 1.1, len(lengths))
    groups, group = [], []
    for number in np.argsort(lengths * jitter, kind="stable"):
        group.append(codes_list[number])
        if len(group) * len(group[-1]) >= tokens:
            groups.append(group)
            group = []
    groups += [group] if group else []
    return groups if rng is None else [groups[k] for k in rng.permutation(len(groups))]


class Network:
    """Words in; an embedding, an LSTM and a class softmax; float32."""

    def __init__(self, V, H, classes, dropout, rng):
        self.embedding = rng.normal(0, 0.1, (V, H)).astype(np.float32)
        self.rnn = LSTM(H, H, dtype=np.float32, rng=rng)
        self.head = ClassSoftmax(H, classes, rng=rng, dtype=np.float32)
        self.d_embedding = np.zeros_like(self.embedding)
        self.dropout, self.rng = dropout, rng

    def merged(self, which):
        """Return all parameters, or all grads, in one dict."""
        arrays = {f"rnn.{n}": a for n, a in getattr(self.rnn, which).items()}
        arrays |= {f"head.{n}": a for n, a in getattr(self.head, which).items()}
        own = {"parameters": self.embedding, "grads": self.d_embedding}[which]
        return arrays | {"embedding": own}

    def differentiate(self, group):
        """Leave the gradient of a batch's mean loss in the grads; return that loss."""
        inputs, targets, lengths = padded(group)
        counted = np.arange(len(inputs))[:, None] < lengths
        x = self.embedding[inputs]
        before, after = (self._mask(x.shape) for _ in range(2))
        output, _ = self.rnn(x * before, lengths=lengths)
        h = (output * after)[counted]
        loss, d_h = self.head.loss(h, targets[counted], reduction="mean")
        d_output = np.zeros_like(output)
        d_output[counted] = d_h
        d_x, _ = self.rnn.backward(d_output * after)
        self.d_embedding[...] = 0
        np.add.at(self.d_embedding, inputs[counted], (d_x * before)[counted])
        return float(loss)

    def _mask(self, shape):
        keep = self.rng.random(shape, dtype=np.float32) >= self.dropout
        return keep.astype(np.float32) / np.float32(1 - self.dropout)

    def log_probabilities(self, group):
        """Return for each sentence the log probabilities of its targets."""
        inputs, targets, lengths = padded(group)
        output, _ = self.rnn(self.embedding[inputs], lengths=lengths)
        found = []
        for column, length in enumerate(lengths):
            log_p = self.head.log_probabilities(output[:length, column])
            found.append(log_p[np.arange(length), targets[:length, column]].astype(np.float64))
        return found

    def scores(self, codes_list, tokens=2000):
        """Return the log probabilities of all targets, in the order of ``codes_list``."""
        numbers = {id(codes): k for k, codes in enumerate(codes_list)}
        found = [None] * len(codes_list)
        for group in batches(codes_list, tokens, None):
            for codes, log_p in zip(group, self.log_probabilities(group), strict=True):
                found[numbers[id(codes)]] = log_p
        return np.concatenate(found)

    def sentence(self, vocabulary, temperature, rng, longest):
        """Return the codes of a sampled sentence, or None where it grows too long."""
        codes, hx = [vocabulary.index(START)], None
        while len(codes) <= longest:
            output, hx = self.rnn(self.embedding[[[codes[-1]]]], hx)
            log_p = self.head.log_probabilities(output[0])[0].astype(np.float64) / temperature
            p = np.exp(log_p - log_p.max())
            codes.append(int(rng.choice(len(p), p=p / p.sum())))
            if codes[-1] == vocabulary.index(END):
                return np.array(codes)
        return None


def train(text, seed, options):
    """Train one network; return it at its best epoch, and the record of the run."""
    rng = np.random.default_rng(seed)
    V = len(text.vocabulary)
    targets = np.concatenate([codes[1:] for codes in text.parts["train"]])
    classes = frequency_classes(np.bincount(targets, minlength=V), options.classes)
    network = Network(V, options.hidden, classes, options.dropout, rng)
    parameters = network.merged("parameters")
    optimizer = Adam(parameters, lr=options.lr)
    plateau = ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0)
    record = {"seed": seed, "training": [], "validation": [], "rate": [], "seconds": []}
    best, kept = float("inf"), None
    bar = tqdm(total=options.epochs, desc=f"seed {seed}", unit="epoch")
    for _ in range(options.epochs):
        record["rate"].append(optimizer.lr)
        start, losses = time.perf_counter(), []
        for group in batches(text.parts["train"], options.tokens, rng)[: options.steps]:
            losses.append(network.differentiate(group))
            grads = network.merged("grads")
            clip_grad_norm_(grads, options.clip)
            optimizer.step(grads)
        record["seconds"].append(time.perf_counter() - start)
        loss = -float(network.scores(text.parts["validation"]).mean())
        record["training"].append(float(np.mean(losses)))
        record["validation"].append(loss)
        plateau.step(loss)
        if loss < best:
            best, kept = loss, {name: p.copy() for name, p in parameters.items()}
        bar.set_postfix(validation=f"{loss:.3f}")
        bar.update()
    bar.close()
    for name, p in parameters.items():
        p[...] = kept[name]
    record["best_epoch"] = 1 + int(np.argmin(record["validation"]))
    return network, record


def longest_known(text, orders):
    """Return for each test target how many words before it, up to orders - 1, were seen together.

    Only the words before count, not the target, so neither model is favoured.
    """
    seen = {()}
    for codes in text.parts["train"]:
        whole = codes.tolist()
        for n in range(1, orders):
            seen.update(tuple(whole[k : k + n]) for k in range(len(whole) - n))
    found = []
    for codes in text.parts["test"]:
        whole = codes.tolist()
        for t in range(1, len(whole)):
            n = min(t, orders - 1)
            while tuple(whole[t - n : t]) not in seen:
                n -= 1
            found.append(n)
    return np.array(found)


def mixture_loss(weight, ours, theirs):
    """Return the mean loss of ``weight`` times one probability plus the rest times the other."""
    return -float(np.log(weight * np.exp(ours) + (1 - weight) * np.exp(theirs)).mean())


def examples(network, text, options):
    """Sample sentences, drop those with the unknown word and very short or long ones, and count."""
    found = {}
    for temperature in TEMPERATURES:
        rng, kept, tries, unknown, long = np.random.default_rng(0), [], 0, 0, 0
        while len(kept) < options.examples and tries < 50 * options.examples:
            tries += 1
            codes = network.sentence(text.vocabulary, temperature, rng, LONGEST)
            if codes is None:
                long += 1
            elif text.unknown in codes:
                unknown += 1
            elif len(codes) > 6:  # at least five words
                kept.append(text.vocabulary.join(text.vocabulary.decode(codes)))
        found[str(temperature)] = {
            "sentences": kept,
            "tries": tries,
            "too long": long,
            "with unknown": unknown,
        }
    return found


def run(options):
    """Do everything; return the results."""
    text = Text(own_text.load(options.text), options.vocabulary, options.block)
    V = len(text.vocabulary)
    parts, grams, scores = text.parts, [], {}
    for order in range(1, options.orders + 1):
        model = KneserNey(parts["train"], order, V)
        scores[order] = {
            name: np.concatenate([model.log_probabilities(codes) for codes in parts[name]])
            for name in PARTS[1:]
        }
        grams.append({"order": order} | {n: -float(s.mean()) for n, s in scores[order].items()})
    order = min(grams, key=lambda gram: gram["validation"])["order"]
    known, gram = longest_known(text, options.orders), scores[order]
    by_context = {"targets": np.bincount(known, minlength=options.orders).tolist()}
    by_context["n-gram"] = means(gram["test"], known, options.orders)
    runs, sampled = [], None
    for seed in options.seeds:
        network, record = train(text, seed, options)
        valid, test = (network.scores(parts[name]) for name in PARTS[1:])
        weight = min(WEIGHTS, key=lambda w: mixture_loss(w, valid, gram["validation"]))
        record |= {
            "test": -float(test.mean()),
            "weight": float(weight),
            "mixture": mixture_loss(weight, test, gram["test"]),
            "mixture validation": mixture_loss(weight, valid, gram["validation"]),
            "by context": means(test, known, options.orders),
        }
        runs.append(record)
        sampled = sampled or examples(network, text, options)
    return {
        "about": results_file.about(
            "experiments/words.py",
            options.seeds,
            ("numpy",),
            text=own_text.name(options.text),
            options={name: getattr(options, name) for name in DECIDING},
        ),
        "vocabulary": V,
        "parts": text.sizes(),
        "n-grams": grams,
        "order": order,
        "runs": runs,
        "by context": by_context,
        "examples": sampled,
    }


def means(log_p, groups, count):
    """Return the mean loss of each group, None for an empty one."""
    return [
        -float(log_p[groups == k].mean()) if (groups == k).any() else None for k in range(count)
    ]


def main(arguments=None):
    """Run as the command line says, and write words.json."""
    options = read_options(arguments)
    results = run(options)
    results_file.write({"words.json": results_file.as_json(results)}, options.out)


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"words.py: {error}")
