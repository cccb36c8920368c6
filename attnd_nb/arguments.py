"""What every verb does with its arguments: open the pictures, check the numbers, settle the defaults.

An argument that would have no effect is an error: silence would leave the user believing in it.
"""

import math
import os

from diffusers import ControlNetModel

from .images import check_size, encode, fit_size, native_resolution, nearest_size, open_image


class Pictures:
    """A verb's pictures, opened and brought to sizes that the model takes; `about` says from what to what."""

    def __init__(self, pipe, style, content=None, size=None, resolution=None, control=None):
        styles = list(style) if isinstance(style, (list, tuple)) else [style]
        if not styles:
            raise ValueError("style is an empty list; give at least one picture")
        if content is not None and size is not None:
            raise ValueError(
                f"size={size} has no effect beside content, which sets the size; "
                "leave it out, or use resolution to work larger or smaller"
            )
        self.images, self.about = {}, {}

        def fitted(original):
            return fit_size(pipe, original, resolution)

        for index, one in enumerate(styles):
            self._add(f"style_{index}", one, fitted)
        if content is not None:
            self.output_size = self._add("content", content, fitted)
        elif size is not None or control is None:
            side = native_resolution(pipe)
            self.output_size = nearest_size(pipe, (side, side) if size is None else check_size(size))
        else:
            self.output_size = self._add("control", control, fitted)
        if control is not None and "control" not in self.images:
            self._add("control", control, lambda original: check_aspect(self.output_size, control=original))

    def _add(self, name, source, size_for):
        """Open a picture at the size that `size_for` gives for its own; returns that size."""
        image = open_image(source)
        original = (image.height, image.width)
        used = size_for(original)
        self.images[name] = image if used == original else open_image(image, used)
        file = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
        self.about[name] = {"file": file, "size": list(original), "used_size": list(used)}
        return used

    def encode(self, pipe):
        """The clean latents: a list of the styles' (1, channels, h, w), and the content's or None."""
        latents = {name: encode(pipe, image) for name, image in self.images.items() if name != "control"}
        content = latents.pop("content", None)
        return list(latents.values()), content


def check_steps(pipe, **counts):
    check_count(1, **counts)
    ((name, value),) = counts.items()
    limit = pipe.scheduler.config.num_train_timesteps
    if value > limit:
        raise ValueError(f"{name}={value}, but the model knows {limit} timesteps only")


def check_count(least, **counts):
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")


def check_positive(**values):
    for name, value in values.items():
        if not (isinstance(value, (int, float)) and 0 < value < math.inf):
            raise ValueError(f"{name} must be a positive number, not {value!r}")


def resolve_weight(content, content_weight):
    if content is None:
        if content_weight is not None:
            raise ValueError(f"content_weight={content_weight} has no effect without content")
        return None
    weight = 0.25 if content_weight is None else content_weight
    if not (isinstance(weight, (int, float)) and 0 <= weight < math.inf):
        raise ValueError(f"content_weight must be a number of at least 0, not {weight!r}")
    return weight


def check_aspect(size, **originals):
    """`size`, unless a picture (by name, its size) would be stretched by more than a tenth to fit it."""
    for name, (height, width) in originals.items():
        stretch = size[1] * height / (size[0] * width)
        if not 1 / 1.1 < stretch < 1.1:
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
    control_scale = 1.0 if control_scale is None else control_scale
    check_positive(control_scale=control_scale)
    return control_scale


def resolve_guidance(prompt, negative_prompt, guidance_scale):
    texts = prompt if isinstance(prompt, list) else [prompt]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"prompt must be a text or a list of texts, not {prompt!r}")
    prompted = any(texts)
    if guidance_scale is None:
        guidance_scale = 7.5 if prompted else 1.0
    if guidance_scale <= 1 and negative_prompt is not None:
        raise ValueError(f"negative_prompt has no effect at guidance_scale={guidance_scale}; set it above 1")
    if guidance_scale > 1 and not prompted and not negative_prompt:
        raise ValueError(f"guidance_scale={guidance_scale} has no effect without a prompt")
    return guidance_scale
