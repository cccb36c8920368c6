"""What a run will take, and what to do when memory does not suffice."""

import pytest
import torch
from conftest import picture, unchanged

from attnd_nb import Estimate, estimate, guided_sample, optimize


def test_an_estimate_grows_with_the_steps(tiny_sd):
    with unchanged(tiny_sd):
        few, many = (estimate(optimize, tiny_sd, picture(1), num_steps=steps).seconds for steps in (2, 900))
    assert 0 < few < many
    assert estimate(guided_sample, tiny_sd, picture(1), num_inference_steps=3).memory > 0


def test_an_estimate_near_the_limit_says_how_to_need_less():
    assert "enable_gradient_checkpointing" in str(Estimate(100.0, 95 * 2**30, 100 * 2**30))
    assert str(Estimate(150.0, 2**30, 100 * 2**30)) == "about 2.5 min, 1.0 of 100.0 GiB"


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_running_out_of_memory_says_how_to_need_less(tiny_sd, error):
    def fail(step):
        raise error

    with unchanged(tiny_sd), pytest.raises(type(error)) as caught:
        optimize(tiny_sd, picture(1), num_steps=1, callback=fail)
    assert "enable_gradient_checkpointing" in caught.value.__notes__[0]
