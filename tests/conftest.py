"""What several test files share."""

import pytest
import torch


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
