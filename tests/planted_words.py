"""Words, n-grams, a softmax by classes, metrics: plain forms of them, for planted slips."""

import math

import numpy as np

from rnnlib import class_softmax, metrics, ngram, words
from rnnlib.gradcheck import gradcheck


class PlainKneserNey:
    """The definition, one n-gram after the other, with tuples and sets; START is 0."""

    def __init__(self, corpus, order, V, discounts=None):
        self.order, self.V, self.discounts = order, V, discounts
        self.seen = [
            tuple(codes[i : i + n])
            for n in range(1, order + 1)
            for codes in corpus
            for i in range(len(codes) - n + 1)
            if n > 1 or codes[i] != 0
        ]
        self.counts = {gram: self.count(gram) for gram in set(self.seen)}

    def count(self, gram):
        if len(gram) == self.order or gram[0] == 0:
            return self.seen.count(gram)
        return len({g[0] for g in self.seen if g[1:] == gram})

    def discount(self, n):
        if self.discounts is not None:
            return self.discounts[n - 1]
        of = [a for gram, a in self.counts.items() if len(gram) == n]
        return of.count(1) / (of.count(1) + 2 * of.count(2)) if 1 in of else 0.5

    def probability(self, word, context):
        after = {g: a for g, a in self.counts.items() if g[:-1] == context}
        shorter = self.probability(word, context[1:]) if context else 1 / (self.V - 1)
        if not after:
            return shorter
        D = self.discount(len(context) + 1)
        kept = max(after.get((*context, word), 0) - D, 0)
        return (kept + D * len(after) * shorter) / sum(after.values())

    def probabilities(self, context):
        """context: the words before.  Those from START on count, order - 1 words at most."""
        context = list(context)[max(0, len(context) + 1 - self.order) :]
        while 0 in context[1:]:
            context = context[1:]
        return [0.0, *(self.probability(w, tuple(context)) for w in range(1, self.V))]


CORPUS = [
    [0, 2, 3, 2, 3, 4, 1],
    [0, 2, 3, 1],
    [0, 4, 2, 2, 3, 1],
    [0, 1],
    [0, 5, 2, 3, 4, 4, 1],
    [0, 3, 5, 1],
]


def close(a, b, bound=1e-10):
    return np.shape(a) == np.shape(b) and bool(np.abs(np.subtract(a, b)).max() < bound)


def kneser_ney(order):
    given = None if order < 4 else (0.2, 0.4, 0.6, 0.8)
    model = ngram.KneserNey(CORPUS, order, 7, given)
    plain = PlainKneserNey(CORPUS, order, 7, given)
    contexts = [[], [0], [2], [6], [1], [2, 3], [0, 2], [6, 3], [3, 6], [5, 2, 3], [0, 0, 2, 3]]
    contexts += [[2, 3, 0, 2], [0, 2, 3, 2, 3]]
    ours = [model.probabilities(context) for context in contexts]
    others = [[0, 2, 3, 4, 6, 2, 3, 1], [0, 5, 4, 1], [0, 1]]
    logs = [
        [math.log(plain.probabilities(codes[:i])[w]) for i, w in enumerate(codes) if i]
        for codes in others
    ]
    return (
        close(ours, [plain.probabilities(context) for context in contexts])
        and all(close(model.log_probabilities(c), log) for c, log in zip(others, logs, strict=True))
        and close(model.mean_nll(others), -np.mean(np.concatenate(logs)))
        and close(model.discounts, [plain.discount(n) for n in range(1, order + 1)])
    )


def never_once():
    return ngram.KneserNey([[0, 2, 1]] * 3, 1, 4).discounts == (0.5,)


CLASSES = np.array([1, 0, 2, 1, 0, 2, 2, 2, 0])


def layer_and_point():
    """As many classes as hidden units: no shape tells one from the other."""
    rng = np.random.default_rng(1)
    layer = class_softmax.ClassSoftmax(3, CLASSES, rng=rng)
    for p in layer.parameters.values():
        p[...] = rng.normal(0.1, 1, p.shape)
    for g in layer.grads.values():
        g[...] = 1.0  # To be replaced.
    return layer, rng.normal(size=(3, 2, 3)), np.array([[0, 6], [3, 4], [8, 1]])


def whole(h, p):
    """P(w | h), word by word."""
    by_class = np.exp(h @ p["class_weight"].T + p["class_bias"])
    by_word = np.exp(h @ p["weight"].T + p["bias"])
    result = np.empty(by_word.shape)
    for w, c in enumerate(CLASSES):
        within = by_word[..., w] / by_word[..., c == CLASSES].sum(-1)
        result[..., w] = within * by_class[..., c] / by_class.sum(-1)
    return result


def gradient(reduction, mask=None):
    layer, h, targets = layer_and_point()
    loss, d_h = layer.loss(h, targets, reduction, mask)
    counted = np.ones((3, 2)) if mask is None else mask

    def plain(at):
        chosen = np.take_along_axis(whole(at["h"], at), targets[..., None], -1)[..., 0]
        total = -np.sum(counted * np.log(chosen))
        return total / counted.sum() if reduction == "mean" else total

    point = {"h": h} | layer.parameters
    report = gradcheck(plain, point, {"h": d_h} | layer.grads, allow_zero=("h", "weight", "bias"))
    return report and close(loss, plain(point))


