"""Label maps: which region of the picture may look at which regions of the references.

A label map is an image of the picture's shape in which a number, or a colour, stands for a region. A query of
the picture may attend to a token of a reference if both have one label (equation 11); before that, each region is
filled with random pixels of the same label (the masked initialisation). Labels are compared, never
counted: a map may have any numbers or colours, and what they are called changes nothing.
"""

import colorsys
import math
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageColor
from torch.nn import functional as F

from .images import check_pixels, open_image
from .layers import halved

COLOURS = 1 << 32  # a label from here on is a colour, rrggbb; grey ones are the number 0 … 255
MOST_LABELS = 256


def open_labels(source, colours=None):
    """A label map as an integer array (h, w).

    `source`: a path or PIL image of any mode, each colour a label (grey 0 … 255 is the label 0 … 255; files of
    16 or 32 bit hold the numbers themselves), an integer or bool array or tensor (h, w), such as
    `world.Scene.labels` gives, or an array (h, w, 3) of colours. `colours`: names or hex codes, for a
    picture with blended edges, painted smoothly or saved as JPEG; each pixel takes the nearest.
    Raises ValueError or TypeError (more than 256 labels, floats that are no picture, no pixels).

    >>> open_labels(np.array([[0, 7], [7, 7]])).tolist()
    [[0, 7], [7, 7]]
    >>> smooth = Image.fromarray(np.uint8([[[250, 4, 0], [9, 0, 240]]]))
    >>> [label_name(label) for label in open_labels(smooth, colours=["red", "#0000ff"])[0]]
    ['#ff0000', '#0000ff']
    """
    numbers = _numbers(source)
    if numbers is None:
        numbers = _colour_codes(np.asarray(open_image(source)), colours)
    elif colours is not None:
        raise ValueError("colours has no effect on a map of numbers")
    check_pixels(*numbers.shape)
    count = len(np.unique(numbers))
    if count > MOST_LABELS:
        raise ValueError(
            f"the label map has {count} labels, and more than {MOST_LABELS} are no map but a picture. Painted "
            "smoothly, or saved as JPEG? Use open_labels(map, colours=['#ff0000', ...]) to take the nearest "
            "of the colours that you meant"
        )
    return numbers


def _numbers(source):
    """The map's numbers (h, w) if it holds numbers, None if it is a picture."""
    if isinstance(source, torch.Tensor):
        source = source.detach().cpu().numpy()
    elif isinstance(source, (str, os.PathLike)):
        open_image(source)  # for its errors
        with Image.open(Path(source).expanduser()) as image:
            source = np.asarray(image) if image.mode.startswith("I") else None
    elif isinstance(source, Image.Image):
        source = np.asarray(source) if source.mode.startswith("I") else None
    if source is None or (isinstance(source, np.ndarray) and source.ndim == 3 and source.shape[2] in (3, 4)):
        return None
    if not isinstance(source, np.ndarray):
        raise TypeError(f"a label map is a path, a PIL image, an array or a tensor, not {type(source).__name__}")
    if source.ndim != 2 or not (source.dtype == bool or np.issubdtype(source.dtype, np.integer)):
        raise ValueError(
            f"a label map is an array (h, w) of whole numbers, or a picture, not {source.shape} of "
            f"{source.dtype}; for numbers use labels.astype(int)"
        )
    return source.astype(np.int64)


def _colour_codes(pixels, colours):
    """(h, w, 3) bytes to labels (h, w)."""
    rgb = pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    if colours is not None:
        meant = np.array([ImageColor.getrgb(colour)[:3] for colour in colours])
        seen, place = np.unique(rgb, return_inverse=True)
        channels = np.stack([seen >> 16, seen >> 8 & 255, seen & 255], axis=1)
        nearest = ((channels[:, None] - meant) ** 2).sum(-1).argmin(1)
        rgb = (meant @ np.array([1 << 16, 1 << 8, 1]))[nearest][place].reshape(rgb.shape)
    grey = (rgb >> 16 == (rgb >> 8 & 255)) & (rgb >> 16 == (rgb & 255))
    return np.where(grey, rgb & 255, COLOURS + rgb)


def label_name(label):
    """A label as people write it: 3, or #ff8000."""
    return f"#{label - COLOURS:06x}" if label >= COLOURS else str(label)


