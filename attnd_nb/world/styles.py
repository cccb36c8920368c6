"""The rendering styles: each maps layers and a seed to a picture; palette and strokes follow from the seed.

A style changes the whole picture. Patterns are anchored to absolute coordinates, so that a wider render
agrees with a narrower one; what a style's filters and strokes reach is its margin.
"""

from collections.abc import Callable
from dataclasses import dataclass

from . import styles_strokes, styles_tiles, styles_washes


@dataclass(frozen=True)
class Painter:
    """`paint(layers, seed) -> (h, w, 3)`; `margin` in reference pixels."""

    paint: Callable
    margin: float


STYLES = {
    "photo": Painter(styles_washes.photo, 8),
    "flat": Painter(styles_washes.flat, 8),
    "watercolour": Painter(styles_washes.watercolour, 12),
    "oil": Painter(styles_strokes.oil, 24),
    "pencil": Painter(styles_strokes.pencil, 4),
    "pixel": Painter(styles_tiles.pixel, 16),
    "glass": Painter(styles_tiles.glass, 28),
    "mosaic": Painter(styles_tiles.mosaic, 16),
    "woodcut": Painter(styles_washes.woodcut, 4),
    "pointillism": Painter(styles_strokes.pointillism, 12),
    "chalk": Painter(styles_strokes.chalk, 6),
    "ink": Painter(styles_washes.ink, 12),
}
