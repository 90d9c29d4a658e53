"""Models as people write them, with torch.nn's recurrent modules and with ours in their place."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnnlib.torch


class Tagger(nn.Module):
    """A label for every word of sentences of unequal lengths: deep, both ways, packed."""

    def __init__(self, home):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.rnn = home.LSTM(6, 5, 2, bidirectional=True, batch_first=True, dropout=0.3)
        self.head = nn.Linear(10, 4)

    def forward(self, words):
        lengths = torch.tensor([3, 7, 5])
        packed = pack_padded_sequence(
            self.embedding(words), lengths, batch_first=True, enforce_sorted=False
        )
        output, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=7)
        return self.head(output)


class Translator(nn.Module):
    """An encoder whose state starts a decoder, which reads its own words, a cell a step."""

    def __init__(self, home):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.encoder = home.GRU(6, 5, batch_first=True)
        self.decoder = home.GRUCell(6, 5)
        self.head = nn.Linear(5, 20)

    def forward(self, words):
        _, h = self.encoder(self.embedding(words))
        h, word, scores = h[0], words[:, 0], []
        for _ in range(4):
            h = self.decoder(self.embedding(word), h)
            scores.append(self.head(h))
            word = scores[-1].argmax(dim=1)
        return torch.stack(scores, dim=1)


class Reader(nn.Module):
    """A projected LSTM whose state goes from window to window, with tied weights."""

    def __init__(self, home):
        super().__init__()
        self.embedding = nn.Embedding(20, 4)
        self.rnn = home.LSTM(4, 6, 2, proj_size=4)
        self.head = nn.Linear(4, 20)
        self.head.weight = self.embedding.weight

    def forward(self, words):
        state, scores = None, []
        for window in words.T.split(3):
            output, state = self.rnn(self.embedding(window), state)
            state = tuple(s.detach() for s in state)
            scores.append(self.head(output))
        return torch.cat(scores).transpose(0, 1)


class Classifier(nn.Module):
    """One label from the last state of a stack of two kinds of layers."""

    def __init__(self, home):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.first = home.RNN(6, 5, nonlinearity="relu", bidirectional=True)
        self.second = nn.ModuleList([home.LSTMCell(10, 4), home.RNNCell(4, 3)])

    def forward(self, words):
        output, _ = self.first(self.embedding(words.T))
        lstm, rnn = self.second
        state, h = None, None
        for x in output:
            state = lstm(x, state)
            h = rnn(state[0], h)
        return h


MODELS = pytest.mark.parametrize("model", [Tagger, Translator, Reader, Classifier])


def pair(model):
    """Return the model with our modules and with torch's, with the same weights."""
    torch.manual_seed(0)
    theirs = model(nn).double()
    ours = model(rnnlib.torch).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@MODELS
def test_training_goes_the_same_way(model):
    words = torch.randint(20, (3, 7), generator=torch.Generator().manual_seed(1))
    traces = []
    for module in pair(model):
        torch.manual_seed(2)  # for dropout
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        losses = []
        for _ in range(20):
            optimizer.zero_grad()
            scores = module(words)
            loss = scores.square().mean() + nn.functional.softplus(scores.flatten()[::3]).sum()
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.detach())
        traces.append((torch.stack(losses), module.state_dict()))
    (ours, our_state), (theirs, their_state) = traces
    assert theirs[-1] < theirs[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    for name, weight in their_state.items():
        torch.testing.assert_close(our_state[name], weight, rtol=1e-8, atol=1e-8, msg=name)


@MODELS
def test_evaluation(model):
    words = torch.randint(20, (3, 7), generator=torch.Generator().manual_seed(1))
    ours, theirs = (module.eval() for module in pair(model))
    with torch.no_grad():
        torch.testing.assert_close(ours(words), theirs(words), rtol=1e-12, atol=1e-12)
    with torch.inference_mode():
        torch.testing.assert_close(ours(words), theirs(words), rtol=1e-12, atol=1e-12)
