"""Lesson 00: noise that is the same on every machine."""

from __future__ import annotations

import torch
from torch.overrides import TorchFunctionMode

from . import Exercise, Wrong, given, require

SHAPE = (2, 4, 16, 16)


class _OneDevice(TorchFunctionMode):
    """Refuses a generator of one device for numbers on another, as a GPU does and "meta" does not."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        out, generator = function(*args, **(kwargs or {})), (kwargs or {}).get("generator")
        if generator is not None and out.device.type != generator.device.type:
            raise ValueError(f"a generator on {generator.device.type} cannot draw on {out.device.type}")
        return out


def draw_latents(shape, seed, device="cpu"):
    """Reference: standard normal noise from a CPU generator of its own, moved to `device` afterwards."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(shape, generator=generator).to(device)


def check_latents(answer) -> None:
    state = torch.get_rng_state()
    first = given(answer(SHAPE, 0))
    require(isinstance(first, torch.Tensor), f"A tensor is asked for, this is a {type(first).__name__}.")
    require(tuple(first.shape) == SHAPE, f"The shape is {tuple(first.shape)}, asked for was {SHAPE}.")
    require(torch.equal(first, answer(SHAPE, 0)),
            "Two draws with one seed differ. Make a new generator inside the function and seed it: a "
            "generator that has drawn once goes on from there.")
    require(not torch.equal(first, answer(SHAPE, 1)),
            "Seeds 0 and 1 give the same noise: the seed is not used.")
    require(torch.equal(state, torch.get_rng_state()),
            "torch.manual_seed changes the random numbers of everybody else in this program. Seed a "
            "generator of your own and pass it to randn.")
    require(abs(first.mean()) < 0.1 and abs(first.std() - 1) < 0.1,
            f"Latent noise has mean 0 and standard deviation 1; yours has {first.mean():.2f} and "
            f"{first.std():.2f}. randn draws normal numbers, rand uniform ones.")
    try:
        with _OneDevice():
            elsewhere = answer(SHAPE, 0, device="meta")  # a device that can hold shapes, but draws no numbers
    except (RuntimeError, ValueError) as error:
        raise Wrong("The generator has to live on the CPU whatever `device` says: a generator on a GPU draws "
                    "other numbers from the same seed. Draw first, then move.") from error
    require(elsewhere.device.type == "meta", "The noise stays on the CPU: move it to `device` after drawing.")
    require(torch.equal(first, draw_latents(SHAPE, 0)),
            "Reproducible, but not the numbers that torch.randn(shape) draws from a CPU generator with this "
            "seed: draw the whole shape at once, in float32.")


_shared = torch.Generator().manual_seed(0)

EXERCISES = (
    Exercise(
        name="00.latents",
        reference=draw_latents,
        check=check_latents,
        wrong={
            "Two draws with one seed differ": lambda shape, seed, device="cpu": torch.randn(shape),
            "goes on from there": lambda shape, seed, device="cpu": torch.randn(shape, generator=_shared),
            "the seed is not used": lambda shape, seed, device="cpu": draw_latents(shape, 0, device),
            "everybody else": lambda shape, seed, device="cpu": (
                torch.manual_seed(seed), torch.randn(shape).to(device))[1],
            "rand uniform ones": lambda shape, seed, device="cpu": torch.rand(
                shape, generator=torch.Generator().manual_seed(seed)).to(device),
            "live on the CPU": lambda shape, seed, device="cpu": torch.randn(
                shape, generator=torch.Generator(device).manual_seed(seed), device=device),
            "Draw first, then move": lambda shape, seed, device="cpu": torch.randn(
                shape, generator=torch.Generator().manual_seed(seed), device=device),
            "stays on the CPU": lambda shape, seed, device="cpu": draw_latents(shape, seed),
            "asked for was": lambda shape, seed, device="cpu": draw_latents(shape[1:], seed, device),
            "draw the whole shape at once": lambda shape, seed, device="cpu": draw_latents(
                shape[::-1], seed, device).permute(3, 2, 1, 0),
        },
    ),
)
