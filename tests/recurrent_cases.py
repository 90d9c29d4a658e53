"""Random ways to use a recurrent layer, run by rnnlib and by torch; shared by several tests."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st

import rnnlib

SIZES = st.integers(1, 5)


@dataclass(frozen=True)
class Case:
    """One way to use RNN, LSTM or GRU; arrays and weights follow from the seed."""

    kind: str = "LSTM"
    seed: int = 0
    T: int = 4
    N: int = 3
    input_size: int = 2
    hidden_size: int = 5
    num_layers: int = 1
    bias: bool = True
    batch_first: bool = False
    batched: bool = True
    bidirectional: bool = False
    nonlinearity: str = "tanh"
    project: bool = False
    ragged: bool = False
    with_hx: bool = True
    with_d_state: bool = True
    checkpoint: int | None = None

    @property
    def options(self):
        options = {
            "num_layers": self.num_layers,
            "bias": self.bias,
            "batch_first": self.batch_first,
            "bidirectional": self.bidirectional,
        }
        if self.kind == "RNN":
            options["nonlinearity"] = self.nonlinearity
        if self.kind == "LSTM" and self.project and self.hidden_size > 1:
            options["proj_size"] = 1 + self.seed % (self.hidden_size - 1)
        return options

    @property
    def names(self):
        return ("h", "c") if self.kind == "LSTM" else ("h",)

    def layer(self, **more):
        """Return the rnnlib layer, with weights far from zero, biases too."""
        layer = getattr(rnnlib, self.kind)(
            self.input_size,
            self.hidden_size,
            **{"checkpoint": self.checkpoint, **self.options, **more},
        )
        randomize(layer, self.seed + 1)
        return layer

    def module(self, layer, home=torch.nn, device="cpu"):
        """Return the module of torch.nn, or of another home, with the weights of the layer."""
        module = getattr(home, self.kind)(
            self.input_size,
            self.hidden_size,
            dtype=torch.float64,
            device=device,
            **self.options,
        )
        module.load_state_dict({k: torch.tensor(p) for k, p in layer.parameters.items()})
        return module

    def lengths(self):
        """Return N lengths in any order, or None.  torch wants the longest to be T."""
        if not self.ragged:
            return None
        rng = np.random.default_rng(self.seed + 2)
        lengths = rng.integers(1, self.T + 1, self.count)
        lengths[rng.integers(self.count)] = self.T
        return lengths

    @property
    def count(self):
        return self.N if self.batched else 1

    def arrays(self):
        """Return x, the start state, d_output and d_state, time first and in a batch."""
        draw = np.random.default_rng(self.seed).standard_normal
        D, R = 1 + self.bidirectional, self.options.get("proj_size", self.hidden_size)
        sizes = {"h": R, "c": self.hidden_size}
        states = [(D * self.num_layers, self.count, sizes[s]) for s in self.names]
        return (
            draw((self.T, self.count, self.input_size)),
            [draw(s) for s in states] if self.with_hx else None,
            draw((self.T, self.count, D * R)),
            [draw(s) for s in states] if self.with_d_state else None,
        )

    def laid_out(self, a):
        """Turn (T, N, ·) into the case's layout, or back."""
        if not self.batched:
            return a[:, 0] if a.ndim == 3 else a[:, None]
        return a.swapaxes(0, 1) if self.batch_first else a

    def as_hx(self, states):
        """Turn a list of states into what the layer takes."""
        if states is None:
            return None
        states = [s if self.batched else s[:, 0] for s in states]
        return states[0] if len(states) == 1 else tuple(states)


