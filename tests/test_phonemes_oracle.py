"""experiments/phonemes_oracle.py: it agrees with the right model, and sees a slip and padding."""

import inspect
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "experiments"))

import phonemes
import phonemes_oracle as oracle

SOUNDS = ["AA", "B", "C"]
PAIRS = [("abba", ("AA", "B", "AA")), ("cab", ("C", "AA", "B")), ("b", ("B",))]
SLIPS = {  # what is planted, and whether differences of the model's own loss see it
    "query forgotten": ("d_s = d_s + d_query", "d_s = d_s", True),
    "padding attended to": (
        "self.attention(s, memory, lengths)",
        "self.attention(s, memory)",
        False,
    ),
}


def gaps(old="", new=""):
    """The largest differences to autograd and to the model's own loss."""
    made = dict(vars(phonemes))
    source = inspect.getsource(phonemes.EncoderDecoder)
    assert old in source
    exec(source.replace(old, new) if old else source, made)
    model = oracle.shake(made["EncoderDecoder"](4, 6, dtype=np.float64))
    batch = phonemes.Words(PAIRS, SOUNDS).batch(range(3))
    own = oracle.own_numbers(model, batch)
    return max(oracle.compare(model, oracle.speller, batch).values()), own


def test_the_right_model_agrees():
    autograd, own = gaps()
    assert autograd < 1e-10
    assert own < 1e-6


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_is_seen(name):
    old, new, own_sees = SLIPS[name]
    autograd, own = gaps(old, new)
    assert autograd > 1e-6
    assert (own > 1e-6) == own_sees
