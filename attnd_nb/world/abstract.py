"""Images of nothing in particular, with the statistics of photographs: features learned on them carry over.

Sources: dead leaves, A. Lee, D. Mumford, J. Huang, "Occlusion Models for Natural Images", IJCV 2001 (radii
with density r^-3 give scale invariance); learning from such images, M. Baradad et al., "Learning to See by
Looking at Noise", 2021; spectra 1/f, D. Field, JOSA A 1987.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from .fields import cell_id, cell_random, hsv, lerp, luminance, mix, params, plain, ramp, smoothstep
from .materials import MATERIALS, render_material

_NAMES = tuple(MATERIALS)
# One lattice per octave of radii, px: (smallest radius, largest radius, cell). Density falls as r^-3, so
# cells of area proportional to r^2 hold equally many leaves at every octave, and each octave covers the same
# area.
_OCTAVES = ((8, 16, 30), (16, 32, 60), (32, 64, 120), (64, 128, 240))
_REACH = 1.25  # how far a leaf and its shadow reach, in radii (and 5 px)


def dead_leaves(x, y, seed):
    """Leaves of every size that hide one another: discs, boxes and polygons, textured, shaded or plain.

    x, y (h, w): a grid of reference pixels, x constant down every column and y along every row (ValueError
    otherwise). Returns (h, w, 3) float32 in [0, 1]. After Lee, Mumford and Huang (2001).

    >>> y, x = np.mgrid[0:24, 0:40].astype(np.float32)
    >>> dead_leaves(x, y, seed=1).shape
    (24, 40, 3)
    """
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    if x.ndim != 2 or not ((x == x[:1]).all() and (y == y[:, :1]).all()):
        raise ValueError(
            "dead_leaves needs x, y of a regular grid (np.mgrid); they are turned, warped or not 2-D"
        )
    rng = params(seed)
    look = {
        "colours": _palette(rng),
        "textured": rng.uniform(0.2, 0.9),
        "shadow": rng.uniform(0, 0.55),
        "soft": rng.uniform(0.6, 2.5) if rng.random() < 0.3 else 0.6,
        "kinds": rng.permutation(len(_NAMES))[:6],
    }
    out, open_ = plain(0, x), np.ones(x.shape, np.float32)
    for leaf in _leaves(x[0], y[:, 0], seed):
        rows, columns = (
            _box(y[:, 0], leaf[1], _REACH * leaf[2] + 5),
            _box(x[0], leaf[0], _REACH * leaf[2] + 5),
        )
        left = open_[rows, columns]
        if left.any():
            _paint(out[rows, columns], left, x[rows, columns], y[rows, columns], leaf, look)
    return np.clip(out + open_[..., None] * look["colours"][0], 0, 1)


def coloured_noise(h, w, seed):
    """Noise with the spectrum 1/f^a and the correlated colours of photographs: (h, w, 3) float32 in [0, 1].

    a is drawn from 0.9-1.7; some images have a main direction, or contrast that comes in patches.

    >>> coloured_noise(16, 24, seed=3).shape
    (16, 24, 3)
    """
    rng = params(seed)
    fy, fx = np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)[None]
    turn, stretch = rng.uniform(0, np.pi), np.exp(rng.uniform(0, 1.1)) if rng.random() < 0.5 else 1.0
    a, b = fx * np.cos(turn) + fy * np.sin(turn), fy * np.cos(turn) - fx * np.sin(turn)
    far = np.maximum(np.hypot(a * stretch, b / stretch), 1.0 / max(h, w))

    def field(slope):
        spectrum = far**-slope
        spectrum[0, 0] = 0
        z = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((h, w))) * spectrum, s=(h, w))
        return (z / max(z.std(), 1e-9)).astype(np.float32)

    slope = rng.uniform(0.9, 1.7)
    planes = np.stack([field(slope), field(slope + 0.2), field(slope + 0.2)], axis=-1)
    if rng.random() < 0.5:
        planes *= np.exp(0.45 * field(1.6))[..., None]
    if rng.random() < 0.4:  # heavy tails: flat parts and sharp ones, as edges make them
        planes = np.sign(planes) * np.abs(planes) ** np.float32(rng.uniform(1.1, 1.4))
    # luminance, then blue against yellow, then red against green: the axes of natural colour, by falling
    # strength
    axes = np.float32([[0.58, 0.58, 0.58], [0.62, 0.05, -0.72], [0.42, -0.80, 0.36]])
    axes += rng.normal(0, 0.12, (3, 3)).astype(np.float32)
    scale = np.float32([rng.uniform(0.18, 0.36), rng.uniform(0.02, 0.13), rng.uniform(0.02, 0.08)])
    mean = hsv(rng.uniform(0, 1), rng.uniform(0, 0.45), rng.uniform(0.35, 0.65))
    z = mean - np.float32(0.5) + (planes * scale) @ axes
    return (0.5 + 0.5 * np.tanh(2.2 * z)).astype(np.float32)


def lit(image, seed):
    """The image (h, w, 3) under another light and lens: gradient, vignette, cast, contrast, gamma, focus.

    Returns (h, w, 3) float32 in [0, 1]; the frame is the image's own, whatever its size.

    >>> lit(np.full((8, 8, 3), 0.5, np.float32), seed=1).shape
    (8, 8, 3)
    """
    rng = params(seed)
    image = np.asarray(image, np.float32)
    h, w = image.shape[:2]
    y, x = np.linspace(-1, 1, h, dtype=np.float32)[:, None], np.linspace(-1, 1, w, dtype=np.float32)[None]
    if rng.random() < 0.35:
        sigma = rng.uniform(0.5, 2.5) * max(h, w) / 256
        image = gaussian_filter(image, (sigma, sigma, 0))
    turn, tilt, rim = (
        rng.uniform(0, 2 * np.pi),
        rng.uniform(0, 0.45),
        rng.uniform(0, 0.4) * (rng.random() < 0.5),
    )
    light = 1 + tilt * (np.float32(np.cos(turn)) * x + np.float32(np.sin(turn)) * y)
    light = light * (1 - rim * (x * x + y * y) / 2) * rng.uniform(0.7, 1.2)
    cast = 1 + rng.normal(0, 0.07, 3).astype(np.float32)
    image = np.clip(image * light[..., None] * cast, 0, 1) ** np.float32(np.exp(rng.uniform(-0.35, 0.35)))
    grey = luminance(image)[..., None]
    image = grey + (image - grey) * np.float32(rng.uniform(0.55, 1.15))
    middle, contrast = np.float32(rng.uniform(0.3, 0.6)), np.float32(rng.uniform(0.65, 1.15))
    return np.clip(middle + (image - middle) * contrast, 0, 1).astype(np.float32)


def _palette(rng):
    """Seven colours as photographs have them: two or three hues, mostly muted, dark to light."""
    hues = rng.choice([0.05, 0.09, 0.13, 0.28, 0.36, 0.55, 0.6, 0.95], 3) + rng.normal(0, 0.03, 3)
    muted = rng.uniform(0.6, 1.6)
    return np.stack(
        [hsv(hues[k % 3], min(1, rng.beta(1.6, 2.6) * muted), rng.uniform(0.06, 1.0)) for k in range(7)]
    )


def _leaves(xs, ys, seed):
    """All leaves that may touch the grid, front to back: [(x, y, radius, id)]."""
    found = []
    for k, (small, large, cell) in enumerate(_OCTAVES):
        for layer in range(3):
            sub, reach = mix(seed, 10 * k + layer), _REACH * large + 5 + cell
            i, j = (
                np.arange(np.floor((a.min() - reach) / cell), np.ceil((a.max() + reach) / cell) + 1)
                for a in (xs, ys)
            )
            i, j = (a.ravel().astype(np.int32) for a in np.meshgrid(i, j))
            leaf = cell_id(i, j, sub)
            # the inverse of the distribution of r^-3 within one octave
            radius = (small**-2.0 - cell_random(leaf, 1) * (small**-2.0 - large**-2.0)) ** -0.5
            found.append(
                np.stack(
                    [
                        (i + cell_random(leaf, 2)) * cell,
                        (j + cell_random(leaf, 3)) * cell,
                        radius,
                        leaf.astype(np.float64),
                        cell_random(leaf, 4),
                    ]
                )
            )
    found = np.concatenate(found, axis=1)
    order = np.lexsort((found[3], found[4]))
    return [(float(x), float(y), float(r), int(n)) for x, y, r, n in found[:4, order].T]


def _box(axis, centre, reach):
    """The slice of a sorted axis within `reach` of `centre`."""
    return slice(*np.searchsorted(axis, (centre - reach, centre + reach)))


def _paint(out, left, x, y, leaf, look):
    """Put one leaf and its shadow behind what is there: `out` gains colour, `left` (still open) shrinks."""
    cx, cy, radius, number = leaf
    rng = params(number)
    turn, kind = rng.uniform(0, 2 * np.pi), int(rng.integers(4))
    c, s = np.float32(np.cos(turn) / radius), np.float32(np.sin(turn) / radius)
    dx, dy = x - np.float32(cx), y - np.float32(cy)
    a, b = c * dx + s * dy, c * dy - s * dx
    outline = _outline(rng, kind)
    edge = (1 - outline(a, b)) * np.float32(radius)  # about the distance to the rim, px, positive inside
    cover = smoothstep(-look["soft"], look["soft"], edge) * left
    rows, columns = cover.any(1).nonzero()[0], cover.any(0).nonzero()[0]
    if rows.size:  # textures are dear: only the rows and columns in sight
        part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        tone = _surface(rng, x[part], y[part], a[part], b[part], look, radius)
        out[part] += tone * cover[part][..., None]
    left -= cover
    if look["shadow"] > 0.1 and radius > 12:
        d = np.float32(0.08 * radius + 1)
        below = (1 - outline(a - d * (c + s), b - d * (c - s))) * np.float32(radius)
        left *= 1 - np.float32(look["shadow"]) * smoothstep(-d - 1, d + 1, below)
    left[left < 0.004] = 0  # closed for good, so that what lies behind need not be drawn


def _outline(rng, kind):
    """A function of (a, b) that is 1 on the rim of a leaf, which reaches about 1 from its centre."""
    flat = rng.uniform(0.35, 1.0)
    turns = np.sort(rng.uniform(0, 1, 3)) / 3 + np.arange(3) / 3
    planes = [
        (np.float32(np.cos(t)), np.float32(np.sin(t)), np.float32(rng.uniform(0.45, 0.85)))
        for t in turns * 2 * np.pi
    ]
    if kind == 0:
        return lambda a, b: np.sqrt(a * a + b * b)
    if kind == 1:
        return lambda a, b: np.sqrt(a * a + b * b / np.float32(flat * flat))
    if kind == 2:
        return lambda a, b: np.maximum(np.abs(a), np.abs(b) / np.float32(flat)) * np.float32(1.2)
    # a triangle with its corners cut by a disc
    return lambda a, b: np.maximum(
        np.sqrt(a * a + b * b), np.max([(p * a + q * b) / r for p, q, r in planes], axis=0)
    )


def _surface(rng, x, y, a, b, look, radius):
    """A leaf's colours (h, w, 3): a material (large leaves), a gradient, a shaded ball or a plain colour."""
    colours = look["colours"]
    first, second = colours[rng.integers(7)], colours[rng.integers(7)]
    bright, own, seed = rng.uniform(0.55, 1.15), rng.random() < 0.4, int(rng.integers(1 << 40))
    name, mode = _NAMES[look["kinds"][rng.integers(6)]], rng.random()
    if radius > 16 and rng.random() < look["textured"]:
        # a tint of the palette for some: photographs repeat their light in all they show
        zoom = np.float32(rng.uniform(0.7, 1.8))
        tone = render_material(
            name, x * zoom, y * zoom, seed, None if own else lerp(first, np.float32(0.6), np.float32(0.2))
        )
        return np.minimum(tone * np.float32(bright) * (1 + 0.2 * a)[..., None], 1)
    if mode < 0.5:
        return ramp(0.5 + 0.5 * a, [first, second * np.float32(0.5) + first * np.float32(0.5)])
    if mode < 0.75:  # a ball, lit from the upper left of the picture
        light = np.clip(1.15 - 0.75 * ((a + 0.3) ** 2 + (b + 0.3) ** 2), 0.15, 1.2)
        return np.minimum(first * light[..., None], 1)
    return plain(first, x)
