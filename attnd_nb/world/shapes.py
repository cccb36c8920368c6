"""Signed distance shapes from which the things of the image world are drawn.

Every shape is a function of the coordinates `u, v` (float32 arrays of one shape, v pointing down) and returns
the signed distance to its outline in the same units: negative inside, positive outside. Nothing depends on
the array's shape or extent, so a part of a picture evaluates to the same values as the whole.

Source: the formulas for ellipse, arc, star and smooth union follow Inigo Quilez, "2D distance functions".
"""
import math
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """One painted part of a thing: signed distance (h, w), role, relief (h, w) in [0, 1]."""

    sdf: np.ndarray
    role: str
    height: np.ndarray


def relief(sdf, width):
    """Rounded bump in [0, 1] from a signed distance: 0 on the rim, 1 at `width` inside it.

    >>> relief(np.float32([1, -.1, -.2, -9]), .2).round(2).tolist()
    [0.0, 0.75, 1.0, 1.0]
    """
    depth = np.clip(sdf * (-1 / width), 0, 1)
    return depth * (2 - depth)


def body(sdf, width=.32):
    """Part that takes the material."""
    return Part(sdf, "body", relief(sdf, width))


def accent(sdf, width=.14):
    """Part in the second, plain colour."""
    return Part(sdf, "accent", relief(sdf, width))


def light(sdf, width=.1):
    """Part near white."""
    return Part(sdf, "light", relief(sdf, width))


def dark(sdf, width=.1):
    """Part near black."""
    return Part(sdf, "dark", relief(sdf, width))


def coverage(sdf, pixel):
    """Share of each pixel that a shape covers, in [0, 1]: the antialiased mask; `pixel` is a pixel's width.

    >>> coverage(np.float32([-1, 0, .25, 1]), 1.).tolist()
    [1.0, 0.5, 0.25, 0.0]
    """
    return np.clip(.5 - sdf * (1 / pixel), 0, 1)


# --- combining ------------------------------------------------------------

def union(*shapes):
    """Everything that lies in at least one of the shapes."""
    result = shapes[0]
    for shape in shapes[1:]:
        result = np.minimum(result, shape)
    return result


def intersect(*shapes):
    """Everything that lies in all of the shapes."""
    result = shapes[0]
    for shape in shapes[1:]:
        result = np.maximum(result, shape)
    return result


def subtract(shape, *holes):
    """The shape without the holes."""
    return intersect(shape, *[-hole for hole in holes])


def blend(*shapes, k=.1):
    """Union whose inner corners are rounded over the distance `k` (polynomial smooth minimum)."""
    result = shapes[0]
    for shape in shapes[1:]:
        h = np.clip(k - np.abs(result - shape), 0, k)
        result = np.minimum(result, shape) - h * h * (.25 / k)
    return result


def line(shape, width):
    """A line of half-width `width` that follows the outline of a shape."""
    return np.abs(shape) - width


def turn(u, v, angle, cx=0., cy=0.):
    """Coordinates in which a shape drawn upright at (0, 0) appears at (cx, cy), turned by `angle` radians."""
    c, s = math.cos(angle), math.sin(angle)
    u, v = u - float(cx), v - float(cy)
    return c * u + s * v, c * v - s * u


# --- plain shapes ------------------------------------------------------------

def circle(u, v, cx, cy, r):
    """Disc.

    >>> circle(np.float32([0, 2]), np.float32([0, 0]), 0, 0, 1).tolist()
    [-1.0, 1.0]
    """
    u, v = u - float(cx), v - float(cy)
    return np.sqrt(u * u + v * v) - float(r)


def ellipse(u, v, cx, cy, rx, ry, angle=0.):
    """Ellipse with half-axes rx, ry (distance to first order, exact on the outline)."""
    u, v = turn(u, v, angle, cx, cy) if angle else (u - float(cx), v - float(cy))
    u, v = u * (1 / float(rx)), v * (1 / float(ry))
    k = np.sqrt(u * u + v * v)
    u *= 1 / float(rx)
    v *= 1 / float(ry)
    return (k + 1e-6) * (k - 1) / (np.sqrt(u * u + v * v) + 1e-6)


