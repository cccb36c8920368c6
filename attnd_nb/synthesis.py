"""Attention Distillation, `optimize` (Algorithm 1) and `guided_sample` (Algorithm 2), beside KV injection.

The loops read like the paper's. In comments z_t is `latents`, z_s and z_c are the clean latents of style
and content, ᾱ is the scheduler's cumulative product, and numbers in parentheses are the paper's equations.
"""

import torch

from .arguments import (
    Pictures,
    check_count,
    check_effect,
    check_steps,
    check_strength,
    resolve_control,
    resolve_guidance,
    resolve_rate,
    resolve_weights,
)
from .attention import inject
from .distillation import Distiller
from .layers import select_layers
from .models import check_pipeline, ddim_scheduler
from .result import Run
from .sampling import Denoiser, draw_noise, noise_to
from .weights import Schedule, value_at

# Few timesteps with many Adam steps each, large at first and small in the end: optimize(pipe, style, **FAST), guided_sample and
# expand(…, **FAST_SAMPLING). Both hold the latent's statistics. The first ended at .54 of the AD loss of the paper's
# 200 steps and at 1.07 of its content loss, in a third of the time, measured on data/mini
# (tests/benchmarks/speed.py); how large the rates may be depends on the model.
FAST = {"num_steps": 16, "inner_steps": 5, "learning_rate": Schedule(0.15, 0.05), "adain": True}
FAST_SAMPLING = {"num_inference_steps": 10, "inner_steps": 4, "learning_rate": Schedule(0.2, 0.02), "adain": True}

INJECTED_STRENGTH = 0.6  # of `injected_sample` with a content, which no content loss holds there


def optimize(pipe, style, content=None, content_weight=None, source_mask=None, target_mask=None, size=None,
             num_images=1, num_steps=200, inner_steps=1, learning_rate=0.05, adain=False, layers="last6",
             weights=None, resolution=None, generator=None, progress=True, callback=None):
    """Algorithm 1: change the latent itself until its attention is that of the style. Returns a `Result`.

    With `content`: style or appearance transfer. It starts at the content's latent, and the size follows
    it; `content_weight` is λ, by default .25 (the paper's for style; .2 for appearance). Without: texture
    from noise, of `size` (height, width) in pixels, by default the model's own square, `num_images` at
    once (the paper takes 100 steps for it, the released notebook 300).

    `source_mask`, `target_mask`: label maps as `open_labels` takes them, one for each picture of `style` and
    one for the result: a region is then made of regions of the same label only, (11) and (12). The target's map
    sets the size. Without `content` each of its regions begins as random pixels of the same label, which
    is also the content, with λ .15 by default: masked AD alone is spatially coarse, and the content loss
    holds the borders (figure 15).

    `style`: one picture or a list of them, whose tokens then share one softmax. Pictures keep their aspect
    and are brought to the area of a square of `resolution` pixels a side, by default the model's own (see
    `fit_size`). `num_steps`: DDIM timesteps, from coarse (large t) to fine, with `inner_steps` of Adam at each;
    t is a knob only, and the predicted noise is thrown away. The scheduler's stride is a whole number, so step
    counts that do not divide 1000 start later: 200 steps run t = 996 … 1, 300 run 898 … 1.

    The paper takes one step at each. More of them share the features of style and content, which are read once a
    timestep. `learning_rate`: a number, or a `Schedule`. `optimize(pipe, style, **FAST)` sets all three and `adain`, for speed.
    `adain`: after each step of Adam, and noise before the first one too, the latent gets the style's mean and
    deviation by channel, with label maps in each region by itself. The loss hardly sees them, so without it they grow, or
    stay as large as noise's, and colours burn. The paper matches them in text to image only.

    `layers`: see `select_layers`. `weights`: a `Weights`, for schedules over t and for layers and references of unequal
    weight. Noise comes from the CPU `generator`. `callback(step)` is given a `Step` after each timestep.

    Raises ValueError or TypeError on arguments that are out of range or would have no effect.
    Source: Algorithm 1, equations (3) to (5).
    """
    check_pipeline(pipe)
    check_steps(pipe, num_steps=num_steps)
    learning_rate = resolve_rate(learning_rate)
    check_count(1, num_images=num_images, inner_steps=inner_steps)
    if content is not None and num_images > 1:
        raise ValueError(
            f"num_images={num_images} with content gives one picture {num_images} times, "
            "as nothing is drawn at random; leave one of the two out"
        )
    layers = list(select_layers(pipe, layers))
    pictures = Pictures(pipe, style, content, size, resolution, source_mask=source_mask, target_mask=target_mask)
    content_weight, weights = resolve_weights(pipe, pictures, layers, content_weight, weights)

    with Run(pipe, "optimize", locals(), pictures, generator, progress, callback) as run:
        distiller = Distiller(pipe, layers, weights or content_weight, pictures.regions)
        z_s, z_c = pictures.encode(pipe, num_images, run.generator)
        z = draw_noise(pipe, num_images, pictures.output_size, run.generator) if z_c is None else z_c.clone()
        if adain and z_c is None:
            z = distiller.match(z, z_s)
        z.requires_grad_()
        adam = torch.optim.Adam([z])  # one state for the whole run
        scheduler = ddim_scheduler(pipe)
        scheduler.set_timesteps(num_steps)
        for t in run.steps(scheduler.timesteps):  # T … 1
            # Features of the *clean* latents. At first z = z_c, where L_content and its gradient are 0; read
            # in a batch with z_s, z_c would be rounded otherwise than z, and have a gradient of random signs.
            target = distiller.target(t, z_s, z_c, together=run.step > 0)
            adam.param_groups[0]["lr"] = value_at(learning_rate, distiller.way(t))
            for inner in range(inner_steps):
                distiller.update(run, adam, z, t, target, inner)
                if adain:
                    z.data = distiller.match(z.data, z_s)
            run.end_step(z)
        return run.result(z)


