"""Pictures as everybody has them to pictures as the package has them, and to tensors and back.

A picture may be a path, a PIL image, an array or a tensor; `open_image` turns each into an 8-bit
RGB PIL image, and everything else works on those. Sizes are (height, width) in pixels.
"""

import os
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 89_478_485  # Pillow's own guard against decompression bombs


def open_image(source, size=None):
    """Any picture as an 8-bit RGB PIL image, upright, transparency over white.

    `source`: a path (any file that Pillow reads, any mode, 16 bit too), a PIL image, an array
    (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), or a tensor (c, h, w) or (1, c, h, w); floats in [0, 1],
    or unsigned integers. `size`: (height, width) to resize to.
    Raises FileNotFoundError (no such file) and ValueError or TypeError (broken file, no pixels, too
    many, NaN, values out of range), each naming what was seen.

    >>> open_image(np.zeros((2, 3))).size  # Pillow counts width first
    (3, 2)
    >>> open_image(np.full((4, 4, 3), np.nan))
    Traceback (most recent call last):
    ...
    ValueError: the image array contains NaN or infinite values (48 of 48); ...
    """
    if isinstance(source, Image.Image):
        image = _from_pil(source)
    elif isinstance(source, (str, os.PathLike)):
        image = _from_file(source)
    elif isinstance(source, torch.Tensor):
        image = _from_array(_channels_last(source))
    elif isinstance(source, np.ndarray):
        image = _from_array(source)
    else:
        raise TypeError(f"an image is a path, a PIL image, an array or a tensor, not {type(source).__name__}")
    if size is not None:
        height, width = check_size(size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return image


def _from_file(path):
    name = os.fspath(path)
    if str(name).startswith(("http://", "https://")):
        raise ValueError(f"{name!r} is an address; download the picture and pass its file name")
    path = Path(name).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"no picture at {name!r} (looked in {Path.cwd()})")
    if path.is_dir():
        raise ValueError(f"{name!r} is a folder; pass one picture in it, or a list of pictures")
    return read_picture(path, repr(name))


def read_picture(file, name):
    """A path or an open binary file to an RGB PIL image; a ValueError that calls it `name` if it is broken, too large or none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                return _from_pil(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{name} is too large: {error}. The limit is {MAX_PIXELS:,} pixels; make it smaller first"
        ) from error
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{name} is not a picture that Pillow {Image.__version__} can read; convert it to PNG or JPEG"
        ) from error
    except (OSError, SyntaxError, EOFError) as error:  # Pillow's decoders raise all of these on broken data
        raise ValueError(f"{name} is broken and cannot be read to its end: {error}") from error


def _from_pil(image):
    check_pixels(image.height, image.width)
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":  # 16 bit, 32 bit, float: Pillow would clip, not scale
        return _from_array(_deep_to_float(np.asarray(image), image.mode))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    # A copy, so that the caller's image and ours never share pixels (convert returns itself for RGB).
    return image.convert("RGB").copy()


def _deep_to_float(array, mode):
    if mode == "F":
        return array
    if array.size and (array.min() < 0 or array.max() > 65535):
        raise ValueError(
            f"a picture of mode {mode!r} has values {array.min()} to {array.max()}; "
            "0 to 65535 were expected. Scale it to [0, 1] and pass it as an array"
        )
    return array.astype(np.float32) / 65535


def _channels_last(tensor):
    """(c, h, w) or (1, c, h, w) tensor to an (h, w, c) array."""
    if tensor.ndim == 4 and len(tensor) == 1:
        tensor = tensor[0]
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3, 4):
        raise ValueError(
            f"an image tensor must be (c, h, w) or (1, c, h, w) with 1, 3 or 4 channels, not "
            f"{tuple(tensor.shape)}; several pictures go in a list"
        )
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).permute(1, 2, 0).numpy()


def _from_array(array):
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ValueError(f"an image array is (h, w) or (h, w, c) with 1, 3 or 4 channels, not {array.shape}")
    check_pixels(*array.shape[:2])
    if array.dtype == np.uint16:
        array = array.astype(np.float32) / 65535
    elif array.dtype == bool:
        array = array.astype(np.float32)
    if array.dtype != np.uint8:
        array = np.round(_check_unit(array) * 255).astype(np.uint8)
    return _from_pil(Image.fromarray(array))


def _check_unit(array):
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(
            f"an image array of {array.dtype} is ambiguous; use floats in [0, 1] or uint8, uint16"
        )
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise ValueError(
            f"the image array contains NaN or infinite values ({bad} of {array.size}); "
            "look at where it comes from, or use np.nan_to_num"
        )
    low, high = float(array.min()), float(array.max())
    if low < -1e-3 or high > 1 + 1e-3:
        raise ValueError(
            f"a float image must lie in [0, 1], and this one spans {low:.3g} to {high:.3g}; "
            "from [-1, 1] use (x + 1) / 2, from 0..255 use x / 255"
        )
    return array.clip(0, 1)


def check_pixels(height, width):
    """Raise ValueError for an image of no pixels or of more than `MAX_PIXELS`."""
    if height * width == 0:
        raise ValueError(f"the image has no pixels: {height} x {width}")
    if height * width > MAX_PIXELS:
        raise ValueError(
            f"the image is too large: {height} x {width} = {height * width:,} pixels; "
            f"the limit is {MAX_PIXELS:,}; make it smaller first"
        )


def check_size(size):
    """(height, width) as two positive integers, or ValueError."""
    try:
        height, width = size
    except (TypeError, ValueError):
        raise ValueError(f"size must be (height, width) in pixels, not {size!r}") from None
    if not all(isinstance(side, (int, np.integer)) and side > 0 for side in (height, width)):
        raise ValueError(f"size must be two positive whole numbers (height, width), not {size!r}")
    check_pixels(height, width)
    return int(height), int(width)


def to_pil(images):
    """A tensor (n, 3, h, w) in [0, 1] to a list of PIL images.

    >>> to_pil(torch.ones(2, 3, 4, 5))[1].getpixel((0, 0))
    (255, 255, 255)
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images must be (n, 3, h, w), not {tuple(images.shape)}")
    return [open_image(one) for one in images]


def to_tensor(images):
    """PIL images of one size to a float32 tensor (n, 3, h, w) in [0, 1]: the inverse of `to_pil`.

    >>> to_tensor(to_pil(torch.ones(2, 3, 4, 5))).shape
    torch.Size([2, 3, 4, 5])
    """
    pixels = torch.from_numpy(np.stack([np.array(one) for one in images]))  # (n, h, w, 3)
    return pixels.permute(0, 3, 1, 2).contiguous().float() / 255
