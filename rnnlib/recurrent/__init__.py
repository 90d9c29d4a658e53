"""Lua Torch's ``rnn`` package once more: modules that hold their own backward.

A network is a tree of modules.  Each knows how to go back through its last ``forward``; nothing
else records what was computed.  A recurrent module is stepped by hand, and gone back through by
hand, in reverse order:

    import numpy as np
    from rnnlib.recurrent import Linear, MSECriterion, Recurrent, SequencerCriterion

    rng = np.random.default_rng(0)
    rnn = Recurrent(4, Linear(3, 4, rng=rng), Linear(4, 4, rng=rng), rng=rng)
    x, target = rng.standard_normal((5, 2, 3)), rng.random((5, 2, 4))
    criterion = SequencerCriterion(MSECriterion())
    for _ in range(20):
        loss = criterion([rnn(x_t) for x_t in x], target)
        rnn.zero_grad_parameters()
        for d_y in reversed(criterion.backward()):
            rnn.backward(d_y)
        rnn.update_parameters(lr=0.5)
        rnn.forget()

``Sequencer(rnn)`` does the steps.  Arrays are NumPy's, or torch's after
``module.map(torch.from_numpy)``.  Chapters "Recurrent, from Lua to Python" and "Learning by
reward".
"""

from importlib import import_module

_HOME = {
    "module": ("Module", "Criterion"),
    "simple": ("Linear", "Add", "Identity", "Sigmoid", "Tanh", "ReLU", "LogSoftMax", "Sequential"),
    "tables": ("ParallelTable", "CAddTable", "JoinTable"),
    "masks": ("MaskZero",),
    "criteria": (
        "SSECriterion",
        "MSECriterion",
        "BCECriterion",
        "BCEWithLogitsCriterion",
        "ClassNLLCriterion",
        "CrossEntropyCriterion",
        "GaussianNLLCriterion",
        "SequencerCriterion",
        "RepeaterCriterion",
    ),
    "stepwise": ("AbstractRecurrent",),
    "recurrent": ("Recurrent", "Jordan"),
    "recurrence": ("Recurrence", "Recursor"),
    "sequencer": ("Sequencer", "BiSequencer", "Repeater"),
    "gated": ("LSTM", "FastLSTM", "GRU"),
    "reinforce": ("Bernoulli", "Categorical", "Normal", "RewardCriterion"),
}
_HOMES = {name: home for home, names in _HOME.items() for name in names}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    return __all__
