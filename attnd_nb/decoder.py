"""Tune the VAE's decoder to a few pictures, so that their detail survives the way out of latent space.

Attention Distillation works on latents, and a latent cannot come out sharper than the decoder draws it. A few
dozen steps on the style's picture teach the decoder its brush strokes. Equation (10), an optional step.

The decoder D_θ is everything that `vae.decode` applies: `vae.decoder` and, where there is one,
`vae.post_quant_conv`, the 1×1 convolution in front of it. The encoder and `quant_conv` are never touched, so
every latent stays what it was.
"""

import functools

import torch
from torch.func import functional_call
from torch.nn import functional as F

from .arguments import check_count, check_positive
from .images import to_tensor
from .latents import encode, open_fitted, scaling
from .models import check_pipeline, device_of, frozen
from .result import memory_hint, progress_bar, seeded

PARTS = ("decoder.", "post_quant_conv.")


class tuned_decoder:
    """`with tuned_decoder(pipe, "bark.png") as pipe:` the pipeline with its decoder tuned inside, as it was outside.

    Takes the arguments of `tune_decoder`, tunes when the block is entered, and puts the very same weights back
    when it is left, however that happens. Pipelines that share the VAE see the tuned decoder too. The losses
    are there once the block was entered:

        tuning = tuned_decoder(pipe, "bark.png")
        with tuning as pipe:
            result = expand(pipe, "bark.png", size=(256, 768))
        tuning.losses  # one number a step

    To keep a tuned decoder, call `tune_decoder`. Source: equation (10).
    """

    def __init__(self, pipe, images, steps=75, learning_rate=1e-4, crop=None, resolution=None, generator=None,
                 progress=True):
        self.pipe, self.losses, self.originals = pipe, None, []
        self.tune = functools.partial(tune_decoder, pipe, images, steps, learning_rate, crop, resolution, generator,
                                      progress)

    def __enter__(self):
        originals = [(weight, weight.data) for weight in decoder_weights(self.pipe.vae).values()]
        self.losses = self.tune()  # leaves the weights alone if it fails
        self.originals.append(originals)
        return self.pipe

    def __exit__(self, *error):
        for weight, original in self.originals.pop():
            weight.data = original.to(weight)  # the very same tensor, unless the pipeline moved inside


def tune_decoder(pipe, images, steps=75, learning_rate=1e-4, crop=None, resolution=None, generator=None,
                 progress=True):
    """Tune the decoder for good: minimise ‖D_θ(E(x)) − x‖₁ over its weights θ. Returns the loss of each step.

    `images`: one picture or several, of any sizes, as `open_image` takes them. They are brought to the size at
    which the verbs work on them (see `fit_size`; `resolution` is a verb's). Each of the `steps` takes one step
    of Adam on the mean over all pictures, one picture in memory at a time: on the whole picture, or, with
    `crop`, on a new random square of that many pixels a side, drawn from the CPU `generator`, for large
    pictures and small memories. The loss is a mean over pixels whose values span [-1, 1]; L_t is measured
    before step t.

    Tuning runs in float32 whatever the pipeline's precision, which the tuned weights are then rounded to. The
    pipeline does not change before the last step, so an interrupted tuning leaves it as it was. To save it:
    `pipe.save_pretrained(folder)`; to undo it at the end of a block: `tuned_decoder`.

    A small decoder learns a whole picture by heart: mini's, in 75 steps at 3e-4, gains 4.6 dB on a quarter of a
    painting and loses .2 to .4 dB on the others; on crops of 128 it gains .9 and .6 to .8. Mini's 1.65 million
    weights take 3e-4 (1e-3 gains less on some pictures, 3e-3 nothing); SD's 50 million the authors' 1e-4.

    Raises ValueError or TypeError on arguments that are out of range or would have no effect.
    Source: equation (10); the released code's 75 steps.
    """
    check_pipeline(pipe)
    check_count(1, steps=steps)
    check_positive(learning_rate=learning_rate)
    if crop is None and generator is not None:
        raise ValueError("generator has no effect without crop, for nothing is drawn at random; leave it out")
    pictures = _open(pipe, images, resolution)
    decode = _Decode(pipe.vae)
    theta = {f"vae.{name}": weight.detach().to(device_of(pipe), torch.float32, copy=True).requires_grad_()
             for name, weight in decoder_weights(pipe.vae).items()}
    adam = torch.optim.Adam(theta.values(), lr=learning_rate)
    losses = []
    with memory_hint("to need less memory: crop=512, a smaller resolution="), frozen(pipe), torch.enable_grad():
        batches = _whole(pipe, pictures) if crop is None else _Crops(pipe, pictures, crop, generator)
        for _ in progress_bar(progress, iterable=range(steps), desc="tune_decoder"):
            adam.zero_grad()
            losses.append(0)
            for latents, pixels in batches:
                loss = F.l1_loss(functional_call(decode, theta, latents), pixels) / len(pictures)
                loss.backward()
                losses[-1] += loss.detach()
            adam.step()
    for name, weight in decoder_weights(pipe.vae).items():
        weight.data = theta[f"vae.{name}"].detach().to(weight)
    return [float(loss) for loss in losses]


def decoder_weights(vae):
    """The weights of D_θ by their names in the VAE: all that `vae.decode` uses, and nothing that `encode` does.

    >>> from diffusers import AutoencoderKL
    >>> vae = AutoencoderKL(norm_num_groups=4, block_out_channels=(4,))
    >>> sorted({name.split(".")[0] for name in decoder_weights(vae)})
    ['decoder', 'post_quant_conv']
    """
    return {name: weight for name, weight in vae.named_parameters() if name.startswith(PARTS)}


class _Decode(torch.nn.Module):
    """The VAE with `decode` as its forward pass, which is what `functional_call` calls."""

    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, latents):
        return self.vae.decode(latents, return_dict=False)[0]


def _open(pipe, images, resolution):
    images = list(images) if isinstance(images, (list, tuple)) else [images]
    if not images:
        raise ValueError("images is an empty list; give at least one picture")
    return [open_fitted(pipe, image, resolution) for image in images]


def _pair(pipe, image):
    """E(x), unscaled, and x in [-1, 1]: (1, channels, h / f, w / f) and (1, 3, h, w), float32."""
    scale, shift = scaling(pipe)
    return encode(pipe, image) / scale + shift, to_tensor([image]).to(device_of(pipe)) * 2 - 1


def _whole(pipe, pictures):
    return [_pair(pipe, image) for image in pictures]


class _Crops:
    """Iterated over, a new random square of each picture; the squares are pictures of their own, x in (10)."""

    def __init__(self, pipe, pictures, side, generator):
        factor, smallest = pipe.vae_scale_factor, min(min(image.size) for image in pictures)
        check_count(factor, crop=side)
        if side % factor or side > smallest:
            raise ValueError(f"crop={side} must be a multiple of {factor} of at most {smallest} pixels, the "
                             "shortest side of the pictures; leave it out to tune on them whole")
        self.pipe, self.pictures, self.side = pipe, pictures, side
        self.generator, _ = seeded(generator)

    def __iter__(self):
        for image in self.pictures:
            left, top = (int(torch.randint(extent - self.side + 1, (), generator=self.generator))
                         for extent in image.size)
            yield _pair(self.pipe, image.crop((left, top, left + self.side, top + self.side)))
