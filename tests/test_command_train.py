"""``python -m rnnlib train`` as a user meets it: in processes of its own, stopped at any moment."""

import itertools
import os
import re
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest
from command_cases import COMMAND, QUICK, SMALL, complaint, environment, on_posix, run, sentences

from rnnlib import saving
from rnnlib.character import CharacterModel
from rnnlib.commands import reading
from rnnlib.text import Vocabulary

# train


def table(output):
    """The lines of a run: step, training and validation loss, bits, and whether it was kept."""
    rows = re.findall(r"^ +(\d+) +[\d.]+ +([\d.]+) +([\d.]+) +([\d.]+)(  kept)?$", output, re.M)
    return [(int(step), *map(float, losses), bool(kept)) for step, *losses, kept in rows]


def validation_loss(folder, model):
    file = reading.read_text(folder / "diary.txt")
    parts = reading.cut(file, 4, 10)
    return model.evaluate(parts.valid, parts.streams, 10)


def test_training_says_what_it_does_and_keeps_the_best(diary):
    log = (diary / "train.log").read_text(encoding="utf-8")
    characters = sentences()
    assert f"diary.txt: {len(characters):,} characters, {len(set(characters))} symbols;" in log
    assert "GRU, 1 layer of 12: " in log
    assert "; 60 steps of 4 × 10 characters" in log
    rows = table(log)
    assert [step for step, *_ in rows] == [20, 40, 60]
    assert [kept for *_, kept in rows] == [True, True, True]
    for _, _, loss, bits, _ in rows:
        assert abs(bits - loss / np.log(2)) < 2e-4
    model = CharacterModel.load(diary / "diary.npz")
    assert abs(validation_loss(diary, model) - rows[-1][2]) < 1e-4
    assert rows[-1][2] < rows[0][2] < np.log(len(set(characters)))
    assert f"of step 60, is in diary.npz: validation loss {rows[-1][2]:.4f} nats" in log
    assert {"diary.txt", "diary.npz", "train.log"} == {path.name for path in diary.iterdir()}


def test_a_single_step(diary, tmp_path):
    words = [*SMALL, "--steps", 1]
    done = run(diary, "train", "diary.txt", "--out", tmp_path / "model.npz", *words)
    assert "; 1 step of 4 × 10 characters\n" in done.stdout
    told = run(diary, "check", "diary.txt", *words).stdout
    assert " epochs in 1 step\n" in told
    assert re.search(r"; about \d+ seconds? for 1 step on this machine\n", told)


def test_a_worse_model_is_not_kept(diary, tmp_path):
    # A text that changes where the training part ends: what is learnt about the one is no good for
    # the other, and after a while makes it worse.
    text = "cdefgh" + "ab" * 897 + "aabb" * 50
    (tmp_path / "two.txt").write_text(text, encoding="utf-8")
    words = "train two.txt --out two.safetensors --steps 90 --every 5".split()
    done = run(tmp_path, *words, *SMALL)
    rows = table(done.stdout)
    kept = [row for row in rows if row[-1]]
    assert 0 < len(kept) < len(rows)
    assert all(later[2] < earlier[2] for earlier, later in itertools.pairwise(kept))
    best = min(rows, key=lambda row: row[2])
    assert best == kept[-1]
    assert f"the best model, of step {best[0]}, is in two.safetensors" in done.stdout
    model = CharacterModel.load(tmp_path / "two.safetensors")
    codes = model.vocabulary.encode(text)
    assert abs(model.evaluate(codes[1800:], 1, 10) - best[2]) < 1e-4


def test_the_seed_decides(diary, tmp_path):
    def weights(name, *words):
        run(diary, "train", "diary.txt", "--out", tmp_path / name, *QUICK, *words)
        return saving.load_file(tmp_path / name)

    first, again, other = weights("a.npz"), weights("b.npz"), weights("c.npz", "--seed", 1)
    for name, weight in first.items():
        np.testing.assert_array_equal(weight, again[name])
        assert not np.array_equal(weight, other[name])


def test_windows_line_ends_and_a_byte_order_mark(diary, tmp_path):
    content = "\ufeff" + sentences(end="\r\n")
    (tmp_path / "diary.txt").write_bytes(content.encode())
    done = run(tmp_path, "train", "diary.txt", "--out", "diary.npz", *QUICK)
    assert done.returncode == 0, done.stderr
    here, there = (saving.load_file(folder / "diary.npz") for folder in (tmp_path, diary))
    for name, weight in here.items():
        np.testing.assert_array_equal(weight, there[name])
    assert (
        "line ends: 150 of Windows or old Macs"
        in run(tmp_path, "check", "diary.txt", *SMALL).stdout
    )


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_other_kinds(kind, diary, tmp_path):
    out = tmp_path / "model.safetensors"
    words = ["--kind", kind, "--layers", 2, "--dropout", 0.1, "--steps", 30]
    done = run(diary, "train", "diary.txt", "--out", out, *QUICK, *words)
    assert done.returncode == 0, done.stderr
    model = CharacterModel.load(out)
    assert (model.kind, model.layers, model.hidden) == (kind, 2, 12)


