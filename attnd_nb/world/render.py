"""From a scene to layers (colour, light, labels, outlines), and from layers to a picture in a style.

All geometry is a function of absolute coordinates. Filters with a reach (blurs, strokes) belong to
styles; each style names its reach as a margin, which is rendered around the window and cut off again.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

from . import fields, things
from .materials import render_material
from .styles import STYLES

EDGE_REACH = 24.0  # px: outlines farther away than this are not felt
LIGHT = np.float32([-0.64, -0.77])  # (x, y) towards the light: upper left, as in the materials' own relief
_PLAIN = {"light": (0.96, 0.94, 0.89), "dark": (0.13, 0.11, 0.13)}


@dataclass
class Layers:
    """What a style paints from; arrays of one shape (h, w), coordinates in reference pixels."""

    x: np.ndarray
    y: np.ndarray
    scale: float  # output pixels per reference pixel
    albedo: np.ndarray  # (h, w, 3), without relief light of the things
    light: np.ndarray  # factor on the albedo: relief and drop shadow
    labels: np.ndarray  # int32, 0 ground, i + 1 item i
    parts: np.ndarray  # int32, a different number for every visible part of every item
    edge: np.ndarray  # px to the nearest visible outline, negative inside an item, cut at ±EDGE_REACH
    rim: np.ndarray  # the same for the items' silhouettes alone, without their inner outlines
    flow: float  # main direction of the ground's strokes, radians
    texture: bool  # a scene without items: the ground is the subject

    @property
    def subject(self):
        """Where the picture's subject is rather than its background, (h, w) bool."""
        return (self.labels > 0) | self.texture

    @property
    def lit(self):
        """The natural picture, (h, w, 3)."""
        return np.clip(self.albedo * self.light[..., None], 0, 1)

    @functools.cached_property
    def angle(self):
        """Stroke direction in radians: along outlines near them and inside items, a slow flow elsewhere."""
        gy, gx = (g * np.float32(max(1, self.scale)) for g in np.gradient(self.edge))  # per pixel of the reference
        near = np.where(self.labels > 0, np.float32(1), np.exp(-np.abs(self.edge) / 7)) * np.hypot(gx, gy)
        turn = fields.noise(self.x, self.y, 5, 150.0) * 2.4 + np.float32(self.flow - 1.2)
        tangent = np.arctan2(gx, -gy)
        # doubled angles, since a stroke has no head; averaged so that directions change smoothly
        reach = 2 * round(2 * self.scale) + 1
        c, s = (
            uniform_filter(near * f(2 * tangent) + (1.02 - near) * f(2 * turn), reach, mode="nearest")
            for f in (np.cos, np.sin)
        )
        return 0.5 * np.arctan2(s, c)


def draw(scene, size, origin, scale):
    """See `Scene.render`."""
    painter = STYLES[scene.style.name]
    pad = math.ceil(painter.margin * scale)
    layers = compose(
        scene,
        (size[0] + 2 * pad, size[1] + 2 * pad),
        (origin[0] - pad / scale, origin[1] - pad / scale),
        scale,
    )
    image = painter.paint(layers, scene.style.seed)
    return np.clip(image[pad : pad + size[0], pad : pad + size[1]], 0, 1).astype(np.float32)


def label_map(scene, size, origin, scale):
    """See `Scene.labels`."""
    labels = np.zeros(size, np.int32)
    for i, item in enumerate(scene.items):
        patch = _Patch(item, size, origin, scale)
        if patch.visible:
            _, outline = patch.parts()
            here, there = patch.place(tuple(slice(0, n) for n in outline.shape))
            labels[there][outline[here] < 0] = i + 1
    return labels


def compose(scene, size, origin, scale):
    """All layers of a scene's window; arguments as in `Scene.render`."""
    x, y = _grid(size, origin, scale)
    layers = Layers(
        x, y, scale, _ground(scene, x, y), np.ones(size, np.float32), np.zeros(size, np.int32),
        np.zeros(size, np.int32), *(np.full(size, EDGE_REACH, np.float32) for _ in range(2)),
        fields.params(fields.mix(scene.seed, 9)).uniform(-0.5, 0.5), not scene.items,
    )  # fmt: skip
    for i, item in enumerate(scene.items):
        patch = _Patch(item, size, origin, scale)
        if patch.visible:
            _paint_item(layers, i, item, patch)
    return layers


