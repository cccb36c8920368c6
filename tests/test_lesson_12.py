"""What lesson 12 writes out by hand agrees with the package."""

import copy

import numpy as np
import torch
from conftest import picture

from attnd_nb import tune_decoder
from attnd_nb.exercises.lesson_12 import check_tune, tune
from attnd_nb.images import to_tensor


def test_the_answer_is_tune_decoder(tiny_sd):
    parts = {name: copy.deepcopy(part) for name, part in tiny_sd.components.items()}
    theirs = type(tiny_sd)(**parts, requires_safety_checker=False)
    vae, pixels = copy.deepcopy(tiny_sd.vae).eval().requires_grad_(False), to_tensor([picture(1)]) * 2 - 1
    mine = tune(vae, pixels, 4, 1e-3)
    assert np.allclose(mine, tune_decoder(theirs, picture(1), steps=4, learning_rate=1e-3, progress=False), rtol=1e-4)
    apart = torch.cat([(weight - theirs.vae.get_parameter(name)).detach().abs().flatten()
                       for name, weight in vae.named_parameters() if name.startswith(("decoder.", "post_quant_conv."))])
    assert (apart < 1e-4).float().mean() > 0.95  # Adam's ±1e-3 at first: a sign that hangs on rounding may differ


def test_the_check_leaves_the_random_numbers_of_others_alone():
    state = torch.get_rng_state()
    check_tune(tune)
    assert torch.equal(state, torch.get_rng_state())
