"""The network: an embedding, recurrent layers, a linear readout; every gradient by hand.

T is time, N batch, V the number of symbols, H the size of the embedding and of every state.
"""

import math

import numpy as np

from rnnlib import _checks
from rnnlib.character import files
from rnnlib.layers import GRU, LSTM, RNN, Layer, Linear
from rnnlib.losses import softmax_cross_entropy
from rnnlib.text import Vocabulary, batches, sample_index

KINDS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}


class Embedding(Layer):
    """The row of the weight that belongs to each code, like ``torch.nn.Embedding``.

    Parameters: weight (V, H), drawn with mean 0 and variance 1 as there, but uniformly.
    """

    def __init__(self, V, H, *, dtype, rng):
        super().__init__({"weight": (V, H)}, math.sqrt(3), dtype, rng)

    def __call__(self, codes):
        """codes: (T, N) integers in [0, V).  Returns (T, N, H)."""
        self._cache = codes
        return self.parameters["weight"][codes]

    def backward(self, d_output):
        """d_output: (T, N, H).  Fills ``grads``: each row's is the sum over the code's places."""
        # Sorted, equal codes stand side by side; np.add.at would take eight times as long.
        codes = self._saved().ravel()
        order = np.argsort(codes, kind="stable")
        rows, starts = np.unique(codes[order], return_index=True)
        gradient = self.grads["weight"]
        gradient[...] = 0
        gradient[rows] = np.add.reduceat(d_output.reshape(codes.size, -1)[order], starts, axis=0)


