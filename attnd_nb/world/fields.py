"""Random fields over the plane: the alphabet of the image world.

Every function maps absolute coordinates (`x` right, `y` down, pixels at the 256-px reference, float32, any
one shape) and an integer seed to values, point by point. Nothing looks at the array's shape or at
neighbouring array elements, so a window of a larger render equals the render of the window.

Sources: value-gradient noise and fractal sums after K. Perlin, "An Image Synthesizer", SIGGRAPH 1985;
cellular noise after S. Worley, "A Cellular Texture Basis Function", SIGGRAPH 1996.
"""

import functools

import numpy as np

_PERIOD = 256  # lattice cells after which noise and cells repeat
_MASK64 = (1 << 64) - 1


def mix(seed, k):
    """A new 63-bit seed from a seed and an integer (splitmix64's finaliser).

    >>> mix(1, 2) == mix(1, 2), mix(1, 2) == mix(2, 1)
    (True, False)
    """
    z = (int(seed) * 0x9E3779B97F4A7C15 + (int(k) + 1) * 0xD1B54A32D192ED03) & _MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
    return (z ^ (z >> 31)) >> 1


def params(seed):
    """A `numpy.random.Generator` for drawing a field's parameters."""
    return np.random.default_rng(int(seed))


def hash2(ix, iy, seed):
    """Random numbers in [0, 1) of integer arrays, float32 of their shape.

    >>> h = hash2(np.arange(3), np.zeros(3, int), seed=5)
    >>> h.dtype.name, bool((h >= 0).all() and (h < 1).all()), len(set(h.tolist()))
    ('float32', True, 3)
    """
    return _unit(_scramble(cell_id(ix, iy, seed), 0))


def cell_random(cell, k):
    """The k-th random number in [0, 1) of each cell, float32, from the ids that `cells` returns."""
    return _unit(_scramble(np.asarray(cell).astype(np.uint32), mix(k, 7) & 0xFFFFFFFF))


def cell_id(ix, iy, seed):
    """One uint32 for each pair of integers, to be given to `cell_random`."""
    ix, iy = np.asarray(ix).astype(np.uint32), np.asarray(iy).astype(np.uint32)
    return ix * np.uint32(0x8DA6B343) + iy * np.uint32(0xD8163841) + np.uint32(mix(seed, 11) & 0xFFFFFFFF)


def noise(x, y, seed, scale):
    """Smooth noise in [0, 1], mean about .5, features about `scale` px wide, (h, w) float32.

    >>> y, x = np.mgrid[0:64, 0:64].astype(np.float32)
    >>> a = noise(x, y, seed=1, scale=12)
    >>> bool(np.array_equal(a[20:40, 30:], noise(x[20:40, 30:], y[20:40, 30:], seed=1, scale=12)))
    True
    """
    ox, oy = _offset(seed)
    x, y = x * np.float32(1 / scale) + ox, y * np.float32(1 / scale) + oy
    ix, iy = np.floor(x), np.floor(y)
    fx, fy = x - ix, y - iy
    where = (iy.astype(np.intp) & 255) * _PERIOD + (ix.astype(np.intp) & 255)
    c = [
        table.take(where, mode="clip") for table in _lattice()
    ]  # separate tables: strided access is the slow part
    u, v = _fade(fx), _fade(fy)
    # for each corner of the cell a plane: value + slope x * fx + slope y * fy
    top = c[0] + c[1] * fx + c[2] * fy + u * (c[3] + c[4] * fx + c[5] * fy)
    low = c[6] + c[7] * fx + c[8] * fy + u * (c[9] + c[10] * fx + c[11] * fy)
    return np.clip(top + v * low, 0, 1)


def fbm(x, y, seed, scale, octaves=4, gain=0.5):
    """A fractal sum of noises, each half as wide and `gain` times as strong; in [0, 1], mean about .5."""
    total, weight, amplitude = np.float32(0), 0.0, 1.0
    for k in range(octaves):
        total = total + np.float32(amplitude) * noise(x, y, mix(seed, k), scale)
        weight += amplitude * amplitude
        amplitude *= gain
        scale *= 0.497  # not exactly half, so that lattices never line up
    mean = (1 - gain**octaves) / (1 - gain) / 2 if gain != 1 else octaves / 2
    # independent octaves add in variance: dividing by the root keeps the contrast of a single noise
    return np.clip((total - np.float32(mean)) * np.float32(weight**-0.5) + np.float32(0.5), 0, 1)


