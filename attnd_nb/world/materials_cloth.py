"""Cloth and weaves. Each is a function (x, y, seed, colour) -> (h, w, 3) in [0, 1]."""

import numpy as np

from .fields import (
    fbm,
    hash2,
    jitter_colour,
    lerp,
    mix,
    noise,
    params,
    plain,
    smoothstep,
    warp,
)
from .materials_base import choose, frame, lighter, shade

_CLOTHS = [
    (0.72, 0.16, 0.18),
    (0.16, 0.32, 0.56),
    (0.92, 0.88, 0.80),
    (0.20, 0.44, 0.34),
    (0.85, 0.62, 0.20),
    (0.46, 0.26, 0.46),
    (0.34, 0.34, 0.38),
    (0.86, 0.50, 0.52),
    (0.40, 0.62, 0.72),
]


def knit(x, y, seed, colour=None):
    """Stocking stitch: columns of plaited loops of twisted yarn, plain, striped or patterned."""
    rng = params(seed)
    f = frame(rng, x, y, (0.75, 1.3))
    main = choose(rng, colour, _CLOTHS)
    second = np.float32(_CLOTHS[rng.integers(len(_CLOTHS))]) if rng.random() < 0.65 else main
    motif, high = rng.random((8, 4)) < 0.42, int(rng.integers(6, 13))
    u, v = warp(f.u, f.v, mix(seed, 1), 40, 2.5)
    column = np.floor(u / 19)
    a = np.abs(u / 19 - column - np.float32(0.5)) * 2  # 0 in the middle of the V, 1 at its outer edge
    t = v / 15 + 0.85 * a
    row = np.floor(t)
    b = 2 * (t - row) - 1
    height = np.sqrt(np.clip(1 - b * b, 0, 1)) * (1 - ((2 * a - 1) ** 2) ** 2)
    i, j = column.astype(np.int32) % 8, row.astype(np.int32) % high
    patterned = motif[np.minimum(j, 7), np.minimum(i, 7 - i)] & (j < 8)
    ply = np.cos(2 * np.pi * (2.1 * a - 0.75 * b)) * np.float32(0.5) + 0.5
    fuzz = noise(f.u, f.v, mix(seed, 2), 2.2) - 0.5
    side = np.where(u / 19 - column < 0.5, 1, -1).astype(np.float32)
    light = (
        (0.25 + 0.75 * height) * (0.78 + 0.3 * ply + 0.4 * fuzz)
        - 0.16 * b * f.ly
        - 0.12 * f.lx * side * (2 * a - 1)
    )
    rgb = lerp(main, second, patterned.astype(np.float32))
    return shade(rgb, 1.12 * light)


def denim(x, y, seed, colour=None):
    """Twill: slanted ribs of dyed thread with pale weft between, worn in places."""
    rng = params(seed)
    f = frame(rng, x, y, (1.0, 1.8))
    main = choose(
        rng,
        colour,
        [(0.22, 0.34, 0.56), (0.14, 0.20, 0.34), (0.42, 0.56, 0.72), (0.20, 0.20, 0.23), (0.17, 0.28, 0.52)],
    )
    u, v = f.u / np.float32(3.6), f.v / np.float32(3.6)
    thread = np.floor(u)
    across = 2 * (u - thread) - 1
    rib = (v - u) / np.float32(2.6) + 0.12 * across
    pick = np.floor(rib)
    along = 2 * (rib - pick) - 1
    lot = hash2(thread.astype(np.int32), pick.astype(np.int32), mix(seed, 1))
    slub = noise(f.u, f.v / 14, mix(seed, 2), 5) + 0.5 * noise(f.u, f.v / 8, mix(seed, 4), 14) - 0.75
    worn = smoothstep(0.5, 0.9, fbm(f.u, f.v, mix(seed, 3), 75, 3))
    weft = smoothstep(0.45, 0.85, np.abs(along) + 0.3 * (lot - 0.5))
    dyed = lerp(main, lighter(main, 0.55), np.clip(0.6 * worn + 0.7 * slub, 0, 1))
    rgb = lerp(dyed, lighter(main, 0.5), 0.8 * weft * (1 - 0.5 * across * across))
    return shade(rgb, (1.12 - 0.35 * across * across) * (0.85 + 0.3 * lot) * (1 - 0.25 * along * f.ly))