def cases(**fixed):
    """A strategy for cases; what is given by name is held."""
    free = {
        "kind": st.sampled_from(["RNN", "LSTM", "GRU"]),
        "seed": st.integers(0, 2**32),
        "T": SIZES,
        "N": SIZES,
        "input_size": SIZES,
        "hidden_size": SIZES,
        "num_layers": st.integers(1, 3),
        "bias": st.booleans(),
        "batch_first": st.booleans(),
        "batched": st.booleans(),
        "bidirectional": st.booleans(),
        "nonlinearity": st.sampled_from(["tanh", "relu"]),
        "project": st.booleans(),
        "ragged": st.booleans(),
        "with_hx": st.booleans(),
        "with_d_state": st.booleans(),
        "checkpoint": st.sampled_from([None, None, 1, 2, 3]),
    }
    return st.builds(Case, **free | {name: st.just(value) for name, value in fixed.items()})


def randomize(layer, seed):
    """Replace every parameter; the biases come out far from zero."""
    rng = np.random.default_rng(seed)
    layer.load_state_dict({k: rng.normal(0.1, 0.6, p.shape) for k, p in layer.parameters.items()})


def run(case, layer, **changed):
    """Return everything a step gives, by name: outputs, states and every gradient.

    What stands behind a sequence's end is NaN on the way in.
    """
    x, hx, d_output, d_state = case.arrays()
    lengths = changed.get("lengths", case.lengths())
    if lengths is not None:
        behind = np.arange(case.T)[:, None] >= lengths
        x[behind], d_output[behind] = np.nan, np.nan
    output, ends = layer(case.laid_out(x), case.as_hx(hx), lengths=lengths)
    d_input, d_starts = layer.backward(case.laid_out(d_output), case.as_hx(d_state))
    found = {"output": output, "d_input": d_input}
    for name, parts in (("{}_n", ends), ("d_{}_0", d_starts)):
        parts = parts if isinstance(parts, tuple) else (parts,)
        found |= {name.format(s): part for s, part in zip(case.names, parts, strict=True)}
    return found | {f"d {name}": g.copy() for name, g in layer.grads.items()}


def run_torch(case, module):
    """The same from torch: what autograd says, by name, as NumPy arrays."""
    device = next(module.parameters()).device
    x, hx, d_output, d_state = case.arrays()
    x = torch.tensor(case.laid_out(x), device=device, requires_grad=True)
    states = [torch.tensor(s, device=device, requires_grad=True) for s in hx or ()]
    given = case.as_hx(states or None)
    lengths, d_output = case.lengths(), torch.tensor(case.laid_out(d_output), device=device)
    if lengths is None:
        output, ends = module(x, given)
    else:
        batch, batch_first = (x, case.batch_first) if case.batched else (x[:, None], False)
        if given is not None and not case.batched:
            given = states[0] if len(states) == 1 else tuple(states)
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            batch, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=False
        )
        output, ends = module(packed, given)
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(
            output, batch_first=batch_first, total_length=case.T
        )
        if not case.batched:
            output = output[:, 0]
            ends = ends[:, 0] if torch.is_tensor(ends) else tuple(e[:, 0] for e in ends)
    ends = ends if isinstance(ends, tuple) else (ends,)
    roots, seeds = [output], [d_output]
    if d_state is not None:
        given = case.as_hx(d_state)
        given = given if isinstance(given, tuple) else (given,)
        roots, seeds = [output, *ends], [d_output, *(torch.tensor(d, device=device) for d in given)]
    torch.autograd.backward(roots, seeds)
    found = {"output": output, "d_input": x.grad}
    found |= {f"{s}_n": end for s, end in zip(case.names, ends, strict=True)}
    for s, start in zip(case.names, states, strict=False):
        found[f"d_{s}_0"] = start.grad if case.batched else start.grad[:, 0]
    found |= {f"d {name}": p.grad for name, p in module.named_parameters()}
    return {name: value.detach().cpu().numpy() for name, value in found.items()}


def assert_equal(ours, theirs, rtol=1e-10, atol=1e-10):
    """Compare by name, shapes too; ours may have more."""
    for name, expected in theirs.items():
        assert ours[name].shape == expected.shape, name
        np.testing.assert_allclose(ours[name], expected, rtol=rtol, atol=atol, err_msg=name)
