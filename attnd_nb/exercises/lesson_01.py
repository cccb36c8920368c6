"""Lesson 01: into the latent space and back, with the scaling done once."""

from __future__ import annotations

import torch
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch.nn import functional as F

from . import Exercise, given, require

SCALE, SHIFT = 0.4, 0.5


class StandIn:
    """A VAE that loses nothing, with the face of `AutoencoderKL`: E(x) is 3 x + 1, cut into 2 × 2 blocks.

    It remembers what it was given, in `encoded` and `decoded`.

    >>> vae = StandIn()
    >>> x = torch.linspace(-1, 1, 48).view(1, 3, 4, 4)
    >>> z = vae.encode(x).latent_dist.mode()
    >>> tuple(z.shape), torch.allclose(vae.decode(z).sample, x)
    ((1, 12, 2, 2), True)
    """

    def encode(self, x):
        self.encoded = x
        mean = 3 * F.pixel_unshuffle(x, 2) + 1
        return AutoencoderKLOutput(latent_dist=DiagonalGaussianDistribution(torch.cat([mean, mean * 0 - 2], dim=1)))

    def decode(self, latents, return_dict=True):
        self.decoded = latents
        x = F.pixel_shuffle((latents - 1) / 3, 2)
        return DecoderOutput(sample=x) if return_dict else (x,)


def to_latents(vae, pixels, scale, shift=0.0):
    """Reference: pixels in [0, 1] to latents as the UNet expects them, (E(2 x - 1) - shift) · scale."""
    latents = vae.encode(pixels * 2 - 1).latent_dist.mode()
    return (latents - shift) * scale


def to_pixels(vae, latents, scale, shift=0.0):
    """Reference: the way back, D(z / scale + shift) from [-1, 1] to [0, 1], nothing outside."""
    pixels = vae.decode(latents / scale + shift).sample
    return (pixels / 2 + 0.5).clamp(0, 1)


def check_latents(answer) -> None:
    pixels, vae = _pixels(), StandIn()
    latents = given(answer(vae, pixels, SCALE))
    require(isinstance(latents, torch.Tensor),
            f"A tensor is asked for, this is a {type(latents).__name__}: the encoder's answer holds a "
            "distribution, `latent_dist`, and that one has a `mode()`.")
    require(hasattr(vae, "encoded"), "vae.encode was never called.")
    require(vae.encoded.min() < -0.5,
            "The VAE was given pixels in [0, 1]. It was trained on [-1, 1], so black has to be -1: 2 x - 1.")
    require(torch.equal(latents, answer(vae, pixels, SCALE)),
            "Two calls give two latents: that is a sample of the distribution, with noise. Take its mode().")
    raw = 3 * F.pixel_unshuffle(pixels * 2 - 1, 2) + 1
    require(tuple(latents.shape) == tuple(raw.shape), f"The shape is {tuple(latents.shape)}, not {tuple(raw.shape)}.")
    require(not _same(latents, raw), "These are the encoder's own numbers: the scaling is missing.")
    require(not _same(latents, raw / SCALE), "You divide by the scale. On the way in, multiply; divide on the way back.")
    require(not _same(latents, raw * SCALE**2), "The scale is there twice.")
    require(_same(latents, raw * SCALE), "Not E(2 x - 1) · scale.")
    shifted = answer(vae, pixels, SCALE, SHIFT)
    require(not _same(shifted, raw * SCALE), "The shift has no effect.")
    require(not _same(shifted, raw * SCALE - SHIFT),
            "You scale first and shift then. The shift is in the encoder's own units: subtract it first.")
    require(_same(shifted, (raw - SHIFT) * SCALE), "Right without a shift; with one, it has to be (E(2 x - 1) - shift) · scale.")


