"""The step that every verb shares: read features, compare them, move the latent.

Features are read with the empty prompt. What the latent is to become at one timestep is a `Target`; a `Distiller` makes
targets of the references and steps towards them.
"""

from typing import NamedTuple

import torch

from .attention import Features, KeyValue, record, union
from .layers import token_level
from .losses import ad_loss, content_loss
from .models import device_of
from .sampling import encode_prompt, predict
from .weights import Weights

# Gradients of a mean over a million values underflow in float16; the latents' gradient is scaled back.
HALF_SCALE = 2.0**12


class Target(NamedTuple):
    """What the image is to become, at one timestep: by layer, without gradients."""

    style: dict[str, KeyValue]
    content: dict[str, Features] | None
    mask: dict[str, torch.Tensor | None] | None = None  # as `ad_loss` takes it


class Distiller:
    """Reads features with the empty prompt, and makes the paper's update with them.

    `weights`: a `Weights`, or a number: λ, with everything else at 1. `regions`: the label maps, if there are any.
    """

    def __init__(self, pipe, layers, weights=None, regions=None):
        self.pipe, self.layers, self.regions = pipe, layers, regions
        self.weights = weights if isinstance(weights, Weights) else Weights(content=weights)
        self.condition = encode_prompt(pipe, "")
        self.scale = HALF_SCALE if pipe.unet.dtype == torch.float16 else 1.0
        self.shares = None  # of the labels, in each cell of the latents that are made
        if regions is not None:
            self.shares = regions.shares([side // pipe.vae_scale_factor for side in regions.size])
        self.grids = {}  # {layer: (how often it halves the latents, tokens of each reference)}
        self.source_sizes = None  # of the references' latents
        self.fixed_mask = None  # as `mask` makes it; without the label maps where windows have their own

    def read(self, latents, t):
        """Features of latents (n, channels, h, w) at t, by layer; the forward pass ends at the last one."""
        with record(self.pipe, self.layers, stop=True) as features:
            predict(self.pipe, latents, t, self.condition)
        return features

    @torch.no_grad()
    def target(self, t, z_s, z_c=None, together=True, masked=True):
        """Features of the references `z_s` (a list) and the content at t, in one batch if sizes agree.

        None where all weights are 0 at t. With `masked` false the label maps are left to `mask`, for windows.
        """
        if not any(self.weights.at(self.way(t))):
            return None
        latents = [*z_s] if z_c is None else [*z_s, z_c]
        if together and len({z.shape for z in latents}) == 1:
            batch = self.read(torch.cat(latents), t)
            records = [
                {name: one[row : row + 1] for name, one in batch.items()} for row in range(len(latents))
            ]
        else:
            records = [self.read(z, t) for z in latents]
        styles, content = records[: len(z_s)], None if z_c is None else records[-1]
        if not self.grids:  # the first time; sizes, and with them masks, are the same at every timestep
            for name in self.layers:
                tokens = tuple(one[name].key.shape[2] for one in styles)
                self.grids[name] = token_level(tokens[0], z_s[0].shape[-2:]), tokens
            self.source_sizes = [tuple(z.shape[-2:]) for z in z_s]
            self.fixed_mask = self.mask(self.shares if masked else None)
        return Target(union(styles), content, self.fixed_mask)

    def match(self, z, references):
        """AdaIN: the latents with the references' mean and deviation, by channel; with label maps in each region by itself.

        A region of a single cell, or whose label has no cell of a reference, is left as it is.
        """
        weights = self.weights.references or (1.0,) * len(references)
        if self.regions is None:
            return match_statistics(z, references, weights)
        own, others = self.regions.cells(z.shape[-2:], [one.shape[-2:] for one in references])
        matched = z.clone()
        for label in own.unique():
            here = own == label
            pools = [(one[..., labels == label], weight) for one, labels, weight in zip(references, others, weights) if weight]
            pools = [(pool[..., None], weight) for pool, weight in pools if pool.shape[-1]]
            if here.sum() > 1 and sum(pool.shape[2] for pool, _ in pools) > 1:
                matched[..., here] = match_statistics(z[..., here][..., None], *zip(*pools))[..., 0]
        return matched

    def mask(self, shares=None):
        """{layer: M of (11), or log-weights of the references, or both}, as `ad_loss` takes it; None if there is none.

        `shares` (n, labels, h, w): of each label in each cell of the latents, whole or windows; see `Regions.shares`.
        """
        by_grid = {grid: self._mask_of(shares, *grid) for grid in set(self.grids.values())}  # shared by layers of one resolution
        masks = {name: by_grid[grid] for name, grid in self.grids.items()}
        return masks if any(one is not None for one in masks.values()) else None

    def _mask_of(self, shares, level, tokens):
        allowed = None if shares is None else self.regions.mask(shares, level, self.source_sizes)
        logits = self.weights.logits(tokens)
        if allowed is not None and logits is not None:
            allowed = logits.where(allowed, -torch.inf)
        found = logits if allowed is None else allowed
        return None if found is None else found.to(device_of(self.pipe))

    @torch.enable_grad()
    def gradient(self, z, t, target):
        """dL_total/dz, read at t, and (total, ad, content) as `Run.update` takes them: (3) to (5), (12).

        Raises FloatingPointError where float16 cannot hold it.
        """
        features = self.read(z, t)
        ad = ad_loss(features, target.style, reduction="layers", mask=target.mask)
        content = {} if target.content is None else content_loss(features, target.content, reduction="layers")
        total = self.weights.total(ad, content, self.way(t))
        # grad, not backward: nothing but z gets a gradient, whatever the weights say.
        (gradient,) = torch.autograd.grad(total * self.scale, z)
        if self.scale > 1 and not (gradient.isfinite().all() and total.isfinite()):  # Adam would carry it into every later step
            raise FloatingPointError(
                f"at t={int(t)} the loss or its gradient left float16's range, ±65,504; load the pipeline in torch.bfloat16 or "
                "torch.float32"
            )
        return gradient / self.scale, (total, ad, content)

    def update(self, run, adam, z, t, target, inner=0):
        """One Adam step of z towards the target at t; none where there is no target."""
        if target is None:
            return
        z.grad, losses = self.gradient(z, t, target)
        adam.step()
        run.update(int(t), inner, *losses)

    def way(self, t):
        """How far t is on the way from noise (0) to the picture (1)."""
        return 1 - int(t) / self.pipe.scheduler.config.num_train_timesteps


def match_statistics(latents, references, weights=None):
    """AdaIN: the latents with the references' mean and deviation, by channel and over all references' pixels.

    latents (n, channels, h, w); references a list of (1, channels, h', w') of any sizes; weights how much a pixel
    of each counts, by default alike.

    >>> z, r = torch.randn(1, 2, 4, 4), torch.randn(1, 2, 8, 8) * 3 + 1
    >>> torch.allclose(match_statistics(z, [r]).mean((2, 3)), r.mean((2, 3)), atol=1e-5)
    True
    """
    pixels = torch.cat([one.flatten(2) for one in references], dim=2)  # (1, channels, all pixels)
    counts = torch.tensor([one.shape[-2:].numel() for one in references])
    share = torch.tensor(weights or [1.0] * len(references)).float().repeat_interleave(counts).to(pixels)
    share = share / share.sum()
    mean = (pixels * share).sum(2, keepdim=True)
    variance = ((pixels - mean).square() * share).sum(2, keepdim=True)
    deviation = (variance * counts.sum() / (counts.sum() - 1)).sqrt()  # as torch.std where all count alike
    own_mean, own_deviation = latents.mean((2, 3), keepdim=True), latents.std((2, 3), keepdim=True)
    return (latents - own_mean) / (own_deviation + 1e-6) * deviation[..., None] + mean[..., None]
