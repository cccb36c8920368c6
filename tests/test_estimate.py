"""What a run will take, and what to do when memory does not suffice."""

import math

import pytest
import torch
from conftest import picture, seed, unchanged

from attnd_nb import Estimate, estimate, expand, guided_sample, optimize, tune_decoder


def test_an_estimate_is_the_start_and_the_steps(tiny_sd, monkeypatch):
    clock, seen = [0.0], []

    def verb(pipe, style, num_inference_steps=50, generator=None, progress=True, callback=None):
        seen.append((num_inference_steps, generator, progress, callback))
        clock[0] += 5 + 2 * num_inference_steps

    monkeypatch.setattr("attnd_nb.planning.timeit", lambda run, number: -clock[0] + (run(), clock[0])[1])
    assert estimate(verb, tiny_sd, "x", generator=seed(), callback=print).seconds == 105
    assert estimate(verb, tiny_sd, "x", 4).seconds == 13
    assert seen == [(count, None, False, None) for count in (1, 1, 3)] * 2


def test_an_estimate_counts_the_timesteps_that_strength_leaves(tiny_sd, monkeypatch):
    clock = [0.0]

    def verb(pipe, style, strength=None, num_inference_steps=50, generator=None, progress=True, callback=None):
        clock[0] += 5 + 2 * math.ceil(round(num_inference_steps * strength, 6))

    monkeypatch.setattr("attnd_nb.planning.timeit", lambda run, number: -clock[0] + (run(), clock[0])[1])
    for strength, seconds in ((0.6, 65), (0.1, 15), (0.07, 13), (1, 105)):
        assert estimate(verb, tiny_sd, "x", strength=strength).seconds == seconds


def test_what_has_no_timesteps_cannot_be_estimated(tiny_sd):
    with pytest.raises(ValueError, match="tune_decoder"):
        estimate(tune_decoder, tiny_sd, picture(1))


def test_an_estimate_leaves_everything_as_it_was(tiny_sd):
    generator = seed()
    with unchanged(tiny_sd):
        for verb in (optimize, guided_sample, expand):
            assert estimate(verb, tiny_sd, picture(1), generator=generator).memory > 0
    assert torch.equal(generator.get_state(), seed().get_state())


def test_an_estimate_near_the_limit_says_how_to_need_less():
    assert "enable_gradient_checkpointing" in str(Estimate(100.0, 95 * 2**30, 100 * 2**30))
    assert str(Estimate(150.0, 2**30, 100 * 2**30)) == "about 2.5 min, 1.0 of 100.0 GiB"


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError("can't allocate memory: you tried 9 bytes"),
     RuntimeError("MPS backend out of memory")],
)
def test_running_out_of_memory_says_how_to_need_less(tiny_sd, error):
    def fail(step):
        raise error

    with unchanged(tiny_sd), pytest.raises(type(error)) as caught:
        optimize(tiny_sd, picture(1), num_steps=1, callback=fail)
    assert "enable_gradient_checkpointing" in caught.value.__notes__[0]