def wicker(x, y, seed, colour=None):
    """Basket weave: flat canes over and under each other."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.4), 0.8)
    main = choose(
        rng, colour, [(0.80, 0.60, 0.34), (0.56, 0.36, 0.20), (0.88, 0.76, 0.54), (0.40, 0.27, 0.20)]
    )
    u, v = warp(f.u, f.v, mix(seed, 1), 50, 3)
    u, v = u / 17, v / 17
    i, j = np.floor(u), np.floor(v)
    p, q = 2 * (u - i) - 1, 2 * (v - j) - 1
    flat = (i + j) % 2 == 0
    across, along = np.where(flat, q, p), np.where(flat, p, q)
    cane = np.where(flat, hash2(j, 0 * j, mix(seed, 2)), hash2(i, 0 * i, mix(seed, 3)))
    a, b = np.where(flat, f.ly, f.lx), np.where(flat, f.lx, f.ly)
    cover = smoothstep(0.9, 0.8, np.abs(across))
    fibre = noise(np.where(flat, f.u / 9, f.u), np.where(flat, f.v, f.v / 9), mix(seed, 4), 2.4) - 0.5
    light = 0.45 + 0.5 * np.cos(along * 1.35) - 0.24 * across * a - 0.3 * along * b + 0.35 * fibre
    light = light * (0.8 + 0.4 * cane) * (1 - 0.35 * (across * across) ** 2)
    return shade(plain(main, x), 0.14 + (light - 0.14) * cover)


def stripes(x, y, seed, colour=None):
    """Painted or printed stripes of two to four colours, free in width and direction."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.5))
    bands, total = _bands(rng, colour, 14, 26)
    wave = rng.uniform(0, 10) if rng.random() < 0.35 else 0
    u = f.u + np.float32(wave) * np.sin(f.v * np.float32(2 * np.pi / rng.uniform(60, 120)))
    rgb = _striped(u, bands, total)
    return shade(rgb, _cloth(f, seed))


def dots(x, y, seed, colour=None):
    """Dots in a staggered lattice on a plain ground."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.5))
    main, ground = choose(rng, colour, _CLOTHS), np.float32([0.95, 0.93, 0.88])
    second = np.float32(_CLOTHS[rng.integers(len(_CLOTHS))]) if rng.random() < 0.4 else main
    if np.abs(main - ground).sum() < 0.6:
        ground = np.float32([0.2, 0.18, 0.2])
    if np.abs(second - ground).sum() < 0.6:
        second = main
    flip, radius = rng.random() < 0.5, rng.uniform(0.22, 0.36)
    u, v = f.u / 30, f.v / 26
    row = np.floor(v)
    u = u + row % 2 * np.float32(0.5)
    column = np.floor(u)
    far = np.hypot((u - column - np.float32(0.5)) * 30, (v - row - np.float32(0.5)) * 26)
    inside = smoothstep(radius * 28 + 0.6, radius * 28 - 0.6, far)
    spot = np.where(((column + row) % 2 == 0)[..., None], main, second)
    rgb = lerp(main, ground, inside) if flip else lerp(ground, spot, inside)
    return shade(rgb, _cloth(f, seed))


def checks(x, y, seed, colour=None):
    """Gingham or a chess board."""
    rng = params(seed)
    f = frame(rng, x, y, (0.7, 1.5))
    main, ground = choose(rng, colour, _CLOTHS), np.float32([0.96, 0.94, 0.89])
    gingham, side = rng.random() < 0.5, rng.uniform(15, 24)
    if np.abs(main - ground).sum() < 0.6:
        ground = np.float32([0.2, 0.18, 0.2])
    a, b = (
        np.clip(np.sin(w * np.float32(np.pi / side)) * np.float32(side / 2) + 0.5, 0, 1) for w in (f.u, f.v)
    )
    t = (a + b) / 2 if gingham else a + b - 2 * a * b
    return shade(lerp(ground, main, t), _cloth(f, seed))


def tartan(x, y, seed, colour=None):
    """A tartan: one sett of stripes woven with itself in twill."""
    rng = params(seed)
    f = frame(rng, x, y, (0.8, 1.3))
    bands, total = _bands(rng, colour, 5, 24, count=5)
    warp_, weft = _striped(f.u, bands, total), _striped(f.v, bands, total)
    rib = np.sin((f.u + f.v) * np.float32(2 * np.pi / 5.5))
    return shade(lerp(warp_, weft, 0.5 + 0.28 * rib), _cloth(f, seed))


def _bands(rng, colour, narrow, wide, count=None):
    """Stripe colours and their upper edges (px): ([(edge, colour)], total width)."""
    count = int(rng.integers(2, 5)) if count is None else count
    order = rng.permutation(len(_CLOTHS))[:count]
    tones = [jitter_colour(rng, _CLOTHS[k], 0.15) for k in order]
    if colour is not None:
        tones[0] = np.asarray(colour, np.float32)
    edges = np.cumsum(rng.uniform(narrow, wide, count))
    return list(zip(edges.tolist(), tones, strict=True)), float(edges[-1])


def _striped(u, bands, total):
    """(h, w, 3): the bands repeated along u, edges one pixel soft."""
    position = u - np.float32(total) * np.floor(u / np.float32(total))
    rgb = lerp(bands[-1][1], bands[0][1], np.clip(position + 0.5, 0, 1))
    for (edge, _), (_, tone) in zip(bands[:-1], bands[1:], strict=True):
        rgb = lerp(rgb, tone, np.clip(position - np.float32(edge) + 0.5, 0, 1))
    return lerp(rgb, bands[0][1], np.clip(position - np.float32(total) + 0.5, 0, 1))


def _cloth(f, seed):
    """The light of a slightly wavy cloth with a fine weave."""
    fold = noise(f.u, f.v, mix(seed, 71), 80) - 0.5
    weave = noise(f.u / 3, f.v, mix(seed, 72), 1.6) + noise(f.u, f.v / 3, mix(seed, 73), 1.6) - 1
    return 1 + 0.35 * fold + 0.16 * weave
