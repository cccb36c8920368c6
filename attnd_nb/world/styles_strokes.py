"""Styles made of separate strokes: oil, pointillism, chalk, pencil."""

import numpy as np

from . import fields
from . import styles_tools as tools
from .fields import lerp, mix, noise, params, smoothstep

_OIL = (
    (9.5, 34, 11, 99, 1.0),
    (6.5, 22, 6.4, 99, 0.8),
    (4, 13, 3.6, 7, 0.75),
)  # spacing, length, width, reach, share


def oil(layers, seed):
    """Brush strokes in three sizes that follow the shapes, with bristle relief."""
    rng = params(seed)
    colours = tools.palette(seed, 6, chroma=(0.10, 0.18))
    size, amount, depth = rng.uniform(0.85, 1.2), rng.uniform(0.55, 0.8), rng.uniform(0.6, 1.1)
    source = tools.contrast(tools.vivid(tools.blur(layers.lit, 1.0, layers.scale), 1.25), 1.12)
    coats = []
    for k, (spacing, length, width, reach, share) in enumerate(_OIL):
        sites = tools.scatter(layers, mix(seed, 20 + k), spacing * size)
        sites = sites.where((np.abs(layers.edge[sites.row, sites.col]) < reach) & (sites.key < share))
        coats.append((sites, length * size / 2, width * size / 2))
    colour = np.concatenate([_stroke_colours(source, sites, colours, amount) for sites, _, _ in coats])
    key = np.concatenate([sites.random(3) for sites, _, _ in coats])
    top, along, across = _paint(layers, coats)
    bristle = noise(
        across * np.float32(6) + key[top] * 900, along * np.float32(0.07) + key[top] * 70, seed, 1.9
    )
    relief = 0.75 * bristle + 0.35 * smoothstep(0.55, 1.0, np.abs(across))
    gy, gx = np.gradient(relief)
    light = (
        1
        - depth * np.clip((0.6 * gx + 0.8 * gy) * np.float32(layers.scale), -0.22, 0.22)
        + 0.2 * (bristle - 0.5)
    )
    return colour[top] * light[..., None]


def _stroke_colours(source, sites, colours, amount):
    """One graded colour per stroke (n, 3), its brightness a little off."""
    return (
        tools.grade(source[sites.row, sites.col], colours, amount)
        * (1 + 0.16 * (sites.random(4) - 0.5))[:, None]
    )


def _paint(layers, coats):
    """Coats of strokes over each other: per pixel (stroke, along in px, across in half widths)."""
    h, w = layers.x.shape
    top, along, across = (np.zeros((h, w), t) for t in (np.int32, np.float32, np.float32))
    first = 0
    for sites, length, width in coats:
        angle = layers.angle[sites.row, sites.col] + np.float32(0.35) * (sites.random(1) - np.float32(0.5))
        n = tools.border(layers, length)
        pixel, a, b = tools.marks(layers, sites, length, width, angle)
        b = (
            b + ((sites.random(2) - np.float32(0.5)) * np.float32(0.3 / length))[:, None] * (a * a)
        ) * np.float32(1 / width)
        end = a * a * np.float32(1 / length**2)
        inside = b * b + end * end < 1
        where, stroke = (
            pixel[inside],
            np.broadcast_to(np.arange(len(sites.x), dtype=np.int32)[:, None], a.shape)[inside],
        )
        flat = np.full((h + 2 * n) * (w + 2 * n), -1, np.int32)
        flat[where] = np.arange(len(where), dtype=np.int32)  # of repeated indices numpy keeps the last
        flat = tools.unbordered(layers, flat, n)
        new = flat >= 0
        flat = flat[new]
        top[new], along[new], across[new] = stroke[flat] + first, a[inside][flat], b[inside][flat]
        first += len(sites.x)
    return top, along, across


def pointillism(layers, seed):
    """Round dots of pure colour on hashed lattices, neighbours of complementary hues that mix in the eye."""
    rng = params(seed)
    colours = tools.palette(seed, 7, chroma=(0.13, 0.2), dark=0.3)
    canvas = lerp(colours[-1], np.float32([0.97, 0.95, 0.9]), 0.5)
    source, amount = tools.contrast(tools.vivid(layers.lit, 1.35), 1.15), rng.uniform(0.5, 0.75)
    size = rng.uniform(0.92, 1.2)
    image = lerp(canvas, tools.blur(source, 3, layers.scale), 0.35)
    for k, (spacing, radius) in enumerate(((5.2, 3.5), (4.6, 2.7), (4.4, 2.2))):
        sites = tools.scatter(layers, mix(seed, 30 + k), spacing * size, 0.9)
        dot = _dot_colours(tools.grade(source[sites.row, sites.col], colours, amount), sites, colours)
        image = _dots(layers, sites, radius * size, dot, image)
    return image


def _dots(layers, sites, radius, colour, image):
    """Antialiased dots (n of `colour` (n, 3)) over the image."""
    pixel, a, b = tools.marks(layers, sites, radius, radius, np.zeros_like(sites.x))
    r = np.float32(radius) * (np.float32(0.72) + np.float32(0.28) * sites.random(1))[:, None]
    distance = r - np.sqrt(a * a + b * b)
    inside = distance > 0
    n = tools.border(layers, radius)
    h, w = layers.x.shape
    top, cover = (
        np.zeros((h + 2 * n) * (w + 2 * n), np.int32),
        np.zeros((h + 2 * n) * (w + 2 * n), np.float32),
    )
    top[pixel[inside]] = np.broadcast_to(np.arange(len(r), dtype=np.int32)[:, None], a.shape)[inside]
    cover[pixel[inside]] = np.clip(distance[inside] * np.float32(layers.scale) + np.float32(0.35), 0, 1)
    return lerp(image, colour[tools.unbordered(layers, top, n)], tools.unbordered(layers, cover, n))


