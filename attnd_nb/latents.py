"""Pictures to latents and back, and the sizes that a model takes. The only module that knows about the VAE's scaling.

Sizes are (height, width) in pixels.
"""

import contextlib
import math

import numpy as np
import torch

from .images import check_size, open_image, to_tensor
from .models import device_of

MAX_ASPECT = 16


def native_resolution(pipe):
    """Side in pixels of the square that the model was trained on (512 for SD 1.5)."""
    sample = pipe.unet.config.sample_size
    return (sample if isinstance(sample, int) else max(sample)) * pipe.vae_scale_factor


def nearest_size(pipe, size):
    """The nearest (height, width) that the model takes: multiples of the VAE's factor (8), and not zero."""
    factor = pipe.vae_scale_factor
    return tuple(max(factor, factor * math.floor(side / factor + 0.5)) for side in check_size(size))


def fit_size(pipe, size, resolution=None):
    """The size at which a picture of `size` is worked on: its own aspect, the area of the model's square.

    `resolution`: side of that square in pixels; by default the model's own. A picture already within
    a quarter of that area, with sides that the model takes, is left alone.
    """
    height, width = check_size(size)
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ValueError(
            f"a picture of {height} x {width} pixels is more than {MAX_ASPECT} times as long as "
            "wide; crop it first"
        )
    resolution = native_resolution(pipe) if resolution is None else resolution
    if not isinstance(resolution, (int, np.integer)) or resolution < pipe.vae_scale_factor:
        raise ValueError(
            f"resolution must be a whole number of pixels, at least {pipe.vae_scale_factor}, "
            f"not {resolution!r}"
        )
    ratio = height * width / resolution**2
    if 0.8 <= ratio <= 1.25 and nearest_size(pipe, size) == (height, width):
        return height, width
    scale = ratio**-0.5
    return nearest_size(pipe, (max(1, round(height * scale)), max(1, round(width * scale))))


def open_fitted(pipe, source, resolution=None):
    """A picture, as `open_image` takes it, at the size at which it is worked on; see `fit_size`."""
    image = open_image(source)
    return open_image(image, fit_size(pipe, (image.height, image.width), resolution))


@torch.no_grad()
def encode(pipe, image, size=None):
    """Pictures to latents: (n, channels, height / f, width / f), float32, scaled as the UNet expects.

    `image`: one picture, or a list of pictures of one size if `size` is not given, as `open_image` takes them, or a tensor
    (n, 3, h, w). Sides are brought to the nearest multiple of the VAE's factor f, or to `size`.
    The posterior's mode is taken, so encoding draws no noise. Raises FloatingPointError if the VAE overflows.
    """
    if isinstance(image, torch.Tensor) and image.ndim == 4:
        image = list(image)
    images = [open_image(one) for one in (image if isinstance(image, (list, tuple)) else [image])]
    sizes = {(one.height, one.width) for one in images}
    if not sizes or (size is None and len(sizes) != 1):
        raise ValueError(
            f"pictures encoded together must have one size, not {sorted(sizes)}; give `size`, or encode them one by one"
            if sizes
            else "no picture to encode"
        )
    size = nearest_size(pipe, size or sizes.pop())
    images = [open_image(one, size) for one in images]
    with _in_its_precision(pipe.vae):
        encoded = pipe.vae.encode((to_tensor(images) * 2 - 1).to(device_of(pipe), pipe.vae.dtype))
    # AutoencoderKL gives a distribution; AutoencoderTiny and AutoencoderDC give the latents themselves.
    latents = (encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded[0]).float()
    if not latents.isfinite().all():  # a loss of NaN has a gradient of 0: the run would end where it began, without a word
        raise FloatingPointError(f"the VAE's latents are not finite in {pipe.vae.dtype}; call pipe.vae.to(torch.float32)")
    scale, shift = scaling(pipe)
    return (latents - shift) * scale


@torch.no_grad()
def decode(pipe, latents):
    """Latents (n, channels, h, w) to pictures: a float32 tensor (n, 3, f h, f w) in [0, 1]. See `to_pil`."""
    scale, shift = scaling(pipe)
    latents = latents.detach().to(device_of(pipe)) / scale + shift
    with _in_its_precision(pipe.vae):
        # One at a time: a decoder's memory is the largest of all, and batches make it no faster.
        pixels = torch.cat([pipe.vae.decode(one[None].to(pipe.vae.dtype), return_dict=False)[0] for one in latents])
    return (pixels.float() / 2 + 0.5).clamp(0, 1)


@contextlib.contextmanager
def _in_its_precision(vae):
    """In float32 inside, if the VAE is in float16 and its configuration says that it may overflow there."""
    widened = vae.dtype == torch.float16 and getattr(vae.config, "force_upcast", False)
    if widened:
        torch.nn.Module.to(vae, torch.float32)  # the VAE's own `to` would warn of what is intended
    try:
        yield
    finally:
        if widened:
            torch.nn.Module.to(vae, torch.float16)


def scaling(pipe):
    """(scale, shift) of the VAE: the UNet's latents are (the VAE's - shift) * scale."""
    config = pipe.vae.config
    return getattr(config, "scaling_factor", None) or 1.0, getattr(config, "shift_factor", None) or 0.0
