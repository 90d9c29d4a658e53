"""The modules around Recurrent: beside torch, on its tensors, used wrongly, copied, printed."""

import copy
import pickle
import subprocess
import sys
from textwrap import dedent

import numpy as np
import planted_family
import planted_recurrent
import planted_sequencer
import pytest
import torch
from planted_pieces import close, drawn, one, randomize, stepped
from planted_sequencer import called, gated, network

from rnnlib import optim
from rnnlib import recurrent as r

EVERY = {**planted_recurrent.CHECKS, **planted_sequencer.CHECKS}


@pytest.mark.parametrize("name", EVERY)
def test_what_the_planted_slips_are_noticed_by(name):
    assert EVERY[name]()


def test_the_example_of_the_package_runs_and_learns():
    code = "    import" + r.__doc__.split("    import", 1)[1].split("\n\n``Sequencer", 1)[0]
    line = "    rnn.zero_grad_parameters()\n"
    code = dedent(code).replace(line, f"    losses.append(float(loss))\n{line}")
    names = {"losses": []}
    exec(code, names)
    assert len(names["losses"]) == 20
    assert names["losses"][-1] < 0.9 * names["losses"][0]


def test_import_is_cheap_and_without_torch():
    code = (
        "import sys, rnnlib.recurrent as r; "
        "assert not any(m.startswith('rnnlib.recurrent.') for m in sys.modules); "
        "[getattr(r, name) for name in r.__all__]; "
        "assert not {'torch', 'sympy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_names():
    assert {"Recurrent", "Recurrence", "Sequencer", "MaskZero", "Jordan"} <= set(r.__all__)
    assert set(r.__all__) <= set(dir(r))
    with pytest.raises(AttributeError, match="no attribute 'Recurent'"):
        r.Recurent  # noqa: B018


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (r.Linear(3, 4), drawn(5, 3)),
        (r.Add(3), drawn(5, 3)),
        (r.Sigmoid(), drawn(5, 3)),
        (r.ReLU(), drawn(5, 2, 3)),
        (r.LogSoftMax(), drawn(5, 3)),
        (r.JoinTable(), [drawn(5, 2), drawn(5, 1)]),
        (r.CAddTable(), [drawn(5, 2), drawn(5, 2, seed=1)]),
        (r.ParallelTable(r.Tanh(), r.Linear(1, 2)), [drawn(5, 2), drawn(5, 1)]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_pieces_on_tensors_of_torch(module, x):
    y = module(x)
    d_y = [drawn(*a.shape, seed=9) for a in y] if isinstance(y, list) else drawn(*y.shape, seed=9)
    _, theirs = one(module, x, d_y)

    def tensor(a):
        return [tensor(b) for b in a] if isinstance(a, list) else torch.tensor(a)

    module.zero_grad_parameters()
    module.map(torch.from_numpy)
    y = module(tensor(x))
    d_x = module.backward(tensor(d_y))
    found = {f"y {k}": a for k, a in enumerate(y if isinstance(y, list) else [y])}
    found |= {f"d_x {k}": a for k, a in enumerate(d_x if isinstance(d_x, list) else [d_x])}
    found |= {f"d {k}": 1 + a for k, a in module.grads.items()}
    assert all(isinstance(a, torch.Tensor) for a in found.values())
    assert close(found, theirs)


def test_gates_on_tensors_of_torch():
    assert gated(torch.tensor)


def test_criteria_on_tensors_of_torch():
    for criterion, x, target, theirs in planted_family.criteria_beside_torch():
        tensor = torch.tensor(x).requires_grad_()
        theirs(tensor, torch.tensor(target)).backward()
        loss = criterion(torch.tensor(x), torch.tensor(target))
        assert isinstance(loss, torch.Tensor)
        assert close({"d": criterion.backward()}, {"d": tensor.grad})


def makers():
    yield r.Sequencer(network())
    yield r.Sequencer(r.Sequential(network(), r.Linear(4, 4, rng=0)))
    yield r.Sequencer(r.LSTM(4, 4, rng=0).mask_zero())
    yield r.Sequencer(r.GRU(4, 4, rng=0))
    yield r.Sequencer(randomize(r.Recurrence(planted_sequencer.joined(), 4), 1))
    yield r.BiSequencer(network(1), network(2), r.CAddTable())


@pytest.mark.parametrize("module", [*makers()], ids=lambda m: repr(m).replace("\n", ""))
def test_whole_sequences_on_tensors_and_in_copies(module):
    x, d_y = drawn(5, 4, 4), drawn(5, 4, 4, seed=1)
    x[0, 1] = 0
    theirs = called(module, x, d_y)
    theirs = {k: v.copy() for k, v in theirs.items()}
    module.zero_grad_parameters()
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), module.clone()):
        assert close(called(other, x, d_y), theirs, 1e-15)
    assert not any(g.any() for g in module.grads.values())
    assert close(called(module.shared_clone(), x, d_y), theirs, 1e-15)
    module.zero_grad_parameters()
    module.map(torch.from_numpy)
    assert close(called(module, torch.tensor(x), torch.tensor(d_y)), theirs)


