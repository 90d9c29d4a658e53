"""``python -m rnnlib`` as a user meets it: in processes of its own, with files as they come."""

import itertools
import os
import random
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import commands, saving
from rnnlib.character import CharacterModel, Training
from rnnlib.commands import reading
from rnnlib.text import Vocabulary

ROOT = Path(__file__).resolve().parents[1]
COMMAND = (sys.executable, "-m", "rnnlib")
# A network and a run so small that a step takes a millisecond.
SMALL = "--hidden 12 --layers 1 --batch 4 --window 10 --dropout 0 --lr 0.02".split()
QUICK = [*SMALL, "--steps", "60", "--every", "20"]
on_posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TQDM_")}
    return kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | changes


def run(folder, *words, code=None, **changes):
    """Run a command in a folder; with ``code``, Python code in place of ``-m rnnlib``."""
    command = COMMAND if code is None else (sys.executable, "-c", code)
    return subprocess.run(
        [*command, *map(str, words)],
        cwd=folder,
        env=environment(**changes),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


def complaint(done):
    """The one line of a command that has refused."""
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    return done.stderr


def sentences(count=150, end="\n"):
    chooser = random.Random(0)
    who, what = ["Ada", "Chloé", "my aunt"], ["baked a cake 🍰", "ate two loaves", "painted 🐈"]
    return "".join(f"{chooser.choice(who)} {chooser.choice(what)}.{end}" for _ in range(count))


@pytest.fixture(scope="module")
def diary(tmp_path_factory):
    """A folder with a text, diary.txt, and a model trained on it, diary.npz."""
    folder = tmp_path_factory.mktemp("diary")
    (folder / "diary.txt").write_text(sentences(), encoding="utf-8")
    done = run(folder, "train", "diary.txt", "--out", "diary.npz", *QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (folder / "train.log").write_text(done.stdout, encoding="utf-8")
    return folder


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
    assert "60 steps of 4 × 10 characters" in log
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


@on_posix
def test_ctrl_c_before_there_is_a_model(diary, tmp_path):
    out = tmp_path / "model.npz"
    CharacterModel(Vocabulary("ab")).save(out)
    content = out.read_bytes()
    words = "--every", "1000000"
    code, _, errors = stopped(diary, out, *words, after="^ +step +seconds")
    assert code == 130
    assert re.fullmatch(
        r"stopped by Ctrl-C in step \d+; no model was validated yet, and nothing was written .*\n",
        errors,
    )
    assert out.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


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


# sample


def sampled(diary, *words, **changes):
    done = run(diary, "sample", "diary.npz", *words, **changes)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_sampling(diary):
    model = CharacterModel.load(diary / "diary.npz")
    words = ["--prompt", "my aunt", "--length", 60, "--seed", 3]
    drawn = sampled(diary, *words, "--temperature", 0.7, "--top-k", 5, "--top-p", 0.9)
    assert drawn == "my aunt" + model.sample("my aunt", 60, 0.7, 5, 0.9, 3) + "\n"
    assert sampled(diary, *words) == "my aunt" + model.sample("my aunt", 60, 0.8, rng=3) + "\n"
    likeliest = sampled(diary, *words, "--temperature", 0)
    assert likeliest == sampled(diary, *words, "--top-k", 1)
    assert sampled(diary, "--seed", 4) == model.sample("\n", 500, 0.8, rng=4) + "\n"
    assert sampled(diary, "--length", 0, "--prompt", "Ada") == "Ada\n"
    assert sampled(diary) != sampled(diary)


def test_samples_are_utf8_wherever_they_go(diary):
    drawn = sampled(diary, "--prompt", "🍰é", "--seed", 0, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert drawn.startswith("🍰é")


def test_a_model_of_a_text_without_lines(tmp_path):
    CharacterModel(Vocabulary("xy"), hidden=4, rng=0).save(tmp_path / "model.npz")
    done = run(tmp_path, "sample", "model.npz", "--length", 9)
    assert len(done.stdout) == 10


@on_posix
def test_a_reader_that_has_had_enough(diary):
    process = subprocess.Popen(
        [*COMMAND, "sample", "diary.npz", "--length", "9000"],
        cwd=diary,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(20) == 1


def test_models_that_are_none(diary, tmp_path):
    def refused(name):
        return complaint(run(tmp_path, "sample", name))

    assert "none.npz: No such file" in refused("none.npz")
    assert "expected a name that ends in .safetensors or .npz" in refused(diary / "diary.txt")
    (tmp_path / "text.safetensors").write_text(sentences(), encoding="utf-8")
    assert "got a damaged or foreign one" in refused("text.safetensors")
    content = bytearray((diary / "diary.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "damaged.npz").write_bytes(content)
    assert "damaged.npz: expected" in refused("damaged.npz")
    saving.save_file({"weight": np.ones(3)}, tmp_path / "foreign.safetensors")
    assert "foreign.safetensors: expected a file of format 'rnnlib" in refused(
        "foreign.safetensors"
    )
    (tmp_path / "folder.npz").mkdir()
    assert "folder.npz: Is a directory" in refused("folder.npz")
    model = CharacterModel(Vocabulary("\nab"), hidden=4, rng=0)
    model.parameters["head.bias"][1] = np.inf
    model.save(tmp_path / "infinite.npz")
    assert "infinite.npz: logits: expected finite numbers" in refused("infinite.npz")


@pytest.mark.parametrize(
    ("prompt", "came"),
    [("Adä", r"'ä' \(U\+00E4 LATIN SMALL LETTER A WITH DIAERESIS\) at place 3"), ("X", "'X' at")],
)
def test_a_prompt_of_other_characters(prompt, came, diary):
    line = complaint(run(diary, "sample", "diary.npz", "--prompt", prompt))
    assert re.search(f"--prompt: expected characters that the model was trained on .*{came}", line)


# check


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_check(kind, diary):
    words = ["--kind", kind, "--layers", 2]
    done = run(diary, "check", "diary.txt", *SMALL, *words)
    assert (done.returncode, done.stderr) == (0, "")
    characters = sentences()
    size = len(characters.encode())
    train = round(0.9 * len(characters))
    model = CharacterModel(Vocabulary.from_text(characters), kind, 12, 2)
    for line in (
        f"diary.txt: {size:,} bytes of UTF-8",
        f"characters: {len(characters):,} in 150 lines",
        f"symbols: {len(set(characters))}",
        f"training: the first {train:,} characters, {(train - 1) // 40:,} windows of 4 × 10;",
        f"validation: the {len(characters) - train:,} characters after them",
        f"network: {kind}, 2 layers of 12, {sum(p.size for p in model.parameters.values()):,} par",
        "verdict: the gradient is right",
    ):
        assert line in done.stdout, line
    assert re.search(r"time: [\d.]+ ms for a step, [\d.]+ ms for a validation; about", done.stdout)
    for name in [*model.parameters, "h_0"] + ["c_0"] * (kind == "LSTM"):
        assert f"  {name}: right (along a random direction)\n" in done.stdout
    assert "rare" not in done.stdout


def test_check_names_what_is_rare_and_what_is_never_seen(tmp_path):
    text = "to be or not to be\n" * 40 + "ﬁ" * 2 + "\x07" + "to be\n" * 5 + "🐋"
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    done = run(tmp_path, "check", "text.txt", *SMALL)
    assert (
        "rare symbols (fewer than 5 times): '\\x07' 1×, '🐋' (U+1F40B WHALE) 1×, "
        "'ﬁ' (U+FB01 LATIN SMALL LIGATURE FI) 2×\n"
    ) in done.stdout
    assert "never seen in training: '\\x07', 'ﬁ' (U+FB01" in done.stdout
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 30))) + "to be or not to be\n" * 40
    (tmp_path / "text.txt").write_text(many, encoding="utf-8")
    assert ", and 18 more\n" in run(tmp_path, "check", "text.txt", *SMALL).stdout


def test_check_finds_a_wrong_gradient(diary):
    code = (
        "import sys\n"
        "from rnnlib.layers import Linear\n"
        "right = Linear.backward\n"
        "def wrong(self, d_output):\n"
        "    d_input = right(self, d_output)\n"
        "    self.grads['bias'][0] *= 1.01\n"
        "    return d_input\n"
        "Linear.backward = wrong\n"
        "from rnnlib.__main__ import main; sys.exit(main())"
    )
    done = run(diary, "check", "diary.txt", *SMALL, code=code)
    assert (done.returncode, done.stderr) == (1, "")
    assert "  head.bias: WRONG in 1 of " in done.stdout
    assert "  head.weight: right" in done.stdout
    assert done.stdout.endswith("verdict: the gradient is WRONG\n")


def test_check_takes_a_large_alphabet(tmp_path):
    text = "".join(np.random.default_rng(0).permutation([chr(0x4E00 + i) for i in range(2000)] * 2))
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    done = run(tmp_path, "check", "text.txt", *SMALL)
    assert "symbols: 2000\n" in done.stdout
    assert done.stdout.endswith("verdict: the gradient is right\n")


# Texts that cannot be read


UNREADABLE = {
    "empty": (b"", r"text\.txt: expected a text, got an empty file \(0 bytes\)"),
    "a mark alone": (b"\xef\xbb\xbf", r"got an empty file \(3 bytes\)"),
    "one character": (b"aaaa", "expected at least two different characters, got 'a' alone"),
    "Latin-1": (
        "Ein\nHaus\nCafé".encode() + b"\xe9 und",
        r"expected UTF-8, got byte 0xE9 at offset 14 \(line 3, column 5\)",
    ),
    "cut short": (
        "naïve 🐋".encode()[:-1],
        r"byte 0xF0 at offset 7 \(line 1, column 7\): unexpected end of data",
    ),
    "behind a mark": (b"\xef\xbb\xbfab\r\nx\xff", r"byte 0xFF at offset 8 \(line 2, column 2\)"),
    "UTF-16": ("hello".encode("utf-16"), "expected UTF-8, got UTF-16"),
    "too short": (
        b"to be or not to be\n" * 3,
        r"too short for --batch 9 --window 10: expected at least 9 × 10 \+ 1 = 91 characters in "
        r"its first 90%, to train on, got 51 \(of 57\); --batch 5 would fit",
    ),
    "shorter than a window": (
        b"to be",
        r"the text is too short: expected at least two characters in its last 10%, .* got 5 in all",
    ),
}


@pytest.mark.parametrize("command", ["train", "check"])
@pytest.mark.parametrize("what", UNREADABLE)
def test_texts_that_cannot_be_read(what, command, tmp_path):
    content, message = UNREADABLE[what]
    (tmp_path / "text.txt").write_bytes(content)
    words = ["--out", "model.npz"] if command == "train" else []
    done = run(tmp_path, command, "text.txt", *words, *SMALL, "--batch", 9)
    line = complaint(done)
    assert re.search(message, line), line
    assert line.startswith(f"python -m rnnlib {command}: text.txt: ")
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_files_that_are_none(tmp_path):
    assert "none.txt: No such file" in complaint(run(tmp_path, "check", "none.txt"))
    assert f"{tmp_path}: Is a directory" in complaint(run(tmp_path, "check", tmp_path))


@settings(deadline=None)
@given(st.integers(2, 300), st.integers(1, 20), st.integers(1, 40))
def test_what_is_said_to_fit_fits(length, batch, window):
    file = reading.TextFile(Path("text.txt"), length, ("ab" * length)[:length], 0)
    try:
        parts = reading.cut(file, batch, window)
    except reading.UserError as error:
        advice = re.search(r"--batch (\d+)(?: --window (\d+))? would fit", str(error))
        if not advice:
            assert length < 20
            return
        batch, window = int(advice[1]), int(advice[2] or window)
        parts = reading.cut(file, batch, window)
        with pytest.raises(reading.UserError):  # And nothing larger does.
            reading.cut(file, batch, window + 1) if advice[2] else reading.cut(
                file, batch + 1, window
            )
    model = CharacterModel(parts.vocabulary, hidden=2, rng=0)
    Training(model, parts.train, batch=batch, window=window, steps=1).step()
    assert model.evaluate(parts.valid, parts.streams, window) > 0
    assert len(parts.train) + len(parts.valid) == length


def test_a_long_text_is_validated_on_a_part():
    file = reading.TextFile(Path("text.txt"), 0, "ab" * 300_000, 0)
    parts = reading.cut(file, 16, 64)
    assert (len(parts.train), len(parts.valid), parts.streams) == (540_000, 40_001, 16)


# Places that cannot be written, and options that are none


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("model.pt", r"--out: expected a name that ends in \.safetensors or \.npz, got model\.pt"),
        ("model", r"--out: expected a name that ends in \.safetensors or \.npz, got model"),
        ("none/model.npz", r"--out: none/model\.npz cannot be written: No such file or directory"),
        ("diary.txt/model.npz", r"--out: diary\.txt/model\.npz cannot be written: Not a directory"),
        ("diary.txt", r"--out: expected a new name, or a model to replace; .* got diary\.txt"),
        ("folder.npz", r"--out: expected a new name, or a model to replace; .*folder\.npz"),
    ],
)
def test_places_that_cannot_be_written_are_found_before_training(out, message, tmp_path):
    (tmp_path / "diary.txt").write_text(sentences(), encoding="utf-8")
    (tmp_path / "folder.npz").mkdir()
    done = run(tmp_path, "train", "diary.txt", "--out", out, *QUICK)
    assert re.search(message, complaint(done)), done.stderr
    assert done.stdout == ""
    assert {path.name for path in tmp_path.iterdir()} == {"diary.txt", "folder.npz"}


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere; or no POSIX"
)
def test_a_folder_of_others(tmp_path):
    (tmp_path / "diary.txt").write_text(sentences(), encoding="utf-8")
    tmp_path.chmod(0o500)
    done = run(tmp_path, "train", "diary.txt", "--out", "model.npz", *QUICK)
    tmp_path.chmod(0o700)
    assert "model.npz cannot be written: Permission denied" in complaint(done)


