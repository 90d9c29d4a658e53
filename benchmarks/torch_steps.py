"""One training step in torch: by torch.nn, by rnnlib on each rung, and by a loop with autograd.

The makers are as in ``contestants``, with a device and a type more.  On a graphics card a step ends
when the card has finished it.
"""

from functools import partial

import torch

import rnnlib.torch

CPU = torch.device("cpu")


def torch_nn(kind, shape, arrays, device=CPU, dtype=torch.float32):
    """torch.nn: oneDNN or torch's own loops on the CPU, cuDNN on a graphics card."""
    return _of_module(getattr(torch.nn, kind)(*shape[2:]), arrays, device, dtype)


def on_rung(rung, kind, shape, arrays, device=CPU, dtype=torch.float32):
    """rnnlib.torch on one rung of its ladder, or on the one that it chooses."""
    module = getattr(rnnlib.torch, kind)(*shape[2:])
    module.rung = rung
    return _of_module(module, arrays, device, dtype)


def autograd_loop(kind, shape, arrays, device=CPU, dtype=torch.float32):
    """A plain loop over time in torch, one product for all inputs before it."""
    place = {"device": device, "dtype": dtype}
    parameters = {
        n: torch.tensor(arrays[n], requires_grad=True, **place) for n in arrays if "_l0" in n
    }
    W, U, b, v = parameters.values()
    _, N, _, H = shape

    def forward(x):
        a = x @ W.T + b
        h = c = torch.zeros(N, H, **place)
        outputs = []
        for a_t in a:
            if kind == "RNN":
                h = torch.tanh(a_t + h @ U.T + v)
            elif kind == "LSTM":
                i, f, g, o = (a_t + h @ U.T + v).chunk(4, dim=1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            else:
                (a_r, a_z, a_n), (s_r, s_z, m) = a_t.chunk(3, 1), (h @ U.T + v).chunk(3, 1)
                z = torch.sigmoid(a_z + s_z)
                n = torch.tanh(a_n + torch.sigmoid(a_r + s_r) * m)
                h = (1 - z) * n + z * h
            outputs.append(h)
        return torch.stack(outputs)

    return _step(forward, parameters, arrays, place)


def products_alone(kind, shape, arrays, device=CPU, dtype=torch.float32):
    """The matrix products of a step alone: a floor for any program on this library of products."""
    T, N, I, H = shape  # noqa: E741
    W, U = (
        torch.tensor(arrays[f"weight_{name}_l0"], device=device, dtype=dtype)
        for name in ("ih", "hh")
    )
    x = torch.tensor(arrays["x"], device=device, dtype=dtype).reshape(T * N, I)
    sums, h_all = x.new_ones(T * N, len(W)), x.new_ones(T * N, H)
    one, h = x.new_ones(N, len(W)), x.new_ones(N, H)
    dx, dW, dU = torch.empty_like(x), torch.empty_like(W), torch.empty_like(U)

    def step():
        torch.mm(x, W.T, out=sums)
        for _ in range(T):
            torch.mm(h, U.T, out=one)
        for _ in range(T):
            torch.mm(one, U, out=h)
        torch.mm(sums, W, out=dx)
        torch.mm(sums.T, x, out=dW)
        torch.mm(sums.T, h_all, out=dU)
        # Keep the numbers from growing.
        h.fill_(1)
        finish(device)
        return {}

    return step


def _of_module(module, arrays, device, dtype):
    module.load_state_dict({n: torch.tensor(arrays[n]) for n in module.state_dict()})
    module.to(device, dtype)
    parameters = dict(module.named_parameters())
    step = _step(lambda x: module(x)[0], parameters, arrays, {"device": device, "dtype": dtype})
    step.module = module
    return step


def _step(forward, parameters, arrays, place):
    x = torch.tensor(arrays["x"], requires_grad=True, **place)
    d_output = torch.tensor(arrays["d_output"], **place)

    def step():
        for tensor in (x, *parameters.values()):
            tensor.grad = None
        output = forward(x)
        output.backward(d_output)
        finish(x.device)
        found = {"output": output, "d_input": x.grad}
        found |= {name: p.grad for name, p in parameters.items()}
        return {name: value.detach() for name, value in found.items()}

    return step


def finish(device):
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


RUNGS = {rung: partial(on_rung, rung) for rung in rnnlib.torch.ladder.RUNGS}
STEPS = {
    "torch.nn": torch_nn,
    "rnnlib.torch": partial(on_rung, "auto"),
    **RUNGS,
    "autograd loop": autograd_loop,
    "products alone": products_alone,
}
