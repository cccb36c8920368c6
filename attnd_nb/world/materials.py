"""The materials of the image world by name."""

import zlib

import numpy as np

from . import materials_animal as animal
from . import materials_cloth as cloth
from . import materials_made as made
from . import materials_natural as natural
from . import materials_plant as plant
from .fields import mix

# The order is part of the world: a seed that picks a material by its index must pick the same one tomorrow.
MATERIALS = {
    "wood": plant.wood,
    "bark": plant.bark,
    "grass": plant.grass,
    "leaves": plant.leaves,
    "straw": plant.straw,
    "gravel": natural.gravel,
    "sand": natural.sand,
    "water": natural.water,
    "clouds": natural.clouds,
    "ice": natural.ice,
    "lava": natural.lava,
    "basalt": natural.basalt,
    "marble": natural.marble,
    "coral": natural.coral,
    "crystal": natural.crystal,
    "fur": animal.fur,
    "scales": animal.scales,
    "feathers": animal.feathers,
    "leopard": animal.leopard,
    "zebra": animal.zebra,
    "tiger": animal.tiger,
    "snake": animal.snake,
    "honeycomb": animal.honeycomb,
    "brick": made.brick,
    "tiles": made.tiles,
    "knit": cloth.knit,
    "denim": cloth.denim,
    "wicker": cloth.wicker,
    "stripes": cloth.stripes,
    "dots": cloth.dots,
    "checks": cloth.checks,
    "tartan": cloth.tartan,
    "paper": made.paper,
    "metal": made.metal,
    "gold": made.gold,
    "rust": made.rust,
    "confetti": made.confetti,
    "terrazzo": made.terrazzo,
}

_ADJECTIVES = {
    "wood": "wooden",
    "grass": "grassy",
    "sand": "sandy",
    "ice": "icy",
    "fur": "furry",
    "scales": "scaly",
    "feathers": "feathered",
    "tiles": "tiled",
    "knit": "knitted",
    "stripes": "striped",
    "dots": "dotted",
    "checks": "checked",
    "gold": "golden",
    "rust": "rusty",
}
ADJECTIVE = {name: _ADJECTIVES.get(name, name) for name in MATERIALS}


def render_material(name, x, y, seed, colour=None):
    """The material `name` at the points x, y (h, w) in reference pixels: (h, w, 3) float32 in [0, 1].

    The seed chooses colours, scale and direction. `colour` (3,) in [0, 1] replaces the main colour and
    nothing else. Raises KeyError for a name that is not in `MATERIALS`.

    >>> y, x = np.mgrid[0:32, 0:48].astype(np.float32)
    >>> image = render_material("brick", x, y, seed=4)
    >>> image.shape, image.dtype.name
    ((32, 48, 3), 'float32')
    >>> bool(np.array_equal(image[8:, 8:], render_material("brick", x[8:, 8:], y[8:, 8:], seed=4)))
    True
    """
    if name not in MATERIALS:
        raise KeyError(f"no material is called {name!r}; choose one of: {', '.join(MATERIALS)}")
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    # the name is mixed in so that two materials of one scene do not share direction, scale and place of their
    # features
    return MATERIALS[name](x, y, mix(seed, zlib.crc32(name.encode())), colour)
