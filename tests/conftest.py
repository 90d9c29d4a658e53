"""What several test files share."""

import pytest
import torch
from command_cases import QUICK, run, sentences


@pytest.fixture(
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.cuda,
                pytest.mark.skipif(
                    not torch.cuda.is_available(), reason="torch finds no graphics card here"
                ),
            ],
        ),
    ]
)
def device(request):
    """Each device that torch can use; a graphics card where there is one."""
    return request.param


@pytest.fixture(scope="session")
def diary(tmp_path_factory):
    """A folder with a text, diary.txt, and a model trained on it, diary.npz."""
    folder = tmp_path_factory.mktemp("diary")
    (folder / "diary.txt").write_text(sentences(), encoding="utf-8")
    done = run(folder, "train", "diary.txt", "--out", "diary.npz", *QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (folder / "train.log").write_text(done.stdout, encoding="utf-8")
    return folder