def test_a_network_too_large_for_this_machine(diary, tmp_path):
    words = ["train", "diary.txt", "--out", tmp_path / "model.npz", *QUICK, "--hidden", 10**6]
    assert "not enough memory" in complaint(run(diary, *words))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "the following arguments are required: command"),
        ("learn", "invalid choice: 'learn'"),
        ("train diary.txt", "the following arguments are required: --out"),
        ("check diary.txt --hidden 0", "--hidden: expected an integer of at least 1, got '0'"),
        ("check diary.txt --layers two", "--layers: expected an integer of at least 1, got 'two'"),
        ("check diary.txt --lr 0", "--lr: expected a number > 0, got '0'"),
        ("check diary.txt --lr inf", "--lr: expected a number > 0, got 'inf'"),
        ("check diary.txt --clip nan", "--clip: expected a number > 0, got 'nan'"),
        ("check diary.txt --dropout 1", "--dropout: expected a number from 0 to below 1, got '1'"),
        ("check diary.txt --seed -1", "--seed: expected an integer of at least 0, got '-1'"),
        ("check diary.txt --kind CNN", "argument --kind: invalid choice: 'CNN'"),
        ("sample diary.npz --top-k 0", "--top-k: expected an integer of at least 1, got '0'"),
        ("sample diary.npz --top-p 0", "--top-p: expected a number above 0, at most 1, got '0'"),
        ("sample diary.npz --top-p 1.5", "--top-p: expected a number above 0, at most 1"),
        ("sample diary.npz --temperature -1", "--temperature: expected a number of at least 0"),
        ("sample diary.npz --length -1", "--length: expected an integer of at least 0, got '-1'"),
    ],
)
def test_options_that_are_none(words, message, capsys):
    with pytest.raises(SystemExit) as caught:
        commands.main(words.split())
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert message in line
    assert line.startswith("python -m rnnlib")
    assert line.count("\n") == 1


def test_help_names_every_option(tmp_path):
    assert "train a model on a text" in run(tmp_path, "--help").stdout
    for command, options in {
        "train": "out kind hidden layers dropout batch window steps lr clip every seed",
        "check": "kind hidden layers dropout batch window steps lr clip every seed",
        "sample": "prompt length temperature top-k top-p seed",
    }.items():
        done = run(tmp_path, command, "--help")
        assert done.returncode == 0
        for option in options.split():
            assert f"--{option} " in done.stdout
        assert "(default: " in done.stdout
