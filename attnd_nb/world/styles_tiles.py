"""Styles made of pieces: stained glass, mosaic, pixel art."""

import numpy as np

from . import styles_tools as tools
from .fields import lerp, mix, noise, params, smoothstep


def glass(layers, seed):
    """Stained glass: panes that end at the outlines, lead between them, light from behind."""
    rng = params(seed)
    colours = tools.palette(seed, 7, chroma=(0.15, 0.24), dark=0.4, light=0.84)
    scale, spacing = layers.scale, rng.uniform(19, 25)
    source = tools.grade(
        tools.contrast(tools.vivid(tools.blur(layers.lit, 1.5, scale), 1.5), 1.2),
        colours,
        rng.uniform(0.6, 0.8),
    )
    sites = tools.scatter(layers, mix(seed, 1), spacing, 0.85)
    top, distance = _pieces(layers, sites, 1.0 * spacing, np.zeros_like(sites.x), np.hypot)
    jitter = 1 + 0.35 * (sites.random(1)[top] - 0.5)
    pane = source[sites.row, sites.col][top] * jitter[..., None]
    pane = np.where((top >= 0)[..., None], lerp(pane, source, 0.25), source)
    x, y = layers.x, layers.y
    streak = noise(x + 700 * sites.key[top], y * np.float32(0.35), mix(seed, 2), 9) - 0.5
    glow = 1.12 + 0.30 * streak - 0.012 * distance
    pane = np.clip(pane * glow[..., None], 0, 1)
    width = rng.uniform(1.5, 2.1)
    lead = smoothstep(0.16, 0.5, max(1, scale) * tools.blur(_borders(top), width * 0.5, scale))
    lead = np.maximum(lead, tools.outlines(layers, 2.2 * width))
    shine = 0.10 * noise(x, y, mix(seed, 3), 3.0)
    return lerp(pane, np.float32([0.07, 0.07, 0.08]) + shine[..., None], lead)


def mosaic(layers, seed):
    """Square tesserae in rows along the outlines, with grout between them."""
    rng = params(seed)
    colours = tools.palette(seed, 7, chroma=(0.08, 0.16))
    scale, spacing = layers.scale, rng.uniform(6.4, 8.2)
    source = tools.grade(
        tools.contrast(tools.vivid(tools.blur(layers.lit, 1.2, scale), 1.3), 1.15),
        colours,
        rng.uniform(0.55, 0.8),
    )
    sites = _rows(layers, tools.scatter(layers, mix(seed, 1), spacing * 0.92, 0.6), spacing)
    angle = layers.angle[sites.row, sites.col]
    top, distance = _pieces(
        layers, sites, 1.15 * spacing, angle, lambda a, b: np.maximum(np.abs(a), np.abs(b))
    )
    bright = 1 + 0.34 * (sites.random(1) - 0.5)
    tile = (source[sites.row, sites.col] * bright[:, None])[top]
    tile = tile * (1.04 + 0.10 * (noise(layers.x, layers.y, mix(seed, 2), 3.5) - 0.5))[..., None]
    grout_colour = tools.oklch(rng.choice([0.42, 0.86]), 0.015, rng.random())
    # the borders are one output pixel wide, the grout is one of the reference
    grooves = np.clip(scale * tools.blur(_borders(top), 0.4, scale), 0, 1)
    gap = np.maximum(0.85 * grooves, smoothstep(0.56 * spacing, 0.7 * spacing, distance))
    gap = np.maximum(gap, 0.8 * tools.outline(layers.rim, 1.6, scale))
    lone = top < 0  # parts too small for a tile of their own
    image = np.where(lone[..., None], source, tile)
    grout = grout_colour * (0.9 + 0.2 * noise(layers.x, layers.y, mix(seed, 3), 2.0))[..., None]
    return lerp(image, grout, np.clip(np.where(lone, 0.25, gap), 0, 1))


def _rows(layers, sites, spacing):
    """Sites moved across the outlines, so that near them they stand in rows."""
    edge = layers.edge
    gy, gx = np.gradient(edge)
    at = (sites.row, sites.col)
    d, gx, gy = edge[at], gx[at] * np.float32(layers.scale), gy[at] * np.float32(layers.scale)
    spacing = np.float32(spacing)
    wanted = (np.floor(d / spacing) + np.float32(0.5)) * spacing
    move = np.where(np.abs(d) < 16, wanted - d, np.float32(0)) / np.maximum(np.hypot(gx, gy), np.float32(0.5))
    x, y = sites.x + move * gx, sites.y + move * gy
    return tools.Sites(x, y, *tools.pixels(layers, x, y), sites.key)


def _pieces(layers, sites, reach, angle, metric):
    """For every pixel the nearest site of the same visible part: (site or -1, distance), each (h, w)."""
    pixel, along, across = tools.marks(layers, sites, reach, reach, angle)
    n = tools.border(layers, reach)
    part = np.pad(layers.parts, n, constant_values=-1).ravel()
    same = part[pixel] == layers.parts[sites.row, sites.col][:, None]
    site = np.broadcast_to(np.arange(len(sites.x), dtype=np.int64)[:, None], along.shape)[same]
    # distance and site in one number, so that one minimum finds the nearest
    far = np.int64(1) << 50
    nearest = np.full(part.shape, far)
    np.minimum.at(nearest, pixel[same], ((metric(along, across)[same] * 4096).astype(np.int64) << 20) + site)
    nearest = tools.unbordered(layers, nearest, n)
    top = np.where(nearest < far, nearest & ((1 << 20) - 1), -1).astype(np.int32)
    return top, np.where(top >= 0, (nearest >> 20) / 4096, 0).astype(np.float32)


def _borders(top):
    """1 where the piece differs from the one to the right or below, else 0."""
    border = np.zeros(top.shape, np.float32)
    border[:, :-1] = top[:, :-1] != top[:, 1:]
    border[:-1] = np.maximum(border[:-1], top[:-1] != top[1:])
    return border


def pixel(layers, seed):
    """Square blocks of a small palette, ordered dithering, dark outlines."""
    rng = params(seed)
    block = (4, 6)[rng.integers(2)]
    shades = tools.palette(seed, 9, chroma=(0.10, 0.19), dark=0.3, light=0.95)
    scale = layers.scale
    n = max(1, round(block * scale))
    row, col = (_block_centres(c, block, n, scale) for c in (layers.y[:, 0], layers.x[0]))
    picture = tools.blur(tools.contrast(tools.vivid(layers.lit, 1.3), 1.2), block / 3.2, scale)[
        row[:, None], col
    ]
    picture = tools.grade(picture, shades, 0.7)
    bayer = np.float32([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16 - np.float32(0.47)
    by, bx = (np.floor(c / block).astype(np.int32) & 3 for c in (layers.y[row, 0], layers.x[0, col]))
    dither = picture + np.float32(0.09) * bayer[by[:, None], bx][..., None]
    near = (shades * shades).sum(1) - 2 * dither @ shades.T
    image = shades[near.argmin(-1)]
    rim = layers.rim[row[:, None], col]
    dark = (rim < 0) & (rim > -0.8 * block)
    return np.where(dark[..., None], shades[0] * np.float32(0.75), image)


def _block_centres(c, block, n, scale):
    """Index of the pixel at the centre of each pixel's block, for coordinates c (k,) along one axis."""
    first = np.floor(c / block) * block
    return np.clip(np.arange(len(c)) - np.floor((c - first) * scale).astype(int) + n // 2, 0, len(c) - 1)
