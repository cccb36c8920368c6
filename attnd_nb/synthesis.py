"""Attention Distillation, `optimize` (Algorithm 1) and `guided_sample` (Algorithm 2), beside KV injection.

The loops read like the paper's. In comments z_t is `latents`, z_s and z_c are the clean latents of style
and content, ᾱ is the scheduler's cumulative product, and numbers in parentheses are the paper's equations.
"""

import math
from typing import NamedTuple

import torch

from .arguments import (
    Pictures,
    check_count,
    check_positive,
    check_steps,
    resolve_control,
    resolve_guidance,
    resolve_weight,
)
from .attention import Features, KeyValue, inject, record, select_layers, union
from .losses import ad_loss, content_loss
from .models import check_pipeline, ddim_scheduler
from .result import Run
from .sampling import Denoiser, draw_noise, encode_prompt, mix, noise_to, predict_noise

# Gradients of a mean over a million values underflow in float16; the latents' gradient is scaled back.
HALF_SCALE = 2.0**12


def optimize(pipe, style, content=None, content_weight=None, size=None, num_images=1, num_steps=200,
             learning_rate=0.05, layers="last6", resolution=None, generator=None, progress=True,
             callback=None):
    """Algorithm 1: change the latent itself until its attention is that of the style. Returns a `Result`.

    With `content`: style or appearance transfer. It starts at the content's latent, and the size follows
    it; `content_weight` is λ, by default .25 (the paper's for style; .2 for appearance). Without: texture
    from noise, of `size` (height, width) in pixels, by default the model's own square, `num_images` at
    once.

    `style`: one picture or a list of them, whose tokens then share one softmax. Pictures keep their aspect
    and are brought to the area of a square of `resolution` pixels a side, by default the model's own (see
    `fit_size`). `num_steps`: one Adam step at each DDIM timestep, from coarse (large t) to fine; t is a
    knob only, and the predicted noise is thrown away. The scheduler's stride is a whole number, so step
    counts that do not divide 1000 start later: 200 steps run t = 996 … 1, 300 run 898 … 1. `layers`: see
    `select_layers`. Noise comes from the CPU `generator`. `callback(step)` is given a `Step` after each
    timestep.

    Raises ValueError or TypeError on arguments that are out of range or would have no effect.
    Source: Algorithm 1, equations (3) to (5).
    """
    check_pipeline(pipe)
    check_steps(pipe, num_steps=num_steps)
    check_positive(learning_rate=learning_rate)
    check_count(1, num_images=num_images)
    if content is not None and num_images > 1:
        raise ValueError(
            f"num_images={num_images} with content gives one picture {num_images} times, "
            "as nothing is drawn at random; leave one of the two out"
        )
    content_weight = resolve_weight(content, content_weight)
    pictures = Pictures(pipe, style, content, size, resolution)
    layers = list(select_layers(pipe, layers))

    with Run(pipe, "optimize", locals(), pictures, generator, progress, callback) as run:
        distiller = Distiller(pipe, layers, content_weight)
        z_s, z_c = pictures.encode(pipe)
        z = draw_noise(pipe, num_images, pictures.output_size, run.generator) if z_c is None else z_c.clone()
        z.requires_grad_()
        adam = torch.optim.Adam([z], lr=learning_rate)  # one state for the whole run
        scheduler = ddim_scheduler(pipe)
        scheduler.set_timesteps(num_steps)
        for t in run.steps(scheduler.timesteps):  # T … 1
            # Features of the *clean* latents. At first z = z_c, where L_content and its gradient are 0; read
            # in a batch with z_s, z_c would be rounded otherwise than z, and have a gradient of random signs.
            target = distiller.target(t, z_s, z_c, together=run.step > 0)
            distiller.update(run, adam, z, t, target)
            run.end_step(z)
        return run.result(z)