class Regions:
    """The label maps of a picture and of its references, and all that follows from them.

    `target`: the picture's map, `sources`: one for each reference, as `open_labels` gives them, of any sizes:
    a map covers its whole picture. `size`: the picture's (height, width) in pixels, by default the map's.
    Regions are numbered as they first appear, from the top left of the target.
    """

    def __init__(self, target, sources, size=None):
        every = np.concatenate([target.ravel(), *(source.ravel() for source in sources)])
        labels, first, numbers = np.unique(every, return_index=True, return_inverse=True)
        order = first.argsort()
        numbers = order.argsort()[numbers]
        self.names = [label_name(int(label)) for label in labels[order]]
        if len(self.names) > MOST_LABELS:
            raise ValueError(f"the label maps have {len(self.names)} labels together; {MOST_LABELS} are possible")
        pieces = np.split(numbers, np.cumsum([target.size, *(source.size for source in sources)])[:-1])
        maps = [torch.from_numpy(piece.reshape(one.shape)) for piece, one in zip(pieces, [target, *sources])]
        self.target, self.sources = maps[0], maps[1:]
        self.size = tuple(target.shape) if size is None else size
        self.weights = [1.0] * len(sources)
        self._members, self._cells = {}, {}

    def weigh(self, weights=None):
        """Settle how much each reference counts, by default alike.

        Raises ValueError if the picture has a label that no reference has, of those that count at all.
        """
        self.weights = [1.0] * len(self.sources) if weights is None else list(weights)
        counts = [weight > 0 for weight in self.weights]
        known = torch.cat([source.unique() for source, used in zip(self.sources, counts) if used]).unique()
        orphans = [label for label in self.target.unique().tolist() if label not in known]
        if orphans:
            raise ValueError(
                f"target_mask has {'; '.join(map(self._where, orphans[:5]))}; no source_mask"
                f"{'' if all(counts) else ' of a reference that counts'} has it, so nothing could be made of "
                f"it. The references have {', '.join(self.names[label] for label in known)}: relabel the "
                "region, or add a reference"
            )

    def _where(self, label):
        rows, columns = (self.target == label).nonzero(as_tuple=True)
        height, width = self.target.shape
        return (
            f"label {self.names[label]} ({len(rows)} of {height * width} pixels, in rows {rows.min()}–"
            f"{rows.max()} and columns {columns.min()}–{columns.max()} of {height} x {width})"
        )

    def shares(self, grid):
        """The share of each label in each cell of the picture: (1, labels, rows, columns)."""
        return shares(self.target, len(self.names), grid)

    def cells(self, grid, source_sizes):
        """The label that has most of each cell: of the picture's (rows, columns), and of each reference's, a list."""
        key = tuple(grid), tuple(source_sizes)
        if key not in self._cells:
            each = [shares(source, len(self.names), size) for source, size in zip(self.sources, source_sizes)]
            self._cells[key] = self.shares(grid)[0].argmax(0), [one[0].argmax(0) for one in each]
        return self._cells[key]

    def mask(self, target_shares, level, source_sizes):
        """M of equation (11) for one layer: (n, 1, tokens, all reference tokens) bool; None if all is allowed.

        `target_shares` (n, labels, h, w): of the latents' cells. `level`: how often the layer halves them.
        `source_sizes`: (h, w) of each reference's latents. Downsampling takes the majority, and each label keeps
        at least the token that it fills most: a token of the picture, or of a reference, may so have several
        labels, but no label is lost, and no query is left without a key.
        """
        key = level, tuple(source_sizes)
        if key not in self._members:
            of_sources = [
                members(shares(source, len(self.names), halved(size, level)))
                for source, size in zip(self.sources, source_sizes)
            ]
            self._members[key] = torch.cat(of_sources, dim=2)  # (1, labels, all reference tokens)
        of_target = members(F.adaptive_avg_pool2d(target_shares, halved(target_shares.shape[-2:], level)))
        allowed = (of_target.mT.float() @ self._members[key].float() > 0)[:, None]
        return None if allowed.all() else allowed

    def fill(self, pictures, generator):
        """The masked initialisation: each region filled with random pixels of the same label; a PIL image.

        `pictures`: the references, PIL images of any sizes. A pixel's chance is its reference's weight.
        """
        chance = torch.rand(math.prod(self.size), generator=generator, dtype=torch.float64)
        target = self.shares(self.size)[0].argmax(0).flatten()
        pixels = [torch.from_numpy(np.array(picture)).flatten(0, 1) for picture in pictures]  # (h w, 3)
        labels = [
            members(shares(source, len(self.names), (picture.height, picture.width)))[0]
            for source, picture in zip(self.sources, pictures)
        ]
        filled = torch.empty(len(target), 3, dtype=torch.uint8)
        for label in target.unique():
            pools = [p[own[label]] for p, own in zip(pixels, labels)]
            each = [torch.full((len(pool),), float(weight)) for pool, weight in zip(pools, self.weights)]
            odds, here = torch.cat(each).double().cumsum(0), target == label
            drawn = torch.searchsorted(odds, chance[here] * odds[-1], right=True).clamp(max=len(odds) - 1)
            filled[here] = torch.cat(pools)[drawn]
        return Image.fromarray(filled.view(*self.size, 3).numpy())

    def pictures(self):
        """The maps as palette images, each region in a colour of its own: {name: PIL image}."""
        maps = {f"source_mask_{index}": source for index, source in enumerate(self.sources)}
        return {name: _painted(one) for name, one in {**maps, "target_mask": self.target}.items()}


def shares(labels, count, grid):
    """The share of each of `count` labels in each cell of a grid: (h, w) to (1, count, rows, columns)."""
    each = [F.adaptive_avg_pool2d((labels == label)[None, None].float(), grid) for label in range(count)]
    return torch.cat(each, dim=1)


def members(shares):
    """Which tokens belong to which label, (n, labels, rows, columns) to (n, labels, tokens) bool.

    A token belongs to the label that has most of it, and each label has at least its best token.

    >>> members(torch.tensor([0.9, 0.8, 0.1, 0.2]).view(1, 2, 1, 2))[0].int()
    tensor([[1, 1],
            [0, 1]], dtype=torch.int32)
    """
    shares = shares.flatten(2)
    most = torch.zeros_like(shares, dtype=torch.bool).scatter(1, shares.argmax(1, keepdim=True), True)
    best = torch.zeros_like(most).scatter(2, shares.argmax(2, keepdim=True), True)
    return most | (best & (shares > 0))


def region_colour(index):
    """The colour of a region in pictures: (r, g, b), 0 to 255; neighbours in number differ most."""
    hue, ring = index * 0.618034 % 1, index // 16 % 16
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.62 - 0.02 * ring, 0.88 - 0.03 * ring))


def _painted(labels):
    image = Image.fromarray(labels.numpy().astype(np.uint8))
    image.putpalette([c for index in range(MOST_LABELS) for c in region_colour(index)])
    return image
