"""Wood and plants. Each is a function (x, y, seed, colour) -> (h, w, 3) in [0, 1]."""

import numpy as np

from .fields import (
    cell_id,
    cell_random,
    cells,
    cells_vector,
    fbm,
    jitter_colour,
    lerp,
    mix,
    noise,
    params,
    plain,
    ramp,
    rotate,
    smoothstep,
    warp,
)
from .materials_base import (
    choose,
    darker,
    frame,
    lighter,
    pieces,
    relief,
    shade,
    strands,
    turned,
)


def wood(x, y, seed, colour=None):
    """Sawn wood: year rings that flow round knots, fibres, and planks for some seeds."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.4))
    main = choose(
        rng,
        colour,
        [
            (0.80, 0.58, 0.34),
            (0.66, 0.42, 0.22),
            (0.45, 0.27, 0.16),
            (0.62, 0.30, 0.17),
            (0.60, 0.54, 0.47),
            (0.87, 0.71, 0.48),
        ],
    )
    contrast, plank = rng.uniform(0.45, 0.75), rng.uniform(40, 70)
    u, v, gap, tone = f.u, f.v, 1.0, 1.0
    if rng.random() < 0.5:
        row = np.floor(v / plank)
        board = cell_id(row.astype(np.int32), np.zeros(u.shape, np.int32), seed)
        inside = v - row * np.float32(plank)
        gap = smoothstep(0.3, 2.2, np.minimum(inside, plank - inside))
        tone = 0.82 + 0.32 * cell_random(board, 1)
        u, v = u + 400 * cell_random(board, 2), v + 300 * cell_random(board, 3)
    far, _, _, kx, ky = cells_vector(u * 0.4, v, mix(seed, 1), 95, 0.8)
    knot = np.exp(-far * far * 55)
    bend = noise(u / 5, v, mix(seed, 2), 34) * 34 + noise(u / 3, v, mix(seed, 3), 11) * 4
    ring = (v + bend + np.sign(ky) * 16 * np.exp(-far * far * 16)) / 9.5
    ring = np.where(far < 0.19, far * 22 + bend / 20, ring)
    ring = ring - np.floor(ring)
    late = smoothstep(0.1, 0.85, ring) * smoothstep(1.0, 0.88, ring)
    fibre = noise(u / 14, v, mix(seed, 4), 2.2) - 0.5
    t = np.clip(1 - contrast * late - 0.35 * knot + 0.22 * fibre, 0, 1)
    rgb = ramp(
        t, [darker(main, (0.28, 0.22, 0.2)), darker(main, (0.72, 0.64, 0.56)), main, lighter(main, 0.18)]
    )
    return shade(rgb, tone * (0.35 + 0.65 * gap) * (1 + 0.12 * fibre))


def bark(x, y, seed, colour=None):
    """Plates of bark, cracked along the trunk, with moss or lichen for some seeds."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.5), 0.35)
    main = choose(
        rng, colour, [(0.45, 0.33, 0.24), (0.50, 0.46, 0.40), (0.52, 0.30, 0.20), (0.36, 0.30, 0.26)]
    )
    moss, much = (
        jitter_colour(rng, [(0.42, 0.47, 0.18), (0.62, 0.66, 0.52)][rng.integers(2)], 0.2),
        rng.uniform(0.45, 0.9),
    )

    def height(u, v):
        u, v = warp(u, v, mix(seed, 1), 24, 7)
        f1, f2, _ = cells(u, v / 3.2, mix(seed, 2), 17)
        rough = noise(u, v / 3, mix(seed, 3), 5)
        return smoothstep(0.0, 0.42, f2 - f1) * (0.75 + 0.25 * rough) + 0.18 * rough

    h = height(f.u, f.v)
    rgb = ramp(h, [darker(main, 0.22), darker(main, 0.75), main, lighter(main, 0.25)])
    patch = smoothstep(much, much + 0.18, fbm(f.u, f.v, mix(seed, 4), 60, 3)) * smoothstep(0.3, 0.8, h)
    return shade(lerp(rgb, moss, 0.75 * patch), relief(height, f, 1.6, 1.2, h))


