"""What the styles share: palettes and grading towards them, blurs, and strokes scattered over the plane."""

import functools
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from . import fields

# hue offsets in turns; the first is the dominant hue
_HARMONIES = (
    (0.0, 0.06, -0.07), (0.0, 0.5, 0.04), (0.0, 0.42, 0.58),
    (0.0, 0.33, 0.67), (0.0, 0.09, 0.54), (0.0, 0.25, 0.06),
)  # fmt: skip


def oklch(lightness, chroma, hue):
    """sRGB (3,) of an OKLCh colour, hue in turns, chroma lowered until it fits.

    Source: B. Ottosson, "A perceptual color space for image processing", 2020.

    >>> [round(float(v), 2) for v in oklch(1.0, 0.0, 0.3)]
    [1.0, 1.0, 1.0]
    """
    for c in chroma * np.linspace(1, 0, 12):
        a, b = c * np.cos(2 * np.pi * hue), c * np.sin(2 * np.pi * hue)
        lms = np.array([lightness + 0.3963377774 * a + 0.2158037573 * b,
                        lightness - 0.1055613458 * a - 0.0638541728 * b,
                        lightness - 0.0894841775 * a - 1.2914855480 * b]) ** 3  # fmt: skip
        rgb = np.array([[4.0767416621, -3.3077115913, 0.2309699292],
                        [-1.2684380046, 2.6097574011, -0.3413193965],
                        [-0.0041960863, -0.7034186147, 1.7076147010]]) @ lms  # fmt: skip
        if rgb.min() > -0.002 and rgb.max() < 1.002:
            break
    rgb = np.clip(rgb, 0, 1)
    return np.where(rgb < 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055).astype(np.float32)


def palette(seed, n=6, chroma=(0.09, 0.17), dark=0.25, light=0.94):
    """`n` colours (n, 3) that go together, from dark to light: two or three hues in a harmony."""
    rng = fields.params(fields.mix(seed, 1))
    hues = rng.random() + np.array(_HARMONIES[rng.integers(len(_HARMONIES))])
    strength = rng.uniform(*chroma)
    order = np.concatenate([rng.permutation(len(hues)) for _ in range(n)])
    colours = []
    for k, level in enumerate(np.linspace(dark, light, n)):
        c = strength * np.clip(1.6 - 2.2 * abs(level - 0.6), 0.25, 1.0) * rng.uniform(0.8, 1.15)
        colours.append(oklch(level + rng.uniform(-0.02, 0.02), c, hues[order[k]]))
    return np.stack(colours)


def grade(rgb, colours, amount):
    """`rgb` (..., 3) drawn towards the palette `colours` (n, 3) by `amount`; contrasts survive."""
    # softmax of the negative squared distances; |rgb|^2 cancels, and centred colours keep the exponent small
    middle = colours - np.float32(0.5)
    weight = np.exp(
        ((rgb - np.float32(0.5)) @ middle.T - 0.5 * (middle * middle).sum(1)) * np.float32(2 / 0.045)
    )
    near = weight @ np.concatenate([colours, np.ones_like(colours[:, :1])], axis=1)
    near = near[..., :3] / near[..., 3:]
    near += np.float32(0.7) * (fields.luminance(rgb) - fields.luminance(near))[..., None]
    return np.clip(fields.lerp(rgb, near, np.float32(amount)), 0, 1)


def vivid(rgb, amount):
    """Colours pushed away from grey (amount > 1) or towards it (amount < 1)."""
    grey = fields.luminance(rgb)[..., None]
    return np.clip(grey + np.float32(amount) * (rgb - grey), 0, 1)


def contrast(rgb, amount, middle=0.5):
    """Values pushed away from `middle`."""
    return np.clip(np.float32(middle) + np.float32(amount) * (rgb - np.float32(middle)), 0, 1)


def blur(a, radius, scale=1.0):
    """Two box blurs (about a Gaussian of sigma = radius); `radius` in reference pixels. Reaches 2.5 radii."""
    n = 2 * round(1.2 * radius * scale) + 1
    if n > 1:
        for axis in (0, 1, 0, 1):
            a = uniform_filter1d(a, n, axis=axis, mode="nearest")
    return a


def outline(edge, width, scale=1.0):
    """1 on lines of `width` px along the outlines, antialiased, else 0."""
    return np.clip(0.5 + (np.float32(width / 2) - np.abs(edge)) * np.float32(scale), 0, 1)


def outlines(layers, width, inner=0.55):
    """`outline` along silhouettes, and `inner` times as wide along the parts within."""
    return np.maximum(
        outline(layers.rim, width, layers.scale), outline(layers.edge, inner * width, layers.scale)
    )


