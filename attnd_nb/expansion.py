"""`expand`: a texture, or a picture in a style, of any size; also one without a seam where it is repeated.

MultiDiffusion (Bar-Tal et al., 2023) around Algorithm 2: the model sees windows of the size it was trained
on, and what it says of a cell in several windows is averaged.
"""

import torch

from .arguments import (
    Pictures,
    check_count,
    check_effect,
    check_steps,
    resolve_guidance,
    resolve_rate,
    resolve_weights,
)
from .distillation import Distiller
from .layers import select_layers
from .models import check_pipeline
from .result import Run, progress_bar
from .sampling import Denoiser, draw_noise, noise_to
from .tiling import Windows, circular_padding, decode_tiled, native_side
from .weights import value_at


def expand(pipe, style, size=None, prompt="", negative_prompt=None, content=None, content_weight=None,
           source_mask=None, target_mask=None, num_images=1, guidance_scale=None, num_inference_steps=50,
           inner_steps=2, learning_rate=None, adain=False, seamless=False, stride=None, views_per_batch=None, layers="last6",
           weights=None, resolution=None, generator=None, progress=True, callback=None):
    """Algorithm 2 over overlapping windows: pictures larger than the model's, or seamless ones. A `Result`.

    `size`: (height, width) in pixels, any. Windows have the model's own side (64 cells of the latent for SD
    1.5, 32 for mini) and begin every `stride` cells, by default a quarter of it (the paper: an eighth), the
    last row and column clamped, so that every cell is seen. Time grows with their number, memory with
    `views_per_batch`, how many the model sees at once (by default 8, and 2 of SDXL's, which are four times as
    large). `inner_steps`: by default the released code's (the paper: 3). `seamless`: with "x" the left edge
    continues the right one, with "y" the upper the lower, or "both". Where one window holds the whole
    circle, the UNet's convolutions then see, beyond each edge, what lies inside the other one. Where the
    picture is larger, windows run across the edges, from another place in each pass, so that no border of
    theirs stays where it is (tests/benchmarks/seams.py).

    `content`: a picture whose structure is held with `content_weight`. Without `size` the result is as large as
    it, or as `target_mask`; beside `size` they are brought to it, if they have its aspect. Masks, prompts,
    guidance, weights and the rest: see `guided_sample`, which this is where one window is the whole: without content to the bit,
    with it but for rounding (there it is read in one batch with the style).

    A timestep takes 1 + `inner_steps` passes over all windows. The first averages DDIM's z_{t-1}. Each
    other averages the windows' *gradients* and makes one Adam step of the whole latent: Algorithm 2 with
    the loss of all windows. The released code lets Adam move each window alone and averages what comes out;
    but Adam steps as far on a weak gradient as on a strong one, so steps that disagree cancel, and windows
    hear of each other only at the next timestep. The style's noise is drawn, and its features are read,
    once for each timestep.

    Raises ValueError or TypeError on arguments that are out of range or would have no effect.
    Source: Algorithm 2 and the paper's texture expansion; MultiDiffusion, equation (5).
    """
    check_pipeline(pipe)
    check_steps(pipe, num_inference_steps=num_inference_steps)
    check_count(0, inner_steps=inner_steps)
    views_per_batch = (8 if native_side(pipe) <= 96 else 2) if views_per_batch is None else views_per_batch
    check_count(1, num_images=num_images, views_per_batch=views_per_batch)
    if not inner_steps:
        check_effect("needs inner_steps above 0", content=content, content_weight=content_weight, target_mask=target_mask,
                     weights=weights, learning_rate=learning_rate)
    guidance_scale = resolve_guidance(prompt, negative_prompt, guidance_scale)
    layers = list(select_layers(pipe, layers))
    pictures = Pictures(pipe, style, content, size, resolution, None, source_mask, target_mask, wide=True)
    if inner_steps:
        learning_rate = resolve_rate(learning_rate)
        content_weight, weights = resolve_weights(pipe, pictures, layers, content_weight, weights)
    size = pictures.output_size

    with WideRun(pipe, "expand", locals(), pictures, generator, False, callback) as run:
        windows = _windows(pipe, size, stride, seamless)
        distiller = Distiller(pipe, layers, weights or content_weight, pictures.regions)
        denoiser = Denoiser(pipe, num_inference_steps, prompt, negative_prompt, guidance_scale, num_images)
        sweep = Sweep(run, denoiser, distiller, windows, views_per_batch)
        sweep.show_progress(num_inference_steps * (1 + inner_steps), progress)
        z = draw_noise(pipe, denoiser.rows, size, run.generator)
        z_s, z_c = pictures.encode(pipe, denoiser.rows, run.generator)
        for t in run.steps(denoiser.timesteps):
            z = sweep.denoised(z, t)  # z_{t-1}
            t_prev, alpha = denoiser.previous(t)
            if adain or inner_steps:
                noised_s = [noise_to(one, alpha, run.generator) for one in z_s]
            if adain:
                z = distiller.match(z, noised_s)  # of all windows
            if inner_steps:
                noised_c = None if z_c is None else noise_to(z_c, alpha, run.generator)
                target = distiller.target(t_prev, noised_s, masked=False)  # for all windows and inner steps
                adam = torch.optim.Adam([z], lr=value_at(learning_rate, distiller.way(t_prev)))
                for inner in range(inner_steps):
                    sweep.update(adam, z, t_prev, target, noised_c, inner)
                z = z.detach()
            run.end_step(z)
        return run.result(z)


