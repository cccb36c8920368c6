"""Where does a query look? The attention of one place, drawn onto the pictures themselves."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import torch
from PIL import Image, ImageDraw

from .attention import attention_map
from .distillation import Distiller
from .images import open_image
from .latents import encode, open_fitted
from .layers import halved, select_layers, self_attention_layers, token_grid
from .plots import COLOURS, PAPER, contact_sheet

__all__ = ["QueryMaps", "spotlight", "tokens_for_half"]

MOST_PLACES = 32  # a side: more are too small to be clicked, and too many for a browser


class QueryMaps:
    """Attention maps of a picture's queries, in the picture itself and in a reference.

        maps = QueryMaps(pipe, sample("content"), sample("style"))
        own, other = maps.at(row=16, column=11, layer=-1)   # (rows, columns) each, non-negative, of sum 1
        maps.draw(row=16, column=11, layer=-1)              # both maps as light on both pictures, a PIL image

    Features are read as `optimize` reads them: from the clean latents, with the empty prompt, at `timestep`; each
    timestep is read once. A place is (row, column) on a grid of `rows` × `columns` over the picture; a layer answers
    with the token that lies at the middle of that place. `layer`: a name or an index in execution order, one of `layers`
    (see `select_layers`). `head`: an index, or None for the mean over all heads.

    Pictures keep their aspect and are brought to the model's own area, as for the verbs. Raises ValueError for a place,
    layer or head that does not exist, and what `open_image` and `select_layers` raise.
    """

    def __init__(self, pipe, image, reference, layers="last6"):
        self.pictures = [open_fitted(pipe, one) for one in (image, reference)]
        self.latents = [encode(pipe, one) for one in self.pictures]
        self.layers = list(select_layers(pipe, layers))
        known = list(self_attention_layers(pipe))
        self.numbers, self._count = {name: known.index(name) for name in self.layers}, len(known)
        self.heads = {name: module.heads for name, module in select_layers(pipe, layers).items()}
        self.rows, self.columns = _places(self.latents[0].shape[-2:])
        self._reader, self._read = Distiller(pipe, self.layers), {}

    def at(self, row, column, layer, head=None, timestep=1):
        """Where the query of one place looks: (in the picture, in the reference), each a map (rows, columns) of sum 1."""
        layer = self._name(layer)
        if not (0 <= row < self.rows and 0 <= column < self.columns):
            raise ValueError(f"place ({row}, {column}) is not on the grid of {self.rows} rows and {self.columns} columns")
        if head is not None and not 0 <= head < self.heads[layer]:
            raise ValueError(f"head {head} does not exist; layer {self.numbers[layer]} has heads 0 to {self.heads[layer] - 1}")
        own, other = [features[layer] for features in self._features(timestep)]
        size = token_grid(own.query.shape[2], self.latents[0])
        token = _middle(row, self.rows, size[0]) * size[1] + _middle(column, self.columns, size[1])
        maps = attention_map(own, [token]), attention_map(own, [token], other)  # (1, heads, 1, tokens) each
        maps = [one[0].mean(0) if head is None else one[0, head] for one in maps]
        return tuple(one.view(token_grid(one.numel(), z)).cpu().float().numpy() for one, z in zip(maps, self.latents))

    def draw(self, row, column, layer, head=None, timestep=1, tile=256):
        """Both maps of `at` as light on the two pictures, with the query marked, as one PIL image.

        The captions count the tokens that hold half of the attention: few where the query is choosy, nearly half of
        all where it looks everywhere alike.
        """
        maps = self.at(row, column, layer, head, timestep)
        place = (row, column, self.rows, self.columns)
        captions = [f"{where}: half of its attention on {tokens_for_half(one)} of {one.size} tokens"
                    for where, one in zip(("in the picture", "in the reference"), maps)]
        lit = [spotlight(self.pictures[0], maps[0], place), spotlight(self.pictures[1], maps[1])]
        which = "all heads" if head is None else f"head {head}"
        title = f"Layer {self.numbers[self._name(layer)]}, {which}, t = {timestep}: where the marked place looks is lit"
        return contact_sheet([list(zip(captions, lit))], title=title, tile=tile)

    def marked(self, row, column):
        """The picture with one place marked, a PIL image."""
        return _mark(self.pictures[0].copy(), row, column, self.rows, self.columns)

    def _name(self, layer):
        known = {**self.numbers, **{number: name for name, number in self.numbers.items()}}
        if isinstance(layer, Integral) and layer < 0:
            layer += self._count
        if layer not in known:
            read = ", ".join(f"{number} ({name})" for name, number in self.numbers.items())
            raise ValueError(f"layer {layer!r} was not read; read were {read}")
        return layer if isinstance(layer, str) else known[layer]

    @torch.no_grad()
    def _features(self, timestep):
        if timestep not in self._read:
            self._read[timestep] = [self._reader.read(z, torch.tensor(timestep)) for z in self.latents]
        return self._read[timestep]


def spotlight(picture, weights, place=None, dark=0.25):
    """A picture lit where a map is high: in full colour at its maximum, grey and dark where it is zero.

    `weights` (rows, columns), non-negative, one number for each token; the light is the square root of the share of the
    largest, so that weak attention is seen too. `place`: (row, column, rows, columns) of a token to be marked. `dark`: the
    brightness without light, in [0, 1]. Returns a PIL image of the picture's size; raises ValueError for other weights.

    >>> lit = spotlight(np.ones((4, 4, 3), np.float32), np.array([[1.0, 0.0]]), dark=0.2)
    >>> lit.getpixel((0, 0)), lit.getpixel((3, 0))
    ((255, 255, 255), (51, 51, 51))
    """
    picture, weights = open_image(picture), np.asarray(weights, dtype=np.float32)
    if weights.ndim != 2 or not np.isfinite(weights).all() or weights.min() < 0 or weights.max() == 0:
        raise ValueError("spotlight: weights are a map (rows, columns) of finite numbers ≥ 0 that are not all 0")
    light = Image.fromarray(np.round(255 * np.sqrt(weights / weights.max())).astype(np.uint8))
    light = light.resize(picture.size, Image.Resampling.NEAREST)
    shade = picture.convert("L").point(lambda value: round(value * dark)).convert("RGB")
    lit = Image.composite(picture, shade, light)
    return lit if place is None else _mark(lit, *place)


def tokens_for_half(weights):
    """How many tokens hold half of the attention, when the most regarded come first.

    >>> tokens_for_half([0.7, 0.1, 0.1, 0.1]), tokens_for_half(np.full(100, 0.01))
    (1, 50)
    """
    weights = np.sort(np.asarray(weights, dtype=np.float64).ravel())[::-1]
    return int(np.searchsorted(weights.cumsum(), weights.sum() / 2 * (1 - 1e-6)) + 1)


def _mark(picture, row, column, rows, columns):
    """A ring around one place of a picture, red between white, drawn into the picture."""
    height, width = picture.height / rows, picture.width / columns
    draw = ImageDraw.Draw(picture)
    for grown, colour in ((4, PAPER), (3, COLOURS[0]), (2, COLOURS[0]), (1, PAPER)):
        corner = column * width - grown, row * height - grown
        draw.rectangle([*corner, (column + 1) * width - 1 + grown, (row + 1) * height - 1 + grown], outline=colour)
    return picture


def _places(size):
    level = 0
    while max(halved(size, level)) > MOST_PLACES:
        level += 1
    return halved(size, level)


def _middle(place, places, tokens):
    """The token at the middle of a place, when `places` places and `tokens` tokens share one side of a picture.

    >>> [_middle(place, 4, 2) for place in range(4)], _middle(1, 2, 8)
    ([0, 0, 1, 1], 6)
    """
    return (2 * place + 1) * tokens // (2 * places)
