"""Walls, metal, paper, scattered pieces. Each is a function (x, y, seed, colour) -> (h, w, 3) in [0, 1]."""

import numpy as np

from .fields import (
    cell_id,
    cell_random,
    cells,
    cells_vector,
    fbm,
    hash2,
    hsv,
    jitter_colour,
    lerp,
    mix,
    noise,
    params,
    plain,
    ramp,
    smoothstep,
    warp,
)
from .materials_base import bevel, choose, darker, frame, lighter, pieces, relief, shade, turned


def brick(x, y, seed, colour=None):
    """A wall of uneven bricks in mortar, red to ochre to grey."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.4), 0.12)
    main = choose(
        rng,
        colour,
        [
            (0.66, 0.27, 0.19),
            (0.74, 0.45, 0.28),
            (0.50, 0.45, 0.42),
            (0.52, 0.22, 0.19),
            (0.80, 0.62, 0.42),
            (0.72, 0.32, 0.20),
        ],
    )
    mortar = jitter_colour(
        rng, [(0.76, 0.73, 0.67), (0.42, 0.39, 0.36), (0.88, 0.86, 0.82)][rng.integers(3)], 0.1
    )
    high, wide = rng.uniform(19, 25), rng.uniform(46, 58)
    u, v = warp(f.u, f.v, mix(seed, 1), 9, 1.6)
    left, right, top, bottom, block = _blocks(u, v, mix(seed, 2), wide, high, 0.5)
    near = np.minimum(np.minimum(left, right), np.minimum(top, bottom)) - 1.6
    face = smoothstep(-0.8, 0.8, near)
    tone = lerp(
        main,
        ramp(cell_random(block, 1), [darker(main, 0.62), lighter(main, 0.3), darker(main, (0.8, 0.9, 1.1))]),
        0.7,
    )
    rough = relief(lambda u, v: fbm(u, v, mix(seed, 3), 7, 2), f, 0.9)
    stain = 0.82 + 0.36 * noise(f.u, f.v, mix(seed, 4), 30)
    light = rough * stain - 0.38 * bevel(left - 1.5, right - 1.5, top - 1.5, bottom - 1.5, f, 3.5) * face
    return shade(lerp(mortar * np.float32(0.86), tone, face), light)


def tiles(x, y, seed, colour=None):
    """Glazed tiles, plain or with a painted motif, in grout."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.4), 0.8)
    main = choose(
        rng,
        colour,
        [
            hsv(h, s, v)
            for h, s, v in (
                (0.60, 0.75, 0.62),
                (0.48, 0.6, 0.6),
                (0.04, 0.7, 0.72),
                (0.36, 0.5, 0.5),
                (0.10, 0.6, 0.75),
                (0.75, 0.4, 0.55),
            )
        ],
    )
    side, painted = rng.uniform(34, 46), rng.random() < 0.6
    left, right, top, bottom, tile = _blocks(f.u, f.v, mix(seed, 1), side, side, 0.0)
    near = np.minimum(np.minimum(left, right), np.minimum(top, bottom))
    face = smoothstep(0.7, 2.0, near)
    if painted:
        ground, other = np.float32([0.95, 0.93, 0.88]), hsv(rng.uniform(0, 1), 0.6, 0.75)
        glaze = _motif((left - right) / side, (top - bottom) / side, rng, main, other, ground)
    else:
        glaze = lerp(darker(main, 0.7), lighter(main, 0.25), cell_random(tile, 1))
        glaze = glaze * (1 + 0.3 * (noise(f.u, f.v, mix(seed, 2), 11) - 0.5))[..., None]
    gloss = 0.22 * smoothstep(0.12, 0.0, np.abs(noise(f.u, f.v, mix(seed, 3), 90) - 0.55))
    light = 0.88 + gloss * face - 0.45 * bevel(left - 1, right - 1, top - 1, bottom - 1, f, 4) * face
    return shade(lerp(np.float32([0.62, 0.60, 0.56]), glaze, face), light)


