"""The type of numbers under ``torch.autocast``."""

from contextlib import nullcontext

import torch


def autocast_is_on(device_type):
    """Return whether autocast is in force; on a device without it, such as "meta", it is not."""
    available = torch.amp.is_autocast_available(device_type)
    return available and torch.is_autocast_enabled(device_type)


def in_autocast(device_type, arrays):
    """Return the arrays in autocast's type where it is in force; float64 stays."""
    if not autocast_is_on(device_type):
        return arrays
    dtype = torch.get_autocast_dtype(device_type)
    return [
        a.to(dtype) if a.is_floating_point() and a.dtype != torch.float64 else a for a in arrays
    ]


def autocast_off(device_type):
    """Return a context in which autocast is not in force."""
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)
