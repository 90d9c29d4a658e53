"""Recurrent networks whose gradients are derived in the book *Recurrent Networks, Derived*.

``from rnnlib import RNN`` needs NumPy and array-api-compat.  SymPy, torch, matplotlib and pooch
load only with the module that uses them, so every name here is looked up on first use.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "RNN": "layers",
    "LSTM": "layers",
    "GRU": "layers",
    "RNNCell": "layers",
    "LSTMCell": "layers",
    "GRUCell": "layers",
    "Linear": "layers",
    "softmax": "losses",
    "log_softmax": "losses",
    "softmax_cross_entropy": "losses",
    "binary_cross_entropy_with_logits": "losses",
    "squared_error": "losses",
    "gaussian_nll": "losses",
    "SGD": "optim",
    "Adagrad": "optim",
    "RMSprop": "optim",
    "Adam": "optim",
    "AdamW": "optim",
    "clip_grad_norm_": "optim",
    "clip_grad_value_": "optim",
    "StepLR": "schedules",
    "ExponentialLR": "schedules",
    "CosineAnnealingLR": "schedules",
    "LambdaLR": "schedules",
    "LinearLR": "schedules",
    "ReduceLROnPlateau": "schedules",
    "save_file": "saving",
    "load_file": "saving",
    "load_metadata": "saving",
    "Vocabulary": "text",
    "CharacterModel": "character",
    "sentences": "words",
    "WordVocabulary": "words",
    "padded": "words",
    "KneserNey": "ngram",
    "ClassSoftmax": "class_softmax",
    "frequency_classes": "class_softmax",
    "perplexity": "metrics",
    "bits": "metrics",
    "accuracy": "metrics",
    "AdditiveAttention": "attention",
    "beam_search": "beam",
    "error_rate": "edit_distance",
    "bptt": "truncated",
    "windows": "truncated",
}
_MODULES = (
    "attention",
    "beam",
    "calculus",
    "cells",
    "character",
    "class_softmax",
    "data",
    "edit_distance",
    "forecast",
    "gradcheck",
    "init",
    "layers",
    "losses",
    "metrics",
    "ngram",
    "notebook",
    "optim",
    "plots",
    "recurrent",
    "saving",
    "schedules",
    "text",
    "torch",
    "truncated",
    "words",
)


def __getattr__(name):
    if name in _MODULES:
        return import_module(f"rnnlib.{name}")
    if name in _HOME:
        return getattr(import_module(f"rnnlib.{_HOME[name]}"), name)
    raise AttributeError(f"module 'rnnlib' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_HOME, *_MODULES})