def box(u, v, cx, cy, hw, hh, r=0., angle=0.):
    """Rectangle with half-width hw and half-height hh, corners rounded with radius r."""
    u, v = turn(u, v, angle, cx, cy) if angle else (u - float(cx), v - float(cy))
    u, v = np.abs(u) - float(hw - r), np.abs(v) - float(hh - r)
    if not r:
        return np.maximum(u, v)  # the distance beyond a sharp corner is of no use here
    inner = np.clip(np.maximum(u, v), -9, 0)
    u, v = np.clip(u, 0, 99), np.clip(v, 0, 99)
    return np.sqrt(u * u + v * v) + inner - float(r)


def capsule(u, v, x0, y0, x1, y1, r0, r1=None):
    """Thick line from (x0, y0) to (x1, y1), its half-width going from r0 to r1."""
    x0, y0, r0, r1 = float(x0), float(y0), float(r0), float(r0 if r1 is None else r1)
    ex, ey = float(x1) - x0, float(y1) - y0
    u, v = u - x0, v - y0
    scale = 1 / max(ex * ex + ey * ey, 1e-9)
    t = np.clip(u * (ex * scale) + v * (ey * scale), 0, 1)
    u -= t * ex
    v -= t * ey
    return np.sqrt(u * u + v * v) - (r0 + (r1 - r0) * t if r1 != r0 else r0)


def stroke(u, v, points, r0, r1=None):
    """Thick polyline through `points` (n, 2), half-width from r0 to r1; for curves pass `curve(...)`."""
    points = np.asarray(points, float).tolist()
    n, r1 = len(points) - 1, r0 if r1 is None else r1
    widths = [r0 + (r1 - r0) * i / n for i in range(n + 1)]
    return union(*[capsule(u, v, *points[i], *points[i + 1], widths[i], widths[i + 1]) for i in range(n)])


def arc(u, v, cx, cy, radius, width, start, stop):
    """Part of a ring from `start` to `stop` (degrees, clockwise from the right), half-width `width`."""
    half = math.radians(stop - start) / 2
    u, v = turn(u, v, math.radians(start + stop) / 2 - math.pi / 2, cx, cy)  # now symmetric about +v
    u = np.abs(u)
    s, c = math.sin(half), math.cos(half)
    ring = np.abs(np.sqrt(u * u + v * v) - float(radius))
    end_u, end_v = u - s * float(radius), v - c * float(radius)
    ends = np.sqrt(end_u * end_u + end_v * end_v)
    return np.maximum(ring, np.minimum(ends, (c * u - s * v) * 50)) - float(width)  # `ends` past the ends


def convex(u, v, points, r=0.):
    """Convex polygon through `points` (n, 2), the intersection of its sides, corners rounded over about r."""
    points = np.asarray(points, float)
    centre, result = points.mean(0), None
    for (x0, y0), (x1, y1) in zip(points.tolist(), np.roll(points, -1, 0).tolist()):
        nx, ny = y1 - y0, x0 - x1
        flip = 1 if nx * (x0 - centre[0]) + ny * (y0 - centre[1]) > 0 else -1
        scale = flip / math.hypot(nx, ny)
        side = u * (nx * scale) + v * (ny * scale)
        side -= (nx * x0 + ny * y0) * scale
        result = side if result is None else np.maximum(result, side) if not r else -blend(-result, -side,
                                                                                           k=r)
    return result


def star(u, v, cx, cy, outer, inner, angle=0., r=0.):
    """Five-pointed star between the radii `inner` and `outer`, one point up, corners rounded by r."""
    u, v = turn(u, v, angle, cx, cy)
    u, v, c, s = np.abs(u), -v, math.cos(math.pi / 5), math.sin(math.pi / 5)
    for k in (c, -c):
        beyond = np.clip(k * u - s * v, 0, 99) * 2
        u, v = u - k * beyond, v + s * beyond
    u, v = np.abs(u), v - float(outer - r)  # from here on, the side from the tip (0, 0) to the notch (ex, ey)
    ex, ey = float(inner - r) * s, float(inner - r) * c - float(outer - r)
    t = np.clip((u * ex + v * ey) * (1 / (ex * ex + ey * ey)), 0, 1)
    du, dv = u - t * ex, v - t * ey
    return np.copysign(np.sqrt(du * du + dv * dv), v * ex - u * ey) - float(r)
