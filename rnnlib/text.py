"""Text as numbers, one character at a time: vocabulary, batches, sampling.

V is the size of the vocabulary, N the batch size, T the length of a sequence.
"""

import math
import numbers

import numpy as np

from rnnlib import _checks


class Vocabulary:
    """A set of characters, numbered 0 to V - 1 in the order given.

    symbols: single characters, all different, as a string or any iterable of strings.
    ``len(vocabulary)`` is V, and two vocabularies are equal if their symbols are, in order.

    Raises ValueError for no symbols, repeated ones or longer strings, and TypeError for anything
    that is no string.
    """

    def __init__(self, symbols):
        self.symbols = tuple(symbols)
        if not self.symbols:
            raise ValueError("symbols: expected at least one character, got none")
        for position, symbol in enumerate(self.symbols):
            if not isinstance(symbol, str):
                raise TypeError(f"symbols: expected strings, got {symbol!r} at {position}")
            if len(symbol) != 1:
                raise ValueError(f"symbols: expected single characters, got {symbol!r}")
        if len(set(self.symbols)) < len(self.symbols):
            repeated = next(s for i, s in enumerate(self.symbols) if s in self.symbols[:i])
            raise ValueError(f"symbols: expected each character once, got {repeated!r} again")
        self._points = _code_points("".join(self.symbols))
        # The code of every code point up to the largest; -1 marks those that are no symbols, and
        # the last entry stands for all larger ones.
        self._table = np.full(int(self._points.max()) + 2, -1, dtype=np.int64)
        self._table[self._points] = np.arange(len(self.symbols))

    @classmethod
    def from_text(cls, text):
        """Return the vocabulary of the characters in ``text``, in the order of their code points.

        Raises ValueError if the text is empty.
        """
        if not _string("text", text):
            raise ValueError("text: expected at least one character, got an empty string")
        return cls(sorted(set(text)))

    def encode(self, text):
        """Return the codes of the characters: (len(text),) int64.

        Raises ValueError for a character that is not in the vocabulary.
        """
        points = _code_points(_string("text", text))
        codes = self._table[np.minimum(points, len(self._table) - 1)]
        unknown = codes < 0
        if unknown.any():
            position = int(unknown.argmax())
            raise ValueError(
                f"text: expected characters of the vocabulary ({len(self)} symbols), "
                f"got {text[position]!r} at position {position}"
            )
        return codes

    def decode(self, codes):
        """Return the string whose codes these are; codes: (n,) integers in [0, V).

        Raises TypeError for anything but integers, and ValueError for another number of axes or a
        code outside [0, V).
        """
        codes = _checks.codes(codes, len(self))
        if codes.ndim != 1:
            raise ValueError(f"codes: expected one axis, got shape {codes.shape}")
        return self._points[codes].tobytes().decode("utf-32-le", "surrogatepass")

    def __len__(self):
        return len(self.symbols)

    def __eq__(self, other):
        return self.symbols == other.symbols if isinstance(other, Vocabulary) else NotImplemented

    def __hash__(self):
        return hash(self.symbols)

    def __repr__(self):
        return f"Vocabulary({''.join(self.symbols)!r})"


def one_hot(codes, size, dtype=np.float64):
    """Return an array that is 1 at each code's place and 0 elsewhere.

    codes: (...) integers in [0, size).  Returns (..., size).

    Raises TypeError for codes that are no integers and ValueError for codes outside [0, size).
    """
    size = _checks.positive_int("size", size)
    codes = _checks.codes(codes, size)
    result = np.zeros((*codes.shape, size), dtype)
    np.put_along_axis(result, codes[..., None], 1, axis=-1)
    return result


def batches(codes, batch_size, seq_len):
    """Cut a sequence into N streams side by side and walk along all of them, T steps at a time.

    codes: (n,) integers.  N is batch_size, T is seq_len.
    Yields (n - 1) // (N T) pairs (inputs, targets), each (T, N) int64 and the caller's own;
    ``targets`` is ``inputs`` moved on by one character.  Column j of each batch continues column j
    of the batch before, so the hidden state can be carried from one batch to the next.

    Stream j starts where stream j - 1 ends.  What does not fill a whole batch is dropped: the last
    (n - 1) mod (N T) codes, never as many as N T.

    Raises ValueError, at the call, when n < N T + 1.
    """
    N = _checks.positive_int("batch_size", batch_size)
    T = _checks.positive_int("seq_len", seq_len)
    codes = _checks.sequence(codes)
    count = (len(codes) - 1) // (N * T)
    if count < 1:
        raise ValueError(
            f"codes: expected at least batch_size * seq_len + 1 = {N * T + 1} codes, "
            f"got {len(codes)}"
        )
    used = count * N * T
    inputs, targets = codes[:used].reshape(N, -1), codes[1 : used + 1].reshape(N, -1)
    return (
        tuple(np.array(x[:, t : t + T].T, order="C") for x in (inputs, targets))
        for t in range(0, count * T, T)
    )


