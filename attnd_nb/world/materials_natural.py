"""Materials of earth, water and fire. Each is a function (x, y, seed, colour) -> (h, w, 3) in [0, 1]."""

import numpy as np

from .fields import (
    cell_random,
    cells,
    cells_vector,
    fbm,
    hsv,
    jitter_colour,
    lerp,
    mix,
    noise,
    params,
    ramp,
    smoothstep,
    warp,
)
from .materials_base import (
    choose,
    darker,
    frame,
    hexagons,
    lighter,
    relief,
    shade,
    turned,
    waves,
)


def gravel(x, y, seed, colour=None):
    """Pebbles of mixed colours, each lit as a dome, with dark gaps between."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.6))
    sets = [
        [(0.55, 0.52, 0.48), (0.72, 0.68, 0.60), (0.42, 0.40, 0.40), (0.60, 0.45, 0.34)],
        [(0.80, 0.70, 0.55), (0.62, 0.46, 0.32), (0.90, 0.85, 0.76), (0.70, 0.50, 0.36)],
        [(0.36, 0.40, 0.46), (0.52, 0.57, 0.62), (0.26, 0.28, 0.33), (0.78, 0.80, 0.82)],
    ]
    tones = np.float32(sets[rng.integers(3)])
    tones = tones if colour is None else tones.mean(1, keepdims=True) * np.float32(colour) * 1.7
    u, v = warp(f.u, f.v, mix(seed, 1), 9, 1.5)
    f1, f2, stone, dx, dy = cells_vector(u, v, mix(seed, 2), 24, 0.9)
    rim = f2 - f1
    dome = np.sqrt(np.clip(rim * 1.6, 0, 1))
    slope = -(f.lx * dx + f.ly * dy) * (1.35 - 0.6 * dome)
    speck = noise(f.u, f.v, mix(seed, 3), 2.6) - 0.5
    tone = ramp(cell_random(stone, 1), tones) * (0.8 + 0.4 * cell_random(stone, 2))[..., None]
    light = (0.3 + 0.75 * dome + 0.75 * slope + 0.28 * speck) * smoothstep(0.03, 0.16, rim)
    return shade(np.clip(tone, 0, 1), 0.12 + np.clip(light, 0, 2))


def sand(x, y, seed, colour=None):
    """Wind ripples that fork, lit from the side, and grains."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.5))
    main = choose(
        rng, colour, [(0.84, 0.70, 0.48), (0.88, 0.80, 0.64), (0.80, 0.52, 0.34), (0.72, 0.66, 0.58)]
    )
    depth = rng.uniform(0.16, 0.32)
    u, v = warp(f.u, f.v, mix(seed, 1), 70, 14)
    height, slope = waves(u, v, rng, rng.uniform(15, 24), 0.32, 7)
    grain = noise(x, y, mix(seed, 2), 1.8) - 0.5
    side = (
        f.lx if abs(f.lx) > 0.5 else np.float32(0.5)
    )  # ripples that run along the light would show no relief
    light = 1 - depth * np.sign(side) * slope * (1 - 0.3 * height) + 0.05 * height + 0.3 * grain
    tone = noise(f.u, f.v, mix(seed, 3), 60)
    rgb = ramp(
        0.25 + 0.5 * tone + 0.15 * height, [darker(main, (0.8, 0.72, 0.66)), main, lighter(main, 0.25)]
    )
    return shade(rgb, light)