def test_the_old_habit_of_an_optimizer():
    """Shared clones share their weights, and the optimizer sees each array once."""
    first = r.Linear(4, 4, rng=0)
    net = r.Sequential(first, r.Tanh(), first.shared_clone())
    assert list(net.parameters) == ["0.weight", "0.bias"]
    x, d_y = drawn(3, 4), drawn(3, 4, seed=1)
    other = net.clone()
    net(x), other(x)
    net.backward(d_y), other.backward(d_y)
    optim.SGD(net.parameters, lr=0.1).step(net.grads)
    other.update_parameters(0.1)
    assert close(net.parameters, other.parameters, 1e-15)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: r.Linear(3, 0), ValueError, "out_features: expected at least 1"),
        (lambda: r.Linear(3, 4, dtype=int), TypeError, "dtype: expected a floating-point type"),
        (lambda: r.Linear(3, 4, dtype="float99"), TypeError, "dtype: .*got 'float99'"),
        (lambda: r.Linear(3, 4, dtype=None), TypeError, "dtype: .*got None"),
        (lambda: r.Linear(3, 4, rng="x"), TypeError, "rng: expected a seed"),
        (lambda: r.Add(2.0), TypeError, "size: expected an integer"),
        (lambda: r.Add(()), ValueError, "size: expected an integer or a tuple"),
        (lambda: r.Add((2, 3))(drawn(5, 3)), ValueError, r"input: expected shape \(N, 2, 3\)"),
        (lambda: r.Add(3)(drawn(5, 1)), ValueError, r"expected shape \(5, 3\)"),
        (lambda: r.Tanh()([1.0]), TypeError, "input: expected an array"),
        (lambda: r.Tanh()(np.arange(3)), TypeError, "input: expected floating-point numbers"),
        (r.Sequential, ValueError, "modules: expected at least one"),
        (r.ParallelTable, ValueError, "modules: expected at least one"),
        (lambda: r.ParallelTable(r.Tanh())(drawn(2, 2)), TypeError, "input: expected a table"),
        (lambda: r.ParallelTable(r.Tanh())([]), ValueError, "input: expected 1 entries"),
        (lambda: r.CAddTable()([]), ValueError, "input: expected at least 1 entries"),
        (lambda: r.CAddTable()([drawn(2, 4), drawn(4)]), ValueError, r"input\[1\]: expected shape"),
        (lambda: r.JoinTable("x"), TypeError, "axis: expected an integer"),
        (lambda: r.JoinTable(2)([drawn(2, 4)]), ValueError, "axis: expected one of 2 axes, got 2"),
        (lambda: r.JoinTable()([drawn(2, 4), drawn(3, 4)]), ValueError, r"input\[1\]: expected"),
        (lambda: r.Recurrence(r.Tanh(), 0), ValueError, "output_size: expected at least 1"),
        (lambda: r.Recurrence(np.tanh, 4), TypeError, "module: expected a Module"),
        (lambda: r.Sequencer(network()).forward(3.0), TypeError, "input: expected an array"),
        (lambda: r.Sequencer(None), TypeError, "module: expected a Module, got None"),
        (lambda: r.BiSequencer(3), TypeError, "forward: expected a Module, got 3"),
        (lambda: r.BiSequencer(network(), 3), TypeError, "backward: expected a Module, got 3"),
        (lambda: r.Repeater(network(), 0), ValueError, "rho: expected at least 1"),
        (lambda: r.LSTM(4, 4, rho=-1), ValueError, "rho: expected at least 1"),
        (lambda: r.GRU(4, 4, reset_after=1), TypeError, "reset_after: expected True or False"),
        (lambda: r.LSTM(4, 4)(drawn(2, 3)), ValueError, r"input: expected shape \(2, 4\)"),
        (lambda: r.LSTM(4, 4).trim_zero(), TypeError, r"use mask_zero\(\)"),
        (lambda: r.LSTM(4, 4).backward_through_time(), RuntimeError, "backward now does this"),
        (lambda: r.MSECriterion("none"), ValueError, "reduction: expected one of"),
        (lambda: r.SequencerCriterion(r.Tanh()), TypeError, "criterion: expected a Criterion"),
        (lambda: r.BCECriterion()(drawn(3) + 9, drawn(3)), ValueError, "probabilities from 0 to 1"),
        (
            lambda: r.ClassNLLCriterion()(drawn(2, 3), np.array([0, 3])),
            ValueError,
            "target: expected classes from 0 to 2, got 3",
        ),
        (lambda: r.Tanh().update_parameters(0), ValueError, "lr: expected a finite number > 0"),
        (lambda: r.Linear(2, 2).map(lambda a: a[0]), ValueError, "function's result for weight"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_map_that_fails_changes_nothing():
    net, seen = r.Sequential(r.Linear(3, 4), r.Linear(4, 3)), []

    def fails(array):
        seen.append(array)
        return array + 1 / (len(seen) < 4)

    before = {k: a.copy() for k, a in net.parameters.items()}
    with pytest.raises(ZeroDivisionError):
        net.map(fails)
    assert close(net.parameters, before, 1e-300)


def test_lua_classes_with_torch_cells():
    """FastLSTM is torch's LSTMCell; GRU resets before the product, unless told otherwise."""
    net, x = r.FastLSTM(3, 4, rng=0), drawn(3, 5, 3)
    cell = torch.nn.LSTMCell(3, 4, dtype=torch.float64)
    cell.load_state_dict({k: torch.tensor(a) for k, a in net.parameters.items()})
    state = None
    for x_t in x:
        state = cell(torch.tensor(x_t), state)
        assert close({"h": net(x_t)}, {"h": state[0].detach()})


def test_printed_trees():
    assert repr(r.Sequencer(r.LSTM(3, 4)).remember()) == (
        "Sequencer(remember both)\n  (module): LSTM(3 -> 4)"
    )
    assert repr(r.Repeater(r.Recurrence(r.MaskZero(r.JoinTable()), 4), 3)) == (
        "Repeater(3 steps)\n  (module): Recurrence\n"
        "    (module): MaskZero\n      (module): JoinTable(-1)"
    )
    assert repr(r.SequencerCriterion(r.MSECriterion())) == "SequencerCriterion(MSECriterion)"


def test_stepping_a_network_needs_a_recursor():
    net, x, d_y = r.Sequential(network(), r.Linear(4, 4, rng=0)), drawn(3, 4, 4), drawn(3, 4, 4)
    for x_t in x:
        net(x_t)
    net.backward(d_y[2])
    with pytest.raises(RuntimeError, match="expected a forward call of Sequential"):
        net.backward(d_y[1])
    net.forget()
    theirs = called(r.Sequencer(net.clone()), x, d_y)
    net.zero_grad_parameters()
    ours = stepped(r.Recursor(net), x, d_y)
    assert close({"d": [ours[f"d_x {t}"] for t in range(3)]}, {"d": theirs["d_x"]})
