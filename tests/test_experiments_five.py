"""experiments/five_models.py and hidden_units.py: the models, the measures, and their files."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))

import five_models  # noqa: E402
import hidden_units  # noqa: E402
import own_text  # noqa: E402

from rnnlib import text  # noqa: E402

FIVE = (
    five_models.Char3Model,
    five_models.CharLoopModel,
    five_models.CharLoopConcatModel,
    five_models.CharRnn,
    five_models.CharSeqRnn,
)
TINY = ["--updates=4", "--batch=8", "--hidden=6", "--embedding=4", "--tuning-updates=1"]
CODES = np.random.default_rng(0).integers(0, 7, 500)
PARAGRAPHS = (
    "“Speak, thou vast and venerable head,” he said. And the rest of this line is told by nobody,\n"
    "as it seems, so that there is text outside of the marks, for the sake of those who read on.\n"
    "\n"
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text(PARAGRAPHS * 20, encoding="utf-8")
    return path


def rows(n, T=8, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 7, (T + 1, n)))


# The models -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FIVE)
def test_counts_and_shapes_are_the_sources(kind):
    model = kind(85)
    expected = 167_751 if kind is five_models.CharLoopConcatModel else 102_215
    assert five_models.parameters(model) == expected
    T = 3 if kind is five_models.Char3Model else 8
    shape = (8, 512, 85) if kind is five_models.CharSeqRnn else (512, 85)
    assert model(torch.zeros(T, 512, dtype=int)).shape == shape


def test_equal_hidden_is_the_nearest():
    wanted = five_models.parameters(five_models.CharLoopModel(85))
    H = five_models.equal_hidden(85, 42, 256)
    off = [
        abs(five_models.parameters(five_models.CharLoopConcatModel(85, 42, h)) - wanted)
        for h in (H - 1, H, H + 1)
    ]
    assert off[1] == min(off)


def test_three_is_the_loop_and_the_sequence_ends_as_the_layer():
    three, loop = five_models.Char3Model(7, 3, 5), five_models.CharLoopModel(7, 3, 5)
    loop.load_state_dict(three.state_dict())
    codes = rows(4)
    assert torch.equal(three(codes[:3]), loop(codes[:3]))
    last = five_models.CharRnn(7, 3, 5)
    torch.testing.assert_close(five_models.as_seq(last)(codes)[-1], last(codes))
    assert five_models.as_seq(last)(codes).shape == (9, 4, 7)


def test_the_state_is_carried_and_cut():
    run = five_models.Run(five_models.CharSeqRnn, CODES, 7, 3, 5, 4, None, 8, 1e-30, 0)
    run.advance(2)
    assert not run.state.requires_grad
    assert run.per_pass == 499 // 32
    stream = torch.from_numpy(CODES[: 15 * 4 * 8].reshape(8, -1).T.copy())
    torch.testing.assert_close(run.state, run.model.run(stream[:8])[1])
    run.advance(run.per_pass + 1)  # A new pass starts from zeros.
    torch.testing.assert_close(run.state, run.model.run(stream[:4])[1])


def test_generated_text_is_drawn_by_the_settings():
    torch.manual_seed(0)
    model, vocabulary = five_models.CharSeqRnn(7, 3, 5), text.Vocabulary("abcdefg")
    with torch.no_grad():
        model.rnn.weight_hh_l0.mul_(5)  # The state has to matter.

    def made(seed, **setting):
        rng = np.random.default_rng(seed)
        return five_models.generate(model, vocabulary, "ab", 12, rng, **setting)

    assert made(0) == made(0) != made(1)
    assert made(0, temperature=0) == made(1, temperature=0) == made(2, top_k=1)
    codes = torch.from_numpy(vocabulary.encode("ab" + made(0, top_k=1)))
    likeliest = model(codes[:, None]).argmax(dim=-1)[1:-1, 0]
    assert likeliest.tolist() == codes[2:].tolist()


# What is trained on and measured ----------------------------------------------------------


def test_windows_overlap_or_stand_side_by_side():
    every, some = five_models.samples(CODES, 8, 1), five_models.samples(CODES, 8, 8)
    assert every.shape == (492, 9)
    assert some.shape == (62, 9)
    assert (every[:, -1] == CODES[8:]).all()
    assert (some[:, 1:].ravel() == CODES[1 : 1 + 62 * 8]).all()


def test_a_pass_takes_each_row_once():
    numbers = np.arange(36).reshape(12, 3)
    batches = five_models.shuffled(numbers, 5, np.random.default_rng(0))
    for _ in range(3):
        taken = torch.cat([next(batches)[0] for _ in range(2)])
        assert len(set(taken.tolist())) == 10
        assert set(taken.tolist()) <= set(range(0, 36, 3))


@pytest.mark.parametrize("kind", FIVE)
def test_the_last_loss_is_that_of_the_last_character(kind):
    model, batch = kind(7, 3, 5), rows(2300)
    read = batch[-4:-1] if kind is five_models.Char3Model else batch[:-1]
    scores = model(read)
    scores = scores[-1] if scores.dim() == 3 else scores
    expected = cross_entropy(scores, batch[-1]).item()
    assert five_models.last_loss(model, batch.T.numpy()) == pytest.approx(expected, rel=1e-5)


def test_losses_by_place():
    model, batch = five_models.CharSeqRnn(7, 3, 5), rows(1100)
    found = five_models.position_losses(model, batch.T.numpy())
    expected = [cross_entropy(model(batch[:8])[t], batch[t + 1]).item() for t in range(8)]
    assert found == pytest.approx(expected, rel=1e-5)
    assert np.mean(found) == pytest.approx(five_models.window_loss(model, batch).item(), rel=1e-5)

    carried = five_models.carried_losses(model, CODES, 8, streams=2)
    streams = torch.from_numpy(CODES[:496].reshape(2, -1).T.copy())
    targets = torch.from_numpy(CODES[1:497].reshape(2, -1).T.copy())
    losses = cross_entropy(model(streams).movedim(2, 1), targets, reduction="none")
    expected = losses.mean(dim=1).reshape(31, 8).mean(dim=0)
    assert carried == pytest.approx(expected.tolist(), rel=1e-5)


# Its file ---------------------------------------------------------------------------------


def test_five_models_writes_its_file(book, tmp_path):
    out = tmp_path / "results"
    five_models.main([f"--text={book}", f"--out={out}", "--seeds", "5", "6", *TINY])
    assert [p.name for p in out.iterdir()] == ["five_models.json"]
    result = json.loads((out / "five_models.json").read_text(encoding="utf-8"))
    assert result["about"]["seed"] == [5, 6]
    assert result["about"]["text"] == "book.txt"
    assert result["symbols"] == len(set(PARAGRAPHS))
    assert len(result["models"]) == 8
    assert set(result["models"]) == set(result["tuning"]["loss"])
    for name, entry in result["models"].items():
        assert entry["rate"] in result["tuning"]["rates"]
        for run in entry["runs"]:
            assert [mark for mark, _ in run["curve"]] == [1, 2, 4]
            if "Rnn" in name:
                assert len(run["zeros"]) == len(run["carried"]) == 8
    at_end = result["models"]["CharSeqRnn"]["runs"][0]
    assert at_end["zeros"][-1] == pytest.approx(at_end["curve"][-1][1], abs=2e-4)
    assert set(result["generated"]) == set(five_models.SETTINGS)
    assert all(len(made) == 300 for made in result["generated"].values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "-1"], "--seeds: expected an integer of at least 0, got '-1'"),
        (["--window=2"], "--window: expected at least 3, got 2"),
        (["--updates=0"], "--updates: expected an integer of at least 1, got '0'"),
        (["--rates", "inf"], "--rates: expected a number > 0, got 'inf'"),
        (["--batch=900"], "--text: expected at least 7201 characters to train on"),
        (["--text=nowhere.txt"], "--text: nowhere.txt: No such file"),
        (
            ["--text=BAD"],
            r"--text: .*bad.txt: expected UTF-8, got byte 0xFF at offset 2 \(line 2, ",
        ),
        (["--text=EMPTY"], r"--text: .*empty.txt: expected a text, got an empty file"),
    ],
)
def test_five_models_refuses(book, tmp_path, capsys, arguments, message):
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"a\r\xff\xff")
    (tmp_path / "empty.txt").write_bytes(b"")
    names = {"BAD": str(bad), "EMPTY": str(tmp_path / "empty.txt")}
    arguments = [a[:7] + names[a[7:]] if a[7:] in names else a for a in arguments]
    out = tmp_path / "results"
    with pytest.raises(SystemExit) as caught:
        five_models.main([f"--text={book}", f"--out={out}", *arguments])
    told = capsys.readouterr().err
    if message.startswith("--text"):  # One line, for the end of the process to print.
        assert not told
        told = caught.value.code
        assert told.startswith("five_models.py: --text: ")
    assert re.search(message, told)
    assert not out.exists()


def test_a_failed_run_leaves_nothing(book, tmp_path, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("on the way")

    monkeypatch.setattr(five_models, "write_text", fail)
    out = tmp_path / "results"
    with pytest.raises(RuntimeError, match="on the way"):
        five_models.main([f"--text={book}", f"--out={out}", "--seeds", "0", *TINY])
    assert not out.exists()


# Hidden units -----------------------------------------------------------------------------


def test_features():
    words = "ab“c\nd”e\n\n“f\n\ng"
    assert hidden_units.line_places(words).tolist() == [1, 2, 3, 4, 0, 1, 2, 3, 0, 0, 1, 2, 0, 0, 1]
    inside = hidden_units.inside_quotes(words)
    assert inside.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0]


def test_correlations_are_numpys():
    rng = np.random.default_rng(0)
    c, feature = rng.normal(size=(50, 4)), rng.normal(size=50)
    expected = [np.corrcoef(np.tanh(c[:, k]), feature)[0, 1] for k in range(4)]
    assert hidden_units.correlations(c, feature) == pytest.approx(expected, abs=1e-12)


def test_states_are_read_one_character_at_a_time():
    torch.manual_seed(0)
    model = hidden_units.CharacterModel("LSTM", 7, 5, 1)
    states, loss = hidden_units.read(model, CODES, streams=2)
    assert states.shape == (2, 2, 250, 5)
    streams = torch.from_numpy(CODES.reshape(2, 250))
    for t in (1, 100, 250):
        _, state = model(streams[:, :t].T, model.zero_state(2))
        torch.testing.assert_close(states[:, :, t - 1], state[:, 0])
    scores, _ = model(streams.T, model.zero_state(2))
    late = slice(hidden_units.WARM_UP, -1)
    expected = cross_entropy(scores[late].flatten(0, 1), streams.T[201:].flatten())
    assert loss == pytest.approx(expected.item(), rel=1e-5)


def test_an_intervention_changes_one_unit_and_nothing_else():
    torch.manual_seed(0)
    vocabulary = text.Vocabulary.from_text(PARAGRAPHS)
    words = PARAGRAPHS * 20
    model = hidden_units.CharacterModel("LSTM", len(vocabulary), 6, 1)
    half = hidden_units.Half(model, vocabulary.encode(words), words, streams=4)
    moments, before = np.array([3, 40]), half.states.clone()
    plain = hidden_units.expected(model, half, moments, 2, 5)
    assert 0 < plain < 5
    moved = hidden_units.expected(model, half, moments, 2, 5, unit=1, value=9.0)
    assert abs(moved - plain) > 1e-4
    assert torch.equal(half.states, before)
    # What a run over the text expects, from the same states.
    at = torch.as_tensor(half.at[moments])
    codes = torch.stack([half.codes[at + k] for k in range(1, 6)])
    for value, found in ((None, plain), (9.0, moved)):
        state = half.states[:, moments][:, None].clone()
        if value is not None:
            state[1, 0, :, 1] = value
        total = model(codes, state)[0].softmax(dim=-1)[..., 2].mean(dim=1).sum().item()
        assert found == pytest.approx(total, rel=1e-5)


def test_hidden_units_writes_its_file(tmp_path, monkeypatch):
    words = PARAGRAPHS * 500
    monkeypatch.setattr(own_text.data, "load_text", lambda name: words)
    out = tmp_path / "results"
    tiny = ["--updates=3", "--hidden=5", "--part=8000", "--length=120", "--seeds", "4"]
    hidden_units.main([f"--out={out}", *tiny])
    assert [p.name for p in out.iterdir()] == ["hidden_units.json"]
    result = json.loads((out / "hidden_units.json").read_text(encoding="utf-8"))
    assert result["about"]["seed"] == [4]
    assert result["about"]["text"] == "moby_dick"
    assert result["training"]["updates"] == 3
    (run,) = result["runs"]
    assert words[run["start"]] == "“"
    assert run["start"] > 0.95 * 0.9 * len(words)
    for name in ("line", "quote"):
        assert 0 <= run[name]["unit"] < 5
        assert len(run[name]["activation"]) == 120
        assert -1 <= run[name]["correlation"] <= 1
        assert 1 <= run[name]["intervention"]["rank"] <= 5


def test_hidden_units_reads_another_text(tmp_path):
    path, out = tmp_path / "mine.txt", tmp_path / "results"
    path.write_text(PARAGRAPHS * 500, encoding="utf-8", newline="\r\n")
    tiny = ["--updates=3", "--hidden=5", "--part=8000", "--length=120", "--seeds", "4"]
    hidden_units.main([f"--text={path}", f"--out={out}", *tiny])
    result = json.loads((out / "hidden_units.json").read_text(encoding="utf-8"))
    assert result["about"]["text"] == "mine.txt"
    assert (PARAGRAPHS * 500)[result["runs"][0]["start"]] == "“"


PLAIN = PARAGRAPHS.replace("“", "").replace("”", "")
OPEN = "“Who?”\n\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", r"mine.txt: expected a text, got an empty file"),
        (PARAGRAPHS, f"expected at least 80000 characters, got {len(PARAGRAPHS)}"),
        (PLAIN * 500, "a paragraph near the end that opens a quotation with “ and soon closes it"),
        ("“Who is it,\nand why?”\n\n" * 4000, "expected lines of more than 60 characters in each"),
        (
            PLAIN * 450 + OPEN + PLAIN * 35 + OPEN + PLAIN * 10,
            "expected quotations between “ and ”",
        ),
    ],
)
def test_hidden_units_refuses_a_text_without_what_it_follows(tmp_path, words, message):
    path, out = tmp_path / "mine.txt", tmp_path / "results"
    path.write_text(words, encoding="utf-8")
    tiny = ["--updates=3", "--hidden=5", "--length=60", "--seeds", "4"]
    with pytest.raises(SystemExit, match=message) as caught:
        hidden_units.main([f"--text={path}", f"--out={out}", *tiny])
    assert caught.value.code.startswith("hidden_units.py: --text: ")
    assert not out.exists()


@pytest.mark.parametrize("script", [five_models, hidden_units])
@pytest.mark.parametrize("own", [["--text=TEXT"], ["--seeds", "0", "1"], ["--updates=3"]])
def test_another_run_than_the_book_s_needs_a_folder(script, own, book, capsys):
    with pytest.raises(SystemExit):
        script.read_options([own[0].replace("TEXT", str(book)), *own[1:]])
    option = own[0].partition("=")[0]
    told = capsys.readouterr().err
    assert f"--out: expected a folder, for {option} is another than in the book" in told


def test_the_book_s_run_needs_none(monkeypatch, book):
    monkeypatch.setattr(own_text.data, "load_text", lambda name: PARAGRAPHS * 500)
    for script in (five_models, hidden_units):
        assert script.read_options([]).out == script.results_file.EXPERIMENTS
        assert script.read_options(["--seeds", "0", "1", "2"]).out.name == "results"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rate=-1"], "--rate: expected a number > 0, got '-1'"),
        (["--hidden=0"], "--hidden: expected an integer of at least 1, got '0'"),
        (["--part=10"], "--part: expected at least 8000, got 10"),
    ],
)
def test_hidden_units_refuses(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit):
        hidden_units.main([f"--out={tmp_path / 'results'}", *arguments])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