def guided_sample(pipe, style, prompt="", negative_prompt=None, content=None, content_weight=None,
                  size=None, num_images=1, guidance_scale=None, num_inference_steps=50, inner_steps=2,
                  learning_rate=0.05, adain=False, control=None, control_scale=None, layers="last6",
                  resolution=None, generator=None, progress=True, callback=None):
    """Algorithm 2: DDIM sampling, each step followed by `inner_steps` of Adam. Returns a `Result`.

    `prompt`: a text, or a list of them; each gives `num_images`. `guidance_scale`: classifier-free
    guidance, by default 7.5 with a prompt and 1 (none) without; `negative_prompt` goes with it.
    `inner_steps=0` is the pipeline's own DDIM sampling, to the bit. `adain`: first match the latent's mean
    and deviation, by channel, to those of the noised style (for text to image; the paper then uses
    learning_rate .015). `content`: its queries, noised equally, hold the structure with `content_weight`,
    and the size follows it. `control`: a picture for the ControlNet of `pipe`, such as edges, whose advice
    counts `control_scale` (1); the size follows it where there is no content. The rest: see `optimize`.

    A ControlNet advises the denoising only. Features are read without it, as they are read without the
    prompt: the loss compares the latent with the style's, which has no control picture, and would fight
    advice that is in one of the two.

    The style's noise is drawn once for each timestep. Adam is new at each timestep, so that its first step
    has size `learning_rate` whatever the gradient's scale. Raises ValueError or TypeError on arguments that
    are out of range or would have no effect. Source: Algorithm 2, equations (6) to (9).
    """
    check_pipeline(pipe)
    check_steps(pipe, num_inference_steps=num_inference_steps)
    check_positive(learning_rate=learning_rate)
    check_count(0, inner_steps=inner_steps)
    check_count(1, num_images=num_images)
    guidance_scale = resolve_guidance(prompt, negative_prompt, guidance_scale)
    content_weight = resolve_weight(content, content_weight)
    control_scale = resolve_control(pipe, control, control_scale)
    pictures = Pictures(pipe, style, content, size, resolution, control)
    layers = list(select_layers(pipe, layers))

    with Run(pipe, "guided_sample", locals(), pictures, generator, progress, callback) as run:
        distiller = Distiller(pipe, layers, content_weight)
        denoiser = Denoiser(pipe, num_inference_steps, prompt, negative_prompt, guidance_scale, num_images,
                            pictures.images.get("control"), control_scale)
        z_s, z_c = pictures.encode(pipe)
        z = draw_noise(pipe, denoiser.rows, pictures.output_size, run.generator)
        for t in run.steps(denoiser.timesteps):
            z = denoiser.step(z, t)  # z_{t-1}, (7) and (8) without guidance
            t_prev, alpha = denoiser.previous(t)
            if adain or inner_steps:
                noised_s = [noise_to(one, alpha, run.generator) for one in z_s]  # z^s_{t-1}
            if adain:
                z = match_statistics(z, noised_s)
            if inner_steps:
                noised_c = None if z_c is None else noise_to(z_c, alpha, run.generator)
                target = distiller.target(t_prev, noised_s, noised_c)
                z = z.detach().requires_grad_()
                adam = torch.optim.Adam([z], lr=learning_rate)  # stands in for αC in (9)
                for inner in range(inner_steps):
                    distiller.update(run, adam, z, t_prev, target, inner)
                z = z.detach()
            run.end_step(z)
        return run.result(z)


