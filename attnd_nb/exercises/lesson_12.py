"""Lesson 12: equation (10), the decoder learns one picture and the encoder learns nothing."""

from __future__ import annotations

import copy

import torch
from torch.nn import functional as F

from . import Exercise, Wrong, given, require

STEPS, RATE = 6, 3e-3


def tune(vae, pixels, steps, learning_rate, watch=lambda: None):
    """Reference: `steps` of Adam on mean |D(E(x)) - x| over the decoder's weights; returns the loss before each step.

    `pixels`: x, (1, 3, h, w) in [-1, 1]. `watch()` is called after each step. Source: equation (10).
    """
    weights = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    for weight in weights:
        weight.requires_grad_(True)
    with torch.no_grad():
        latents = vae.encode(pixels).latent_dist.mode()
    adam, losses = torch.optim.Adam(weights, lr=learning_rate), []
    for _ in range(steps):
        loss = (vae.decode(latents).sample - pixels).abs().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
        watch()
    return losses


def check_tune(answer) -> None:
    before, pixels = _small_vae(), _picture()
    vae = copy.deepcopy(before)
    losses = given(answer(vae, pixels, 1, RATE))
    require(isinstance(losses, list) and len(losses) == 1, "Return a list with the loss of each step: one step, one number.")
    fixed = [name for name, weight in vae.named_parameters()
             if name.startswith(("encoder.", "quant_conv.")) and not torch.equal(weight, before.get_parameter(name))]
    require(not fixed, f"The encoder moved, at {len(fixed)} places such as {fixed[0] if fixed else ''}. Then every latent made "
                       "so far means something else. Give the optimiser the decoder's weights only.")
    _check_first_loss(answer, before, pixels, float(losses[0]))
    moved = {name: (weight - before.get_parameter(name)).abs().max().item() for name, weight in vae.named_parameters()}
    require(max(moved.values()) > 0, "No weight moved. Does the optimiser take its step, and do the weights want gradients?")
    require(moved["post_quant_conv.weight"] > 0,
            "post_quant_conv, the 1×1 convolution in front of the decoder, belongs to D as well: vae.decode applies it.")
    require(moved["decoder.conv_in.weight"] > 0, "Of the decoder, only a part moved. D is all that vae.decode applies.")
    require(0.9 < max(moved.values()) / RATE < 1.01,
            f"The first step moved a weight by {max(moved.values()):.2g}, and Adam's moves it by the learning rate, {RATE:g} "
            "(lesson 06). Use torch.optim.Adam.")
    _check_run(answer, before, pixels)


def _check_first_loss(answer, vae, pixels, loss) -> None:
    with torch.no_grad():
        posterior = vae.encode(pixels).latent_dist
        error = vae.decode(posterior.mode()).sample - pixels
        scaled = vae.decode(posterior.mode() * vae.config.scaling_factor).sample - pixels
    require(not _same(loss, error.square().mean()),
            "This is the mean square. Equation (10) has |D(E(x)) - x|: squares punish the few large errors and are content "
            "with a small one everywhere, which is a blur.")
    require(not _same(loss, error.abs().sum()),
            "You sum over the pixels. Take the mean, so that the loss means the same at every size.")
    require(not _same(loss, scaled.abs().mean()),
            "The latents are scaled. vae.encode and vae.decode meet without scaling; it is the UNet that asks for it.")
    again = given(answer(copy.deepcopy(vae), pixels, 1, RATE))
    require(_same(loss, again[0]), "The same call gives another loss: the latent is a sample, with noise. Take the mode().")
    require(_same(loss, error.abs().mean()),
            "The first loss is not the mean of |D(E(x)) - x|. It is measured before the step, on the whole picture.")