def _grid(size, origin, scale):
    """Coordinates of pixel centres."""
    y = (origin[0] + (np.arange(size[0]) + 0.5) / scale).astype(np.float32)
    x = (origin[1] + (np.arange(size[1]) + 0.5) / scale).astype(np.float32)
    return np.broadcast_to(x, size).copy(), np.broadcast_to(y[:, None], size).copy()


class _Patch:
    """The pixels around one item, whole even where the window cuts it, so that windows agree."""

    def __init__(self, item, size, origin, scale):
        half = item.size / 2 * 1.05 * (abs(math.cos(item.angle)) + abs(math.sin(item.angle))) + EDGE_REACH
        self.top, self.left = (
            math.floor((c - half - o) * scale) for c, o in zip((item.y, item.x), origin, strict=True)
        )
        n = math.ceil(2 * half * scale) + 1
        self.item, self.scale, self.size = item, scale, size
        self.visible = -n < self.top < size[0] and -n < self.left < size[1]
        if self.visible:
            x, y = _grid((n, n), (origin[0] + self.top / scale, origin[1] + self.left / scale), scale)
            # the item's own frame, in pixels
            self.x, self.y = fields.rotate(x - np.float32(item.x), y - np.float32(item.y), item.angle)

    def parts(self):
        """The thing's parts and the signed distance to its silhouette, distances in reference pixels."""
        k = np.float32(2 / self.item.size)
        parts = things.thing_parts(self.item.thing, self.x * k, self.y * k, self.item.seed)
        parts = [part._replace(sdf=part.sdf / k) for part in parts]
        return parts, functools.reduce(np.minimum, (part.sdf for part in parts))

    def place(self, box):
        """What the window shows of a box of the patch: (slices within the box, slices of the window)."""
        starts = [s.start + o for s, o in zip(box, (self.top, self.left), strict=True)]
        stops = [s.stop + o for s, o in zip(box, (self.top, self.left), strict=True)]
        there = [
            (min(max(a, 0), n), min(max(b, 0), n)) for a, b, n in zip(starts, stops, self.size, strict=True)
        ]
        return (
            tuple(slice(max(a - o, 0), max(b - o, 0)) for (a, b), o in zip(there, starts, strict=True)),
            tuple(slice(a, b) for a, b in there),
        )


def _box(mask):
    """Slices of the smallest box around all true pixels, a pixel wider where there is room; or None."""
    hits = [np.flatnonzero(mask.any(axis)) for axis in (1, 0)]
    if not len(hits[0]):
        return None
    return tuple(slice(max(h[0] - 1, 0), min(h[-1] + 2, n)) for h, n in zip(hits, mask.shape, strict=True))


def _paint_item(layers, index, item, patch):
    zoom = np.float32(np.clip(150 / item.size, 0.8, 1.25) ** 0.5)
    parts, outline = patch.parts()
    whole = tuple(slice(0, n) for n in outline.shape)
    body = _box(outline < 2)
    if body is None:  # smaller than a pixel
        return
    material = render_material(item.material, patch.x[body] * zoom, patch.y[body] * zoom, item.seed)
    here, there = patch.place(whole)
    layers.light[there] *= 1 - _shadow(outline, item.size, patch.scale)[here]
    for k, part in enumerate(parts):
        box = _box(part.sdf < 2)
        if box is None:
            continue
        if part.role == "body":
            colour = material[
                tuple(slice(b.start - o.start, b.stop - o.start) for b, o in zip(box, body, strict=True))
            ]
        else:
            colour = np.float32(item.accent if part.role == "accent" else _PLAIN[part.role])
        shade = _relief(part.height[box], item.size / 2 * patch.scale)
        if part.role == "dark":
            shade = 1 + 0.4 * (shade - 1)
        here, there = patch.place(box)
        d = part.sdf[box][here]
        cover = np.clip(0.5 - d * np.float32(patch.scale), 0, 1)
        layers.albedo[there] = fields.lerp(
            layers.albedo[there], colour[here] if colour.ndim == 3 else colour, cover
        )
        layers.light[there] = fields.lerp(layers.light[there], shade[here], cover)
        layers.parts[there][d < 0] = 64 * (index + 1) + k
        box = _box(part.sdf < EDGE_REACH)
        here, there = patch.place(box)
        layers.edge[there] = _cover_edge(layers.edge[there], part.sdf[box][here])
    here, there = patch.place(whole)
    layers.rim[there] = _cover_edge(layers.rim[there], outline[here])
    layers.labels[there][outline[here] < 0] = index + 1