class CharacterModel:
    """Characters in, scores for the next character out.

    vocabulary: a ``rnnlib.text.Vocabulary`` of V symbols.
    kind: "RNN", "LSTM" or "GRU".  hidden: H.  layers: recurrent layers on top of one another.
    dropout: the share, in [0, 1), of what the recurrent layers pass upwards that is set to zero
        while training: between them, and before the readout [Zaremba, Sutskever and Vinyals,
        "Recurrent neural network regularization", arXiv 1409.2329, 2014].
    dtype: of the parameters and of all arithmetic.  rng: a seed or a NumPy Generator.

    ``parameters`` and ``grads`` are dicts of arrays for ``rnnlib.optim``.  Their names are those of
    a torch module with ``embedding = Embedding(V, H)``, ``rnn = LSTM(H, H, layers)`` and
    ``head = Linear(H, V)``.  ``training`` is switched by ``train()`` and ``eval()``.

    Raises TypeError or ValueError that names the argument, what was expected and what came.
    """

    def __init__(
        self, vocabulary, kind="LSTM", hidden=128, layers=1, dropout=0.0, *, dtype=float, rng=None
    ):
        if not isinstance(vocabulary, Vocabulary):
            came = type(vocabulary).__name__
            raise TypeError(f"vocabulary: expected a rnnlib.text.Vocabulary, got {came}")
        self.vocabulary = vocabulary
        self.kind = _checks.one_of("kind", kind, tuple(KINDS))
        self.hidden = _checks.positive_int("hidden", hidden)
        self.layers = _checks.positive_int("layers", layers)
        self.dropout = _checks.fraction("dropout", dropout)
        self._rng = _checks.generator(rng)
        V, H, options = len(vocabulary), self.hidden, {"dtype": dtype, "rng": self._rng}
        between = self.dropout if self.layers > 1 else 0.0
        self._parts = {
            "embedding": Embedding(V, H, **options),
            "rnn": KINDS[kind](H, H, self.layers, dropout=between, **options),
            "head": Linear(H, V, **options),
        }
        self.embedding, self.rnn, self.head = self._parts.values()
        self.dtype = self.head.dtype
        # The layers' own arrays, which optimizers and backward passes change in place.
        self.parameters, self.grads = (
            {
                f"{part}.{name}": array
                for part, layer in self._parts.items()
                for name, array in getattr(layer, which).items()
            }
            for which in ("parameters", "grads")
        )
        self._mask = None
        self.train()

    def train(self, mode=True):
        """Switch dropout on (or off, with mode=False); returns the model."""
        self.training = bool(mode)
        self.rnn.train(mode)
        return self

    def eval(self):
        """Switch dropout off; returns the model."""
        return self.train(False)

    def __call__(self, codes, state=None):
        """Run over a window.

        codes: (T, N) integers in [0, V).
        state: what the last window returned, or None for zeros: (layers, N, H), for an LSTM a pair
            of these.
        Returns the scores (T, N, V) and the state after.
        """
        states, state = self.rnn(self.embedding(self._codes(codes)), state)
        self._mask = self._draw_mask(states.shape)
        return self.head(states if self._mask is None else states * self._mask), state

    def backward(self, d_logits, d_state=None):
        """Backpropagation through the last window.

        d_logits: (T, N, V), the loss's gradient for the scores; d_state: that for the state after,
            or None for zero, which cuts the gradient at the window's end.
        Fills ``grads`` and returns the gradient of the state before.

        Raises RuntimeError before the first call.
        """
        d_states = self.head.backward(d_logits)
        if self._mask is not None:
            d_states *= self._mask
        d_inputs, d_state = self.rnn.backward(d_states, d_state)
        self.embedding.backward(d_inputs)
        return d_state

    def loss(self, inputs, targets, state=None):
        """Return the mean cross-entropy of a window, its gradient for the scores, the state after.

        inputs, targets: (T, N) integers in [0, V).  The loss is a float, in nats per character.
        """
        logits, state = self(inputs, state)
        loss, d_logits = softmax_cross_entropy(logits, self._codes(targets))
        return float(loss), d_logits, state

    def evaluate(self, codes, streams=1, window=100):
        """Return the mean loss over a text in nats per character, without dropout.

        codes: (n,) integers in [0, V), n > streams.  The text is cut into ``streams`` pieces side
        by side, each read from a state of zeros to its end, ``window`` steps at a time; the last
        (n - 1) mod streams codes are left out.

        Raises ValueError for too few codes.
        """
        streams = _checks.positive_int("streams", streams)
        window = _checks.positive_int("window", window)
        length = max(1, (len(codes) - 1) // streams)
        inputs, targets = next(batches(codes, streams, length))
        was_training, state, total = self.training, None, 0.0
        self.eval()
        try:
            for t in range(0, length, window):
                part = slice(t, t + window)
                loss, _, state = self.loss(inputs[part], targets[part], state)
                total += loss * len(inputs[part])
        finally:
            self.train(was_training)
        return total / length

    def sample(self, prompt, length, temperature=1.0, top_k=None, top_p=None, rng=None):
        """Return ``length`` characters drawn one after the other, as they go on from the prompt.

        prompt: a string of at least one character of the vocabulary.
        temperature, top_k, top_p: as in ``rnnlib.text.sample_index``.
        rng: a seed or a NumPy Generator.

        Raises ValueError for an empty prompt or a character that is not in the vocabulary, and
        what ``sample_index`` raises.
        """
        return "".join(self.stream(prompt, length, temperature, top_k, top_p, rng))

    def stream(self, prompt, length, temperature=1.0, top_k=None, top_p=None, rng=None):
        """Yield what ``sample`` returns, character by character, each as soon as it is drawn.

        Until the last one, or ``close()`` of the generator, the model is in ``eval()``.

        Raises what ``sample`` raises, when the next character is asked for.
        """
        length = _checks.count("length", length)
        codes = self.vocabulary.encode(prompt)
        if not len(codes):
            raise ValueError("prompt: expected at least one character, got none")
        rng, was_training = _checks.generator(rng), self.training
        self.eval()
        try:
            logits, state = self(codes[:, None])
            for _ in range(length):
                code = sample_index(logits[-1, 0], temperature, rng, top_k, top_p)
                yield self.vocabulary.symbols[code]
                logits, state = self(np.array([[code]]), state)
        finally:
            self.train(was_training)

    def state_dict(self):
        """Return a copy of the parameters."""
        return {name: p.copy() for name, p in self.parameters.items()}

    def load_state_dict(self, state_dict):
        """Copy weights in, from this model's ``state_dict()`` or the like of it in torch.

        Raises KeyError for missing or unknown names, ValueError for a wrong shape and TypeError for
        anything but real numbers; then no parameter has been changed.
        """
        _checks.same_keys("state_dict", state_dict, self.parameters)
        arrays = {}
        for name, p in self.parameters.items():
            arrays[name] = _checks.real_array(name, state_dict[name], p.dtype)
            _checks.shape(name, arrays[name], p.shape)
        for name, p in self.parameters.items():
            p[...] = arrays[name]

    def save(self, path):
        """Write the model to a ``.safetensors`` or ``.npz`` file, whole or not at all.

        Raises what ``rnnlib.saving.save_file`` raises.
        """
        described = {
            "kind": self.kind,
            "hidden": self.hidden,
            "layers": self.layers,
            "vocabulary": "".join(self.vocabulary.symbols),
        }
        files.write(path, described, self.parameters)

    @classmethod
    def load(cls, path):
        """Return the model in a file, in ``eval()``, with the dtype it was saved with.

        Raises FileNotFoundError where there is no file, ``ModelFileError`` (a ValueError) for a
        file that is damaged, no character model, or of a newer version, and for weights that do
        not fit the sizes beside them.
        """
        described, weights = files.read(path, KINDS)
        described["vocabulary"] = Vocabulary(described["vocabulary"])
        model = cls(**described, dtype=weights["head.bias"].dtype.name)
        with files.blaming(path, "weights that fit these sizes"):
            model.load_state_dict(weights)
        return model.eval()

    def _codes(self, codes):
        codes = np.asarray(codes)
        if codes.ndim != 2 or codes.dtype.kind not in "iu":
            raise TypeError(f"codes: expected integers (T, N), got {codes.dtype} {codes.shape}")
        V = len(self.vocabulary)
        _checks.every("codes", codes, (codes >= 0) & (codes < V), f"codes from 0 to {V - 1}")
        return codes

    def _draw_mask(self, shape):
        """Return the factors of dropout before the readout, 0 or 1/(1 - p), or None."""
        if not (self.training and self.dropout):
            return None
        kept = self._rng.random(shape, dtype=np.float32) >= self.dropout
        return kept * self.dtype.type(1 / (1 - self.dropout))