def water(x, y, seed, colour=None):
    """Shallow water: a net of light (caustics) over blue or green."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.5))
    main = choose(
        rng, colour, [(0.10, 0.50, 0.68), (0.08, 0.55, 0.58), (0.12, 0.36, 0.62), (0.20, 0.58, 0.52)]
    )
    u, v = warp(f.u, f.v, mix(seed, 1), 34, 13)
    u, v = warp(u, v, mix(seed, 2), 13, 3.5)
    f1, f2, _ = cells(u, v, mix(seed, 3), 36)
    g1, g2, _ = cells(u + 9, v * 1.2, mix(seed, 4), 21)
    depth = fbm(f.u, f.v, mix(seed, 5), 80, 2)
    net = np.exp(-(f2 - f1) * 8) + 0.45 * np.exp(-(g2 - g1) * 7)
    t = 0.15 + 0.28 * depth + 0.14 * f1 + 0.5 * net * (0.35 + depth)
    return ramp(t, [darker(main, (0.25, 0.55, 0.7)), main, lighter(main, 0.35), (0.95, 1.0, 0.97)])


def clouds(x, y, seed, colour=None):
    """Heaped clouds before a sky, by day, at dusk or before a storm."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.6), 0.2)
    sky, white, dark = [
        ((0.30, 0.55, 0.86), (1.0, 1.0, 1.0), (0.62, 0.68, 0.78)),
        ((0.16, 0.36, 0.72), (0.98, 0.97, 0.95), (0.55, 0.58, 0.68)),
        ((0.45, 0.40, 0.62), (1.0, 0.78, 0.62), (0.62, 0.36, 0.42)),
        ((0.92, 0.60, 0.40), (1.0, 0.90, 0.72), (0.70, 0.38, 0.40)),
        ((0.40, 0.46, 0.54), (0.86, 0.88, 0.90), (0.30, 0.34, 0.42)),
    ][rng.integers(5)]
    sky = jitter_colour(rng, sky, 0.12) if colour is None else np.float32(colour)
    u, v = warp(f.u, f.v * 1.3, mix(seed, 1), 45, 14)
    body = fbm(u, v, mix(seed, 2), 74, 4, 0.52)
    above = fbm(u - 7, v - 10, mix(seed, 2), 74, 2, 0.52)
    cover = smoothstep(0.42, 0.66, body)
    sun = np.clip(0.62 + 2.2 * (body - above), 0, 1)
    puff = lerp(np.float32(dark), np.float32(white), sun)
    high = noise(f.u, f.v, mix(seed, 3), 150)
    return np.clip(lerp(lerp(sky, lighter(sky, 0.35), high), puff, cover), 0, 1)


def ice(x, y, seed, colour=None):
    """Lake ice: pale cracks at two scales over clouded blue."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.6))
    main = choose(
        rng, colour, [(0.42, 0.68, 0.82), (0.30, 0.58, 0.74), (0.62, 0.80, 0.88), (0.36, 0.62, 0.68)]
    )
    u, v = warp(f.u, f.v, mix(seed, 1), 18, 4)
    f1, f2, slab = cells(u, v, mix(seed, 2), 62)
    g1, g2, _ = cells(u * 1.3, v, mix(seed, 3), 25)
    murk = fbm(f.u, f.v, mix(seed, 4), 55, 3)
    deep = ramp(
        murk * 0.8 + 0.25 * cell_random(slab, 1) - 0.05,
        [darker(main, (0.35, 0.6, 0.75)), main, lighter(main, 0.6)],
    )
    crack = smoothstep(0.09, 0.01, f2 - f1) + 0.35 * smoothstep(0.3, 0, f2 - f1)
    hair = smoothstep(0.06, 0.0, g2 - g1) * smoothstep(0.45, 0.62, noise(f.u, f.v, mix(seed, 5), 44))
    return np.clip(lerp(deep, np.float32([0.97, 1, 1]), np.clip(0.85 * crack + 0.7 * hair, 0, 1)), 0, 1)


def lava(x, y, seed, colour=None):
    """Cooling lava: dark lit crust, and fire in the cracks."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.6))
    main = choose(rng, colour, [(1.0, 0.42, 0.06), (1.0, 0.30, 0.05), (1.0, 0.55, 0.10)], 0.08)
    crust = jitter_colour(rng, (0.16, 0.12, 0.12), 0.3)
    u, v = warp(f.u, f.v, mix(seed, 1), 26, 9)
    f1, f2, _ = cells(u, v, mix(seed, 2), 40)
    heat = smoothstep(0.30, 0.0, f2 - f1 + 0.3 * (noise(f.u, f.v, mix(seed, 3), 55) - 0.5))
    rock = relief(lambda u, v: fbm(u, v, mix(seed, 4), 11, 2), f, 2.6) - 0.1
    glow = ramp(
        heat, [(0, 0, 0), darker(main, (0.5, 0.16, 0.2)), main, lerp(main, (1, 0.95, 0.5), np.float32(0.7))]
    )
    return np.clip(crust * (rock * (1 - heat))[..., None] + glow, 0, 1)


