"""Styles of light, washes and prints: photo, flat, watercolour, ink, woodcut."""

import numpy as np

from . import fields
from . import styles_tools as tools
from .fields import lerp, mix, noise, params, smoothstep


def photo(layers, seed):
    """Natural light; warm or cold, and the ground often a little out of focus."""
    rng = params(seed)
    warm = rng.uniform(-1, 1)
    image = layers.lit
    focus = rng.uniform(-1.5, 2.6)
    if focus > 0.6:
        ground = (~layers.subject).astype(np.float32)
        soft = tools.blur(image * ground[..., None], focus, layers.scale)
        weight = tools.blur(ground, focus, layers.scale)
        soft = soft / np.maximum(weight, 0.02)[..., None]
        image = lerp(image, soft, smoothstep(0.5, 2.0, layers.edge) * ground)
    image = tools.contrast(tools.vivid(image, rng.uniform(0.9, 1.25)), rng.uniform(1.0, 1.2), 0.48)
    image = (
        image
        * np.float32([1 + 0.06 * warm, 1 + 0.01 * warm, 1 - 0.07 * warm])
        * np.float32(rng.uniform(0.95, 1.08))
    )
    return tools.grade(image, tools.palette(seed, 6), 0.12)


def flat(layers, seed):
    """A poster: few plain colours, crisp outlines."""
    rng = params(seed)
    scale = layers.scale
    colours = tools.palette(seed, int(rng.integers(7, 10)), chroma=(0.11, 0.2), dark=0.36, light=0.96)
    light = np.where(
        layers.light < 0.75, np.float32(0.75), np.where(layers.light > 1.22, np.float32(1.2), np.float32(1))
    )
    picture = tools.blur(np.sqrt(layers.albedo * light[..., None]), 1.5, scale)
    picture = picture * (0.35 + 0.65 * picture)  # dark colours lifted, so that they stay colours
    picture = tools.grade(tools.contrast(tools.vivid(picture, 1.35), 1.2), colours, 0.6)
    score = (colours * colours).sum(1) - 2 * picture @ colours.T
    image = tools.blur(colours[score.argmin(-1)], 0.5, scale)
    ink = colours[0] * np.float32(0.4) if rng.random() < 0.75 else np.float32([0.99, 0.98, 0.96])
    return lerp(image, ink, tools.outlines(layers, rng.uniform(2.8, 4.2)))


def watercolour(layers, seed):
    """Transparent washes: soft wandering edges, dark rims, pigment grains, paper showing."""
    rng = params(seed)
    x, y, scale = layers.x, layers.y, layers.scale
    colours = tools.palette(seed, 6, chroma=(0.09, 0.16), dark=0.42, light=0.95)
    wx, wy = fields.warp(x, y, mix(seed, 1), 22, 3.2)
    row, col = tools.pixels(layers, wx, wy)
    edge = tools.blur(layers.edge, 0.7, scale)[row, col]
    picture = tools.grade(
        np.sqrt(tools.vivid(tools.blur(layers.lit, 1.3, scale), 1.3)), colours, rng.uniform(0.6, 0.8)
    )[row, col]
    wash = fields.fbm(x, y, mix(seed, 2), 70, 3)
    tone = fields.luminance(picture)
    layered = 0.36 + 0.15 * sum(
        smoothstep(a - 0.03, a + 0.03, tone + 0.12 * (wash - 0.5)) for a in (0.42, 0.55, 0.68, 0.82)
    )
    picture = (
        picture * (0.5 + 0.5 * layered / np.maximum(tone, 0.1))[..., None]
    )  # washes laid over each other when dry
    grains = noise(x, y, mix(seed, 3), 2.2) - 0.5 + 0.8 * (noise(x, y, mix(seed, 4), 5) - 0.5)
    item = layers.subject[row, col]
    density = np.where(item, 0.75 + 0.5 * wash, 0.15 + 1.0 * wash)
    rim = np.exp(-np.square((edge + 1.3) * np.float32(1 / 1.2))) + 0.5 * np.exp(
        -np.square((edge - 3) * np.float32(1 / 1.6))
    )
    density = density + np.where(item, 0.75, 0.2) * rim + 0.22 * grains * (0.3 + density)
    tide = np.exp(-np.square((wash - 0.42) * 28))  # where a wash dried
    density = density + 0.16 * tide * ~item
    bare = smoothstep(1.0, 0.2, np.abs(edge - 0.6)) * smoothstep(0.42, 0.6, noise(x, y, mix(seed, 5), 30))
    density = np.clip(density * (1 - 0.8 * bare), 0, 1.7)[..., None]
    paper = np.float32([0.985, 0.975, 0.95]) - 0.03 * (noise(x, y, mix(seed, 6), 3) - 0.5)[..., None]
    return paper * np.power(np.clip(picture, 0.04, 1), 1.15 * density)


