"""The MNIST digits as arrays."""

from typing import NamedTuple

import numpy as np

from rnnlib.data.cache import fetch


class Digits(NamedTuple):
    """Grey values 0 to 255, white on black, as (n, 28, 28) uint8; labels 0 to 9 as (n,) uint8."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load_mnist(*, cache_dir=None):
    """Return 60,000 digits to train on and 10,000 to test on, as ``Digits``; read-only arrays.

    [LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition",
    Proceedings of the IEEE, 1998].  About 12 MB are fetched for each of four files, 55 MB are kept.

    Raises like ``fetch``.
    """
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return Digits(*(_read_idx(fetch(f"{name}-ubyte", cache_dir=cache_dir)) for name in names))


def _read_idx(path):
    # A zero, a zero, 8 for unsigned bytes, the number of axes; each axis as four bytes, the highest
    # first; then the entries.
    content = path.read_bytes()
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