def test_a_model_is_replaced_but_nothing_else_is(diary, tmp_path):
    out = tmp_path / "model.npz"
    saving.save_file({"mine": np.ones(3)}, out)
    content = out.read_bytes()
    done = run(diary, "train", "diary.txt", "--out", out, *QUICK)
    assert "--out: expected a new name, or a model to replace" in complaint(done)
    assert out.read_bytes() == content
    CharacterModel(Vocabulary("ab")).save(out)
    done = run(diary, "train", "diary.txt", "--out", out, *QUICK)
    assert "(which replaces the one there)" in done.stdout
    assert len(CharacterModel.load(out).vocabulary) > 2


def test_a_run_that_comes_to_nothing_leaves_the_old_model(diary, tmp_path):
    out = tmp_path / "model.npz"
    CharacterModel(Vocabulary("ab")).save(out)
    content = out.read_bytes()
    done = run(diary, "train", "diary.txt", "--out", out, *QUICK, "--lr", "1e30")
    assert "no model was better than a uniform guess" in complaint(done)
    done = run(diary, "train", "diary.txt", "--out", out, *QUICK, "--lr", "1e39")
    line = complaint(done)
    assert "expected a finite loss and gradient" in line
    assert "try a smaller --lr" in line
    assert out.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


# Ctrl-C


