"""Scenes as data: what stands where, of which material, on which ground, in which style.

A scene holds no pixels. `Scene.render` draws any window of it at any scale, and the `with_*` methods change
one thing and leave the rest alone; so every task of the course has its ground truth: the same scene in the
reference's style, of another material, with another thing, or wider than its frame.
"""

from dataclasses import asdict, dataclass, replace

from .materials import MATERIALS
from .render import draw, label_map
from .styles import STYLES
from .things import THINGS


@dataclass(frozen=True)
class Item:
    """One thing: centre `x`, `y` and `size` in pixels of the 256-px reference, `angle` in radians, clockwise.

    `seed` draws its shape and material, `accent` is the colour (r, g, b) of its accent parts.
    """

    thing: str
    material: str
    x: float
    y: float
    size: float
    angle: float
    seed: int
    accent: tuple

    def __post_init__(self):
        _known("thing", self.thing, THINGS)
        _known("material", self.material, MATERIALS)
        if not self.size > 0:
            raise ValueError(f"size {self.size} of a {self.thing}: give a positive number of pixels")
        if not all(0 <= value <= 1 for value in self.accent):
            raise ValueError(f"accent {self.accent}: give red, green and blue in [0, 1]")


@dataclass(frozen=True)
class Style:
    """A way of rendering; palette and stroke parameters follow from the seed."""

    name: str
    seed: int

    def __post_init__(self):
        _known("style", self.name, STYLES)
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} of a style: give 0 or more")


@dataclass(frozen=True)
class Scene:
    """Items before a ground (a material, or "plain" for a gradient), in a style; without items, a texture.

    `tone` in (0, 1) is the mean brightness to which the ground is brought, so that the items stand out;
    None leaves it as it is.

    >>> fish = Item("fish", "wood", x=128, y=128, size=160, angle=0.0, seed=1, accent=(0.8, 0.2, 0.2))
    >>> scene = Scene((fish,), "plain", 7, Style("oil", 3))
    >>> Scene.from_dict(scene.to_dict()) == scene
    True
    >>> scene.with_material(0, "brick").items[0].material
    'brick'
    """

    items: tuple
    ground: str
    seed: int
    style: Style
    tone: float | None = None

    def __post_init__(self):
        _known("ground", self.ground, (*MATERIALS, "plain"))
        if isinstance(self.items, Item) or not all(isinstance(item, Item) for item in self.items):
            raise TypeError(f"items {self.items!r}: give a tuple of Items, such as (fish,)")
        object.__setattr__(self, "items", tuple(self.items))
        if not isinstance(self.style, Style):
            raise TypeError(f'style {self.style!r}: give a Style, such as Style("oil", 3)')
        if self.tone is not None and not 0 < self.tone < 1:
            raise ValueError(f"tone {self.tone}: give a brightness between 0 and 1, or None")

    def render(self, size=(256, 256), origin=(0, 0), scale=1.0):
        """The picture, (height, width, 3) float32 in [0, 1].

        `size` is (height, width) in output pixels, `origin` the (top, left) corner in reference pixels,
        `scale` the output pixels per reference pixel. Windows of one scene agree where they overlap, if the
        distance of their origins is a whole number of output pixels.
        """
        return draw(self, size, origin, scale)

    def labels(self, size=(256, 256), origin=(0, 0), scale=1.0):
        """Who is where, (height, width) int32: 0 the ground, i + 1 the i-th item."""
        return label_map(self, size, origin, scale)

    def with_style(self, style):
        """The same scene in another `Style`."""
        return replace(self, style=style)

    def with_ground(self, name):
        """The same scene on another ground."""
        return replace(self, ground=name)

    def with_material(self, i, name):
        """The same scene with item `i` made of another material."""
        return self._with_item(i, material=name)

    def with_thing(self, i, name):
        """The same scene with another thing in the place of item `i`."""
        return self._with_item(i, thing=name)

    def to_dict(self):
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data):
        """The scene that `to_dict` wrote, also after a trip through JSON."""
        items = tuple(Item(**{**item, "accent": tuple(item["accent"])}) for item in data["items"])
        return cls(items, data["ground"], data["seed"], Style(**data["style"]), data["tone"])

    def _with_item(self, i, **changes):
        if not 0 <= i < len(self.items):
            raise IndexError(f"item {i} of a scene with {len(self.items)}: give an index from 0 on")
        items = list(self.items)
        items[i] = replace(items[i], **changes)
        return replace(self, items=tuple(items))


def _known(what, name, names):
    if name not in names:
        raise ValueError(f"unknown {what} {name!r}: choose one of {', '.join(names)}")
