"""Windows over a latent that is larger than the model or has no edge, and decoding in tiles.

The geometry of MultiDiffusion (Bar-Tal et al., 2023), and nothing of attention. Sizes are (height, width)
in cells of the latent. An axis that wraps is a circle: its last cell is next to its first.
"""

import contextlib
import itertools
import math

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from .images import open_image
from .latents import decode, encode, native_resolution, nearest_size
from .models import device_of

SEAMLESS = {False: (False, False), "x": (False, True), "y": (True, False), "both": (True, True)}
PADDING = 8  # cells of the other side that the decoder sees beyond a wrapping edge; 16 change half a level of 255 on average


def native_side(pipe):
    """Side, in cells of the latent, of the square that the model was trained on: 64 for SD 1.5."""
    return native_resolution(pipe) // pipe.vae_scale_factor


def wrapped_axes(seamless):
    """Which of (vertical, horizontal) wrap, from False, "x", "y" or "both".

    >>> wrapped_axes("x")
    (False, True)
    """
    if not isinstance(seamless, (bool, str)) or seamless not in SEAMLESS:
        raise ValueError(f"seamless must be False, 'x' (left meets right), 'y' or 'both', not {seamless!r}")
    return SEAMLESS[seamless]


def window_starts(length, window, stride, wrap=False):
    """Where windows of `window` cells begin on an axis of `length` cells, no more than `stride` apart.

    With ends: multiples of `stride`, and a last window *clamped* to the end. If their number is rounded down
    instead, as in diffusers' panorama pipeline, some cells are in no window. On a circle: evenly all round.

    >>> window_starts(75, 32, 16), window_starts(75, 32, 16, wrap=True)
    ([0, 16, 32, 43], [0, 15, 30, 45, 60])
    """
    window = min(window, length)
    if not 1 <= stride <= window:
        raise ValueError(f"stride={stride} must lie between 1 and the window's {window} cells, for else some "
                         "cells are in no window")
    if wrap:
        count = math.ceil(length / stride)
        return [index * length // count for index in range(count)]
    return [min(start, length - window) for start in range(0, length - window + stride, stride)]


class Windows:
    """Windows that cover latents of `size`, and their weighted mean.

    A window counts most at its centre and least at its border (a tent), where it sees least of what is
    around. With equal weights the mean would jump wherever a window ends. An axis that wraps and is no
    longer than a window is one window's, and `closed`: convolutions are to pad it with its own other side
    (`circular_padding`), and then it has no border at all.

    >>> windows = Windows((32, 96), window=32, stride=16)
    >>> len(windows), windows.shape, windows.coverage()[0, ::16].tolist()
    (5, (32, 32), [1, 2, 2, 2, 2, 1])
    >>> Windows((32, 96), window=32, stride=16, seamless="both").closed
    'y'
    """

    def __init__(self, size, window, stride, seamless=False):
        self.size, self.wrap = tuple(size), wrapped_axes(seamless)
        self.shape = tuple(min(window, length) for length in self.size)
        closed = tuple(wrap and length <= window for wrap, length in zip(self.wrap, self.size))
        self.closed = next(name for name, axes in SEAMLESS.items() if axes == closed)
        starts = [[0] if whole else window_starts(length, window, min(stride, length), wrap)
                  for length, wrap, whole in zip(self.size, self.wrap, closed)]
        self.corners = list(itertools.product(*starts))
        self.weight = _tent(self.shape[0])[:, None] * _tent(self.shape[1])
        self.total = self._sum(self.weight)

    def __len__(self):
        return len(self.corners)

    def coverage(self):
        """How many windows see each cell: whole numbers (height, width), at least 1."""
        return self._sum(torch.ones(self.shape)).long()

    def cells(self, corner, shift=(0, 0)):
        """A window as an index of the last two axes: rows (h, 1) and columns (1, w)."""
        rows, columns = (torch.arange(side) + start + by
                         for side, start, by in zip(self.shape, corner, shift))
        return rows[:, None] % self.size[0], columns[None] % self.size[1]

    def share(self, corner):
        """The window's share (h, w) in each of its cells; all windows' shares of a cell sum to 1."""
        return self.weight / self.total[self.cells(corner)]

    def random_shift(self, generator):
        """How far to turn the circle before windows are cut: (rows, columns), 0 where they have ends or no border."""
        return tuple(int(torch.randint(length, (), generator=generator)) if wrap and not whole else 0
                     for length, wrap, whole in zip(self.size, self.wrap, wrapped_axes(self.closed)))

    def mean(self, function, *tensors, batch=8, shift=(0, 0)):
        """The weighted mean over all windows of what `function` makes of them, `batch` crops at a time.

        `tensors` (n, channels, height, width) are cut alike; one of a single row is cut for each of the n.
        `function(rows, *crops)` is told which of the n each crop comes from, and returns crops (batch,
        channels, h, w). Memory beside the whole is that of one batch. One window's mean is `function`'s
        answer, to the bit.
        """
        whole = torch.zeros_like(tensors[0])
        places = list(itertools.product(self.corners, range(len(whole))))
        for start in range(0, len(places), batch):
            corners, rows = zip(*places[start:start + batch])
            cells = [self.cells(corner, shift) for corner in corners]
            crops = [torch.stack([tensor[row % len(tensor)][:, *at] for row, at in zip(rows, cells)])
                     for tensor in tensors]
            for corner, row, at, part in zip(corners, rows, cells, function(list(rows), *crops)):
                whole[row][:, *at] += self.share(corner).to(part) * part
        return whole

    def _sum(self, weight):
        total = torch.zeros(self.size)
        for corner in self.corners:
            total[self.cells(corner)] += weight
        return total


def _tent(length):
    """Weights 1, 2, 3, …, 3, 2, 1."""
    ramp = torch.arange(1.0, length + 1)
    return torch.minimum(ramp, ramp.flip(0))


@torch.no_grad()
def decode_tiled(pipe, latents, seamless=False, tile=None):
    """`decode` for latents of any size: in one piece up to an area of `tile` × `tile` cells, in tiles beyond.

    Returns pictures (n, 3, f h, f w) in [0, 1]. `tile` is twice the model's side by default. Tiles overlap
    by an eighth and are blended: a decoder's group norms see one tile only, so tiles differ a little in
    tone. Along `seamless` axes the decoder is shown, beyond each edge, what lies inside the other one, and
    that is then cut off; nothing in the model is touched.
    """
    pads = [min(PADDING, length) if wrap else 0
            for length, wrap in zip(latents.shape[-2:], wrapped_axes(seamless))]
    if any(pads):
        latents = F.pad(latents, (pads[1], pads[1], pads[0], pads[0]), mode="circular")
    pixels = torch.cat([_decode_one(pipe, one[None], tile) for one in latents])
    top, left = (pad * pipe.vae_scale_factor for pad in pads)
    return pixels[..., top:pixels.shape[-2] - top, left:pixels.shape[-1] - left]


def _decode_one(pipe, latents, tile):
    """One latent (1, channels, h, w) to pixels (1, 3, f h, f w)."""
    factor = pipe.vae_scale_factor
    tiles = _tiles(pipe, latents.shape[-2:], tile, factor)
    if tiles is None:
        return decode(pipe, latents)
    pixels = torch.zeros(1, 3, *tiles.size)
    for corner in tiles.corners:
        (top, left), (rows, columns) = ([side // factor for side in pair] for pair in (corner, tiles.shape))
        part = decode(pipe, latents[..., top:top + rows, left:left + columns]).cpu()
        pixels[..., *tiles.cells(corner)] += tiles.share(corner) * part
    return pixels


def encode_tiled(pipe, images, tile=None):
    """`encode` for PIL images of one size, however large, in tiles as `decode_tiled`: (n, channels, h / f, w / f)."""
    factor, size = pipe.vae_scale_factor, nearest_size(pipe, (images[0].height, images[0].width))
    images = [open_image(image, size) for image in images]
    tiles = _tiles(pipe, (images[0].height // factor, images[0].width // factor), tile)
    if tiles is None:
        return encode(pipe, images)
    latents = torch.zeros(len(images), pipe.unet.config.in_channels, *tiles.size, device=device_of(pipe))
    for image, latent in zip(images, latents):
        for corner in tiles.corners:
            (top, left), (height, width) = ([factor * side for side in pair] for pair in (corner, tiles.shape))
            part = encode(pipe, image.crop((left, top, left + width, top + height)))[0]
            latent[:, *tiles.cells(corner)] += tiles.share(corner).to(part) * part
    return latents


def _tiles(pipe, cells, tile, scale=1):
    """Tiles, in units of `scale` to a cell, over a latent of `cells`; None where one piece will do."""
    tile = 2 * native_side(pipe) if tile is None else tile
    if math.prod(cells) <= tile**2:
        return None
    return Windows([scale * side for side in cells], scale * tile, scale * (tile - tile // 8))


@contextlib.contextmanager
def circular_padding(network, seamless="both"):
    """Inside, the network's convolutions see what lies at the opposite edge, and not zeros, beyond each edge that wraps.

        with circular_padding(pipe.unet, "x"):
            noise = predict_noise(pipe, latents, timestep, condition)

    `network`: a module, such as a pipeline's `unet` or `vae.decoder`. Attention knows no places, so padding is all
    that makes an edge. Only convolutions that pad with zeros along the axes of `seamless` ("x", "y", "both") are touched,
    by a hook; they are put back afterwards, whatever happened inside. Raises ValueError if there are none.

    >>> conv = torch.nn.Conv2d(1, 1, 3, padding=1)
    >>> x = torch.randn(1, 1, 4, 6)
    >>> with circular_padding(conv, "x"):
    ...     print(torch.allclose(conv(x.roll(2, 3)), conv(x).roll(2, 3), atol=1e-6), conv.padding)
    True (1, 0)
    >>> conv.padding
    (1, 1)
    """
    axes, touched = wrapped_axes(seamless), []

    def pad_with_other_side(rows, columns):
        def hook(module, args):
            return (F.pad(args[0], (columns, columns, rows, rows), mode="circular"), *args[1:])
        return hook

    try:
        for conv in network.modules():
            if not isinstance(conv, torch.nn.Conv2d) or isinstance(conv.padding, str) or conv.padding_mode != "zeros":
                continue  # other modes pad by what they were built with
            wrapped = [by if wrap else 0 for by, wrap in zip(conv.padding, axes)]
            if any(wrapped):
                hook = conv.register_forward_pre_hook(pad_with_other_side(*wrapped))
                touched.append((conv, conv.padding, hook))
                conv.padding = tuple(by - other for by, other in zip(conv.padding, wrapped))
        if any(axes) and not touched:
            raise ValueError(f"a {type(network).__name__} has no convolution that pads, so nothing could wrap")
        yield
    finally:
        for conv, padding, hook in touched:
            hook.remove()
            conv.padding = padding


def repeat_image(image, rows=2, columns=2):
    """A picture `rows` × `columns` times beside itself: if it has a seam, it shows at the joints.

    >>> repeat_image(np.zeros((4, 6, 3))).size
    (12, 8)
    """
    return Image.fromarray(np.tile(np.asarray(open_image(image)), (rows, columns, 1)))
