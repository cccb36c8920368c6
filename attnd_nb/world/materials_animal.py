"""Skins, coats and combs. Each is a function (x, y, seed, colour) -> (h, w, 3) in [0, 1]."""

import numpy as np

from .fields import (
    cell_id,
    cell_random,
    cells,
    fbm,
    hsv,
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
from .materials_base import choose, darker, frame, hexagons, lighter, shade, strands, waves

_COATS = [
    (0.55, 0.36, 0.20),
    (0.78, 0.45, 0.20),
    (0.52, 0.50, 0.48),
    (0.88, 0.84, 0.78),
    (0.26, 0.20, 0.18),
    (0.84, 0.68, 0.44),
]


def fur(x, y, seed, colour=None):
    """Long fur: locks of hair that lie one over the other along a flow."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.5))
    main = choose(rng, colour, _COATS)
    x, y = warp(f.u, f.v, mix(seed, 1), 75, 20)
    rgb = plain(darker(main, 0.3), x)
    hair = noise(x, y / 18, mix(seed, 2), 2.6) + 0.6 * noise(x, y / 9, mix(seed, 3), 5) - 0.8
    tones = [darker(main, 0.55), main, lighter(main, 0.2), lighter(main, 0.5)]
    for k in range(5):
        u, v = rotate(x, y, rng.uniform(-0.3, 0.3))
        cover, across, along, lock = strands(u, v, mix(seed, 6 + k), 10, 58)
        cover = cover * np.clip(
            1.3 - along * along + 3 * hair, 0, 1
        )  # towards its tip a lock frays into hairs
        light = (0.6 + 0.08 * k) * (0.6 + 0.5 * along) * (1 - 0.25 * across * across) * (1 + 1.1 * hair)
        tone = ramp(0.1 + 0.4 * along * along + 0.4 * cell_random(lock, 2), tones)
        rgb = lerp(rgb, tone * light[..., None], cover)
    return np.clip(rgb, 0, 1)


def scales(x, y, seed, colour=None):
    """Overlapping fish scales, each a lit disc with a dark rim; the colour drifts along the body."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.4), 0.6)
    main = choose(rng, colour, [hsv(h, 0.55, 0.7) for h in (0.50, 0.42, 0.58, 0.08, 0.03, 0.78)])
    other = hsv(rng.uniform(0, 1), 0.45, 0.85)
    dx, dy, scale = _rows(*warp(f.u, f.v, mix(seed, 1), 70, 5), mix(seed, 2), 24, 12, 0.56)
    far = np.sqrt(dx * dx + dy * dy) / 0.56
    rays = np.cos(np.arctan2(dx, dy + np.float32(0.12)) * 22) * smoothstep(0.2, 0.7, far)
    drift = noise(f.u, f.v, mix(seed, 3), 80)
    tone = lerp(
        lerp(main, other, smoothstep(0.45, 0.75, drift)), np.float32([1, 1, 1]), 0.2 * cell_random(scale, 1)
    )
    light = (0.75 + 0.4 * (dy + 0.3) - 0.5 * (f.lx * dx + f.ly * dy) + 0.06 * rays) * (
        1.15 - 0.3 * cell_random(scale, 2)
    )
    light = light * (1 - 0.75 * smoothstep(0.86, 1.0, far)) + 0.45 * smoothstep(0.6, 0.8, far) * smoothstep(
        0.9, 0.8, far
    )
    return shade(tone, light * (0.55 + 0.45 * smoothstep(-0.35, 0.1, dy)))


def feathers(x, y, seed, colour=None):
    """Plumage: overlapping feathers with shaft, barbs and a pale or dark rim."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.3), 0.8)
    main = choose(
        rng,
        colour,
        [
            (0.18, 0.40, 0.62),
            (0.55, 0.38, 0.24),
            (0.20, 0.52, 0.40),
            (0.80, 0.76, 0.70),
            (0.72, 0.22, 0.16),
            (0.40, 0.38, 0.42),
        ],
    )
    tip = lighter(main, 0.65) if rng.random() < 0.6 else darker(main, 0.25)
    u, v = warp(f.u, f.v, mix(seed, 1), 60, 5)
    dx, dy, feather = _rows(u, v / 1.9, mix(seed, 2), 30, 13, 0.58)
    far = np.sqrt(dx * dx + dy * dy) / 0.58
    barb = np.cos((dy * 1.1 - np.abs(dx) * 1.6) * 46 + 6 * cell_random(feather, 1))
    shaft = smoothstep(0.06, 0.0, np.abs(dx)) * smoothstep(0.5, 0.3, dy)
    t = smoothstep(0.62, 0.82, far + 0.05 * barb)
    rgb = lerp(ramp(0.5 + 0.8 * dy, [darker(main, 0.45), main, lighter(main, 0.15)]), tip, t)
    light = (
        (0.82 + 0.3 * cell_random(feather, 2)) * (1 + 0.13 * barb)
        + 0.45 * shaft
        - 0.5 * (f.lx * dx + f.ly * dy)
    )
    return shade(
        rgb, light * (1 - 0.55 * smoothstep(0.93, 1.0, far)) * (0.45 + 0.55 * smoothstep(-0.5, 0.05, dy))
    )


def leopard(x, y, seed, colour=None):
    """A leopard's coat: broken black rosettes with a darker heart on tawny fur."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.4))
    main = choose(
        rng, colour, [(0.86, 0.64, 0.34), (0.90, 0.76, 0.52), (0.80, 0.78, 0.74), (0.80, 0.52, 0.26)]
    )
    u, v = warp(f.u, f.v / 1.15, mix(seed, 1), 15, 5)
    f1, f2, spot = cells(u, v, mix(seed, 2), 31, 0.75)
    far = f1 / (0.75 + 0.25 * cell_random(spot, 1))
    broken = smoothstep(0.34, 0.44, noise(f.u, f.v, mix(seed, 3), 12))
    ring = smoothstep(0.22, 0.27, far) * smoothstep(0.5, 0.45, far) * broken
    small = smoothstep(0.80, 0.86, noise(f.u, f.v, mix(seed, 4), 15)) * smoothstep(0.55, 0.62, far)
    hair = noise(*warp(f.u, f.v / 7, mix(seed, 5), 40, 8), mix(seed, 6), 2.4) - 0.5
    pale = noise(f.u, f.v, mix(seed, 7), 90)
    coat = lerp(main, lighter(main, 0.5), smoothstep(0.45, 0.8, pale))
    coat = lerp(coat, darker(main, 0.72), smoothstep(0.34, 0.2, far))
    rgb = lerp(coat, np.float32([0.10, 0.07, 0.05]), np.clip(ring + small, 0, 1))
    return shade(rgb, 1 + 0.45 * hair)


def zebra(x, y, seed, colour=None):
    """A zebra's coat: stripes that bend, fork and end."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.6))
    main = choose(rng, colour, [(0.95, 0.93, 0.88), (0.92, 0.86, 0.74)], 0.05)
    field, _ = waves(*warp(f.u, f.v, mix(seed, 1), 90, 26), rng, 27, 0.5)
    hair = noise(f.u, f.v / 8, mix(seed, 2), 2.4) - 0.5
    dark = smoothstep(-0.1, 0.08, field + 0.2 * hair)
    return shade(lerp(main, np.float32([0.09, 0.08, 0.08]), dark), 1 + 0.3 * hair)


def tiger(x, y, seed, colour=None):
    """A tiger's coat: thin tapering black stripes on orange that pales in patches."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.5))
    main = choose(rng, colour, [(0.90, 0.52, 0.16), (0.94, 0.62, 0.26), (0.86, 0.44, 0.14)], 0.1)
    field, _ = waves(*warp(f.u, f.v, mix(seed, 1), 60, 24), rng, 30, 0.4)
    thick = noise(f.u, f.v / 2, mix(seed, 3), 38)
    hair = noise(f.u, f.v / 8, mix(seed, 2), 2.4) - 0.5
    dark = smoothstep(0.0, 0.2, field + 0.2 * hair - 1.45 + 1.8 * thick)
    coat = lerp(
        main, np.float32([0.98, 0.93, 0.84]), smoothstep(0.55, 0.78, noise(f.u, f.v, mix(seed, 4), 85))
    )
    return shade(lerp(coat, np.float32([0.08, 0.06, 0.05]), dark), 1 + 0.5 * hair)


def honeycomb(x, y, seed, colour=None):
    """A comb of hexagons: lit wax walls, cells empty, full of honey, or capped."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.4))
    main = choose(rng, colour, [(0.95, 0.66, 0.14), (0.88, 0.54, 0.12), (0.96, 0.76, 0.32)], 0.1)
    edge, dx, dy, cell = hexagons(*warp(f.u, f.v, mix(seed, 1), 40, 2.5), mix(seed, 2), 26)
    wall = smoothstep(0.13, 0.07, edge)
    kind = cell_random(cell, 1)
    slope = f.lx * dx + f.ly * dy
    honey = ramp(
        0.45 + 0.9 * slope + 0.3 * kind, [darker(main, (0.35, 0.2, 0.1)), darker(main, (0.8, 0.6, 0.5)), main]
    )
    glint = smoothstep(0.1, 0.04, np.hypot(dx + 0.16 * f.lx, dy + 0.16 * f.ly))
    inside = lerp(honey, np.float32([1, 0.95, 0.75]), 0.8 * glint * (kind < 0.65))
    hollow = darker(main, (0.30, 0.22, 0.2)) * (0.7 + 1.1 * slope)[..., None]
    capped = (
        lighter(main, 0.35)
        * (0.95 - 0.4 * slope + 0.3 * (fbm(f.u, f.v, mix(seed, 3), 6, 2) - 0.5))[..., None]
    )
    inside = np.where((kind < 0.3)[..., None], hollow, np.where((kind > 0.82)[..., None], capped, inside))
    wax = lighter(main, 0.45) * (1 - 0.8 * np.sign(slope) * smoothstep(0.02, 0.1, edge))[..., None]
    return np.clip(lerp(inside * (0.55 + 0.45 * smoothstep(0.1, 0.3, edge))[..., None], wax, wall), 0, 1)


def snake(x, y, seed, colour=None):
    """A snake's skin: rows of small diamonds that carry a larger pattern."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.5))
    main = choose(
        rng, colour, [(0.72, 0.60, 0.38), (0.46, 0.54, 0.30), (0.72, 0.36, 0.22), (0.56, 0.52, 0.46)]
    )
    dark, big = darker(main, rng.uniform(0.2, 0.4)), rng.uniform(4, 6)
    u, v = warp(f.u, f.v, mix(seed, 1), 60, 6)
    a, b = (u + v * 0.7) / 13, (u - v * 0.7) / 13
    i, j = np.floor(a), np.floor(b)
    p, q = a - i - np.float32(0.5), b - j - np.float32(0.5)
    side = np.maximum(np.abs(p), np.abs(q))
    # the larger pattern is read at the diamond's centre, so that every diamond has one colour
    cu, cv = (i + j + 1) / 2 / big, (i - j) / 2 / big
    saw = np.abs(cu - np.floor(cu) - np.float32(0.5)) + np.abs(cv - np.floor(cv) - np.float32(0.5))
    body = ramp(smoothstep(0.1, 0.85, saw), [lighter(main, 0.45), dark, dark, main, lighter(main, 0.1), main])
    cell = cell_id(i.astype(np.int32), j.astype(np.int32), seed)
    dome = smoothstep(0.5, 0.36, side)
    light = (0.75 + 0.35 * cell_random(cell, 1)) * (0.3 + 0.7 * dome) - 0.5 * (
        f.lx * (p + q) + f.ly * (p - q)
    ) * dome
    return shade(body, light)


def _rows(u, v, seed, width, height, radius):
    """Discs in staggered rows, upper over lower: (dx, dy, id) of the visible one, in units of `width`."""
    u, v = u / np.float32(width), v / np.float32(width)
    step = np.float32(height / width)
    low = np.floor(v / step)
    out = None
    for k in (2, 1, 0, -1):  # from the lowest row that may reach this point up to the topmost, which wins
        row = low + k
        odd = row - 2 * np.floor(row / 2)
        column = np.floor(u - odd / 2)
        dx, dy = u - odd / 2 - column - np.float32(0.5), v - row * step
        new = dx, dy, row, column
        if out is None:
            out = new
        else:
            inside = dx * dx + dy * dy < radius * radius
            out = tuple(np.where(inside, a, b) for a, b in zip(new, out, strict=True))
    dx, dy, row, column = out
    return dx, dy, cell_id(column.astype(np.int32), row.astype(np.int32), seed)
