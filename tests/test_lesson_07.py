"""What lesson 07 writes out by hand agrees with the package."""

from pathlib import Path

import nbformat
import pytest
import torch
from conftest import SIDE

from attnd_nb import encode, encode_prompt, losses, optimize
from attnd_nb.exercises.lesson_07 import content_loss

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "07_content_loss.ipynb"


def lesson(pipe):
    """The functions of the lesson, from its own cells."""
    cells = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    setup = next(source for source in cells if "google.colab" in source)
    names = {"content_loss": content_loss}
    exec("\n".join(line for line in setup.splitlines() if line.startswith(("import", "from"))), names)
    names |= {"pipe": pipe, "condition": encode_prompt(pipe, "")}
    for source in cells:
        if "def read(" in source or "def transfer(" in source:
            exec(source, names)
    return names


@pytest.mark.parametrize("weight", [0.0, 0.25])
def test_the_inline_transfer_is_optimize(any_pipe, style, content, weight):
    transfer, log = lesson(any_pipe)["transfer"], []
    z_c, z_s = encode(any_pipe, content), encode(any_pipe, style)
    ours = transfer(z_c, z_s, weight, num_steps=6, log=log)
    package = optimize(any_pipe, style=style, content=content, content_weight=weight, resolution=SIDE, num_steps=6)
    assert not torch.allclose(z_c, ours, atol=1e-2)
    assert (ours - package.latents).abs().mean() < 2e-3
    assert log[0][1] == 0 < log[1][1]


def test_the_reference_is_the_packages_content_loss(any_pipe, style, content):
    read = lesson(any_pipe)["read"]
    z = encode(any_pipe, style).requires_grad_()
    own, target = read(z, 481), read(encode(any_pipe, content), 481)
    both = content_loss(own, target), losses.content_loss(own, target)
    assert torch.allclose(*both, rtol=1e-5)
    gradients = [torch.autograd.grad(loss, z, retain_graph=True)[0] for loss in both]
    assert gradients[0].abs().max() > 0 and torch.allclose(*gradients, rtol=1e-3, atol=1e-7)
