"""What the processes of a job do together: meet, share streams, take means, lay side by side."""

import os

import torch
import torch.distributed as dist


class OptionError(ValueError):
    """An option that cannot be, in words for whoever gave it."""


def join_group(kind):
    """Join the processes that torchrun has started, or make a group of one; return the device.

    kind: "cpu" or "cuda".  Raises OptionError for more processes than graphics cards.
    """
    device, alone = torch.device(kind), {}
    if kind == "cuda":
        local, cards = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
        if local >= cards:
            raise OptionError(
                f"--device cuda: expected at most {cards} processes on this machine, one for each "
                f"graphics card, got number {local + 1}"
            )
        device = torch.device(kind, local)
        torch.cuda.set_device(device)
    if "RANK" not in os.environ:  # which torchrun sets
        alone = {"store": dist.HashStore(), "rank": 0, "world_size": 1}
    if kind == "cuda":
        dist.init_process_group("nccl", device_id=device, **alone)
    else:
        dist.init_process_group("gloo", **alone)
    return device


def share(batch):
    """Return the slice of ``batch`` streams that this process owns.

    Raises OptionError unless ``batch`` is a multiple of the number of processes.
    """
    each, rest = divmod(batch, dist.get_world_size())
    if rest:
        raise OptionError(
            f"--batch: expected a multiple of the number of processes, which is "
            f"{dist.get_world_size()}, got {batch}"
        )
    return slice(dist.get_rank() * each, (dist.get_rank() + 1) * each)


def mean(loss):
    """Return the mean of a number over the processes; loss: a tensor without axes."""
    loss = loss.detach().clone()
    dist.all_reduce(loss)
    return loss.item() / dist.get_world_size()


def gathered(tensor, axis):
    """Return the tensors of all processes, which have one shape, side by side along ``axis``."""
    tensor = tensor.contiguous()
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor)
    return torch.cat(parts, dim=axis)
