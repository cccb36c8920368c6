"""Free shapes: smooth outlines through points, and turned profiles, as signed distances (see `shapes`)."""

import numpy as np
from scipy.ndimage import gaussian_filter

_STEP = .04  # node distance of the tables behind free outlines


def curve(points, steps=5, closed=False, corners=()):
    """Smooth curve through `points` (n, 2), `steps` pieces between two of them (Catmull-Rom).

    `corners` are indices of points at which the curve keeps a corner.

    >>> curve([(0, 0), (1, 0), (1, 1)], steps=2).shape
    (5, 2)
    """
    points = np.asarray(points, np.float64)
    before, after = np.roll(points, 1, 0), np.roll(points, -1, 0)
    if not closed:
        before[0], after[-1] = points[0], points[-1]
    tangents = (after - before) / 2
    tangents[list(corners)] = 0
    t = (np.arange(steps) / steps)[None, :, None]
    p0, m0 = points[:, None], tangents[:, None]
    p1, m1 = np.roll(p0, -1, 0), np.roll(m0, -1, 0)
    s = t * t * (3 - 2 * t)
    pieces = p0 * (1 - s) + p1 * s + m0 * (t * (1 - t) ** 2) - m1 * (t * t * (1 - t))
    if closed:
        return pieces.reshape(-1, 2)
    return np.concatenate([pieces[:-1].reshape(-1, 2), points[-1:]])


def mirror(points):
    """Points of a closed, symmetric outline from its left half, top to bottom; those on the axis stay single.

    >>> mirror([(0, -1), (-1, 0), (0, 1)])
    [(0, -1), (-1, 0), (0, 1), (1, 0)]
    """
    points = [tuple(p) for p in points]
    return points + [(-x, y) for x, y in reversed(points) if abs(x) > 1e-6]


def outline(u, v, points, corners=(), steps=3):
    """Free closed shape: the smooth curve through `points` (n, 2), see `curve`.

    The distance is tabulated on a grid around the curve and looked up: a larger picture costs little more.
    """
    points = curve(points, steps, closed=True, corners=corners).astype(np.float32)
    (left, top), (right, low) = points.min(0) - .1, points.max(0) + .1
    nodes_u, nodes_v = [np.arange(a, b + _STEP, _STEP, dtype=np.float32) for a, b in ((left, right),
                                                                                      (top, low))]
    table = _distance_table(points, nodes_u, nodes_v)
    n, x, y = len(nodes_u), (u - left) * (1 / _STEP), (v - top) * (1 / _STEP)
    half_u, half_v = (n - 1) / 2, (len(nodes_v) - 1) / 2
    beyond = np.maximum(np.abs(x - half_u) - half_u, np.abs(y - half_v) - half_v)
    x, y = np.clip(x, 0, n - 1.001), np.clip(y, 0, len(nodes_v) - 1.001)
    column, row = np.floor(x), np.floor(y)
    index = (row * n + column).astype(np.intp)
    x -= column
    y -= row
    upper, lower = table.take(index), table.take(index + n)
    upper += (table.take(index + 1) - upper) * x
    lower += (table.take(index + n + 1) - lower) * x
    lower -= upper
    # off the table a point is at least as far away as the table's edge
    return upper + lower * y + np.clip(beyond, 0, 999) * _STEP


def _distance_table(points, nodes_u, nodes_v):
    """Signed distance to a closed polygon (m, 2) on a grid of nodes, flattened.

    For a side from a along e: |p - a - te|² = |p - a|² + |e|² t (t - 2 t0), t = clip(t0); up to |p|² both
    terms are affine in p. The sign comes from counting crossings along each row.
    """
    a, e = points, np.roll(points, -1, 0) - points
    ee = np.maximum((e * e).sum(1), 1e-9)
    grid = np.meshgrid(nodes_u, nodes_v)
    plane = np.stack([grid[0].ravel(), grid[1].ravel(), np.ones(grid[0].size, np.float32)])  # (3, nodes)
    from_a = np.stack([-2 * a[:, 0], -2 * a[:, 1], (a * a).sum(1)], 1)
    along = np.stack([e[:, 0], e[:, 1], -(a * e).sum(1)], 1) / ee[:, None]
    best = np.full(plane.shape[1], 99, np.float32)
    for k in range(0, len(a), 4):  # a few edges at a time: everything stays in the cache
        t0 = along[k:k + 4] @ plane
        t = np.clip(t0, 0, 1)
        t0 *= -2
        t0 += t
        t0 *= t
        t0 *= ee[k:k + 4, None]
        t0 += from_a[k:k + 4] @ plane
        for square in t0:
            np.minimum(best, square, out=best)
    best += plane[0] * plane[0]
    best += plane[1] * plane[1]
    row, edge = np.nonzero((a[:, 1] <= nodes_v[:, None]) != (a[:, 1] + e[:, 1] <= nodes_v[:, None]))
    crossing = a[edge, 0] + (nodes_v[row] - a[edge, 1]) * e[edge, 0] / e[edge, 1]
    width = len(nodes_u) + 1
    toggles = np.bincount(row * width + np.searchsorted(nodes_u, crossing), minlength=width * len(nodes_v))
    outside = 1 - 2 * (toggles.reshape(-1, width).cumsum(1)[:, :-1] % 2).astype(np.float32)
    table = np.sqrt(np.clip(best, 0, 99)).reshape(outside.shape) * outside
    deep = np.clip(table * -8, 0, 1)  # well inside, smooth the creases that the pieces leave in the relief
    return (table + (gaussian_filter(table, 2.5) - table) * deep).ravel()


def profile(u, v, stations, widths, smooth=True):
    """Turned piece, symmetric about u = 0: half-width `widths` at the heights `stations` (rising), ends flat.

    Between stations the half-width runs straight, or with `smooth` along a curve without overshoot.
    """
    stations, widths = np.asarray(stations, float), np.asarray(widths, float)
    t = np.linspace(stations[0], stations[-1], 257)
    if smooth:
        i = np.clip(np.searchsorted(stations, t) - 1, 0, len(stations) - 2)
        s = (t - stations[i]) / (stations[i + 1] - stations[i])
        table = widths[i] + (widths[i + 1] - widths[i]) * s * s * (3 - 2 * s)
    else:
        table = np.interp(t, stations, widths)
    slope = np.gradient(table, t)
    tables = np.stack([table, 1 / np.sqrt(1 + slope * slope)]).astype(np.float32)
    x = np.clip((v - float(stations[0])) * float(256 / (stations[-1] - stations[0])), 0, 255.99)
    index = x.astype(np.intp)
    x = x - index.astype(np.float32)
    half = tables[0].take(index) * (1 - x) + tables[0].take(index + 1) * x
    sides = (np.abs(u) - half) * tables[1].take(index)
    return np.maximum(sides, np.maximum(v - float(stations[-1]), float(stations[0]) - v))
