"""Losses beside plain forms of them, and optimizers beside torch's: for ``test_planted_errors``."""

import numpy as np

from rnnlib import losses, optim
from rnnlib.gradcheck import gradcheck


def loss(reduction):
    z = np.random.default_rng(3).standard_normal((2, 3, 3))
    targets = np.array([[0, 1, 1], [2, 0, 1]])
    _, gradient = losses.softmax_cross_entropy(z, targets, reduction)
    return gradcheck(
        lambda p: losses.softmax_cross_entropy(p["z"], targets, reduction)[0],
        {"z": z},
        {"z": gradient},
    )


def other_loss(name):
    """Compare a loss with a plain form of it, and its gradient with differences of that form."""
    rng = np.random.default_rng(4)
    z, y = rng.standard_normal((2, 2, 3, 3))
    y = np.abs(y) / 4
    targets, mask = np.array([[0, 1, 1], [2, 0, 1]]), np.array([[1, 1, 0], [0, 1, 1]])
    w, p, v = rng.uniform(0.5, 2, (3, 3))
    chosen = np.eye(3)[targets]
    share = w[targets] * mask
    per_entry = mask[..., None] * np.ones(3)
    plain = {
        "weights": lambda z: (
            -np.sum(share * np.log(np.sum(chosen * np.exp(z), -1) / np.sum(np.exp(z), -1)))
            / np.sum(share)
        ),
        "binary": lambda z: np.mean(
            (w * (p * y * np.log1p(np.exp(-z)) + (1 - y) * np.log1p(np.exp(z))))[mask == 1]
        ),
        "squared": lambda z: np.mean((z - y)[mask == 1] ** 2) / 2,
        "gaussian": lambda z: np.mean(
            ((z - y) ** 2 / (2 * v) + np.log(np.sqrt(2 * np.pi * v)))[mask == 1]
        ),
    }[name]
    ours, gradient = {
        "weights": lambda: losses.softmax_cross_entropy(z, targets, weight=w, mask=mask),
        "binary": lambda: losses.binary_cross_entropy_with_logits(
            z, y, weight=w, pos_weight=p, mask=per_entry
        ),
        "squared": lambda: losses.squared_error(z, y, "mean", mask=per_entry),
        "gaussian": lambda: losses.gaussian_nll(z, y, v, mask=per_entry),
    }[name]()
    report = gradcheck(lambda a: plain(a["z"]), {"z": z}, {"z": gradient}, allow_zero=["z"])
    return report and abs(ours - plain(z)) < 1e-12


def optimizer(name):
    """Take ten steps beside torch's optimizer."""
    import torch  # Here, because the losses do without it.

    kind, options = {
        "momentum": ("SGD", {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.2}),
        "nesterov": ("SGD", {"momentum": 0.8, "nesterov": True}),
        "adagrad": ("Adagrad", {"eps": 0.1}),
        "rmsprop": ("RMSprop", {"alpha": 0.7, "eps": 0.1}),
        "centered": ("RMSprop", {"alpha": 0.7, "momentum": 0.8, "centered": True}),
        "adam": ("Adam", {"betas": (0.6, 0.7), "weight_decay": 0.2}),
        "adamw": ("AdamW", {"weight_decay": 0.2}),
    }[name]
    rng = np.random.default_rng(5)
    p = rng.standard_normal((3, 3))
    q = torch.tensor(p)
    ours = getattr(optim, kind)({"p": p}, lr=0.1, **options)
    theirs = getattr(torch.optim, kind)([q], lr=0.1, **options)
    for g in rng.standard_normal((10, 3, 3)):
        q.grad = torch.tensor(g)
        ours.step({"p": g})
        theirs.step()
    return np.abs(p - q.numpy()).max() < 1e-12


def check(name):
    if name in ("mean", "sum"):
        return loss(name)
    if name in ("weights", "binary", "squared", "gaussian"):
        return other_loss(name)
    return optimizer(name)
