"""What several materials share: the frame they are drawn in, light, layers of strands and pieces."""

from typing import NamedTuple

import numpy as np

from .fields import cell_id, cell_random, hash2, jitter_colour, lerp, mix, rotate, smoothstep


class Frame(NamedTuple):
    """A material's own coordinates and, in them, the unit vector away from the light (down right)."""

    u: np.ndarray
    v: np.ndarray
    lx: np.float32
    ly: np.float32


def frame(rng, x, y, zoom=(0.8, 1.3), turn=np.pi):
    """Turn by an angle within ±`turn` radians and enlarge by a factor drawn from `zoom`: a `Frame`."""
    size, angle = np.exp(rng.uniform(*np.log(zoom))), rng.uniform(-turn, turn)
    u, v = rotate(x * np.float32(1 / size), y * np.float32(1 / size), angle)
    lx, ly = rotate(np.float32(0.7071), np.float32(0.7071), angle)
    return Frame(u, v, lx, ly)


def relief(height, f, strength, step=1.0, here=None):
    """Light on a surface, 1 where it is flat: compares `height(u, v)` here and `step` down the light."""
    here = height(f.u, f.v) if here is None else here
    return 1 + np.float32(strength) * (height(f.u + step * f.lx, f.v + step * f.ly) - here)


def shade(rgb, light):
    """Colours times light (h, w), in [0, 1]; what exceeds 1 turns to a highlight."""
    lit = rgb * light[..., None]
    return np.clip(lit + np.maximum(light - 1, 0)[..., None] * np.float32(0.12), 0, 1)


def choose(rng, colour, options, amount=0.15):
    """The caller's colour, or one of `options`, jittered. Draws the same numbers either way."""
    drawn = jitter_colour(rng, options[rng.integers(len(options))], amount)
    return drawn if colour is None else np.asarray(colour, np.float32)


def lighter(rgb, amount):
    return lerp(np.asarray(rgb, np.float32), np.float32([1, 1, 1]), np.float32(amount))


def darker(rgb, factor):
    return np.asarray(rgb, np.float32) * np.float32(factor)


def strands(u, v, seed, width, length, taper=1.0):
    """One layer of strands that run along v: (cover, across, along, id).

    cover in [0, 1]; across in [-1, 1] from edge to edge; along in [0, 1) from root (small v) to tip, where
    the strand has lost the share `taper` of its width.
    """
    column = np.floor(u / width)
    across = 2 * (u / width - column) - 1
    along = v / length + 17 * hash2(column.astype(np.int32), np.zeros(u.shape, np.int32), seed)
    row = np.floor(along)
    along = along - row
    half = 0.92 * (1 - taper * along * along) * smoothstep(-0.02, 0.1, along)
    cover = np.clip((half - np.abs(across)) * np.float32(width / 2) + 0.5, 0, 1)
    return cover, across, along, cell_id(column.astype(np.int32), row.astype(np.int32), seed)


def pieces(u, v, seed, scale, jitter=0.3):
    """One layer of scattered pieces, one in every cell of a turned lattice: (dx, dy, id).

    dx, dy are in units of `scale` from the piece's centre, which lies within ±jitter/2 of the cell's: a piece
    smaller than (1 - jitter) / 2 stays inside its cell.
    """
    u, v = rotate(u, v, 6.2832 * (mix(seed, 5) % 1000) / 1000)
    u, v = (
        u / np.float32(scale) + np.float32(mix(seed, 6) % 97),
        v / np.float32(scale) + np.float32(mix(seed, 7) % 89),
    )
    i, j = np.floor(u), np.floor(v)
    cell = cell_id(i.astype(np.int32), j.astype(np.int32), seed)
    dx = u - i - np.float32(0.5) - jitter * (cell_random(cell, 91) - np.float32(0.5))
    dy = v - j - np.float32(0.5) - jitter * (cell_random(cell, 92) - np.float32(0.5))
    return dx, dy, cell


def turned(dx, dy, turns):
    """dx, dy rotated by `turns` (h, w) whole turns, a different one at every point."""
    a = turns * np.float32(2 * np.pi)
    c, s = np.cos(a), np.sin(a)
    return c * dx + s * dy, c * dy - s * dx


def bevel(left, right, top, bottom, f, width):
    """Light of a block's rounded rim, about 0 on its face, from the distances (px) to its four sides."""
    across = smoothstep(width, 0, left) - smoothstep(width, 0, right)
    down = smoothstep(width, 0, top) - smoothstep(width, 0, bottom)
    return f.lx * across + f.ly * down


def waves(u, v, rng, wavelength, spread, count=9):
    """A random field of one wavelength whose waves run within ±`spread` radians of u: (field, quadrature).

    Both lie in [-1, 1] and are the cosine and sine of one phase, so ridges are even in height. A narrow
    spread gives stripes that fork and end, a wide one a labyrinth (a Gaussian random field, made by its
    spectrum).
    """
    even, odd = np.float32(0), np.float32(0)
    for k in range(count):
        angle = spread * (2 * (k + rng.uniform(0.2, 0.8)) / count - 1)
        k0 = 2 * np.pi / (wavelength * rng.uniform(0.93, 1.07))
        a, b, phase = (
            np.float32(k0 * np.cos(angle)),
            np.float32(k0 * np.sin(angle)),
            rng.uniform(0, 2 * np.pi),
        )
        wave = a * u + b * v + np.float32(phase)
        even, odd = even + np.cos(wave), odd + np.sin(wave)
    size = 1 / np.sqrt(even * even + odd * odd + np.float32(0.1))
    return even * size, odd * size


def hexagons(u, v, seed, width):
    """A hexagonal lattice: (edge distance, dx, dy, id) with the vector from the cell's centre, in widths."""
    u, v = u / np.float32(width), v / np.float32(width)
    tall = np.float32(3**0.5)
    i, j = np.floor(u + 0.5), np.floor(v / tall + 0.5)
    m, n = np.floor(u), np.floor(v / tall)
    ax, ay, bx, by = u - i, v - j * tall, u - m - np.float32(0.5), v - (n + np.float32(0.5)) * tall
    first = ax * ax + ay * ay < bx * bx + by * by
    dx, dy = np.where(first, ax, bx), np.where(first, ay, by)
    a, b = np.abs(dx), np.abs(dy)
    edge = np.float32(0.5) - np.maximum(a, 0.5 * a + np.float32(0.75**0.5) * b)
    i, j = (
        np.where(first, 2 * i, 2 * m + 1).astype(np.int32),
        np.where(first, 2 * j, 2 * n + 1).astype(np.int32),
    )
    return edge, dx, dy, cell_id(i, j, seed)