def grass(x, y, seed, colour=None):
    """A lawn seen from above: five layers of blades, dark below and light on top."""
    rng = params(seed)
    main = choose(
        rng, colour, [(0.36, 0.58, 0.16), (0.25, 0.50, 0.20), (0.50, 0.58, 0.18), (0.62, 0.58, 0.26)]
    )
    size, lean = rng.uniform(0.8, 1.5), rng.uniform(-0.5, 0.5)
    x, y = warp(x / np.float32(size), y / np.float32(size), mix(seed, 1), 40, 11)
    rgb = plain(darker(main, 0.22), x)
    tones = [main, lighter(main, 0.1), (0.85, 0.85, 0.45)]
    for k in range(5):
        u, v = rotate(x, -y, lean + rng.uniform(-0.4, 0.4))
        cover, across, along, blade = strands(u, v, mix(seed, 20 + k), 5.5, 42)
        light = (
            (0.4 + 0.14 * k)
            * (0.45 + 0.75 * along)
            * (0.75 + 0.5 * cell_random(blade, 1))
            * (1 - 0.25 * across)
        )
        rgb = lerp(rgb, ramp(0.8 * cell_random(blade, 2) * along + 0.1, tones) * light[..., None], cover)
    return np.clip(rgb, 0, 1)


def leaves(x, y, seed, colour=None):
    """Fallen or growing leaves, one over the other, with veins and shadows."""
    rng = params(seed)
    size = rng.uniform(34, 52)
    kinds = [
        [(0.20, 0.45, 0.16), (0.35, 0.58, 0.20), (0.15, 0.36, 0.20)],
        [(0.80, 0.32, 0.10), (0.88, 0.62, 0.16), (0.62, 0.16, 0.10), (0.55, 0.36, 0.14)],
        [(0.45, 0.55, 0.22), (0.75, 0.65, 0.22), (0.30, 0.42, 0.18)],
    ]
    tones = (
        np.float32(kinds[rng.integers(3)]) if colour is None else np.float32([colour, darker(colour, 0.7)])
    )
    rgb = plain(darker(tones[0], 0.2), x)
    for k in range(6):
        dx, dy, leaf = pieces(x, y, mix(seed, k), size, 0.2)
        a, b = turned(dx, dy, cell_random(leaf, 1))
        width = 0.2 + 0.06 * cell_random(leaf, 3)
        inside = width * (1 - (a / 0.46) ** 2) * (1 - 0.45 * a) - np.abs(b)
        shadow = width * (1 - ((a - 0.03) / 0.48) ** 2) * (1 - 0.45 * a) - np.abs(b - 0.03)
        vein = np.minimum(np.abs(b) * 14, np.abs((a - 0.8 * np.abs(b)) * 11 % 1 - 0.5) * 4 + 0.25)
        base = (
            ramp(cell_random(leaf, 2), tones)
            * (0.70 + 0.06 * k + 0.4 * (cell_random(leaf, 4) - 0.5))[..., None]
        )
        lit = (1.0 + 0.22 * np.sign(b) * smoothstep(0, 0.06, np.abs(b))) * (
            1.25 - 0.25 * smoothstep(0, 0.6, vein)
        )
        rgb = rgb * (1 - 0.5 * smoothstep(-0.03, 0.05, shadow))[..., None]
        rgb = lerp(rgb, base * lit[..., None], smoothstep(0, 1.6 / size, inside))
    return np.clip(rgb, 0, 1)


def straw(x, y, seed, colour=None):
    """Heaped straw: stalks in many directions, lit as little tubes."""
    rng = params(seed)
    main = choose(rng, colour, [(0.86, 0.70, 0.34), (0.78, 0.62, 0.36), (0.72, 0.66, 0.34)])
    size, lean = rng.uniform(0.8, 1.4), rng.uniform(-np.pi, np.pi)
    x, y = warp(x / np.float32(size), y / np.float32(size), mix(seed, 1), 90, 7)
    rgb, tones = plain(darker(main, 0.25), x), [main, lighter(main, 0.3)]
    for k in range(5):
        u, v = rotate(x, y, lean + rng.uniform(-0.7, 0.7))
        cover, across, along, stalk = strands(u, v, mix(seed, 20 + k), 5.5, 75, 0.25)
        cover = cover * (cell_random(stalk, 2) < 0.72)
        light = (
            (0.5 + 0.11 * k)
            * (0.7 + 0.55 * cell_random(stalk, 1))
            * (1.1 - 0.5 * across * across - 0.2 * across)
        )
        rgb = lerp(rgb, ramp(cell_random(stalk, 3), tones) * light[..., None], cover)
    return np.clip(rgb, 0, 1)