class Sweep:
    """Passes over all windows of the latents, a few at a time: one is DDIM's step, or one gradient."""

    def __init__(self, run, denoiser, distiller, windows, batch):
        self.run, self.denoiser, self.distiller = run, denoiser, distiller
        self.windows, self.batch = windows, batch

    def show_progress(self, passes, progress):
        """One bar, counted in windows: a timestep of a large picture takes minutes."""
        total = passes * len(self.windows) * self.denoiser.rows
        self.bar = self.run.stack.enter_context(progress_bar(progress, total=total, desc="expand", unit=" windows"))

    def denoised(self, z, t):
        """z_{t-1}: the mean of the windows' DDIM steps, which are linear in ε, so DDIM with the mean ε."""
        return self._mean(lambda rows, crops: self.denoiser.step(crops, t, rows), z)

    def update(self, adam, z, t, target, content, inner):
        """`Distiller.update`, by the gradient of all windows."""
        if target is None:
            self.bar.update(len(self.windows) * len(z))
            return
        z.grad, losses = self.gradient(z, t, target, content)
        adam.step()
        self.run.update(int(t), inner, *losses)

    def gradient(self, z, t, target, content=None):
        """The mean of the windows' gradients of L_AD + λ L_content at t, and of their (total, ad, content).

        `content`: the latents (1 or n, channels, h, w) to hold, noised like z.
        """
        below = {"content": content, "shares": self.distiller.shares}
        below = {name: whole for name, whole in below.items() if whole is not None}
        losses = []

        def of_windows(rows, crops, *parts):
            aim = self._aim(t, target, **dict(zip(below, parts)))
            gradient, loss = self.distiller.gradient(crops.requires_grad_(), t, aim)
            losses.append((len(crops), *loss))
            # A batch's loss is the mean over its crops. Scaled to the sum over windows and the mean over
            # pictures, as in `guided_sample`, it stays above Adam's ε however many windows there are.
            return gradient * (len(crops) / len(z))

        return self._mean(of_windows, z, *below.values()), _averaged(losses)

    @torch.no_grad()
    def _aim(self, t, target, content=None, shares=None):
        """The target of some windows: with the queries of the content below them, and the labels of their cells.

        Queries are read anew for every window; kept for all, they would need memory in proportion to the picture.
        """
        if content is not None:
            target = target._replace(content=self.distiller.read(content, t))
        if shares is not None:
            target = target._replace(mask=self.distiller.mask(shares))
        return target

    def _mean(self, function, *tensors):
        def counted(rows, *crops):
            answer = function(rows, *crops)
            self.bar.update(len(rows))
            return answer
        shift = self.windows.random_shift(self.run.generator)
        with circular_padding(self.denoiser.pipe.unet, self.windows.closed):
            return self.windows.mean(counted, *tensors, batch=self.batch, shift=shift)


def _averaged(losses):
    """(count, total, ad, content) of each batch to the mean (total, ad, content) over all crops."""
    counts, totals, ads, contents = zip(*losses)
    weights = [count / sum(counts) for count in counts]

    def mean(values):
        return sum(weight * value.detach() for weight, value in zip(weights, values))

    ad, content = ({name: mean([one[name] for one in each]) for name in each[0]} for each in (ads, contents))
    return mean(totals), ad, content


class WideRun(Run):
    """A run whose result is decoded in tiles, and across the edges that wrap."""

    def decoded(self, latents):
        return decode_tiled(self.pipe, latents, self.settings["arguments"]["seamless"])


def _windows(pipe, size, stride, seamless):
    """Windows over the latent of a picture of `size` pixels."""
    side, factor = native_side(pipe), pipe.vae_scale_factor
    cells = [length // factor for length in size]
    if stride is not None:
        check_count(1, stride=stride)
        if max(cells) <= side:
            raise ValueError(f"stride={stride} has no effect: one window, {side * factor} pixels a side, "
                             f"holds all of {size[0]} x {size[1]}; leave it out")
    return Windows(cells, side, stride or max(1, side // 4), seamless)
