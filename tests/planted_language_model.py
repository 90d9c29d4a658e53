"""The character model beside torch, and its file, samplers and windows: for planted slips."""

import contextlib
import json
import math
import tempfile
from pathlib import Path

import numpy as np

from rnnlib import saving, text
from rnnlib.character import CharacterModel, ModelFileError, Training, files
from rnnlib.commands import reading
from rnnlib.gradcheck import check_backward


def model(**options):
    """As many symbols as hidden units: no shape tells one from the other."""
    return CharacterModel(text.Vocabulary("abcd"), "GRU", 4, 2, rng=0, **options)


def codes_of(*shape, low=0):
    return np.random.default_rng(1).integers(low, 4, shape)


def in_torch(ours):
    import torch  # Here, because most checks do without it.

    parts = {
        "embedding": torch.nn.Embedding(4, 4),
        "rnn": torch.nn.GRU(4, 4, 2),
        "head": torch.nn.Linear(4, 4),
    }
    network = torch.nn.ModuleDict(parts).double()
    network.load_state_dict({name: torch.tensor(w) for name, w in ours.state_dict().items()})

    def run(codes, state=None):
        output, state = network["rnn"](network["embedding"](torch.tensor(codes)), state)
        return network["head"](output), state

    def loss(codes, targets, state=None):
        scores, state = run(codes, state)
        flat = scores.reshape(-1, 4), torch.tensor(targets).reshape(-1)
        return torch.nn.functional.cross_entropy(*flat), state

    return network, run, loss


def close(a, b, bound=1e-10):
    return bool(np.abs(np.asarray(a) - np.asarray(b)).max() < bound)


def gradient():
    """Two windows with carried state; the symbol 0 is not in the second one."""
    import torch

    ours = model()
    network, _, loss = in_torch(ours)
    first, targets, second = codes_of(4, 4), codes_of(2, 4, 4), codes_of(4, 4, low=1)
    _, d_logits, carried = ours.loss(first, targets[0])
    ours.backward(d_logits)
    value, d_logits, after = ours.loss(second, targets[1], carried)
    d_after = np.random.default_rng(2).standard_normal(after.shape)
    d_carried = ours.backward(d_logits, d_after)
    state = torch.tensor(carried, requires_grad=True)
    expected, their_after = loss(second, targets[1], state)
    (expected + (their_after * torch.tensor(d_after)).sum()).backward()
    theirs = dict(network.named_parameters())
    return (
        close(value, expected.item())
        and close(d_carried, state.grad)
        and all(close(g, theirs[name].grad) for name, g in ours.grads.items())
    )


def dropout():
    ours, codes = model(dropout=0.3), codes_of(4, 4)
    before = ours._rng.bit_generator.state

    def forward(point):
        ours.load_state_dict(point)
        ours._rng.bit_generator.state = before
        return ours(codes)[0]

    def backward(d_logits):
        ours.backward(d_logits)
        return ours.grads

    right = bool(check_backward(forward, backward, ours.state_dict()))
    mask = ours._draw_mask((100, 100))
    if mask is None:
        return False
    right = right and close(sorted(set(mask.ravel().tolist())), [0, 1 / 0.7])
    right = right and abs(np.mean(mask == 0) - 0.3) < 0.02
    ours.eval()
    return right and close(ours(codes)[0], ours(codes)[0]) and not ours.rnn.training


def evaluate():
    ours, codes = model(dropout=0.3), codes_of(30)
    _, _, loss = in_torch(ours)
    streams = [codes[j * 9 : j * 9 + 10] for j in range(3)]
    expected = np.mean([loss(s[:-1], s[1:])[0].item() for s in streams])
    return close(ours.evaluate(codes, 3, 5), expected) and ours.training and ours.rnn.training


def sample():
    ours = model(dropout=0.3)
    for weight in ours.parameters.values():
        weight *= 4  # Else it would say the same letter for ever.
    _, run, _ = in_torch(ours)
    told = [0, 1, 2]
    for _ in range(12):
        told.append(int(run(np.array(told))[0][-1].argmax()))
    drawn = ours.sample("abc", 12, 0)
    free = ours.sample("abc", 40, 50.0, None, 0.3, 1)
    return (
        drawn == ours.vocabulary.decode(told[3:])
        and ours.sample("abc", 12, 5.0, 1, None, 1) == drawn
        and len(set(free)) <= 4
        and ours.sample("abc", 40, 50.0, None, None, 1) != free
        and ours.training
    )


def refused(path):
    try:
        CharacterModel.load(path)
    except ModelFileError:
        return True
    return False


