"""What lesson 04 writes out by hand agrees with the package."""

import contextlib

import torch
from conftest import SIDE, picture, seed

from attnd_nb import (
    ddim_scheduler,
    draw_noise,
    encode,
    encode_prompt,
    inject,
    injected_sample,
    noise_to,
    predict_noise,
    record,
    select_layers,
)
from attnd_nb.exercises.lesson_04 import inject_layer


@contextlib.contextmanager
def injected(pipe, reference):
    """As in the lesson: the answer to its exercise on every recorded layer."""
    handles = []
    try:
        for name, module in select_layers(pipe, list(reference)).items():
            handles += inject_layer(module, reference[name].key, reference[name].value)
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def test_the_answer_is_inject(tiny_sd):
    condition, latents = encode_prompt(tiny_sd, ""), draw_noise(tiny_sd, 2, (SIDE, SIDE), seed(1))
    with record(tiny_sd, "last6") as reference:
        predict_noise(tiny_sd, draw_noise(tiny_sd, 1, (SIDE, 2 * SIDE), seed(2)), 100, condition)
    plain = predict_noise(tiny_sd, latents, 100, condition)
    with inject(tiny_sd, reference):
        expected = predict_noise(tiny_sd, latents, 100, condition)
    with injected(tiny_sd, reference):
        found = predict_noise(tiny_sd, latents, 100, condition)
    assert torch.equal(found, expected) and not torch.equal(found, plain)
    assert torch.equal(predict_noise(tiny_sd, latents, 100, condition), plain)


@torch.no_grad()
def test_the_loop_of_the_lesson_is_injected_sample(tiny_sd):
    style, size, generator, empty = picture(1), (SIDE, SIDE), seed(3), encode_prompt(tiny_sd, "")
    scheduler = ddim_scheduler(tiny_sd)
    scheduler.set_timesteps(4)
    z_s, z = encode(tiny_sd, style), draw_noise(tiny_sd, 1, size, generator)
    for t in scheduler.timesteps:
        with record(tiny_sd, "last6", stop=True) as reference:
            predict_noise(tiny_sd, noise_to(z_s, scheduler.alphas_cumprod[t], generator), t, empty)
        with injected(tiny_sd, reference):
            noise = predict_noise(tiny_sd, z, t, empty)
        z = scheduler.step(noise, t, z, return_dict=False)[0]
    expected = injected_sample(tiny_sd, style, size=size, num_inference_steps=4, resolution=SIDE, generator=seed(3))
    assert torch.allclose(z.cpu(), expected.latents, atol=1e-5)