def paper(x, y, seed, colour=None):
    """Crumpled paper: flat facets that meet in creases, lit from the side."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.5))
    main = choose(
        rng,
        colour,
        [(0.90, 0.88, 0.84), (0.76, 0.60, 0.42), (0.86, 0.72, 0.74), (0.66, 0.77, 0.84), (0.88, 0.82, 0.58)],
        0.08,
    )

    def height(u, v):
        folds = np.abs(noise(u, v, mix(seed, 1), 58) - 0.5) - 1.15 * np.abs(
            noise(u, v, mix(seed, 2), 64) - 0.5
        )
        folds += 0.45 * np.abs(noise(u, v, mix(seed, 3), 27) - 0.5)
        return folds - 0.38 * np.abs(noise(u, v, mix(seed, 4), 24) - 0.5)

    grain = noise(x, y, mix(seed, 5), 2.2) - 0.5
    light = relief(height, f, 9, 1.5)
    return shade(plain(main, x), np.clip(0.96 * light + 0.06 * grain, 0.3, 1.35))


def metal(x, y, seed, colour=None):
    """Brushed metal plates with broad reflections, seams and rivets."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.4))
    main = choose(
        rng, colour, [(0.66, 0.69, 0.73), (0.80, 0.64, 0.38), (0.74, 0.46, 0.34), (0.48, 0.53, 0.60)], 0.1
    )
    wide, high, shift = rng.uniform(60, 100), rng.uniform(46, 80), rng.choice([0.0, 0.5])
    left, right, top, bottom, plate = _blocks(f.u, f.v, mix(seed, 1), wide, high, shift)
    lot, near = cell_random(plate, 1), np.minimum(np.minimum(left, right), np.minimum(top, bottom))
    streak = noise(f.u / 30 + 90 * lot, f.v, mix(seed, 2), 1.8) - 0.5
    broad = noise(f.u / 2 + 300 * lot, f.v + 200 * lot, mix(seed, 3), 46)
    rgb = ramp(
        0.12 + 0.75 * broad + 0.13 * streak + 0.1 * lot,
        [darker(main, 0.3), darker(main, 0.7), main, lighter(main, 0.4), lighter(main, 0.85)],
    )
    p, q = np.minimum(left, right) - 8, np.minimum(top, bottom) - 8
    dx, dy = np.where(left < right, p, -p) / 4, np.where(top < bottom, q, -q) / 4
    far = np.sqrt(dx * dx + dy * dy)
    light = 1 - 0.5 * bevel(left - 1, right - 1, top - 1, bottom - 1, f, 2.5)
    light = light * (1 - 0.4 * smoothstep(1.7, 0.9, far)) * (0.15 + 0.85 * smoothstep(0.3, 1.3, near))
    rivet = np.clip(1.0 - 0.75 * (f.lx * dx + f.ly * dy), 0, 2)
    return shade(rgb, lerp(light, rivet, smoothstep(1.1, 0.9, far)))


def gold(x, y, seed, colour=None):
    """Hammered gold: bumps that mirror a dark ground and a bright sky."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.5))
    main = choose(rng, colour, [(0.92, 0.68, 0.20), (0.86, 0.58, 0.18), (0.95, 0.76, 0.36)], 0.06)
    u, v = warp(f.u, f.v, mix(seed, 1), 20, 2)
    f1, f2, bump, dx, dy = cells_vector(u, v, mix(seed, 2), 25)
    sky = noise(f.u, f.v, mix(seed, 3), 55) - 0.5
    dome = smoothstep(0.0, 0.3, f2 - f1)
    t = 0.52 - 0.85 * (f.lx * dx + f.ly * dy) * dome - 0.16 * (1 - dome) + 0.5 * sky
    glint = smoothstep(0.2, 0.05, np.sqrt((dx + 0.2 * f.lx) ** 2 + (dy + 0.2 * f.ly) ** 2)) * smoothstep(
        -0.15, 0.1, sky
    )
    rgb = ramp(
        t,
        [
            darker(main, (0.22, 0.14, 0.1)),
            darker(main, (0.6, 0.45, 0.3)),
            main,
            lighter(main, 0.2),
            lighter(main, 0.6),
        ],
    )
    return np.clip(lerp(rgb, np.float32([1, 1, 0.92]), 0.85 * glint), 0, 1)


def rust(x, y, seed, colour=None):
    """Flaking paint over rusty iron."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.6))
    paint = choose(
        rng,
        colour,
        [(0.30, 0.50, 0.54), (0.74, 0.72, 0.66), (0.24, 0.36, 0.52), (0.66, 0.58, 0.30), (0.34, 0.48, 0.36)],
    )
    level = rng.uniform(0.48, 0.6)
    iron = fbm(f.u, f.v, mix(seed, 1), 22, 3, 0.65)
    iron = iron + 0.35 * (noise(f.u, f.v, mix(seed, 4), 2.6) - 0.5)
    rgb = ramp(iron, [(0.16, 0.07, 0.05), (0.40, 0.17, 0.08), (0.66, 0.31, 0.11), (0.84, 0.52, 0.24)])

    def height(u, v):
        return smoothstep(level - 0.04, level + 0.04, fbm(u, v, mix(seed, 2), 62, 3, 0.6))

    left = height(f.u, f.v)
    streak = noise(f.u, f.v, mix(seed, 3), 9)
    worn = paint * (0.8 + 0.3 * streak)[..., None]
    worn = lerp(worn, np.float32([0.62, 0.34, 0.18]), 0.75 * smoothstep(0.6, 0.8, iron))
    return shade(lerp(rgb, worn, left), relief(height, f, 0.8, 1.3, left) * (0.85 + 0.3 * streak))