def heard():
    """In the child: Ctrl-C is heard, even if whoever runs the tests ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def stopped(folder, out, *words, after):
    """Start a long run, press Ctrl-C after a line that matches; return code, output, errors."""
    process = subprocess.Popen(
        [*COMMAND, "train", "diary.txt", "--out", str(out), *SMALL, "--steps", "1000000", *words],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=heard,
    )
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if re.search(after, line):
                break
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    return process.returncode, "".join(lines) + rest, errors


@on_posix
@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_ctrl_c_keeps_the_best_model(suffix, diary, tmp_path):
    out = tmp_path / f"model{suffix}"
    code, output, errors = stopped(diary, out, "--every", "10", after="^ +50 .* kept$")
    assert code == 130
    found = re.fullmatch(
        r"stopped by Ctrl-C in step \d+; the best model, of step (\d+), is in (.*): "
        r"validation loss ([\d.]+) nats, [\d.]+ bits per character\n",
        errors,
    )
    assert found, errors
    best = min(table(output), key=lambda row: row[2])
    if int(found[1]) == best[0]:  # Else a line was lost in the pipe; the file is what counts.
        assert abs(float(found[3]) - best[2]) < 1e-4
    assert found[2] == str(out)
    assert abs(validation_loss(diary, CharacterModel.load(out)) - float(found[3])) < 1e-4
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def pressed(folder, out, *words, step, validations=()):
    """Train with Ctrl-C before a step, and amid the validations with these numbers."""
    code = (
        "import os, signal, sys\n"
        "from rnnlib.character import CharacterModel, Training\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def press_in(kind, name, numbers):\n"
        "    plain, calls = getattr(kind, name), []\n"
        "    def pressing(self, *arguments):\n"
        "        calls.append(self)\n"
        "        if len(calls) in numbers: os.kill(os.getpid(), signal.SIGINT)\n"
        "        return plain(self, *arguments)\n"
        "    setattr(kind, name, pressing)\n"
        f"press_in(Training, 'step', [{step}])\n"
        f"press_in(CharacterModel, 'evaluate', {list(validations)})\n"
        "from rnnlib.__main__ import main; sys.exit(main())"
    )
    done = run(folder, "train", "diary.txt", "--out", out, *SMALL, *words, code=code)
    assert done.returncode == 130, done.stderr
    return done


def written_over(tmp_path):
    out = tmp_path / "model.npz"
    CharacterModel(Vocabulary("ab")).save(out)
    return out, out.read_bytes()


NOTHING = "no model was validated yet, and nothing was written to "


@on_posix
@pytest.mark.parametrize("validations", [(), [1]])
def test_ctrl_c_before_the_first_validation_validates_once(validations, diary, tmp_path):
    # Pressed after 30 steps, or amid the validation that comes after them.
    out, _ = written_over(tmp_path)
    words = ["--every", 30] if validations else []
    step = 10**9 if validations else 31
    done = pressed(diary, out, *words, step=step, validations=validations)
    found = re.fullmatch(
        r"stopped by Ctrl-C in step 31; the best model, of step 30, is in (.*): "
        r"validation loss ([\d.]+) nats, [\d.]+ bits per character\n",
        done.stderr,
    )
    assert found, done.stderr
    assert found[1] == str(out)
    assert abs(validation_loss(diary, CharacterModel.load(out)) - float(found[2])) < 1e-4
    assert "Ctrl-C: validates once, to keep what was learnt" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@on_posix
def test_a_second_ctrl_c_stops_without_a_validation(diary, tmp_path):
    out, content = written_over(tmp_path)
    done = pressed(diary, out, step=31, validations=[1])
    assert done.stderr == f"stopped by Ctrl-C in step 31; {NOTHING}{out}\n"
    assert out.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


@on_posix
def test_ctrl_c_before_a_step_was_taken(diary, tmp_path):
    out, content = written_over(tmp_path)
    done = pressed(diary, out, step=1, validations=[1])
    assert done.stderr == f"stopped by Ctrl-C in step 1; {NOTHING}{out}\n"
    assert "validates once" not in done.stdout
    assert out.read_bytes() == content


@on_posix
def test_ctrl_c_keeps_no_model_that_is_worse_than_a_guess(diary, tmp_path):
    out, content = written_over(tmp_path)
    done = pressed(diary, out, "--lr", "1e30", step=3)
    assert "in step 3; no model was better than a uniform guess, " in done.stderr
    assert done.stderr.count("\n") == 1
    assert out.read_bytes() == content


@on_posix
def test_ctrl_c_after_a_validation_keeps_what_there_is(diary, tmp_path):
    done = pressed(diary, tmp_path / "model.npz", "--every", 20, step=31)
    assert "in step 31; the best model, of step 20, is in " in done.stderr
    assert "validates once" not in done.stdout


@on_posix
def test_ctrl_c_at_any_moment_leaves_a_whole_file(diary, tmp_path):
    # Every step is validated and the better ones are saved: the signal comes amid all of that.
    for moment in range(4):
        out = tmp_path / f"{moment}.safetensors"
        words = "--every", "1", "--lr", "0.003"
        code, _, errors = stopped(diary, out, *words, after=f"^ +{20 + 7 * moment} ")
        assert code == 130, errors
        assert errors.startswith("stopped by Ctrl-C")
        assert errors.count("\n") == 1
        CharacterModel.load(out)
    assert len(list(tmp_path.iterdir())) == 4


@on_posix
def test_ctrl_c_while_it_loads(diary):
    code = (
        "import os, runpy, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'rnnlib.commands': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "runpy.run_module('rnnlib', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "check", "diary.txt"],
        cwd=diary,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        preexec_fn=heard,
    )
    assert done.returncode == 130
    assert done.stderr == "stopped by Ctrl-C before there was a result\n"


# Progress


@on_posix
@pytest.mark.parametrize("disable", ["", "1"])
def test_the_bar_of_a_terminal(disable, diary, tmp_path):
    import fcntl
    import termios

    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    words = ["train", "diary.txt", "--out", tmp_path / "model.npz", *QUICK]
    changes = {"TQDM_DISABLE": disable} if disable else {}
    done = subprocess.run(
        [*COMMAND, *words],
        cwd=diary,
        env=environment(TQDM_MININTERVAL="0", **changes),
        stdout=subprocess.PIPE,
        stderr=theirs,
        encoding="utf-8",
    )
    os.write(theirs, b"end")
    drawn = b""
    while not drawn.endswith(b"end"):
        drawn += os.read(ours, 65536)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0
    assert [step for step, *_ in table(done.stdout)] == [20, 40, 60]
    if disable:
        assert drawn == b"end"
    else:
        assert b"/60 [" in drawn


def test_without_tqdm(diary, tmp_path):
    code = (
        "import sys; sys.modules['tqdm'] = None; from rnnlib.__main__ import main; sys.exit(main())"
    )
    done = run(diary, "train", "diary.txt", "--out", tmp_path / "model.npz", *QUICK, code=code)
    assert (done.returncode, done.stderr) == (0, "")
    log = (diary / "train.log").read_text(encoding="utf-8")
    assert table(done.stdout) == table(log)


def test_without_safetensors(diary, tmp_path):
    code = (
        "import sys; sys.modules['safetensors'] = None\n"
        "from rnnlib.__main__ import main; sys.exit(main())"
    )
    words = ["train", "diary.txt", "--out", tmp_path / "model.safetensors", *QUICK]
    done = run(diary, *words, code=code)
    assert ".safetensors files need safetensors, which is not installed" in complaint(done)
    assert done.stdout == ""