def file():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        ours, codes = model(), codes_of(4, 4)
        ours.save(path)
        with contextlib.suppress(ModelFileError):
            loaded = CharacterModel.load(path)
            right = close(loaded(codes)[0], ours(codes)[0]) and not loaded.training
            right = right and loaded.vocabulary == ours.vocabulary
            weights, metadata = saving.load_file(path), saving.load_metadata(path)
            header = json.loads(metadata[files.ENTRY])
            for name, value, fits in (
                ("vocabulary", "abce", False),
                ("version", 2, True),
                ("version", 0, True),
                ("format", "words", True),
            ):
                edited = header | {name: value}
                if fits:
                    edited["sha256"] = files._digest(edited, weights)
                saving.save_file(weights, path, {files.ENTRY: json.dumps(edited)})
                right = right and refused(path)
            saving.save_file(weights | {"head.bias": weights["head.bias"] + 1}, path, metadata)
            right = right and refused(path)
            saving.save_file(weights, path)
            return right and refused(path)
    return False


def training():
    """Beside torch over more than one epoch, by the definition of its windows."""
    import torch

    ours, codes = model(), codes_of(30)
    network, _, loss = in_torch(ours)
    run = Training(ours.eval(), codes, batch=2, window=4, steps=12, lr=0.05, clip=0.1, rng=3)
    adam = torch.optim.Adam(network.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 12)
    starts, right = np.random.default_rng(3), True
    for _ in range(3):
        state, start = None, int(starts.integers(4))
        count = (29 - start) // 8
        streams = codes[start : start + count * 8].reshape(2, -1).T
        targets = codes[start + 1 : start + 1 + count * 8].reshape(2, -1).T
        for t in range(0, count * 4, 4):
            expected, state = loss(streams[t : t + 4].copy(), targets[t : t + 4].copy(), state)
            state = state.detach()
            adam.zero_grad()
            expected.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 0.1)
            adam.step()
            schedule.step()
            right = right and abs(run.step() - expected.item()) < 1e-8
    return right and ours.training


def stop():
    """A loss that is no number does not reach the weights."""
    ours = model()
    run = Training(ours, codes_of(30), batch=2, window=4, steps=2)
    ours.parameters["head.bias"][0] = math.inf
    before = ours.state_dict()
    with np.errstate(invalid="ignore"), contextlib.suppress(FloatingPointError):
        run.step()
    return all(np.array_equal(w, before[name]) for name, w in ours.parameters.items())


class Fixed(np.random.Generator):
    """A generator that returns a number of ours."""

    def __init__(self, u):
        super().__init__(np.random.PCG64(0))
        self.u = u

    def random(self):
        return self.u


def drawn(probabilities, temperature=1.0, **bounds):
    logits = np.log(probabilities)
    us = np.linspace(0.001, 0.999, 199)
    indices = [text.sample_index(logits, temperature, Fixed(u), **bounds) for u in us]
    return {index: indices.count(index) for index in indices}


def sampler():
    p = [0.1, 0.4, 0.2, 0.3]
    return (
        set(drawn(p, top_k=2)) == {1, 3}
        and set(drawn([0.25] * 4, top_k=2)) == {0, 1, 2, 3}
        and set(drawn(p, top_p=0.65)) == {1, 3}
        and set(drawn(p, top_p=0.75)) == {1, 2, 3}
        and set(drawn([0.25] * 4, top_p=0.5)) == {0, 1}
        and set(drawn(p, top_k=3, top_p=0.75)) == {1, 3}
        and abs(drawn(p, top_k=2)[1] - 199 * 4 / 7) < 2
        and abs(drawn(p, 0.5)[1] - 199 * 16 / 30) < 2
    )


def position():
    """Where the first byte that is no UTF-8 stands, and which one it is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.txt"
        found = []
        for content in (
            "ä\nb\nöü".encode() + b"\xe9 x",
            b"\xef\xbb\xbfab\ncd\xe9",
            b"\xef\xbb\xbfab\xe9",
            b"a\r\nb\rc\xe9",
        ):
            path.write_bytes(content)
            try:
                reading.read_text(path)
            except reading.UserError as error:
                found.append(str(error))
        path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
        whole = reading.read_text(path)
    return (
        len(found) == 4
        and "0xE9 at offset 9 (line 3, column 3)" in found[0]
        and "0xE9 at offset 8 (line 2, column 3)" in found[1]
        and "0xE9 at offset 5 (line 1, column 3)" in found[2]
        and "0xE9 at offset 6 (line 3, column 2)" in found[3]
        and (whole.characters, whole.foreign_ends) == ("a\nb\nc\n", 2)
    )


def check(name):
    return globals()[name]()