def check_pixels(answer) -> None:
    pixels, vae = _pixels(), StandIn()
    raw = 3 * F.pixel_unshuffle(pixels * 2 - 1, 2) + 1
    for shift in (0.0, SHIFT):
        latents = (raw - shift) * SCALE
        back = given(answer(vae, latents, SCALE, shift))
        require(isinstance(back, torch.Tensor),
                f"A tensor is asked for, this is a {type(back).__name__}: the decoder's answer holds it as `.sample`.")
        require(hasattr(vae, "decoded"), "vae.decode was never called.")
        seen = vae.decoded
        require(tuple(seen.shape) == tuple(raw.shape), f"vae.decode was given {tuple(seen.shape)}, not {tuple(raw.shape)}.")
        if not shift:
            require(not _same(seen, latents), "The decoder was given scaled latents: undo the scaling first.")
            require(not _same(seen, latents * SCALE), "You multiply by the scale once more. On the way back, divide.")
        require(not shift or not _same(seen, latents / SCALE), "The shift has no effect.")
        require(not shift or not _same(seen, (latents + shift) / SCALE),
                "The shift is added before the division. Undo in the opposite order: divide, then add.")
        require(_same(seen, raw), "The decoder was not given latents / scale + shift.")
    require(not _same(back, pixels * 2 - 1), "These pixels lie in [-1, 1]. Bring them to [0, 1]: x / 2 + 0.5.")
    require(_same(back, pixels),
            "The decoder was asked for the right thing, but its answer is not brought from [-1, 1] to [0, 1].")
    far = answer(vae, raw * 5 * SCALE, SCALE)
    require(0 <= far.min() and far.max() <= 1,
            f"A decoder may overshoot, and then a pixel is {far.max():.1f}. A picture ends at 0 and 1: clamp.")


def _pixels() -> torch.Tensor:
    """Two small pictures that use the whole of [0, 1]."""
    return torch.linspace(0, 1, 2 * 3 * 4 * 6).view(2, 3, 4, 6)


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.allclose(a, b, atol=1e-5)


EXERCISES = (
    Exercise(
        name="01.latents",
        reference=to_latents,
        check=check_latents,
        wrong={
            "this is a DiagonalGaussianDistribution": lambda vae, x, scale, shift=0.0: vae.encode(x * 2 - 1).latent_dist,
            "vae.encode was never called": lambda vae, x, scale, shift=0.0: (x - shift) * scale,
            "trained on [-1, 1]": lambda vae, x, scale, shift=0.0: to_latents(vae, x / 2 + 0.5, scale, shift),
            "Take its mode()": lambda vae, x, scale, shift=0.0: (
                vae.encode(x * 2 - 1).latent_dist.sample() - shift) * scale,
            "the scaling is missing": lambda vae, x, scale, shift=0.0: to_latents(vae, x, 1, shift),
            "You divide by the scale": lambda vae, x, scale, shift=0.0: to_latents(vae, x, 1 / scale, shift),
            "The scale is there twice": lambda vae, x, scale, shift=0.0: to_latents(vae, x, scale, shift) * scale,
            "The shift has no effect": lambda vae, x, scale, shift=0.0: to_latents(vae, x, scale),
            "subtract it first": lambda vae, x, scale, shift=0.0: to_latents(vae, x, scale) - shift,
            "Right without a shift": lambda vae, x, scale, shift=0.0: to_latents(vae, x, scale, -shift),
        },
    ),
    Exercise(
        name="01.pixels",
        reference=to_pixels,
        check=check_pixels,
        wrong={
            "holds it as `.sample`": lambda vae, z, scale, shift=0.0: vae.decode(z / scale + shift),
            "undo the scaling first": lambda vae, z, scale, shift=0.0: to_pixels(vae, z, 1, shift),
            "On the way back, divide": lambda vae, z, scale, shift=0.0: to_pixels(vae, z, 1 / scale, shift),
            "The shift has no effect": lambda vae, z, scale, shift=0.0: to_pixels(vae, z, scale),
            "divide, then add": lambda vae, z, scale, shift=0.0: to_pixels(vae, z + shift, scale),
            "was not given latents / scale + shift": lambda vae, z, scale, shift=0.0: to_pixels(vae, z, scale, -shift),
            "These pixels lie in [-1, 1]": lambda vae, z, scale, shift=0.0: vae.decode(z / scale + shift).sample,
            "not brought from [-1, 1] to [0, 1]": lambda vae, z, scale, shift=0.0: vae.decode(
                z / scale + shift).sample.clamp(0, 1),
            "clamp": lambda vae, z, scale, shift=0.0: vae.decode(z / scale + shift).sample / 2 + 0.5,
        },
    ),
)