def _check_run(answer, before, pixels) -> None:
    seen, vae = [], copy.deepcopy(before)
    losses = given(answer(vae, pixels, STEPS, RATE, lambda: seen.append(vae.post_quant_conv.weight.detach().clone())))
    require(len(losses) == STEPS, f"{STEPS} steps, but {len(losses)} losses. Return one number a step.")
    expected = tune(copy.deepcopy(before), pixels, STEPS, RATE)
    for step, (mine, reference) in enumerate(zip(losses, expected)):
        if not _same(mine, reference):
            raise Wrong(f"The first step is right, step {step} is not. Gradients add up until zero_grad clears them, and "
                        "one Adam, made before the loop, serves all steps.")
    require(len(seen) == STEPS, f"`watch` was called {len(seen)} times in {STEPS} steps: call it at the end of each step.")
    require(not torch.equal(seen[0], before.post_quant_conv.weight),
            "`watch` was called before Adam's step: call it at the end of each step, so that it sees what the step did.")


def _small_vae():
    """An untrained autoencoder without down-sampling, frozen as `load_pipeline` leaves it."""
    from diffusers import AutoencoderKL

    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4, layers_per_block=1)
    return vae.requires_grad_(False).eval()


def _picture() -> torch.Tensor:
    """A smooth picture, (1, 3, 16, 16) in [-1, 1]."""
    noise = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return F.interpolate(noise, size=16, mode="bilinear") * 2 - 1


def _same(a, b) -> bool:
    return abs(float(a) - float(b)) <= 1e-3 * abs(float(b))


def _variant(loss=lambda error: error.abs().mean(),
             weights=lambda vae: [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()],
             latents=lambda posterior, vae: posterior.mode(), optimizer=torch.optim.Adam, clear=True, each=1, early=False):
    """`tune` with one thing done wrong."""

    def answer(vae, pixels, steps, learning_rate, watch=lambda: None):
        chosen = [weight.requires_grad_(True) for weight in weights(vae)]
        optimizers, losses = [optimizer(chosen, lr=learning_rate)], []
        for step in range(steps):
            if early:
                watch()
            optimizers.append(optimizer(chosen, lr=learning_rate) if each == 0 else optimizers[-1])
            z = latents(vae.encode(pixels).latent_dist, vae)
            value = loss(vae.decode(z).sample - pixels)
            if clear:
                optimizers[-1].zero_grad()
            value.backward()
            optimizers[-1].step()
            losses.append(value.item())
            if each and not early and step % each == 0:
                watch()
        return losses

    return answer


def _unmoved(vae, pixels, steps, learning_rate, watch=lambda: None):
    return tune(copy.deepcopy(vae), pixels, steps, learning_rate, watch)


EXERCISES = (
    Exercise(
        name="12.tune",
        reference=tune,
        check=check_tune,
        wrong={
            "one step, one number": lambda *given, **options: tune(*given, **options)[-1],
            "The encoder moved": _variant(weights=lambda vae: [*vae.parameters()]),
            "This is the mean square": _variant(loss=lambda error: error.square().mean()),
            "You sum over the pixels": _variant(loss=lambda error: error.abs().sum()),
            "The latents are scaled": _variant(latents=lambda posterior, vae: posterior.mode() * vae.config.scaling_factor),
            "Take the mode()": _variant(latents=lambda posterior, vae: posterior.sample()),
            "No weight moved": _unmoved,
            "belongs to D as well": _variant(weights=lambda vae: [*vae.decoder.parameters()]),
            "only a part moved": _variant(weights=lambda vae: [
                *vae.decoder.conv_out.parameters(), *vae.post_quant_conv.parameters()]),
            "Use torch.optim.Adam": _variant(optimizer=torch.optim.SGD),
            "until zero_grad clears them": _variant(clear=False),
            "one Adam, made before the loop": _variant(each=0),
            "`watch` was called 3 times": _variant(each=2),
            "before Adam's step": _variant(early=True),
            "but 1 losses": lambda *given, **options: tune(*given, **options)[-1:],
        },
    ),
)
