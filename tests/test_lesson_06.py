"""What lesson 06 writes out by hand agrees with the package and with PyTorch."""

from pathlib import Path

import nbformat
import pytest
import torch
from conftest import SIDE, seed

from attnd_nb import encode, encode_prompt, optimize
from attnd_nb.exercises.lesson_06 import adam_change, optimise
from attnd_nb.sampling import draw_noise

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "06_adam_on_latents.ipynb"


def lesson(pipe):
    """The functions of the lesson, from its own cells."""
    cells = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    setup = next(source for source in cells if "google.colab" in source)
    names = {}
    exec("\n".join(line for line in setup.splitlines() if line.startswith(("import", "from"))), names)
    names |= {"pipe": pipe, "condition": encode_prompt(pipe, "")}
    for source in cells:
        if source.startswith("def ") and ("towards(" in source or "algorithm_1(" in source) and "attempt(" not in source:
            exec(source, names)
    return names


@pytest.mark.parametrize("steps", [1, 7])
def test_the_inline_loop_and_the_reference_are_optimize(any_pipe, style, steps):
    names = lesson(any_pipe)
    noise, loss = draw_noise(any_pipe, 1, (SIDE, SIDE), seed()), names["towards"](encode(any_pipe, style))
    package = optimize(any_pipe, style=style, size=(SIDE, SIDE), resolution=SIDE, num_steps=steps, generator=seed()).latents
    assert not torch.allclose(noise, package, atol=1e-2)
    for ours in (names["algorithm_1"](loss, noise, steps), optimise(loss, noise, names["timesteps"](steps))):
        assert torch.allclose(ours, package, atol=1e-4)


def test_the_reference_of_adam_is_pytorchs():
    generator, place = torch.Generator().manual_seed(0), torch.zeros(3, 4)
    theirs = place.clone().requires_grad_()
    adam = torch.optim.Adam([theirs], lr=0.05)
    mean = square = torch.zeros_like(place)
    for step in range(1, 30):
        theirs.grad = torch.randn(place.shape, generator=generator) * 10 ** torch.randint(-4, 3, (1,), generator=generator).item()
        change, mean, square = adam_change(theirs.grad, mean, square, step, 0.05)
        place = place + change
        adam.step()
    assert torch.allclose(place, theirs.detach(), atol=1e-5)


def test_the_first_step_is_the_learning_rate_and_ignores_the_losss_size(tiny_sd, style):
    loss, noise = lesson(tiny_sd)["towards"](encode(tiny_sd, style)), draw_noise(tiny_sd, 1, (SIDE, SIDE), seed())
    once, thousandfold = (optimise(lambda z, t, by=by: by * loss(z, t), noise, [481]) for by in (1, 1000))
    assert (once - noise).abs().max().item() == pytest.approx(0.05, rel=1e-3)
    assert (once - thousandfold).abs().mean() < 1e-3  # not max: ε is felt where the gradient is about 1e-8
