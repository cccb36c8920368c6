"""What every verb does with its arguments: open the pictures, check the numbers, settle the defaults.

An argument that would have no effect is an error: silence would leave the user believing in it.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from numbers import Integral

from diffusers import ControlNetModel

from .images import open_image
from .latents import encode, fit_size, native_resolution, nearest_size
from .layers import select_layers
from .masks import Regions, open_labels
from .tiling import encode_tiled
from .weights import Schedule, Weights, check_weight, ever, is_number


class Pictures:
    """A verb's pictures, opened and brought to sizes that the model takes; `about` says from what to what.

    `images`: {name: PIL image}. `regions`: the label maps' `Regions`, or None. `output_size`: `size`, or that of the
    first of content, target map and control picture, or the model's own square; the others must have its aspect.
    With `wide` the output is as large as they say, and not brought to the model's resolution.
    """

    def __init__(self, pipe, style, content=None, size=None, resolution=None, control=None, source_mask=None,
                 target_mask=None, wide=False):
        styles = list(style) if isinstance(style, (list, tuple)) else [style]
        if not styles:
            raise ValueError("style is an empty list; give at least one picture")
        if content is not None and size is not None and not wide:
            raise ValueError(
                f"size={size} has no effect beside content, which sets the size; "
                "leave it out, or use resolution to work larger or smaller"
            )
        self.images, self.about, self.wide = {}, {}, wide
        self.output_size = None if size is None else nearest_size(pipe, size)
        maps = open_maps(source_mask, target_mask, len(styles))

        def fitted(original):
            return fit_size(pipe, original, resolution)

        def output_size(name, original):
            if self.output_size is not None:
                return check_aspect(self.output_size, **{name: original})
            # Rounding may change the aspect in small models, so there is no check.
            self.output_size = nearest_size(pipe, original) if wide else fitted(original)
            return self.output_size

        for index, one in enumerate(styles):
            self._add(f"style_{index}", one, fitted)
        if content is not None:
            self._add("content", content, partial(output_size, "content"))
        if maps is not None:
            output_size("target_mask", maps["target_mask"].shape)
        if control is not None:
            self._add("control", control, partial(output_size, "control"))
        if self.output_size is None:
            self.output_size = nearest_size(pipe, (native_resolution(pipe),) * 2)
        self.regions = None if maps is None else self._add_maps(maps)

    def _add(self, name, source, size_for):
        """Open a picture at the size that `size_for` gives for its own; returns that size."""
        image = open_image(source)
        original = (image.height, image.width)
        used = size_for(original)
        self.images[name] = image if used == original else open_image(image, used)
        self._describe(name, source, original, used)
        return used

    def _describe(self, name, source, original, used):
        file = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
        self.about[name] = {"file": file, "size": list(original), "used_size": list(used)}

    def _add_maps(self, maps):
        """The label maps as `Regions`, and as pictures beside the others."""
        for index, one in enumerate(maps["source_mask"]):
            check_aspect(self.about[f"style_{index}"]["size"], **{f"source_mask_{index}": one.shape})
        regions = Regions(maps["target_mask"], maps["source_mask"], self.output_size)
        for name, painted in regions.pictures().items():
            self.images[name], size = painted, (painted.height, painted.width)
            self._describe(name, maps["files"][name], size, size)
        return regions

    def encode(self, pipe, rows=1, generator=None):
        """The clean latents: a list of the styles' (1, channels, h, w), and the content's or None.

        With label maps the content, unless there is one, is the masked initialisation: `rows` of it, each drawn anew
        from the generator, (rows, channels, h, w).
        """
        styles = [image for name, image in self.images.items() if name.startswith("style_")]
        z_s = [encode(pipe, image) for image in styles]
        to_latents = encode_tiled if self.wide else encode
        if "content" in self.images:
            return z_s, to_latents(pipe, [self.images["content"]])
        if self.regions is None:
            return z_s, None
        filled = [self.regions.fill(styles, generator) for _ in range(rows)]
        self.images["masked_start"] = filled[0]
        return z_s, to_latents(pipe, filled)


def open_maps(source_mask, target_mask, styles):
    """{"target_mask": array, "source_mask": [array for each style]}, or None without any."""
    if source_mask is None and target_mask is None:
        return None
    if source_mask is None or target_mask is None:
        given, missing = ("source_mask", "target_mask") if target_mask is None else ("target_mask", "source_mask")
        raise ValueError(f"{given} has no effect without {missing}: regions of the one are made of the other's")
    sources = list(source_mask) if isinstance(source_mask, (list, tuple)) else [source_mask]
    if len(sources) != styles:
        raise ValueError(f"source_mask has {len(sources)} label maps for {styles} pictures of style; give one for each")
    files = {"target_mask": target_mask, **{f"source_mask_{index}": one for index, one in enumerate(sources)}}
    return {"target_mask": open_labels(target_mask), "source_mask": [open_labels(one) for one in sources], "files": files}


def check_steps(pipe, **counts):
    check_count(1, **counts)
    ((name, value),) = counts.items()
    config = pipe.scheduler.config
    limit = config.num_train_timesteps - config.get("steps_offset", 0)  # beyond it DDIM would begin after the last timestep
    if value > limit:
        raise ValueError(f"{name}={value}, but the model has timesteps for {limit} at most")


def check_count(least, **counts):
    for name, value in counts.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")


def check_positive(**values):
    for name, value in values.items():
        if not is_number(value) or value <= 0:
            raise ValueError(f"{name} must be a positive number, not {value!r}")


def resolve_rate(learning_rate):
    """Adam's step size: a positive number, by default the paper's, or a `Schedule` over the way from noise to the picture."""
    if learning_rate is None:
        return 0.05
    if isinstance(learning_rate, Mapping):  # as settings.json holds it
        learning_rate = Schedule(**learning_rate)
    if not isinstance(learning_rate, Schedule):
        check_positive(learning_rate=learning_rate)
    elif not ever(learning_rate):
        raise ValueError(f"learning_rate={learning_rate} never moves anything; give it a positive first or last value")
    return learning_rate


def check_effect(why, **values):
    """Raise ValueError for what was given though it has no effect."""
    for name, value in values.items():
        if value is not None:
            raise ValueError(f"{name} {why}; leave it out")


def check_strength(strength, pictures):
    if strength is None:
        return
    if "content" not in pictures.images and pictures.regions is None:
        raise ValueError(f"strength={strength} has no effect without content, which it noises")
    if not is_number(strength) or not 0 < strength <= 1:
        raise ValueError(f"strength must lie in (0, 1], not {strength!r}")


def resolve_weights(pipe, pictures, layers, content_weight, weights):
    """(content_weight, weights): a number, by default the paper's, or a `Weights`; never both.

    Layers that `weights` names come back under their full names.
    """
    regions, styles = pictures.regions, sum(name.startswith("style_") for name in pictures.images)
    content = "content" in pictures.images or regions is not None
    if weights is None:
        if regions is not None:
            regions.weigh(None)
        if not content:
            check_effect("has no effect without content", content_weight=content_weight)
            return None, None
        if content_weight is None:
            content_weight = 0.25 if "content" in pictures.images else 0.15
        check_weight("content_weight", content_weight)
        return content_weight, None
    weights = Weights(**weights) if isinstance(weights, Mapping) else weights
    if not isinstance(weights, Weights):
        raise TypeError(f"weights must be a Weights, such as Weights(content=0.2), not {weights!r}")
    if content_weight is not None:
        raise ValueError(f"content_weight={content_weight} beside weights; write Weights(content={content_weight})")
    if (weights.content is None) == content:
        raise ValueError(
            "weights has no `content` for the content loss; write Weights(content=0.25, ...), or content=0"
            if content
            else f"Weights(content={weights.content}) has no effect without content"
        )
    if weights.references is not None and len(weights.references) != styles:
        raise ValueError(f"weights has {len(weights.references)} references, and style {styles} pictures")
    if regions is not None:
        regions.weigh(weights.references)
    return None, replace(weights, layers=_full_names(pipe, weights.layers, layers))


def _full_names(pipe, weighed, layers):
    if weighed is None:
        return None
    names = {name: weight for layer, weight in weighed.items() for name in select_layers(pipe, layer)}
    unread = [name for name in names if name not in layers]
    if unread:
        raise ValueError(f"weights has layers that are not read: {', '.join(unread)}; add them to `layers`")
    if not any(names.get(name, 1) for name in layers):
        raise ValueError("weights gives every layer that is read 0, which leaves nothing to optimise")
    return names


def check_aspect(size, **originals):
    """`size`, unless a picture (by name, its size) would be stretched by more than a tenth and rounding to fit it."""
    most = 1.1 * (1 + 8 / min(size))  # models take whole cells of eight pixels at least
    for name, (height, width) in originals.items():
        stretch = size[1] * height / (size[0] * width)
        if not 1 / most < stretch < most:
            raise ValueError(
                f"{name} of {height} x {width} pixels would be stretched to {size[0]} x {size[1]}; "
                "crop it, or choose a size of its aspect"
            )
    return size


def resolve_control(pipe, control, control_scale):
    if control is None:
        if control_scale is not None:
            raise ValueError(f"control_scale={control_scale} has no effect without control")
        return None
    if not isinstance(getattr(pipe, "controlnet", None), ControlNetModel):
        raise ValueError(
            f"control needs a pipeline with one ControlNetModel, and a {type(pipe).__name__} was given; make one: "
            "StableDiffusionControlNetPipeline(**pipe.components, controlnet=controlnet)"
        )
    if pipe.controlnet.dtype != pipe.unet.dtype:
        raise ValueError(f"the ControlNet is in {pipe.controlnet.dtype}, the UNet in {pipe.unet.dtype}; write "
                         "controlnet.to(pipe.unet.device, pipe.unet.dtype)")
    control_scale = 1.0 if control_scale is None else control_scale
    check_positive(control_scale=control_scale)
    return control_scale


def resolve_guidance(prompt, negative_prompt, guidance_scale):
    """`guidance_scale`, by default 7.5 with a prompt and 1 without; raises on prompts that cannot be or have no effect."""
    texts = _texts("prompt", prompt)
    prompted = any(texts)
    if guidance_scale is None:
        guidance_scale = 7.5 if prompted else 1.0
    if not is_number(guidance_scale) or guidance_scale < 1:
        raise ValueError(f"guidance_scale must be a number of at least 1, which is none, not {guidance_scale!r}")
    if negative_prompt is not None:
        if guidance_scale == 1:
            raise ValueError(f"negative_prompt has no effect at guidance_scale={guidance_scale}; set it above 1")
        count = len(_texts("negative_prompt", negative_prompt))
        if isinstance(negative_prompt, list) and count != len(texts):
            raise ValueError(f"negative_prompt has {count} texts and prompt {len(texts)}; give one, or as many")
    if guidance_scale > 1 and not prompted and not negative_prompt:
        raise ValueError(f"guidance_scale={guidance_scale} has no effect without a prompt")
    return guidance_scale


def _texts(name, value):
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name} must be a text or a list of texts, not {value!r}")
    return texts