def distribution():
    layer, h, _ = layer_and_point()
    return close(np.exp(layer.log_probabilities(h)), whole(h, layer.parameters))


def draws(temperature):
    """Words drawn, beside what the two draws of the definition give."""
    layer, h, _ = layer_and_point()
    p = whole(h[0, 0] / 2, layer.parameters) ** (1 / temperature)
    by_class = np.bincount(CLASSES, whole(h[0, 0] / 2, layer.parameters)) ** (1 / temperature)
    expected = (by_class / by_class.sum() / np.bincount(CLASSES, p))[CLASSES] * p
    rng, n = np.random.default_rng(2), 4000
    drawn = np.bincount([layer.sample(h[0, 0] / 2, rng, temperature) for _ in range(n)], None, 9)
    return close(drawn / n, expected, 0.03)


def by_frequency():
    counts = [1, 16, 4, 1, 9, 1, 0, 4]
    return (
        class_softmax.frequency_classes(counts, 2).tolist() == [1, 0, 1, 1, 0, 1, 1, 1]
        and class_softmax.frequency_classes(counts, 2, 1).tolist() == [1, 0, 1, 1, 1, 1, 1, 1]
        and class_softmax.frequency_classes(counts, 8).tolist() == [4, 0, 2, 5, 1, 6, 7, 3]
        and class_softmax.frequency_classes([5, 5, 5, 5], 2).tolist() == [0, 0, 1, 1]
        and class_softmax.frequency_classes([9, 0, 0], 3).tolist() == [0, 1, 2]
        and class_softmax.frequency_classes([90, 1, 1, 1, 1], 2).tolist() == [0, 1, 1, 1, 1]
        and class_softmax.frequency_classes([90, 1, 1, 0, 0], 4).tolist() == [0, 1, 2, 3, 3]
    )


TEXT = """CHAPTER 1
\t
Mr. Flask (of St. Paul.) went. “Go!” said I. Then J. Smith, e.g. One
left... Élan? 'Tis dust. “Two
men.” 1,851 mast-head? and don’t—no! It’s -- gone_ at x.Y [x.]
So



The 1st. End

"""
CUT = """chapter 1
mr. flask ( of st. paul . ) went .
“ go ! ” said i .
then j . smith , e.g. one left ...
élan ?
' tis dust .
“ two men . ” 1,851 mast-head ? and don’t — no !
it’s -- gone _ at x . y [ x . ]
so
the 1 st .
end"""


def cutting():
    return [" ".join(tokens) for tokens in words.sentences(TEXT)] == CUT.split("\n")


def vocabulary():
    corpus = [["b", "c", "a"], ["b", "d"], ["c", "b", words.UNKNOWN], ["a", "d"]] * 2
    found = words.WordVocabulary.from_sentences(corpus, 6)
    same = words.WordVocabulary(found.words[3:])
    return (
        found.words == ("SENTENCE_START", "SENTENCE_END", "UNKNOWN_TOKEN", "b", "a", "c")
        and found.encode(["c", "b", "d", "a"]).tolist() == [0, 5, 3, 2, 4, 1]
        and found.decode([5, 3, 2, 1]) == ["c", "b", words.UNKNOWN, words.END]
        and ("c" in found, "d" in found, found.index("c")) == (True, False, 5)
        and (found == same, found == words.WordVocabulary("a b c".split())) == (True, False)
    )


def joining():
    tokens = f"{words.START} “ ay , ' no ' ( \" it \" ) ... ” -- we — — so {words.UNKNOWN} ' x"
    text = f"“ay, 'no' (\"it\")...”--we——so {words.UNKNOWN} 'x"
    return words.WordVocabulary.join([*tokens.split(), words.END]) == text


def batch():
    inputs, targets, lengths = words.padded([[0, 5, 6, 1], [0, 1], [0, 7, 1]])
    return (
        inputs.T.tolist() == [[0, 5, 6], [0, 0, 0], [0, 7, 0]]
        and targets.T.tolist() == [[5, 6, 1], [1, 0, 0], [7, 1, 0]]
        and lengths.tolist() == [3, 1, 2]
        and words.mask(lengths).T.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
        and words.mask(lengths, 4).T.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0]]
    )


def measures():
    logits = np.array([[[0.1, 0.9, 0.3], [2.0, -1.0, 0.0]], [[5.0, 5.0, 5.0], [-3.0, -2.0, -1.0]]])
    targets = np.array([[1, 1], [0, 2]])
    return (
        close(metrics.perplexity([0, math.log(8)]), [1, 8])
        and close(metrics.bits([0, math.log(8)]), [0, 3])
        and metrics.accuracy(logits, targets) == 0.75
        and metrics.accuracy(logits, targets, np.array([[0, 1], [0, 1]])) == 0.5
        and metrics.accuracy(logits, np.array([[1, -9], [0, 2]]), np.array([[1, 0], [1, 0]])) == 1
    )


def check(name):
    kind, _, option = name.partition(" ")
    return {
        "order": lambda: kneser_ney(int(option)),
        "once": never_once,
        "gradient": lambda: gradient(option),
        "masked": lambda: gradient(option, np.array([[0, 1], [0, 1], [1, 0]])),
        "distribution": distribution,
        "draws": lambda: draws(float(option)),
        "classes": by_frequency,
        "sentences": cutting,
        "vocabulary": vocabulary,
        "join": joining,
        "batch": batch,
        "measures": measures,
    }[kind]()