def basalt(x, y, seed, colour=None):
    """Basalt columns seen from above: six-sided tops, each tilted and at its own height, with dark joints."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.3))
    main = choose(rng, colour, [(0.38, 0.42, 0.48), (0.46, 0.43, 0.40), (0.32, 0.37, 0.40)], 0.2)
    u, v = warp(f.u, f.v, mix(seed, 1), 45, 9)
    edge, dx, dy, column = hexagons(u, v, mix(seed, 3), 40)
    tilt = (cell_random(column, 1) - 0.5) * dx + (cell_random(column, 2) - 0.5) * dy
    pits = fbm(f.u, f.v, mix(seed, 2), 6, 2, 0.7)
    rim = smoothstep(0.015, 0.07, edge)
    worn = smoothstep(0.17, 0.06, edge) * -(f.lx * dx + f.ly * dy)
    height = 0.5 + 0.75 * cell_random(column, 3)
    light = (height + 1.3 * tilt + 1.2 * worn) * (0.1 + 0.9 * rim) * (0.72 + 0.56 * pits)
    return shade(lerp(main, (0.62, 0.58, 0.42), 0.5 * smoothstep(0.62, 0.85, pits)), np.clip(light, 0, 2))


def marble(x, y, seed, colour=None):
    """Polished marble: sharp veins at two scales through clouded stone."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.6))
    stone, vein = [
        ((0.93, 0.92, 0.90), (0.36, 0.38, 0.43)),
        ((0.90, 0.83, 0.72), (0.52, 0.33, 0.18)),
        ((0.12, 0.13, 0.15), (0.88, 0.84, 0.76)),
        ((0.12, 0.33, 0.25), (0.82, 0.90, 0.82)),
        ((0.82, 0.58, 0.54), (0.42, 0.18, 0.19)),
        ((0.93, 0.92, 0.90), (0.66, 0.50, 0.20)),
    ][rng.integers(6)]
    stone = jitter_colour(rng, stone, 0.08) if colour is None else np.float32(colour)
    u, v = warp(f.u * 0.55, f.v, mix(seed, 1), 75, 30)
    ragged = fbm(f.u, f.v, mix(seed, 2), 17, 3, 0.6) - 0.5
    big = np.abs(noise(u, v, mix(seed, 3), 66) - 0.5 + 0.16 * ragged)
    small = np.abs(noise(u, v * 1.3, mix(seed, 4), 34) - 0.5 + 0.3 * ragged)
    where = noise(f.u, f.v, mix(seed, 6), 70)
    t = (
        (0.4 + where) * np.exp(-big * 48)
        + 0.35 * np.exp(-big * 9) * where
        + 0.75 * (1 - where) * np.exp(-small * 60)
    )
    return np.clip(lerp(stone, np.float32(vein), np.clip(t + 0.3 * np.abs(ragged), 0, 0.95)), 0, 1)


def coral(x, y, seed, colour=None):
    """Brain coral: a labyrinth of rounded ridges."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.4))
    main = choose(
        rng, colour, [(0.92, 0.48, 0.40), (0.90, 0.66, 0.36), (0.62, 0.46, 0.66), (0.46, 0.66, 0.52)]
    )
    wave, start = rng.uniform(17, 24), int(rng.integers(1 << 30))

    def height(u, v):
        u, v = warp(u, v, mix(seed, 2), 50, 16)
        return waves(u, v, params(start), wave, 1.25, 7)[0]

    h = height(f.u, f.v)
    pores = noise(f.u, f.v, mix(seed, 1), 3) - 0.5
    tones = [darker(main, (0.34, 0.2, 0.3)), darker(main, 0.72), main, lighter(main, 0.45)]
    return shade(ramp(0.55 + 0.45 * h + 0.12 * pores, tones), relief(height, f, 0.7, 1.2, h))


def crystal(x, y, seed, colour=None):
    """Cut crystal: facets within facets, bright edges, one gem colour."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.5))
    main = choose(rng, colour, [hsv(h, 0.6, 0.75) for h in (0.77, 0.95, 0.58, 0.40, 0.50)])
    f1, f2, gem, dx, dy = cells_vector(f.u, f.v, mix(seed, 1), 46)
    g1, g2, chip, ex, ey = cells_vector(f.u + dx * 14, f.v + dy * 14, mix(seed, 2), 24)
    a, b = turned(dx, dy, cell_random(gem, 1))
    c, d = turned(ex, ey, cell_random(chip, 1))
    t = 0.25 + 0.4 * cell_random(gem, 2) + 0.35 * a + 0.3 * (cell_random(chip, 2) - 0.5) + 0.3 * c
    rgb = ramp(t, [darker(main, 0.18), darker(main, 0.62), main, lighter(main, 0.5), (1, 1, 1)])
    edge = 0.65 * smoothstep(0.06, 0.0, f2 - f1) + 0.25 * smoothstep(0.07, 0.0, g2 - g1)
    return np.clip(lerp(rgb, np.float32([1, 1, 1]), edge), 0, 1)