@dataclass
class Sites:
    """Points of a jittered lattice, in the order in which their marks are painted (the last lies on top)."""

    x: np.ndarray  # (n,) reference pixels
    y: np.ndarray
    row: np.ndarray  # (n,) their pixel in the layers
    col: np.ndarray
    key: np.ndarray  # (n,) a random number in [0, 1)

    def random(self, k):
        """Another random number in [0, 1) per site."""
        return np.modf(self.key * np.float32(997.13 * (k + 1)) + np.float32(0.37 * k))[0]

    def where(self, keep):
        """The sites for which `keep` (n,) holds."""
        return Sites(self.x[keep], self.y[keep], self.row[keep], self.col[keep], self.key[keep])


def scatter(layers, seed, spacing, jitter=1.0):
    """The `Sites` of a lattice of `spacing` reference pixels, each moved by up to ±jitter/2 cells."""
    ranges = [
        np.arange(np.floor(c[0, 0] / spacing) - 1, np.ceil(c[-1, -1] / spacing) + 2)
        for c in (layers.y, layers.x)
    ]
    iy, ix = (a.ravel().astype(np.int32) for a in np.meshgrid(*ranges, indexing="ij"))
    key = fields.hash2(ix, iy, seed)
    order = np.argsort(key, kind="stable")
    ix, iy, key = ix[order], iy[order], key[order]
    jx, jy = (fields.hash2(ix, iy, fields.mix(seed, k)) - np.float32(0.5) for k in (1, 2))
    x, y = (
        (i + np.float32(0.5) + np.float32(jitter) * j) * np.float32(spacing) for i, j in ((ix, jx), (iy, jy))
    )
    half = np.float32(0.5 / layers.scale)
    inside = (np.abs(2 * x - layers.x[0, 0] - layers.x[0, -1]) < layers.x[0, -1] - layers.x[0, 0] + half) & (
        np.abs(2 * y - layers.y[0, 0] - layers.y[-1, 0]) < layers.y[-1, 0] - layers.y[0, 0] + half
    )
    return Sites(x, y, *pixels(layers, x, y), key).where(inside)


def pixels(layers, x, y):
    """(row, col) of the layers' pixels that hold the points, clipped to the border."""
    row, col = (
        (c - a[0, 0]) * np.float32(layers.scale) + np.float32(0.5) for c, a in ((y, layers.y), (x, layers.x))
    )
    h, w = layers.x.shape
    return np.clip(np.floor(row).astype(np.int32), 0, h - 1), np.clip(
        np.floor(col).astype(np.int32), 0, w - 1
    )


def marks(layers, sites, half_length, half_width, angle):
    """The pixels around each site: (pixel, along, across), each (n, k).

    `pixel` is a flat index into the layers with a border of `border(layers, half_length)` pixels; `along` and
    `across` are the pixel's reference coordinates in the site's frame, turned by `angle` (n,). Every pixel of
    the rectangle is there, with some outside of it.
    """
    scale, bins, n = np.float32(layers.scale), 24, border(layers, half_length)
    width = layers.x.shape[1] + 2 * n
    dx, dy = _rectangles(n, float(half_length * scale), float(half_width * scale), bins)
    turn = np.floor(angle * np.float32(bins / np.pi)).astype(np.int32) % bins
    dx, dy = dx[turn], dy[turn]  # (n, k)
    pixel = ((sites.row + n) * width + sites.col + n)[:, None] + (dy * width + dx).astype(np.int32)
    px = (layers.x[0, sites.col] - sites.x)[:, None] + dx * (1 / scale)
    py = (layers.y[sites.row, 0] - sites.y)[:, None] + dy * (1 / scale)
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return pixel, c * px + s * py, c * py - s * px


def border(layers, half_length):
    """Border in pixels that the marks of `half_length` reference pixels need."""
    return int(np.ceil(1.5 * half_length * layers.scale)) + 2


def unbordered(layers, flat, n):
    """The layers' part (h, w) of a flat array with a border of n pixels."""
    h, w = layers.x.shape
    return flat.reshape(h + 2 * n, w + 2 * n)[n:-n, n:-n]


@functools.lru_cache(maxsize=32)
def _rectangles(n, length, width, bins):
    """Offsets (dx, dy), each (bins, k), of the pixels in rectangles turned by bins of 180 degrees."""
    dy, dx = (a.ravel().astype(np.float32) for a in np.mgrid[-n : n + 1, -n : n + 1])
    turn = (np.arange(bins)[:, None] + 0.5) * np.pi / bins
    slack = 0.8 + max(length, width) * np.sin(np.pi / bins / 2)
    along, across = np.cos(turn) * dx + np.sin(turn) * dy, np.cos(turn) * dy - np.sin(turn) * dx
    inside = (np.abs(along) <= length + slack) & (np.abs(across) <= width + slack)
    order = np.argsort(~inside, axis=1, kind="stable")[:, : inside.sum(1).max()]
    return dx[order], dy[order]