def guided_sample(pipe, style, prompt="", negative_prompt=None, content=None, content_weight=None,
                  strength=None, source_mask=None, target_mask=None, size=None, num_images=1,
                  guidance_scale=None, num_inference_steps=50, inner_steps=2, learning_rate=None, adain=False,
                  control=None, control_scale=None, layers="last6", weights=None, resolution=None,
                  generator=None, progress=True, callback=None):
    """Algorithm 2: DDIM sampling, each step followed by `inner_steps` of Adam. Returns a `Result`.

    `prompt`: a text, or a list of them; each gives `num_images`. `guidance_scale`: classifier-free
    guidance, by default 7.5 with a prompt and 1 (none) without; `negative_prompt` goes with it.
    `inner_steps=0` is, in float32, the pipeline's own DDIM sampling, to the bit. `adain`: first match the latent's mean
    and deviation, by channel (and region), to those of the noised style (for text to image; the paper then uses
    learning_rate .015; it is .05 by default). `guided_sample(pipe, style, **FAST_SAMPLING)` sets steps and rate, here a
    `Schedule`, for speed.

    `content`: its queries, noised equally, hold the structure with `content_weight`, and the size follows it.
    `strength` in (0, 1]: sampling also *starts* from the content, noised to that share of the steps (SDEdit),
    and not from noise; with a rough layout in colours as the content this is layout control. Masks, whose
    filled regions are a content too, and the rest: see `optimize`.

    `control`: a picture for the ControlNet of `pipe`, such as edges, whose advice counts `control_scale` (1);
    the size follows it where nothing else sets it.

    A ControlNet advises the denoising only. Features are read without it, as they are read without the
    prompt: the loss compares the latent with the style's, which has no control picture, and would fight
    advice that is in one of the two.

    The style's noise is drawn once for each timestep. Adam is new at each timestep, so that its first step
    has size `learning_rate` whatever the gradient's scale. Raises ValueError or TypeError on arguments that
    are out of range or would have no effect. Source: Algorithm 2, equations (6) to (9).
    """
    check_pipeline(pipe)
    check_steps(pipe, num_inference_steps=num_inference_steps)
    check_count(0, inner_steps=inner_steps)
    check_count(1, num_images=num_images)
    guidance_scale = resolve_guidance(prompt, negative_prompt, guidance_scale)
    control_scale = resolve_control(pipe, control, control_scale)
    if not inner_steps:
        check_effect("needs inner_steps above 0", content_weight=content_weight, target_mask=target_mask, weights=weights,
                     learning_rate=learning_rate, content=content if strength is None else None)
    layers = list(select_layers(pipe, layers))
    pictures = Pictures(pipe, style, content, size, resolution, control, source_mask, target_mask)
    check_strength(strength, pictures)
    if inner_steps:
        learning_rate = resolve_rate(learning_rate)
        content_weight, weights = resolve_weights(pipe, pictures, layers, content_weight, weights)

    with Run(pipe, "guided_sample", locals(), pictures, generator, progress, callback) as run:
        distiller = Distiller(pipe, layers, weights or content_weight, pictures.regions)
        denoiser = Denoiser(pipe, num_inference_steps, prompt, negative_prompt, guidance_scale, num_images,
                            pictures.images.get("control"), control_scale)
        z = draw_noise(pipe, denoiser.rows, pictures.output_size, run.generator)
        z_s, z_c = pictures.encode(pipe, denoiser.rows, run.generator)
        z, timesteps = denoiser.start(z, z_c, strength)
        for t in run.steps(timesteps):
            z = denoiser.step(z, t)  # z_{t-1}, (7) and (8) without guidance
            t_prev, alpha = denoiser.previous(t)
            if adain or inner_steps:
                noised_s = [noise_to(one, alpha, run.generator) for one in z_s]  # z^s_{t-1}
            if adain:
                z = distiller.match(z, noised_s)
            if inner_steps:
                noised_c = None if z_c is None else noise_to(z_c, alpha, run.generator)
                target = distiller.target(t_prev, noised_s, noised_c)
                z = z.detach().requires_grad_()
                adam = torch.optim.Adam([z], lr=value_at(learning_rate, distiller.way(t_prev)))  # stands in for αC in (9)
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
    (0, 1] of the way (.6 by default; 1 keeps almost nothing), and the size follows it. The rest: see `guided_sample`.

    Raises ValueError or TypeError on arguments that are out of range or would have no effect.
    Source: the paper's introduction and figure 3; Visual Style Prompting (2024).
    """
    check_pipeline(pipe)
    check_steps(pipe, num_inference_steps=num_inference_steps)
    check_count(1, num_images=num_images)
    guidance_scale = resolve_guidance(prompt, negative_prompt, guidance_scale)
    pictures = Pictures(pipe, style, content, size, resolution)
    if content is not None and strength is None:
        strength = INJECTED_STRENGTH
    check_strength(strength, pictures)
    layers = list(select_layers(pipe, layers))

    with Run(pipe, "injected_sample", locals(), pictures, generator, progress, callback) as run:
        distiller = Distiller(pipe, layers)
        denoiser = Denoiser(pipe, num_inference_steps, prompt, negative_prompt, guidance_scale, num_images)
        z_s, z_c = pictures.encode(pipe)
        z = draw_noise(pipe, denoiser.rows, pictures.output_size, run.generator)
        z, timesteps = denoiser.start(z, z_c, strength)
        for t in run.steps(timesteps):
            noised_s = [noise_to(one, denoiser.alpha(t), run.generator) for one in z_s]
            with inject(pipe, distiller.target(t, noised_s).style):
                z = denoiser.step(z, t)
            run.end_step(z)
        return run.result(z)