def injected_sample(pipe, style, prompt="", negative_prompt=None, content=None, strength=None, size=None,
                    num_images=1, guidance_scale=None, num_inference_steps=50, layers="last6",
                    resolution=None, generator=None, progress=True, callback=None):
    """KV injection, which Attention Distillation is compared with. Returns a `Result` without losses.

    DDIM sampling in which `layers` attend, with their own queries, to the keys and values of the style,
    noised equally at each t and read with the empty prompt. The same seed starts from the same noise as in
    `optimize` and `guided_sample`. With `content`, sampling starts from its latent, noised to `strength` in
    (0, 1] of the way (.6 by default; 1 keeps almost nothing), and the size follows it. The rest: see
    `guided_sample`.

    Raises ValueError or TypeError on arguments that are out of range or would have no effect.
    Source: the paper's introduction and figure 3; Visual Style Prompting (2024).
    """
    check_pipeline(pipe)
    check_steps(pipe, num_inference_steps=num_inference_steps)
    if content is None and strength is not None:
        raise ValueError(f"strength={strength} has no effect without content, which it noises")
    if content is not None:
        strength = 0.6 if strength is None else strength
        if not 0 < strength <= 1:
            raise ValueError(f"strength must lie in (0, 1], not {strength}")
    check_count(1, num_images=num_images)
    guidance_scale = resolve_guidance(prompt, negative_prompt, guidance_scale)
    pictures = Pictures(pipe, style, content, size, resolution)
    layers = list(select_layers(pipe, layers))

    with Run(pipe, "injected_sample", locals(), pictures, generator, progress, callback) as run:
        distiller = Distiller(pipe, layers)
        denoiser = Denoiser(pipe, num_inference_steps, prompt, negative_prompt, guidance_scale, num_images)
        z_s, z_c = pictures.encode(pipe)
        z = draw_noise(pipe, denoiser.rows, pictures.output_size, run.generator)
        timesteps = denoiser.timesteps
        if z_c is not None:
            timesteps = timesteps[-math.ceil(num_inference_steps * strength) :]
            z = mix(z_c, z, denoiser.alpha(timesteps[0]))
        for t in run.steps(timesteps):
            noised_s = [noise_to(one, denoiser.alpha(t), run.generator) for one in z_s]
            with inject(pipe, distiller.target(t, noised_s).style):
                z = denoiser.step(z, t)
            run.end_step(z)
        return run.result(z)


class Target(NamedTuple):
    """What the image is to become, at one timestep: by layer, without gradients."""

    style: dict[str, KeyValue]
    content: dict[str, Features] | None


class Distiller:
    """Reads features with the empty prompt, and makes the paper's update with them."""

    def __init__(self, pipe, layers, content_weight=None):
        self.pipe, self.layers, self.content_weight = pipe, layers, content_weight
        self.condition = encode_prompt(pipe, "")
        self.scale = HALF_SCALE if pipe.unet.dtype == torch.float16 else 1.0

    def read(self, latents, t):
        """Features of latents (n, channels, h, w) at t, by layer; the forward pass ends at the last one."""
        with record(self.pipe, self.layers, stop=True) as features:
            predict_noise(self.pipe, latents, t, self.condition)
        return features

    @torch.no_grad()
    def target(self, t, z_s, z_c=None, together=True):
        """Features of the references `z_s` (a list) and the content at t, in one batch if sizes agree."""
        latents = [*z_s] if z_c is None else [*z_s, z_c]
        if together and len({z.shape for z in latents}) == 1:
            batch = self.read(torch.cat(latents), t)
            records = [
                {name: one[row : row + 1] for name, one in batch.items()} for row in range(len(latents))
            ]
        else:
            records = [self.read(z, t) for z in latents]
        return Target(union(records[: len(z_s)]), None if z_c is None else records[-1])

    def update(self, run, adam, z, t, target, inner=0):
        """One Adam step of z on L_AD + λ L_content, (3) to (5), read at t."""
        features = self.read(z, t)
        ad = ad_loss(features, target.style, reduction="layers")
        content = {} if target.content is None else content_loss(features, target.content, reduction="layers")
        total = sum(ad.values())
        if content:
            total = total + self.content_weight * sum(content.values())
        # grad, not backward: nothing but z gets a gradient, whatever the weights say.
        (z.grad,) = torch.autograd.grad(total * self.scale, z)
        z.grad /= self.scale
        adam.step()
        run.update(int(t), inner, total, ad, content)


def match_statistics(latents, references):
    """AdaIN: the latents with the references' mean and deviation, by channel and over all references' pixels.

    latents (n, channels, h, w); references a list of (1, channels, h', w') of any sizes.

    >>> z, r = torch.randn(1, 2, 4, 4), torch.randn(1, 2, 8, 8) * 3 + 1
    >>> torch.allclose(match_statistics(z, [r]).mean((2, 3)), r.mean((2, 3)), atol=1e-5)
    True
    """
    pixels = torch.cat([one.flatten(2) for one in references], dim=2)  # (1, channels, all pixels)
    mean, deviation = pixels.mean(2)[..., None, None], pixels.std(2)[..., None, None]
    own_mean, own_deviation = latents.mean((2, 3), keepdim=True), latents.std((2, 3), keepdim=True)
    return (latents - own_mean) / (own_deviation + 1e-6) * deviation + mean
