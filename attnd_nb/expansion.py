"""`expand`: a texture, or a picture in a style, of any size, and with no seam where it is repeated.

MultiDiffusion (Bar-Tal et al., 2023) around Algorithm 2: the model sees windows of the size it was trained on, and what
it says of a cell in several windows is averaged.
"""

import copy
import math
from dataclasses import replace

import torch
from tqdm.auto import tqdm

from .arguments import Pictures, check_count, check_positive, check_steps, resolve_guidance, resolve_weight
from .attention import select_layers
from .images import check_size, nearest_size, open_image, to_pil
from .losses import ad_loss, content_loss
from .models import check_pipeline
from .result import Run
from .sampling import Condition, Denoiser, draw_noise, noise_to
from .synthesis import Distiller, Target
from .tiling import Windows, decode_tiled, native_side, wrapped_axes

MOST_STRETCH = 1.1  # content of another aspect than `size` by more than this is refused


def expand(pipe, style, size=None, prompt="", negative_prompt=None, content=None, content_weight=None, num_images=1,
           guidance_scale=None, num_inference_steps=50, inner_steps=2, learning_rate=0.05, seamless=False, stride=None,
           views_per_batch=8, layers="last6", resolution=None, generator=None, progress=True, callback=None):
    """Algorithm 2 over overlapping windows: pictures larger than the model's own, or seamless ones. Returns a `Result`.

    `size`: (height, width) in pixels. Windows have the model's own side (64 cells of the latent for SD 1.5, 32 for
    mini) and begin every `stride` cells, by default a quarter of that side (the paper: an eighth); the last row and column
    are clamped, so every cell is seen. Time grows with the number of windows, memory with `views_per_batch`, how many
    the model sees at once. `seamless`: "x" makes the left edge continue the right one, "y" the lower and upper, "both".
    Windows then run across the edge, from another place in each pass.

    `content`: a picture whose structure is held with `content_weight`; the size is its own, or `size`, of the same
    aspect. Prompts, guidance, `style`, `num_images` and the rest: see `guided_sample`, which this is, to the bit, where
    one window is the whole.

    Each of the `1 + inner_steps` passes at a timestep goes over all windows. The first averages DDIM's z_{t-1}; each other
    averages the *gradient* of the windows' L_AD, and then makes one Adam step of the whole latent. (The released
    code lets Adam move every window alone and averages the moved windows. But Adam's steps have one length, however weak
    the gradient: where windows disagree, their steps cancel, and the average lags behind.) The style's noise is drawn, and
    its features read, once for each timestep.

    Raises ValueError or TypeError on arguments that are out of range or would have no effect.
    Source: Algorithm 2 and the paper's texture expansion; MultiDiffusion, equation (5).
    """
    check_pipeline(pipe)
    check_steps(pipe, num_inference_steps=num_inference_steps)
    check_positive(learning_rate=learning_rate)
    check_count(0, inner_steps=inner_steps)
    check_count(1, num_images=num_images, views_per_batch=views_per_batch)
    guidance_scale = resolve_guidance(prompt, negative_prompt, guidance_scale)
    content_weight = resolve_weight(content, content_weight)
    pictures = _pictures(pipe, style, content, size, resolution)
    size = pictures.output_size
    _check_stride(pipe, size, stride, seamless)
    layers = list(select_layers(pipe, layers))

    with WideRun(pipe, "expand", locals(), pictures, generator, False, callback) as run:
        denoiser = Denoiser(pipe, num_inference_steps, prompt, negative_prompt, guidance_scale, num_images)
        z_s, z_c = pictures.encode(pipe)
        z = draw_noise(pipe, denoiser.rows, pictures.output_size, run.generator)
        side = native_side(pipe)
        windows = Windows(z.shape[-2:], side, stride or max(1, side // 4), seamless)
        sweep = Sweep(run, denoiser, Distiller(pipe, layers, content_weight), windows, views_per_batch)
        sweep.show_progress(num_inference_steps * (1 + inner_steps), progress)
        for t in run.steps(denoiser.timesteps):
            z = sweep.denoised(z, t)  # z_{t-1}
            t_prev, alpha = denoiser.previous(t)
            if inner_steps:
                noised_s = [noise_to(one, alpha, run.generator) for one in z_s]
                noised_c = None if z_c is None else noise_to(z_c, alpha, run.generator)
                target = sweep.distiller.target(t_prev, noised_s)  # once for all windows and inner steps
                adam = torch.optim.Adam([z], lr=learning_rate)
                for inner in range(inner_steps):
                    z.grad, losses = sweep.gradient(z, t_prev, target, noised_c)
                    adam.step()
                    run.update(int(t_prev), inner, *losses)
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
        options = {} if progress else {"disable": True}  # passing False would overrule TQDM_DISABLE
        self.bar = self.run.stack.enter_context(tqdm(total=total, desc="expand", unit=" windows", **options))

    def denoised(self, z, t):
        """z_{t-1}: the windows' DDIM steps, averaged. The step is linear in ε, so this is DDIM with the averaged ε."""
        return self._mean(lambda rows, crops: _step(self.denoiser, crops, t, rows), z)

    def gradient(self, z, t, target, content=None):
        """The windows' gradients of L_AD + λ L_content at t, averaged; and (total, ad, content), theirs averaged.

        `content`: the latent (1, channels, h, w) that is held, noised like z. Its features are read with every window again:
        kept for all of them, they would be as large as the picture.
        """
        losses = []

        def of_windows(rows, crops, *held):
            queries = None
            if held:
                with torch.no_grad():
                    queries = self.distiller.read(held[0], t)
            gradient, *loss = _gradient(self.distiller, crops, t, Target(target.style, queries))
            losses.append((len(crops), *loss))
            # The loss of a batch is its mean. Weighted by windows for each picture, a picture's gradient is what
            # it is in `guided_sample`, however many windows and batches there are; Adam's ε = 1e-8 is not far below it.
            return gradient * (len(crops) / len(z))

        return self._mean(of_windows, z, *([] if content is None else [content])), _averaged(losses)

    def _mean(self, function, *tensors):
        def counted(rows, *crops):
            answer = function(rows, *crops)
            self.bar.update(len(rows))
            return answer
        shift = self.windows.random_shift(self.run.generator)
        return self.windows.mean(counted, *tensors, batch=self.batch, shift=shift)


def _step(denoiser, crops, t, rows):
    """`denoiser.step` for crops that belong to some of its prompts, by index."""
    def of_rows(condition):
        pooled = None if condition.pooled is None else condition.pooled[rows]
        return Condition(condition.encoder_hidden_states[rows], pooled)
    chosen = copy.copy(denoiser)
    both = denoiser.condition
    chosen.condition = tuple(map(of_rows, both)) if isinstance(both, tuple) else of_rows(both)
    return chosen.step(crops, t)


def _gradient(distiller, z, t, target):
    """The gradient of L_AD + λ L_content with respect to z, read at t; with total, ad and content as in `Run.update`."""
    z = z.requires_grad_()
    features = distiller.read(z, t)
    ad = ad_loss(features, target.style, reduction="layers")
    content = {} if target.content is None else content_loss(features, target.content, reduction="layers")
    total = sum(ad.values())
    if content:
        total = total + distiller.content_weight * sum(content.values())
    (gradient,) = torch.autograd.grad(total * distiller.scale, z)
    return gradient / distiller.scale, total.detach(), _detached(ad), _detached(content)


def _detached(losses):
    return {name: value.detach() for name, value in losses.items()}


def _averaged(losses):
    """(count, total, ad, content) of several batches to their mean (total, ad, content), weighted by count."""
    counts, totals, ads, contents = zip(*losses)
    weights = [count / sum(counts) for count in counts]

    def mean(values):
        return sum(weight * value for weight, value in zip(weights, values))
    ad, content = ({name: mean([one[name] for one in each]) for name in each[0]} for each in (ads, contents))
    return mean(totals), ad, content


class WideRun(Run):
    """A run whose result is decoded in tiles, and across the edges that wrap."""

    def result(self, latents):
        images = to_pil(decode_tiled(self.pipe, latents, self.settings["arguments"]["seamless"]))
        small = super().result(latents[..., :1, :1])
        return replace(small, images=images, latents=latents.detach().float().cpu())


def _pictures(pipe, style, content, size, resolution):
    """As for every verb, except that content is worked at the output's size, whatever the model's own is."""
    if content is None:
        return Pictures(pipe, style, None, size, resolution)
    pictures = Pictures(pipe, style, content, None, resolution)
    image = open_image(content)
    used = nearest_size(pipe, (image.height, image.width) if size is None else check_size(size))
    stretch = used[1] * image.height / (used[0] * image.width)
    if abs(math.log(stretch)) > math.log(MOST_STRETCH):
        raise ValueError(f"size={tuple(size)} would stretch the content's width by {stretch:.2f}, for it is "
                         f"{image.height} x {image.width}; crop the content, or give a size of its aspect")
    pictures.images["content"] = open_image(image, used)
    pictures.about["content"]["used_size"] = list(used)
    pictures.output_size = used
    return pictures


def _check_stride(pipe, size, stride, seamless):
    window, factor = native_side(pipe), pipe.vae_scale_factor
    wraps = any(wrapped_axes(seamless))
    if stride is None:
        return
    check_count(1, stride=stride)
    if not wraps and max(size) <= window * factor:
        raise ValueError(f"stride={stride} has no effect on a picture of {size[0]} x {size[1]} pixels, which one "
                         f"window of {window * factor} x {window * factor} holds")
    if stride > window:
        raise ValueError(f"stride={stride} is wider than a window of {window} cells, so cells would stay "
                         f"uncovered; {max(1, window // 4)} is a good value")