def _dot_colours(colour, sites, colours):
    """Each dot's colour: near the picture's, or now and then a palette colour of the same brightness."""
    pick = colours[(sites.random(2) * len(colours)).astype(np.int32) % len(colours)]
    pick = np.clip(pick + (fields.luminance(colour) - fields.luminance(pick))[:, None], 0, 1)
    stray = np.where(sites.random(3) < 0.3, np.float32(0.65), np.float32(0.12))[:, None]
    bright = (sites.random(4) - 0.5)[:, None] * 0.22
    return np.clip(tools.vivid(lerp(colour, pick, stray), 1.25) + bright, 0, 1)


def chalk(layers, seed):
    """Grainy pastel strokes on a dark board; outlines drawn firmly, the ground mostly board."""
    rng = params(seed)
    board = tools.oklch(rng.uniform(0.22, 0.33), rng.uniform(0.0, 0.045), rng.random())
    colours = tools.palette(seed, 5, chroma=(0.10, 0.17), dark=0.62, light=0.96)
    x, y, scale = layers.x, layers.y, layers.scale
    source = tools.grade(np.sqrt(tools.blur(layers.lit, 1.2, scale)), colours, 0.75)
    tone = fields.luminance(tools.blur(layers.lit, 1.5, scale))
    turn, cover = rng.uniform(-1.3, 1.3), rng.uniform(0.0, 0.16)
    u, v = fields.rotate(*fields.warp(x, y, mix(seed, 1), 40, 3), turn)
    stroke = noise(u * 0.09, v, mix(seed, 2), 2.6)
    grain = noise(x, y, mix(seed, 3), 1.7) + 0.5 * (noise(x, y, mix(seed, 4), 4.0) - 0.5)
    press = np.where(layers.subject, 0.38 + 0.6 * tone, cover + 0.26 * tone)
    fill = smoothstep(0.0, 0.22, press - 0.55 * stroke - 0.28 * grain)
    ex, ey = fields.warp(x, y, mix(seed, 5), 9, 1.0)
    width = rng.uniform(2.8, 4.0)
    line = np.maximum(
        tools.outline(layers.rim + (ex - x), width, scale),
        0.8 * tools.outline(layers.edge + (ey - y), 0.6 * width, scale),
    )
    line = line * smoothstep(0.72, 0.45, grain)
    smudge = 0.05 * (fields.fbm(u * 0.3, v, mix(seed, 6), 30, 3) - 0.35) + 0.03 * (grain - 0.5)
    image = lerp(board + smudge[..., None], source, 0.9 * fill)
    return lerp(image, lerp(source, np.float32(1), 0.75), line)


def pencil(layers, seed):
    """Hatching and cross-hatching by tone on paper, outlines drawn twice."""
    rng = params(seed)
    x, y, scale = layers.x, layers.y, layers.scale
    paper = tools.oklch(rng.uniform(0.93, 0.98), rng.uniform(0.005, 0.035), rng.uniform(0.12, 0.3))
    lead = tools.oklch(rng.uniform(0.22, 0.38), rng.choice([0.0, 0.03, 0.09, 0.12]), rng.random())
    tone = tools.contrast(fields.luminance(tools.blur(layers.lit, 0.8, scale)), 1.25, 0.55)
    tone = np.where(layers.subject, tone, 0.25 + 0.75 * tone)
    grain = noise(x, y, mix(seed, 1), 1.6)
    wx, wy = fields.warp(x, y, mix(seed, 2), 45, 3.0)
    first, dark = rng.uniform(0.5, 1.0), np.zeros(x.shape, np.float32)
    period = rng.uniform(4.0, 5.4)
    for k, (turn, level) in enumerate(((0, 0.86), (1.75, 0.6), (0.75, 0.42), (2.5, 0.26))):
        u, v = fields.rotate(wx, wy, first + turn)
        broken = noise(u * 0.06, v, mix(seed, 10 + k), period)  # every line presses differently along its way
        wave = np.abs((v / np.float32(period)) % 1 - 0.5) * 2
        depth = np.clip((level - tone) * 2.6, 0, 1)
        line = smoothstep(1.0 - 0.85 * depth.clip(0.25), 1.0, wave) * np.clip(0.45 + 0.75 * depth, 0, 1)
        dark = np.maximum(dark, line * (depth > 0) * (0.55 + 0.6 * broken))
    dark = dark * (0.6 + 0.7 * grain) + 0.10 * (1 - tone)
    for k, width in enumerate((1.5, 1.1)):
        shift = 2.6 * (noise(x, y, mix(seed, 20 + k), 26) - 0.5)
        press = 0.45 + 0.75 * noise(x, y, mix(seed, 30 + k), 30)
        dark = np.maximum(dark, tools.outline(layers.edge + shift, width, scale) * press)
    image = paper - 0.05 * (grain - 0.5)[..., None]
    return lerp(image, lead, np.clip(dark, 0, 0.95))
