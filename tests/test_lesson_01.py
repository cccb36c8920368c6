"""What lesson 01 writes out by hand agrees with the package."""

from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from conftest import picture
from scipy.ndimage import gaussian_filter

from attnd_nb import decode, encode
from attnd_nb.exercises.lesson_01 import StandIn, to_latents, to_pixels
from attnd_nb.images import to_tensor
from attnd_nb.latents import scaling
from attnd_nb.metrics import psnr

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "01_latents_and_vae.ipynb"


@pytest.mark.parametrize("shift", [None, 0.3])
def test_the_answers_are_encode_and_decode(tiny_sd, monkeypatch, shift):
    config = dict(tiny_sd.vae.config, shift_factor=shift)
    monkeypatch.setattr(tiny_sd.vae, "_internal_dict", type(tiny_sd.vae.config)(config))
    scale, offset = scaling(tiny_sd)
    assert offset == (shift or 0)
    with torch.no_grad():
        latents = to_latents(tiny_sd.vae, to_tensor([picture()]), scale, offset)
        assert torch.equal(latents, encode(tiny_sd, picture()))
        assert torch.equal(to_pixels(tiny_sd.vae, latents, scale, offset), decode(tiny_sd, latents))


def test_psnr_by_hand_is_that_of_the_package():
    """The formula of section 3, on the pictures as the package compares them: 8 bits, in [0, 1]."""
    a, b = (np.asarray(picture(number), float) / 255 for number in (1, 2))
    assert 10 * np.log10(1 / np.mean((a - b) ** 2)) == pytest.approx(psnr(a, b), abs=1e-4)


def test_the_stand_in_loses_nothing():
    pixels = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(0))
    latents = to_latents(StandIn(), pixels, 0.7, 0.2)
    assert torch.allclose(to_pixels(StandIn(), latents, 0.7, 0.2), pixels, atol=1e-6)


def test_the_octaves_are_shares_of_what_was_there():
    """The notebook's `kept` on bands of its own: all of it, half of it, none."""
    (cell,) = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if "def kept" in cell.source]
    scope = {"np": np, "gaussian_filter": gaussian_filter}
    exec(cell, scope)
    pixels = np.asarray(picture(1), float)
    assert scope["kept"](pixels, pixels) == pytest.approx([1] * 5)
    assert scope["kept"](pixels, pixels / 2) == pytest.approx([0.5] * 5)
    assert scope["kept"](pixels, pixels * 0) == [0] * 5
    assert np.allclose(sum(scope["bands"](pixels)), (pixels - gaussian_filter(pixels, (16, 16, 0))) / 255)
