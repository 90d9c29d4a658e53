"""The type of numbers under ``torch.autocast``."""

from contextlib import nullcontext

import torch


def autocast_is_on(device_type):
    """Return whether autocast is in force; on a device without it, such as "meta", it is not."""
    available = torch.amp.is_autocast_available(device_type)
    return available and torch.is_autocast_enabled(device_type)


def type_in_autocast(array):
    """Return the type that an array takes where autocast is in force: its own for float64."""
    device_type = array.device.type
    if not autocast_is_on(device_type):
        return array.dtype
    taken = array.is_floating_point() and array.dtype != torch.float64
    return torch.get_autocast_dtype(device_type) if taken else array.dtype


def in_autocast(arrays):
    """Return the arrays of one device, each in its ``type_in_autocast``."""
    if not autocast_is_on(arrays[0].device.type):
        return arrays
    return [array.to(type_in_autocast(array)) for array in arrays]


def autocast_off(device_type):
    """Return a context in which autocast is not in force."""
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)
