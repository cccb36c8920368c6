"""What lesson 05 writes out by hand agrees with the package."""

import pytest
import torch
from conftest import SIDE, seed

from attnd_nb import ad_loss, draw_noise, encode_prompt, predict_noise, record
from attnd_nb.exercises.lesson_05 import layer_loss


def read(pipe, latents, t):
    with record(pipe, "last6", stop=True) as features:
        predict_noise(pipe, latents, t, encode_prompt(pipe, ""))
    return features


@pytest.mark.parametrize("t", [1, 501])
def test_the_answer_summed_over_layers_is_ad_loss(any_pipe, t):
    z = draw_noise(any_pipe, 1, (SIDE, SIDE), seed(1)).requires_grad_()
    z_s = draw_noise(any_pipe, 1, (SIDE, 2 * SIDE), seed(2))
    own, style = read(any_pipe, z, t), read(any_pipe, z_s, t)
    losses = [sum(layer_loss(own[name], style[name]) for name in own), ad_loss(own, style)]
    assert torch.allclose(*losses, rtol=1e-5)
    gradients = [torch.autograd.grad(loss, z, retain_graph=True)[0] for loss in losses]
    assert gradients[0].abs().max() > 0 and torch.allclose(*gradients, rtol=1e-3, atol=1e-7)
