"""The Triton kernels beside ``rnnlib.sequences``, forward and backward; see ``kernel_cases``.

Where torch finds no graphics card the kernels run in Triton's interpreter, and are compiled for a
card that is not there.
"""

import importlib.util
import json
import os
import subprocess
import sys

import kernel_cases
import pytest
import torch

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="Triton is not installed: on Linux, pip install -r requirements-triton.txt",
)
needs_card = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch finds no graphics card here"
)
EACH_FILE = pytest.mark.parametrize("file", kernel_cases.FILES)


def in_a_process(check, *arguments, interpret="1", **more):
    """Run a function of ``kernel_cases`` in a process of its own; return what it yields."""
    # NumPy, under the interpreter, remarks on NaN: wrong kernels make some.
    strict = ["-W", "error", "-W", "ignore::RuntimeWarning"]
    result = subprocess.run(
        [sys.executable, *strict, kernel_cases.__file__, check, *arguments],
        env={**os.environ, "TRITON_INTERPRET": interpret, **more},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@needs_triton
@EACH_FILE
def test_kernels_give_what_the_equations_give_and_wrong_ones_do_not(file):
    assert not in_a_process("in_the_interpreter", file)


@needs_triton
def test_compiled_for_a_card_the_weights_stay_on_chip(tmp_path):
    assert not in_a_process("for_a_card", interpret="0", TRITON_CACHE_DIR=str(tmp_path))


def test_the_package_imports_without_triton():
    code = "import sys; sys.modules['triton'] = None; import rnnlib.torch.kernels"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


@pytest.mark.cuda
@needs_triton
@needs_card
@EACH_FILE
def test_on_a_card_they_give_the_same(file):
    assert not list(kernel_cases.complaints(file, "cuda"))


@pytest.mark.cuda
@needs_triton
@needs_card
@pytest.mark.parametrize("name", ["tanh", "relu", "LSTM", "GRU"])
def test_on_a_card_tf32_has_the_digits_of_float16(name):
    pair, before = kernel_cases.pair(name), torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        for case in kernel_cases.cases(name)[3:]:
            assert not kernel_cases.compared(pair, case, "float32", "cuda", False, digits="float16")
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.cuda
@needs_triton
@needs_card
@pytest.mark.parametrize("name", kernel_cases.RUNNERS)
def test_on_a_card_both_ways_can_be_recorded_and_replayed(name):
    """A CUDA graph holds what the loops start; replayed, it reads the inputs anew."""
    counts = kernel_cases.UNEQUAL if "fused" in name else [17, 17, 17]
    w, x, state, dy, d_state = kernel_cases.drawn(name, counts, 3, 33, torch.float32, "cuda")
    sequence = kernel_cases.pair(name)[0](w)

    def both_ways():
        y, after, kept = sequence.forward(x, state, counts)
        before, grads = sequence.backward(dy, d_state, x, state, y, kept, counts)
        return [y, *after, *before, *grads.values()]

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        both_ways()  # Kernels are compiled before anything is recorded.
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = both_ways()
    x.neg_()
    dy.mul_(2)
    graph.replay()
    for ours, theirs in zip(recorded, both_ways(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