def _cover_edge(edge, d):
    """Signed distance to the outlines after a shape with signed distance d was laid over them."""
    outside = np.where(edge < 0, np.maximum(edge, -d), np.minimum(edge, d))
    return np.where(d < 0, np.maximum(d, np.float32(-EDGE_REACH)), outside)


def _relief(height, pixels):
    """Light on a height map: slopes that rise away from the light's side face it. `pixels` per box unit."""
    gy, gx = np.gradient(height)
    slope = -(gx * LIGHT[0] + gy * LIGHT[1]) * np.float32(pixels)
    return 1 + 0.42 * np.tanh(0.33 * slope) + 0.10 * (height - 0.5)


def _shadow(outline, size, scale):
    """A soft shadow, (h, w) in [0, 1], moved away from the light by a whole number of pixels."""
    shift = 2 * round(size * 0.025)  # even, so that it is whole at half scale too
    dx, dy = (round(-float(c) * shift * scale) for c in LIGHT)
    moved = np.full_like(outline, EDGE_REACH)
    moved[dy:, dx:] = outline[: outline.shape[0] - dy, : outline.shape[1] - dx]
    soft = np.float32(0.045 * size)
    return np.float32(0.5) * fields.smoothstep(soft, -soft, moved)


def _ground(scene, x, y):
    """The ground's colours; calmed under items, and brought to the scene's tone."""
    image = (
        _plain(x, y, scene.seed)
        if scene.ground == "plain"
        else render_material(scene.ground, x, y, scene.seed)
    )
    mean = ground_mean(scene.ground, scene.seed)
    if scene.items and scene.ground != "plain":
        calm = fields.params(fields.mix(scene.seed, 4)).uniform(0.4, 0.85)
        image = mean + np.float32(calm) * (image - mean)
    if scene.tone is None:
        return image.copy()
    have = float(fields.luminance(mean))
    gamma = np.log(scene.tone) / np.log(np.clip(have, 0.04, 0.96))  # keeps more colour than mixing with white
    return np.power(np.clip(image, 0, 1), np.float32(gamma))


def ground_mean(name, seed):
    """The mean colour (3,) of a ground before calming and toning."""
    if name == "plain":
        a, b, _ = _plain_colours(seed)
        return (a + b) / 2
    return material_mean(name, seed)


@functools.lru_cache(maxsize=4096)
def material_mean(name, seed):
    """A material's mean colour (3,), from a coarse sample."""
    y, x = np.mgrid[0:260:13, 0:260:13].astype(np.float32)
    return render_material(name, x, y, seed).mean((0, 1))


def _plain(x, y, seed):
    """A soft gradient between two colours, constant beyond the reference frame."""
    a, b, turn = _plain_colours(seed)
    along = (x - 128) * np.float32(math.sin(turn)) + (y - 128) * np.float32(math.cos(turn))
    t = fields.smoothstep(-150, 150, along) + 0.25 * (fields.noise(x, y, fields.mix(seed, 2), 90.0) - 0.5)
    return fields.lerp(a, b, np.clip(t, 0, 1))


@functools.lru_cache(maxsize=4096)
def _plain_colours(seed):
    rng = fields.params(fields.mix(seed, 1))
    hue, value = rng.random(), rng.uniform(0.45, 0.9)
    a = fields.hsv(hue, rng.uniform(0.1, 0.55), value)
    b = fields.hsv(
        hue + rng.uniform(-0.12, 0.12),
        rng.uniform(0.1, 0.5),
        np.clip(value + rng.uniform(-0.3, 0.3), 0.2, 0.98),
    )
    return a, b, rng.uniform(-0.6, 0.6)
