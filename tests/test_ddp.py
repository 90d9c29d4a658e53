"""experiments/train_ddp.py: the same gradients on one process and on several, and no lost curve.

Torchrun starts real processes.  This file is also what they run to write gradients for the tests:
``test_ddp.py FOLDER TEXT``.
"""

import contextlib
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))

import processes  # noqa: E402
import train_ddp  # noqa: E402

from rnnlib import saving, text  # noqa: E402

SCRIPT = EXPERIMENTS / "train_ddp.py"
KINDS = ("LSTM", "GRU", "RNN")
SIZES = {"batch": 6, "window": 5, "hidden": 8, "layers": 2}
OPTIONS = SIZES | {"dtype": "float64", "lr": 0.01, "clip": 0.5, "device": "cpu", "seed": 3}
STEPS, SAVE_EVERY = 300, 40
WINDOWS = (0, 1, 2)


def arguments(text, out, **options):
    given = {"text": text, "out": out} | OPTIONS | options
    return [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]


def environment(**more):
    """Jobs see no progress bar unless asked to, stay on one thread, and take warnings as errors."""
    quiet = {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    settings = os.environ | quiet | more
    return {name: value for name, value in settings.items() if value is not None}


@contextlib.contextmanager
def job(count, *command, **more):
    """Start ``count`` processes by torchrun; none of them is left at the end."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += [f"--nproc-per-node={count}", *map(str, command)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = subprocess.Popen(torchrun, env=environment(**more), **pipes)
    try:
        yield started
    finally:
        if started.poll() is None:
            started.terminate()  # torchrun then stops its workers.
        try:
            started.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            started.kill()
            raise


def finished(count, *command, **more):
    """Run a job to its end, and return what it has written to stderr."""
    with job(count, *command, **more) as started:
        _, errors = started.communicate(timeout=120)
        assert started.returncode == 0, errors
    return errors


def shown(errors):
    """The numbers of steps that the progress bar has shown."""
    return [int(taken) for taken in re.findall(rf"(\d+)/{STEPS}", errors)]


@contextlib.contextmanager
def group_of_one():
    device = processes.join_group("cpu")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def result(folder):
    return json.loads((folder / "losses.json").read_text(encoding="utf-8"))


def curves(folder):
    found = result(folder)
    return np.array(found["losses"]), np.array(found["validation"])


def checkpoint(folder):
    return saving.load_file(folder / "checkpoint.safetensors")


def step_of(folder):
    metadata = saving.load_metadata(folder / "checkpoint.safetensors")
    return json.loads(metadata["run"])["step"]


def assert_same_bits(one, other):
    """Compare dicts of arrays."""
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name, strict=True)


def assert_close(one, other):
    """Compare dicts of float64 arrays to 1e-10."""
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_allclose(array, other[name], rtol=0, atol=1e-10, err_msg=name)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Work on one thread, as the jobs do: more would only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A file with a text of nine hundred words in no order."""
    path = tmp_path_factory.mktemp("text") / "words.txt"
    choice = np.random.default_rng(0).choice(["the ", "whale ", "sea ", "ship ", "of "], 900)
    path.write_text("".join(choice), encoding="utf-8")
    return path


def run_alone(path, out, **options):
    """The whole script on one process, in this one."""
    train_ddp.main(arguments(path, out, **options))
    return out


# What the processes of a job do ---------------------------------------------------------------


def gradients(options, device):
    """Weights, loss and gradient of some windows and of epoch 2's first one, validation loss."""
    training = train_ddp.Training(options, device)
    found = {f"weight {name}": w.numpy() for name, w in training.model.state_dict().items()}
    for k in (*WINDOWS, training.train.count):
        training.step = k
        found[f"{k} loss"] = np.array(training.differentiate())
        for name, parameter in training.model.named_parameters():
            found[f"{k} {name}"] = parameter.grad.numpy().copy()
    return found | {"validation": np.array(training.validate())}


def worker(folder, path):
    def options(out, **changes):
        return train_ddp.read_options(arguments(path, folder / out, **changes))

    device = processes.join_group("cpu")
    for kind in KINDS:
        name = f"{kind}-{dist.get_rank()}.safetensors"
        found = gradients(options("none", steps=1, kind=kind), device)
        saving.save_file(found, folder / name)
    whole = {"steps": 8, "save_every": 4}
    for out, changes in [
        ("straight", whole),
        ("broken", whole | {"steps": 4}),
        ("broken", whole),
        ("from-one", whole),
    ]:
        (folder / out).mkdir(exist_ok=True)
        train_ddp.Training(options(out, **changes), device).run()
        dist.barrier()  # The next one is to find the checkpoint.
    mine = "none" if dist.get_rank() else "straight"
    for name, wrong in [
        ("batch", options("none", batch=7)),
        ("folder", options(mine, steps=8)),
    ]:
        try:
            train_ddp.Training(wrong, device)
        except processes.OptionError as error:
            (folder / f"{name}-{dist.get_rank()}").write_text(str(error), encoding="utf-8")
    dist.destroy_process_group()


@pytest.fixture(scope="module", params=[2, 3], ids="{} processes".format)
def several(request, words, tmp_path_factory):
    """The number of processes, and the folder with what they left."""
    folder = tmp_path_factory.mktemp("several")
    run_alone(words, folder / "from-one", steps=4, save_every=4)
    finished(request.param, __file__, folder, words)
    return request.param, folder


# The tests -------------------------------------------------------------------------------------


def literal_gradients(path, kind, weights):
    """What ``gradients`` returns, by torch.nn on the whole batch, with streams cut one by one."""
    B, T, H, layers = SIZES.values()
    characters = path.read_text(encoding="utf-8")
    codes = text.Vocabulary.from_text(characters).encode(characters)
    V, cut = codes.max() + 1, round(0.9 * len(codes))
    parts = {
        "embedding": torch.nn.Embedding(V, H),
        "rnn": getattr(torch.nn, kind)(H, H, layers),
        "head": torch.nn.Linear(H, V),
    }
    model = torch.nn.ModuleDict(parts).double()
    model.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})

    def losses(codes, more=0):
        """The losses of all windows, and of the first of the next epoch, one by one."""
        count, state = (len(codes) - 1) // (B * T), None
        streams = [codes[j * count * T : (j + 1) * count * T + 1] for j in range(B)]
        for start in [k * T for k in (*range(count), *range(more))]:
            state = None if start == 0 else state
            window = torch.tensor(np.array([s[start : start + T + 1] for s in streams])).T
            output, state = model["rnn"](model["embedding"](window[:-1]), state)
            state = tuple(s.detach() for s in state) if kind == "LSTM" else state.detach()
            scores = model["head"](output).reshape(B * T, V)
            yield torch.nn.functional.cross_entropy(scores, window[1:].flatten())

    found, training = {}, list(losses(codes[:cut], more=1))
    for k in (*WINDOWS, len(training) - 1):
        model.zero_grad()
        training[k].backward()
        found[f"{k} loss"] = training[k].item()
        found |= {f"{k} {name}": p.grad.numpy().copy() for name, p in model.named_parameters()}
    return found | {"validation": np.mean([loss.item() for loss in losses(codes[cut:])])}


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_one_process_and_of_torch(several, words, tmp_path, kind):
    count, folder = several
    with group_of_one() as device:
        options = train_ddp.read_options(arguments(words, tmp_path, kind=kind))
        one = gradients(options, device)
    for rank in range(count):
        assert_close(saving.load_file(folder / f"{kind}-{rank}.safetensors"), one)
    weights = {k.removeprefix("weight "): w for k, w in one.items() if k.startswith("weight ")}
    one = {name: value for name, value in one.items() if not name.startswith("weight ")}
    assert max(abs(value).max() for value in one.values()) > 0.01
    assert_close(one, literal_gradients(words, kind, weights))