def split(codes, fraction):
    """Return (train, validation): the first ``fraction`` of the codes, and the rest.

    codes: (n,) integers; fraction: between 0 and 1, and such that neither part is empty.

    Text is cut in one place, not shuffled: a character next to a training character is no test.
    """
    codes = _checks.sequence(codes)
    inside = isinstance(fraction, numbers.Real) and 0 < fraction < 1
    cut = round(float(fraction) * len(codes)) if inside else 0
    if not 0 < cut < len(codes):
        raise ValueError(
            f"fraction: expected a number between 0 and 1 that leaves no part of the {len(codes)} "
            f"codes empty, got {fraction!r}"
        )
    return codes[:cut], codes[cut:]


def sample_index(logits, temperature, rng, top_k=None, top_p=None):
    """Draw an index from softmax(logits / temperature), or from its likelier part.

    logits: (V,), finite, or -inf for an index that must not be drawn.
    temperature: 1 draws from the model's own distribution, less from a sharper one, more from a
    flatter one; 0, the limit of the first, returns the index of the largest logit (the first of
    several) and draws nothing from ``rng``.
    rng: a NumPy Generator.
    top_k: an integer >= 1; only the k largest logits, and those equal to the last of them, can be
    drawn [Fan, Lewis and Dauphin, "Hierarchical neural story generation", ACL 2018].
    top_p: a number in (0, 1]; of what is left, only the fewest indices whose probabilities add up
    to at least p, largest logits first, the first of equals first [Holtzman et al., "The curious
    case of neural text degeneration", ICLR 2020, equation 2].
    Returns an int.  Given the same generator it draws what ``rng.choice(V, p=p)`` draws, with the
    probabilities p left by top_k and top_p, divided by their sum.

    Raises ValueError for a negative or non-finite temperature, for logits of a wrong shape, or
    with NaN, +inf or nothing but -inf among them, for a top_k below 1 and a top_p outside (0, 1],
    and TypeError for an rng that is no Generator and a top_k that is no integer.
    """
    logits = _checks.real_array("logits", logits, np.float64)
    if logits.ndim != 1 or not logits.size:
        raise ValueError(f"logits: expected shape (V,), got {logits.shape}")
    if not np.isfinite(logits.max()):  # NaN and +inf are the maximum wherever they stand.
        raise ValueError("logits: expected finite numbers (or some of them -inf)")
    if not (isinstance(temperature, numbers.Real) and 0 <= temperature < math.inf):
        raise ValueError(f"temperature: expected a finite number >= 0, got {temperature!r}")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng: expected a numpy.random.Generator, got {rng!r}")
    if top_k is not None:
        top_k = _checks.positive_int("top_k", top_k)
    if top_p is not None:
        top_p = _checks.number("top_p", top_p, "a number in (0, 1]", lambda p: 0 < p <= 1)
    if temperature == 0:
        return int(logits.argmax())
    with np.errstate(over="ignore"):
        p = np.exp((logits - logits.max()) / temperature)
    if top_k is not None and top_k < len(p):
        p[logits < np.partition(logits, -top_k)[-top_k]] = 0
    if top_p is not None and top_p < 1:
        _drop_tail(p, np.argsort(-logits, kind="stable"), top_p)
    cumulative = np.cumsum(p)
    # side="right" never stops at an index whose probability is zero.
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


def _drop_tail(p, order, share):
    """Set all to 0 but the first ones in this order that add up to ``share`` of the whole."""
    cumulative = np.cumsum(p[order])
    last = np.searchsorted(cumulative, share * cumulative[-1], side="left")
    p[order[last + 1 :]] = 0


def _string(name, value):
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected a string, got {type(value).__name__}")
    return value


def _code_points(text):
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
