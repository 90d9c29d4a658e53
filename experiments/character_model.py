"""A character model whose state is carried along streams of text."""

import torch

import rnnlib.torch


class Streams:
    """Some of the streams that a text is cut into, and the windows that walk along them.

    codes: (n,) integers, cut into ``batch`` streams of ``count`` windows of T steps each.  Stream j
    starts where stream j - 1 ends, and what is left over at the end is dropped.
    mine: a slice of the ``batch`` streams; N is their number.

    Raises ValueError when there is less than one window for each stream.
    """

    def __init__(self, codes, batch, T, mine, device="cpu"):
        self.T, self.count = T, (len(codes) - 1) // (batch * T)
        if self.count < 1:
            raise ValueError(
                f"expected at least batch * window + 1 = {batch * T + 1} characters, "
                f"got {len(codes)}"
            )
        used = self.count * T * batch
        self.inputs, self.targets = (
            torch.as_tensor(codes[start : start + used]).reshape(batch, -1)[mine].T.to(device)
            for start in (0, 1)
        )

    def window(self, k):
        """Return inputs and targets, (T, N) each, of window number k."""
        steps = slice(k * self.T, (k + 1) * self.T)
        return self.inputs[steps], self.targets[steps]


class CharacterModel(torch.nn.Module):
    """Characters in, scores for the next character out.

    kind: RNN, LSTM or GRU.  V: number of characters.  H: size of the embedding and of each state.
    """

    def __init__(self, kind, V, H, layers):
        super().__init__()
        self.embedding = torch.nn.Embedding(V, H)
        self.rnn = getattr(rnnlib.torch, kind)(H, H, layers)
        self.head = torch.nn.Linear(H, V)

    def zero_state(self, N):
        """Return the state that a text starts with: (S, layers, N, H), S = 2 for the LSTM."""
        S = 2 if self.rnn.mode == "LSTM" else 1
        return self.head.weight.new_zeros(S, self.rnn.num_layers, N, self.rnn.hidden_size)

    def forward(self, characters, state):
        """Return the scores (T, N, V) and the state after; characters: (T, N)."""
        hx = tuple(state) if len(state) == 2 else state[0]
        output, hx = self.rnn(self.embedding(characters), hx)
        return self.head(output), torch.stack(hx if isinstance(hx, tuple) else [hx])