def cells(x, y, seed, scale, jitter=1.0):
    """Worley's cells: (f1, f2, id), the distances to the two nearest points and the nearest's id.

    Distances are in units of `scale`.
    `jitter` in [0, 1] moves the points away from a square lattice. `id` is uint32; see `cell_random`.
    """
    return cells_vector(x, y, seed, scale, jitter)[:3]


def cells_vector(x, y, seed, scale, jitter=1.0):
    """`cells` with the vector from the nearest point: (f1, f2, id, dx, dy), in units of `scale`."""
    ox, oy = _offset(seed)
    x, y = x * np.float32(1 / scale) + ox, y * np.float32(1 / scale) + oy
    fx, fy = np.floor(x), np.floor(y)
    ix, iy = fx.astype(np.intp), fy.astype(np.intp)
    fx, fy = x - fx, y - fy
    px, py = _points(float(jitter))
    first = np.full(x.shape, 9, np.float32)
    second = first.copy()
    best = np.zeros(x.shape, np.intp)
    for j in (-1, 0, 1):
        row, below = ((iy + j) & 255) * _PERIOD, fy - np.float32(j)
        for i in (-1, 0, 1):
            where = row + ((ix + i) & 255)
            dx = fx - np.float32(i) - px.take(where, mode="clip")
            dy = below - py.take(where, mode="clip")
            d = dx * dx + dy * dy
            np.copyto(best, where, where=d < first)
            np.minimum(second, np.maximum(first, d), out=second)
            np.minimum(first, d, out=first)
    cx, cy = best & 255, best >> 8
    dx = fx - _wrap(cx - ix) - px.take(best)
    dy = fy - _wrap(cy - iy) - py.take(best)
    return np.sqrt(first), np.sqrt(second), cell_id(cx, cy, seed), dx, dy


def warp(x, y, seed, scale, amount):
    """Coordinates moved by noise of width `scale`, by about ±`amount` px."""
    k = np.float32(2 * amount)
    dx = noise(x, y, mix(seed, 101), scale) - np.float32(0.5)
    dy = noise(x, y, mix(seed, 102), scale) - np.float32(0.5)
    return x + k * dx, y + k * dy


def rotate(x, y, angle):
    """Coordinates turned by `angle` radians: the pattern drawn in them turns the other way."""
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x + s * y, c * y - s * x


def smoothstep(a, b, t):
    """0 below a, 1 above b, a cubic between (a > b gives the falling edge).

    >>> smoothstep(0, 2, np.float32([-1, 1, 3])).tolist()
    [0.0, 0.5, 1.0]
    """
    t = np.clip((np.asarray(t, np.float32) - np.float32(a)) * np.float32(1 / (b - a)), 0, 1)
    return t * t * (3 - 2 * t)


def lerp(a, b, t):
    """a where t is 0, b where t is 1. A map t (h, w) mixes colours (3,) or (h, w, 3), and maps (h, w)."""
    a, b, t = np.asarray(a, np.float32), np.asarray(b, np.float32), np.asarray(t, np.float32)
    if t.ndim != 2 or not (
        a.ndim == 3 or b.ndim == 3 or 3 in (a.shape[-1:] + b.shape[-1:]) and max(a.ndim, b.ndim) == 1
    ):
        return a + (b - a) * t
    out = _planar(t.shape)
    for k in range(3):
        low, high = (c[..., k] if c.ndim != 2 and c.shape[-1:] == (3,) else c for c in (a, b))
        np.multiply(high - low, t, out=out[..., k])
        out[..., k] += low
    return out