def ink(layers, seed):
    """Ink washes in few tones on rice paper, with brushed outlines of changing width."""
    rng = params(seed)
    x, y, scale = layers.x, layers.y, layers.scale
    black = tools.oklch(rng.uniform(0.16, 0.26), rng.choice([0.0, 0.02, 0.06, 0.08]), rng.random())
    paper = tools.oklch(rng.uniform(0.92, 0.97), rng.uniform(0.01, 0.05), rng.uniform(0.17, 0.28))
    row, col = tools.pixels(layers, *fields.warp(x, y, mix(seed, 1), 14, 2.2))
    tone = tools.contrast(fields.luminance(tools.blur(layers.lit, 2.0, scale)), 1.35)[row, col]
    item = layers.subject[row, col]
    wash = fields.fbm(x, y, mix(seed, 2), 60, 3)
    dark = np.where(item, 1.0 - tone + 0.14 * (wash - 0.5), 0.6 * (0.85 - tone) * (0.1 + wash) + 0.05)
    steps = sum(smoothstep(level - 0.03, level + 0.03, dark) for level in (0.14, 0.34, 0.55, 0.76)) / 4
    bleed = tools.blur(steps, 1.0, scale)
    rim = np.clip(steps - tools.blur(steps, 2.2, scale), 0, 1)  # pigment gathers at the border of a wash
    grain = noise(x, y, mix(seed, 3), 2.2) - 0.5
    dark = 0.80 * bleed + 0.5 * rim + 0.14 * grain * (0.25 + bleed)
    width = 0.6 + 4.6 * np.square(noise(x, y, mix(seed, 4), 34))
    rough = 1.1 * (noise(x, y, mix(seed, 5), 4) - 0.5)
    line = np.clip(
        0.5
        + (width / 2 - np.abs(layers.edge + 1.6 * (noise(x, y, mix(seed, 6), 24) - 0.5)) + rough)
        * 1.1
        * scale,
        0,
        1,
    )
    dry = smoothstep(0.2, 0.45, noise(x, y, mix(seed, 7), 2.0) + 0.35 * noise(x, y, mix(seed, 8), 28))
    dark = np.maximum(dark, 0.95 * line * dry)
    return lerp(paper + 0.04 * grain[..., None], black, np.clip(dark, 0, 0.96))


def woodcut(layers, seed):
    """Black carved lines whose width follows the tone, over one flat tint, on paper."""
    rng = params(seed)
    x, y, scale = layers.x, layers.y, layers.scale
    paper = tools.oklch(rng.uniform(0.90, 0.96), rng.uniform(0.01, 0.04), rng.uniform(0.15, 0.3))
    tint = tools.oklch(rng.uniform(0.62, 0.8), rng.uniform(0.09, 0.16), rng.random())
    black = tools.oklch(0.19, rng.uniform(0, 0.03), rng.random())
    period = np.float32(rng.uniform(5.2, 6.8))
    item = layers.subject
    tone = tools.contrast(np.power(fields.luminance(tools.blur(layers.lit, 1.0, scale)), 0.75), 1.5, 0.55)
    wx, wy = fields.warp(x, y, mix(seed, 1), 36, 5)
    _, across = fields.rotate(wx, wy, rng.uniform(-0.5, 0.5))
    depth = -layers.edge + 1.5 * (noise(x, y, mix(seed, 2), 18) - 0.5)
    phase = np.where((layers.labels > 0) & (layers.edge > -20), depth, across)
    wave = np.abs((phase / period) % 1 - 0.5) * 2
    chips = 0.16 * (noise(x, y, mix(seed, 3), 5) - 0.5)
    soft = np.float32(0.32 / scale)
    ink_ = smoothstep(-soft, soft, 0.62 * wave - 1.15 * tone + 0.26 + chips)
    halo = smoothstep(0.8, 1.6, layers.rim) * smoothstep(5.0, 4.2, layers.rim)
    ink_ = np.maximum(ink_ * (1 - halo), tools.outlines(layers, 2.8))
    middle = smoothstep(0.92, 0.86, tone + 0.5 * chips) * np.where(
        item, 1.0, 0.0 if rng.random() < 0.4 else 0.85
    ).astype(np.float32)
    mottle = 1 - 0.2 * smoothstep(0.62, 0.85, noise(x, y, mix(seed, 4), 2.6))
    image = lerp(paper, tint, middle * mottle * (1 - halo))
    return lerp(image, black, ink_ * mottle)