@pytest.mark.parametrize("clip", [1e-3, 1e3])
def test_the_gradient_is_clipped_by_its_norm(words, tmp_path, clip):
    def gradients_before_and_after(device):
        options = train_ddp.read_options(arguments(words, tmp_path, clip=clip))
        training = train_ddp.Training(options, device)
        for work in (training.differentiate, training.update):  # of the same window
            work()
            yield torch.cat([p.grad.flatten() for p in training.model.parameters()])

    with group_of_one() as device:
        before, after = gradients_before_and_after(device)
    expected = min(1, clip / (before.norm() + 1e-6)) * before  # torch adds 1e-6.
    torch.testing.assert_close(after, expected, rtol=1e-12, atol=0)


def test_a_resumed_run_adds_in_the_same_order(several):
    _, folder = several
    assert_same_bits(checkpoint(folder / "straight"), checkpoint(folder / "broken"))


def test_streams_are_shared_anew_among_another_number_of_processes(several, words, tmp_path):
    _, folder = several
    whole = {"steps": 8, "save_every": 4}
    one = checkpoint(run_alone(words, tmp_path / "one", **whole))
    assert one["states"].shape == (2, 2, 6, 8)
    assert len(one["losses"]) == 8
    assert_close(checkpoint(folder / "from-one"), one)
    # And back: to step 8 by several, to step 12 by one.
    back = shutil.copytree(folder / "straight", tmp_path / "back")
    outs = [run_alone(words, out, **whole | {"steps": 12}) for out in (back, tmp_path / "one")]
    assert_close(*map(checkpoint, outs))