def ramp(t, colours):
    """The piecewise-linear gradient through `colours` (n, 3) at t in [0, 1]: (h, w, 3) float32.

    >>> ramp(np.float32([[0.5]]), [(0, 0, 0), (1, 0.5, 0)]).tolist()
    [[[0.5, 0.25, 0.0]]]
    """
    colours = np.asarray(colours, np.float32)
    position = np.clip(t, 0, 1).astype(np.float32) * np.float32(len(colours) - 1)
    low = np.minimum(position.astype(np.intp), len(colours) - 2)
    position -= low.astype(np.float32)
    step, out = np.diff(colours, axis=0), _planar(position.shape)
    for k in range(3):
        np.multiply(step[:, k].take(low, mode="clip"), position, out=out[..., k])
        out[..., k] += colours[:, k].take(low, mode="clip")
    return out


def plain(colour, like):
    """A colour (3,) over the shape (h, w) of the array `like`: (h, w, 3) float32."""
    out = _planar(like.shape)
    out[...] = colour
    return out


def luminance(rgb):
    """Rec. 709 luma of (..., 3)."""
    return np.asarray(rgb, np.float32) @ np.float32([0.2126, 0.7152, 0.0722])


def hsv(h, s, v):
    """The colour (3,) of a hue (turns, any real), a saturation and a value in [0, 1].

    >>> hsv(1 / 3, 1, 1).tolist()
    [0.0, 1.0, 0.0]
    """
    wheel = np.clip(np.abs((h * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return (v * (1 - s + s * wheel)).astype(np.float32)


def jitter_colour(rng, rgb, amount):
    """A colour near `rgb` (3,): brightness moves by up to ±amount of itself, each channel by a quarter."""
    moved = np.asarray(rgb) * (1 + amount * rng.uniform(-1, 1) + amount / 4 * rng.uniform(-1, 1, 3))
    return np.clip(moved, 0, 1).astype(np.float32)


def _planar(shape):
    """An empty (h, w, 3) stored by planes: numpy keeps that order, and maps times colours run 7x faster."""
    return np.moveaxis(np.empty((3, *shape), np.float32), 0, -1)


def _fade(t):
    return t * t * t * (t * (t * 6 - 15) + 10)


def _wrap(d):
    """A difference of wrapped lattice indices, back in [-128, 128)."""
    return ((d + 128) & 255).astype(np.float32) - np.float32(128)


@functools.lru_cache(maxsize=4096)
def _offset(seed):
    bits = mix(seed, 3)
    return np.float32((bits & 0xFFFFFF) / 2**16), np.float32((bits >> 24 & 0xFFFFFF) / 2**16)


@functools.lru_cache(maxsize=1)
def _lattice():
    """Twelve tables (65536,) float32: each cell's four corner planes, as the differences `noise` sums."""
    rng = params(20250220)
    value = rng.uniform(0.22, 0.78, (_PERIOD, _PERIOD))
    turn = rng.uniform(0, 2 * np.pi, (_PERIOD, _PERIOD))
    slope = 0.55 * np.stack([np.cos(turn), np.sin(turn)])

    def plane(i, j):  # in terms of fx, fy of the cell whose corner (i, j) this is
        v, gx, gy = (np.roll(a, (-j, -i), (0, 1)) for a in (value, *slope))
        return np.stack([v - gx * i - gy * j, gx, gy])

    a, b, c, d = plane(0, 0), plane(1, 0), plane(0, 1), plane(1, 1)
    table = np.concatenate([a, b - a, c - a, d - c - b + a])
    return tuple(table.reshape(12, -1).astype(np.float32))


@functools.lru_cache(maxsize=16)
def _points(jitter):
    """Two tables (65536,) of point positions within their cells, in [0, 1)."""
    rng = params(20250221)
    draw = (rng.random(_PERIOD * _PERIOD, dtype=np.float32) for _ in range(2))
    return tuple(a * np.float32(jitter) + np.float32((1 - jitter) / 2) for a in draw)


def _scramble(h, salt):
    """Wellons' lowbias32 on a uint32 array."""
    h = h ^ np.uint32(salt)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B)
    return h ^ (h >> np.uint32(16))


def _unit(h):
    return (h >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)
