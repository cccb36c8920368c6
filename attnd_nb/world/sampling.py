"""Random scenes, and the mixture of pictures that `data/mini` is trained on."""

import numpy as np

from . import abstract, fields
from .captions import caption
from .materials import MATERIALS
from .render import ground_mean, material_mean
from .scene import Item, Scene, Style
from .styles import STYLES
from .things import THINGS

# kind: share. A "portrait" is one thing that fills the frame, and teaches what its word looks like. "leaves" (dead leaves
# with textures), "noise" (natural spectra) and "lit" (pictures blurred, lit and cropped) are for general features: learning
# to see from noise (Baradad et al., 2021, 2022).
KINDS = {"portrait": 0.48, "scene": 0.18, "material": 0.17, "leaves": 0.08, "noise": 0.04, "lit": 0.05}
_SIZES = {1: (130, 204), 2: (102, 138), 3: (90, 112)}


def sample_scene(seed):
    """A random scene of one to three things (one in about 60 %)."""
    rng = fields.params(fields.mix(seed, 1))
    count = int(rng.choice([1, 2, 3], p=[0.6, 0.27, 0.13]))
    sizes = rng.uniform(*_SIZES[count], count)
    places = _places(rng, sizes)
    names = rng.choice(list(THINGS), count, replace=False)
    materials = rng.choice(list(MATERIALS), count + 1, replace=False)
    items = tuple(
        _item(rng, str(names[i]), str(materials[i]), places[i], sizes[i], fields.mix(seed, 10 + i))
        for i in range(count)
    )
    ground = "plain" if rng.random() < 0.35 else str(materials[count])
    inner = fields.mix(seed, 2)
    tone = _apart(fields.luminance(ground_mean(ground, inner)), items)
    return Scene(items, ground, inner, _style(rng, fields.mix(seed, 3)), tone)


def sample_portrait(seed):
    """A random scene of one large thing in the middle, four of five times on a plain, light ground as in a catalogue.

    Where grounds are as often dark as light, the mean of all pictures of a thing shows nothing, and a model learns from its
    word only once it sees outlines; before a light ground the mean is a silhouette, which is learned first.
    """
    rng = fields.params(fields.mix(seed, 5))
    size, place = rng.uniform(186, 220), 128 + np.clip(rng.normal(0, 3, 2), -8, 8)
    thing, (material, ground) = str(rng.choice(list(THINGS))), rng.choice(list(MATERIALS), 2, replace=False)
    items = (_item(rng, thing, str(material), place, size, fields.mix(seed, 10)),)
    ground, inner = "plain" if rng.random() < 0.8 else str(ground), fields.mix(seed, 2)
    tone = 0.92 if ground == "plain" else fields.luminance(ground_mean(ground, inner))
    return Scene(items, ground, inner, _style(rng, fields.mix(seed, 3)), _apart(tone, items))


def sample_image(seed, size=256):
    """One training picture: (image (size, size, 3) float32, caption, kind, meta).

    `kind` is a key of `KINDS`; `meta` holds the truth: "things", "materials", "ground", "style" (names; None
    or an empty list where there is none) and "scene" (a dict for `Scene.from_dict`, or None).
    """
    rng = fields.params(fields.mix(seed, 21))
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    inner, scale = fields.mix(seed, 22), size / 256
    if kind == "leaves":
        y, x = ((np.arange(size, dtype=np.float32) + 0.5) / scale for _ in range(2))
        image = abstract.dead_leaves(*np.meshgrid(x, y), inner)
        return image, ("", "shapes")[rng.integers(2)], kind, _meta(None)
    if kind == "noise":
        return abstract.coloured_noise(size, size, inner), ("", "noise")[rng.integers(2)], kind, _meta(None)
    scene = sample_portrait(inner) if kind == "portrait" else sample_scene(inner)
    if kind == "material" or (kind == "lit" and rng.random() < 0.5):
        scene = _texture(rng, inner)
    zoom, origin = scale, (0, 0)
    if kind == "lit":  # a closer look at a part
        zoom = scale * rng.uniform(1.0, 1.8)
        origin = tuple(rng.uniform(0, 256 - size / zoom, 2))
    image = scene.render((size, size), origin, zoom)
    text = caption(scene, rng)
    if kind == "lit":
        return abstract.lit(image, inner), (text if not scene.items else ""), kind, _meta(None)
    return image, text, kind, _meta(scene)


def _texture(rng, seed):
    """A scene that is nothing but its ground, natural in three of five cases."""
    style = Style("photo", seed) if rng.random() < 0.6 else _style(rng, seed)
    return Scene((), str(rng.choice(list(MATERIALS))), fields.mix(seed, 2), style)


def _style(rng, seed):
    """Every style alike, photographs twice as often."""
    names = [*STYLES, "photo"]
    return Style(names[rng.integers(len(names))], seed)


def _item(rng, thing, material, place, size, seed):
    """An item whose accent colour stands out from its material."""
    mean = material_mean(material, seed)
    choices = [fields.hsv(rng.random(), rng.uniform(0.45, 0.9), rng.uniform(0.35, 0.95)) for _ in range(6)]
    accent = max(choices, key=lambda c: float(np.abs(c - mean).sum()))
    x, y = (round(float(c), 1) for c in place)
    angle = round(float(np.clip(rng.normal(0, 0.09), -0.26, 0.26)), 3)
    accent = tuple(round(float(c), 3) for c in accent)
    return Item(thing, material, x, y, round(float(size), 1), angle, seed, accent)


def _apart(ground, items, distance=0.28):
    """The brightness nearest to the ground's own that is `distance` from all items', if there is one."""
    look = [0.75 * material_mean(i.material, i.seed) + 0.25 * np.float32(i.accent) for i in items]
    choices = np.linspace(0.26, 0.92, 67)
    gap = np.abs(choices[:, None] - fields.luminance(np.stack(look))).min(1)
    return round(float(choices[np.argmin(np.abs(choices - ground) + 8 * np.maximum(distance - gap, 0))]), 2)


def _places(rng, sizes):
    """Centres (n, 2) inside the frame that overlap little: the best of 40 draws."""
    slack = np.maximum(128 - sizes / 2 + 4, 6)[:, None]
    draws = 128 + rng.uniform(-1, 1, (40, len(sizes), 2)) * slack
    if len(sizes) == 1:
        return draws[0]
    i, j = np.triu_indices(len(sizes), 1)
    gap = np.hypot(*np.moveaxis(draws[:, i] - draws[:, j], -1, 0)) - 0.48 * (sizes[i] + sizes[j])
    return draws[np.argmax(np.minimum(gap, 6).sum(1))]


def _meta(scene):
    """What a recogniser is to find; nothing where there is no scene."""
    if scene is None:
        return {"things": [], "materials": [], "ground": None, "style": None, "scene": None}
    return {
        "things": [item.thing for item in scene.items], "materials": [item.material for item in scene.items],
        "ground": scene.ground, "style": scene.style.name, "scene": scene.to_dict(),
    }  # fmt: skip
