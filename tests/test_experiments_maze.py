"""experiments/maze.py: the maze keeps its rules, and the file is whole or not there."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "experiments" / "maze.py"
TINY = ("--seeds=2", "--updates=20", "--episodes=2", "--hidden=3")
WALK, LEFT, RIGHT = np.eye(3)


@pytest.fixture(scope="module")
def maze():
    """The script's names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TQDM_DISABLE", "1")
        yield runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def result(maze, tmp_path_factory):
    out = tmp_path_factory.mktemp("maze")
    maze["main"]([*TINY, f"--out={out}"])
    assert [p.name for p in out.iterdir()] == ["maze.json"]
    return json.loads((out / "maze.json").read_text())


def walked(maze, *actions, L=2):
    """Two mazes, with cues left and right; return the maze, what was seen, and the rewards."""
    here = maze["Maze"](L, 2, np.random.default_rng(0))
    here.cue = np.array([1, 2])
    seen, rewards = [], []
    for action in actions:
        seen.append(here.look())
        rewards.append(here.walk(np.array(action)).tolist())
    return here, np.array(seen), rewards


def test_the_way_through(maze):
    here, seen, rewards = walked(maze, (WALK, WALK), (WALK, WALK), (LEFT, LEFT))
    assert seen[:, :, 0].tolist() == [[-1, 1], [0, 0], [0, 0]]
    assert seen[:, :, 1].tolist() == [[0, 0], [0, 0], [1, 1]]
    assert rewards == [[0, 0], [0, 0], [1, 0]]
    assert here.over()
    assert here.right.tolist() == [True, False]


def test_bumps_cost_and_do_not_move(maze):
    here, seen, rewards = walked(
        maze, (LEFT, WALK), (WALK, WALK), (WALK, WALK), (LEFT, RIGHT), (RIGHT, WALK)
    )
    assert rewards == [[-0.1, 0], [0, 0], [0, -0.1], [1, 1], [0, 0]]
    assert seen[3, :, 1].tolist() == [1, 1]
    assert not seen[4].any()
    assert here.over()


def test_it_ends(maze):
    here, _, rewards = walked(maze, *[(LEFT, LEFT)] * (2 + maze["SPARE"]))
    assert here.over()
    assert not here.right.any()
    assert set(map(tuple, rewards)) == {(-0.1, -0.1)}


def test_the_cue_is_seen_once_and_the_noise_is_new(maze):
    _, seen, _ = walked(maze, *[(LEFT, LEFT)] * 4)
    assert not seen[1:, :, 0].any()
    assert (np.diff(seen[:, :, 2:], axis=0) != 0).all()


def test_to_go(maze):
    assert maze["to_go"](np.array([[1.0], [2.0], [4.0]])).tolist() == [[7], [6], [4]]


def test_the_running_mean_counts_who_is_on_and_is_for_later(maze):
    mean = maze["RunningMean"](3)
    returns, on = np.array([[2.0, 4.0], [6.0, 9.0]]), np.array([[True, True], [True, False]])
    assert mean.after(returns, on).tolist() == [[0], [0]]
    assert np.allclose(mean.mean, [0.3, 0.6, 0])
    assert np.allclose(mean.after(returns, on), [[0.3], [0.6]])


def test_the_file_has_every_case_from_every_seed(maze, result):
    names = ("signal", "L", "gift", "memory", "seed")
    found = [tuple(run[n] for n in names) for run in result["runs"]]
    wanted = [(c.signal, c.L, c.gift, c.memory, s) for c in maze["all_cases"]() for s in (0, 1)]
    assert found == wanted
    assert len(set(found)) == len(found)
    for run in result["runs"]:
        assert len(run["returns"]) == 2
        assert all(-3 < r <= 1 for r in run["returns"])
        assert 0 <= run["right"] <= 1
    assert result["about"]["script"] == "experiments/maze.py"
    assert result["settings"]["updates"] == 20


@pytest.mark.parametrize("signal", ["whole", "to go", "constant", "learned"])
def test_a_seed_repeats_and_another_differs(maze, signal):
    options = maze["read_options"]([*TINY, "--out=runs"])
    case, bar = maze["Case"](signal), maze["tqdm"](disable=True)
    first, again, other = (maze["run"](case, seed, options, bar) for seed in (0, 0, 1))
    assert first == again
    assert first["returns"] != other["returns"]


def test_a_policy_with_a_memory_learns_a_short_maze(maze):
    options = maze["read_options"](["--updates=150", "--rate=0.03", "--out=runs"])
    run = maze["run"](maze["Case"]("learned", L=1), 0, options, maze["tqdm"](disable=True))
    assert run["right"] > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--seeds=0", "--seeds: expected an integer of at least 1, got '0'"),
        ("--rate=-1", "--rate: expected a number > 0, got '-1'"),
        ("--updates=x", "--updates: expected an integer of at least 1, got 'x'"),
        (f"--out={__file__}", "--out: expected a folder, got the file"),
    ],
)
def test_wrong_options_are_refused(arguments, message):
    result = subprocess.run(
        [sys.executable, SCRIPT, arguments], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 2
    assert message in result.stderr


def test_no_file_is_left_after_a_failure(maze, tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setitem(maze["run"].__globals__, "right_turns", broken)
    with pytest.raises(RuntimeError, match="broken"):
        maze["main"]([*TINY, f"--out={tmp_path}"])
    assert not list(tmp_path.iterdir())
