"""``python -m rnnlib sample`` and ``check``, and what the commands refuse, as a user meets it."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from command_cases import COMMAND, QUICK, SMALL, complaint, environment, on_posix, run, sentences
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import commands, saving
from rnnlib.character import CharacterModel, Training
from rnnlib.commands import reading
from rnnlib.text import Vocabulary

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


def stopped_sampling(diary, characters):
    """Press Ctrl-C when so many characters have come; return the code, all that came, errors."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import runpy; runpy.run_module('rnnlib', run_name='__main__')"
    )
    words = "sample diary.npz --length 1000000 --seed 3 --prompt Ada".split()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=diary,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    deadline = threading.Timer(60, process.kill)  # Else one that prints at its end would hold us.
    deadline.start()
    try:
        came = process.stdout.read(characters)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    finally:
        deadline.cancel()
        process.kill()
    return process.returncode, came + rest, errors


@on_posix
def test_ctrl_c_leaves_what_was_drawn(diary):
    code, came, errors = stopped_sampling(diary, 50)
    assert code == 130
    told = re.fullmatch(r"stopped by Ctrl-C after ([\d,]+) of 1,000,000 characters\n", errors)
    assert told, errors
    drawn = int(told[1].replace(",", ""))
    assert 46 <= drawn < 1_000_000
    model = CharacterModel.load(diary / "diary.npz")
    whole = "Ada" + model.sample("Ada", drawn + 1, 0.8, rng=3)
    # The signal may come between a character and its being counted.
    assert came in (whole[:-1] + "\n", whole + "\n")


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
    "of an old Mac": (
        b"line one\rline two\rbad \xff here\r",
        r"byte 0xFF at offset 22 \(line 3, column 5\)",
    ),
    "both line ends": (b"one\r\ntwo\r\rx\xff", r"at offset 11 \(line 4, column 2\)"),
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
        ("folder.npz", r"--out: expected the name of a file, got the folder folder\.npz\n"),
        (".", r"--out: expected the name of a file, got the folder \.\n"),
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