def confetti(x, y, seed, colour=None):
    """Scattered paper discs and strips of many colours, with shadows."""
    rng = params(seed)
    ground = choose(
        rng, colour, [(0.95, 0.93, 0.90), (0.16, 0.16, 0.22), (0.96, 0.84, 0.50), (0.60, 0.80, 0.86)], 0.06
    )
    hue, size = rng.uniform(0, 1), rng.uniform(22, 34)
    tones = np.stack([hsv(hue + k / 6, rng.uniform(0.5, 0.85), rng.uniform(0.8, 0.98)) for k in range(6)])
    rgb = plain(ground, x)
    for k in range(4):
        dx, dy, piece = pieces(x, y, mix(seed, k), size, 0.4)
        a, b = turned(dx, dy, cell_random(piece, 1))
        disc = np.hypot(a, b / (0.6 + 0.4 * cell_random(piece, 3))) - 0.22
        strip = np.maximum(np.abs(a) - 0.27, np.abs(b) - 0.1)
        far = np.where(cell_random(piece, 2) < 0.6, disc, strip)
        tone = tones[(cell_random(piece, 4) * 6).astype(np.int32)] * (0.9 + 0.25 * (a + b))[..., None]
        rgb = rgb * (1 - 0.35 * smoothstep(0.07, -0.02, far))[..., None]
        rgb = lerp(rgb, tone, smoothstep(0.8 / size, -0.8 / size, far))
    return np.clip(rgb, 0, 1)


def terrazzo(x, y, seed, colour=None):
    """Terrazzo: angular chips of stone of two sizes in polished cement."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.5))
    ground = choose(
        rng, colour, [(0.90, 0.87, 0.82), (0.36, 0.38, 0.40), (0.82, 0.66, 0.58), (0.62, 0.70, 0.66)], 0.08
    )
    tones = np.float32(
        [
            (0.72, 0.36, 0.24),
            (0.18, 0.26, 0.30),
            (0.85, 0.66, 0.36),
            (0.94, 0.92, 0.88),
            (0.40, 0.54, 0.50),
            (0.56, 0.52, 0.50),
        ]
    )[rng.permutation(6)[:4]]
    rgb = ground * (0.94 + 0.12 * noise(f.u, f.v, mix(seed, 1), 3))[..., None]
    for k, (scale, share) in enumerate(((14, 0.6), (31, 0.75))):
        f1, f2, chip = cells(f.u, f.v, mix(seed, 2 + k), scale)
        keep = (cell_random(chip, 1) < share) * smoothstep(
            0.12, 0.12 + 1.6 / scale, f2 - f1 - 0.25 * cell_random(chip, 4)
        )
        tone = (
            tones[(cell_random(chip, 2) * 4).astype(np.int32)]
            * (0.8 + 0.35 * cell_random(chip, 3))[..., None]
        )
        rgb = lerp(rgb, tone, keep)
    return np.clip(rgb, 0, 1)


def _blocks(u, v, seed, wide, high, shift):
    """Courses of blocks, every second shifted: px to the left, right, top and bottom joint, and the id."""
    row = np.floor(v / np.float32(high))
    course = hash2(row.astype(np.int32), np.zeros(u.shape, np.int32), seed)
    u = u / np.float32(wide) + np.float32(shift) * (row % 2 + np.float32(0.25) * course)
    column = np.floor(u)
    block = cell_id(column.astype(np.int32), row.astype(np.int32), seed)
    p, q = (u - column) * np.float32(wide), v - row * np.float32(high)
    return p, wide - p, q, high - q, block


def _motif(p, q, rng, main, other, ground):
    """A painted motif of fourfold symmetry on a tile with p, q in [-1, 1]."""
    far, turn = np.hypot(p, q), np.arctan2(q, p)
    corner = np.hypot(np.abs(p) - 1, np.abs(q) - 1)
    soft = 0.05
    rgb = lerp(ground, main, smoothstep(soft, -soft, corner - rng.uniform(0.3, 0.62)))
    rgb = lerp(rgb, other, smoothstep(soft, -soft, np.abs(corner - rng.uniform(0.62, 0.72)) - 0.05))
    lobes, phase = int(rng.choice([2, 4])), rng.choice([0, np.pi / 4])
    petal = rng.uniform(0.55, 0.8) * np.abs(np.cos(lobes * (turn - np.float32(phase)))) ** 0.6
    rgb = lerp(rgb, main if rng.random() < 0.5 else other, smoothstep(soft, -soft, far - petal))
    return lerp(
        rgb, ground if rng.random() < 0.5 else main, smoothstep(soft, -soft, far - rng.uniform(0.16, 0.28))
    )