def test_every_process_refuses_what_cannot_be(several):
    count, folder = several
    for rank in range(count):
        batch, shared = ((folder / f"{name}-{rank}").read_text() for name in ("batch", "folder"))
        assert batch == (
            f"--batch: expected a multiple of the number of processes, which is {count}, got 7"
        )
        steps = [8] + [0] * (count - 1)
        assert shared.startswith("--out: expected a folder that all processes share")
        assert shared.endswith(f"got checkpoints at steps {steps}")


@pytest.fixture(scope="module")
def uninterrupted(words, tmp_path_factory):
    """The folder of a run by two processes."""
    out = tmp_path_factory.mktemp("uninterrupted")
    finished(2, SCRIPT, *arguments(words, out, steps=STEPS, save_every=SAVE_EVERY))
    return out


def test_two_processes_learn_as_one_does(uninterrupted, words, tmp_path):
    one = run_alone(words, tmp_path, steps=STEPS, save_every=SAVE_EVERY)
    assert_close(checkpoint(uninterrupted), checkpoint(one))
    for ours, theirs in zip(curves(uninterrupted), curves(one), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
    losses, validation = curves(one)
    assert len(losses) == STEPS
    assert validation[:, 0].tolist() == [*range(SAVE_EVERY, STEPS, SAVE_EVERY), STEPS]
    assert losses[-1] < losses[0] / 2
    assert validation[-1, 1] < losses[0] / 2
    about = [result(folder)["about"] for folder in (uninterrupted, one)]
    assert [a["processes"] for a in about] == [2, 1]
    assert about[0].keys() >= {"script", "date", "processor", "seed", "versions"}


def workers_of(started):
    """The process ids of a job's workers by rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == started.pid:
                lines = (folder / "environ").read_bytes().split(b"\0")
                rank = next(line[5:] for line in lines if line.startswith(b"RANK="))
                found[int(rank)] = int(folder.name)
    return found


def first_line(stream, words):
    """Read until there is a line with these words, and return it."""
    lines = []
    for line in stream:
        lines.append(line)
        if words in line:
            return line
    raise AssertionError("".join(lines))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds workers in /proc")
def test_a_worker_is_killed_and_the_curve_goes_on(uninterrupted, words, tmp_path):
    command = [SCRIPT, *arguments(words, tmp_path, steps=STEPS, save_every=SAVE_EVERY)]
    bar = {"TQDM_DISABLE": None, "TQDM_MININTERVAL": "0", "TQDM_MINITERS": "1"}
    with job(2, *command, **bar) as started:
        lines = [first_line(started.stderr, f" {STEPS // 2}/{STEPS} ")]
        os.kill(workers_of(started)[1], signal.SIGKILL)
        lines += started.stderr.readlines()
        assert started.wait(timeout=60) != 0
    errors = "".join(lines)
    assert "SIGKILL" in errors
    assert not (tmp_path / "losses.json").exists()
    saved, taken = step_of(tmp_path), shown(errors)[-1]
    assert STEPS // 2 - SAVE_EVERY < saved <= taken < STEPS
    print(f"killed after {taken} steps; the checkpoint has {saved}: {taken - saved} steps lost")
    by_one = shutil.copytree(tmp_path, tmp_path / "by-one")

    errors = finished(2, *command, **bar)
    assert shown(errors)[0] == saved
    assert result(tmp_path) == result(uninterrupted) | {"about": result(tmp_path)["about"]}
    assert_same_bits(checkpoint(tmp_path), checkpoint(uninterrupted))

    run_alone(words, by_one, steps=STEPS, save_every=SAVE_EVERY)
    assert_close(checkpoint(by_one), checkpoint(uninterrupted))
    np.testing.assert_allclose(curves(by_one)[1], curves(uninterrupted)[1], rtol=0, atol=1e-10)


def test_a_checkpoint_is_written_whole_or_not_at_all(words, tmp_path):
    straight = run_alone(words, tmp_path / "straight", steps=8, save_every=4)
    out = run_alone(words, tmp_path / "out", steps=4, save_every=4)
    before = (out / "checkpoint.safetensors").read_bytes()
    killed_while_writing = (
        "import os, signal, sys; sys.path.insert(0, sys.argv.pop(1)); import train_ddp\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "train_ddp.main()\n"
    )
    command = [sys.executable, "-c", killed_while_writing, EXPERIMENTS]
    command += arguments(words, out, steps=8, save_every=4)
    done = subprocess.run(command, env=environment())
    assert done.returncode == -signal.SIGKILL
    assert (out / "checkpoint.safetensors").read_bytes() == before
    (part,) = set(out.iterdir()) - {out / "checkpoint.safetensors", out / "losses.json"}
    with open(part, "rb+") as stream:
        stream.truncate(len(before) // 2)
    run_alone(words, out, steps=8, save_every=4)
    assert_same_bits(checkpoint(out), checkpoint(straight))
    assert result(out) == result(straight)


# What is given in place of the first run's options, and what the error has to say.
WRONG = {
    "streams": (
        {"batch": 1200},
        r"--batch 1200, --window 5: .*first 90%.* 6001 .*got \d+",
    ),
    "validation": ({"batch": 90, "window": 20}, r"last 10%.*at least .* 1801 .*got \d+"),
    "hidden": ({"hidden": 9}, r"--hidden: expected 8 as in .*checkpoint\.safetensors, got 9"),
    "layers": ({"layers": 1}, "--layers: expected 2 .*got 1"),
    "kind": ({"kind": "GRU"}, "--kind: expected LSTM .*got GRU"),
    "batch": ({"batch": 12}, "--batch: expected 6 .*got 12"),
    "window": ({"window": 4}, "--window: expected 5 .*got 4"),
    "dtype": ({"dtype": "float32"}, "--dtype: expected float64 .*got float32"),
    "lr": ({"lr": 0.02}, r"--lr: expected 0\.01 .*got 0\.02"),
    "seed": ({"seed": 4}, "--seed: expected 3 .*got 4"),
    "steps": ({"steps": 1}, "--steps: expected at least 2, .*got 1"),
}


@pytest.fixture(scope="module")
def two_steps(words, tmp_path_factory):
    return run_alone(words, tmp_path_factory.mktemp("two"), steps=2, save_every=2)


@pytest.mark.parametrize(("changes", "says"), WRONG.values(), ids=WRONG.keys())
def test_an_error_names_the_option(two_steps, words, changes, says, monkeypatch):
    given = arguments(words, two_steps, **{"steps": 2} | changes)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *given])
    with pytest.raises(SystemExit, match=says) as exit:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert str(exit.value.code).startswith("train_ddp.py: --")
    assert not dist.is_initialized()


def test_another_text_is_refused(two_steps, words, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text(words.read_text(encoding="utf-8")[::-1], encoding="utf-8")
    with pytest.raises(processes.OptionError, match=r"--text: expected [0-9a-f]{64} .*got"):
        run_alone(other, two_steps, steps=2)


@pytest.mark.parametrize("content", ["", "ab"])
def test_a_text_with_next_to_nothing(tmp_path, content):
    path = tmp_path / "short.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(processes.OptionError, match="--text"):
        run_alone(path, tmp_path)


def test_a_foreign_checkpoint_is_refused(words, tmp_path):
    saving.save_file({"a": np.zeros(2)}, tmp_path / "checkpoint.safetensors")
    with pytest.raises(processes.OptionError, match="--out: expected a checkpoint of this script"):
        run_alone(words, tmp_path, steps=2)


@pytest.mark.parametrize("given", ["--batch=0", "--lr=-1", "--clip=nan", "--steps=two"])
def test_numbers_that_cannot_be(words, tmp_path, given, capsys):
    with pytest.raises(SystemExit):
        train_ddp.read_options([*arguments(words, tmp_path), given])
    option, _, value = given.partition("=")
    assert re.search(rf"{option}: .*{value}", capsys.readouterr().err)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no graphics card here")
def test_on_graphics_cards(words, tmp_path):
    cards = torch.cuda.device_count()
    whole = {"batch": 6 * cards, "steps": 20, "save_every": 10}
    on_cards = whole | {"device": "cuda"}
    for steps in (10, 20):
        finished(cards, SCRIPT, *arguments(words, tmp_path / "c", **on_cards | {"steps": steps}))
    one = run_alone(words, tmp_path / "one", **whole)
    assert_close(checkpoint(tmp_path / "c"), checkpoint(one))


if __name__ == "__main__":
    worker(Path(sys.argv[1]), Path(sys.argv[2]))
