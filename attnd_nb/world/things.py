"""The things of the image world: drawing functions of coordinates and a seed, by name."""
from . import things_animals, things_made, things_nature, things_objects
from .fields import params
from .shapes import Part

__all__ = ["THINGS", "Part", "thing_parts"]

THINGS = { "tree": things_nature.tree, "house": things_made.house, "fish": things_animals.fish,
          "bird": things_animals.bird, "cat": things_animals.cat, "star": things_nature.five_star,
          "heart": things_nature.heart, "cup": things_objects.cup, "mushroom": things_nature.mushroom,
          "boat": things_made.boat, "leaf": things_nature.leaf, "flower": things_nature.flower,
          "moon": things_nature.moon, "butterfly": things_animals.butterfly, "key": things_objects.key,
          "bottle": things_objects.bottle, "car": things_made.car, "mountain": things_nature.mountain,
          "cactus": things_nature.cactus, "lamp": things_objects.lamp, "apple": things_nature.apple,
          "umbrella": things_made.umbrella, "guitar": things_objects.guitar, "rabbit": things_animals.rabbit,
          "snail": things_animals.snail, "clock": things_objects.clock, "chair": things_made.chair,
          "kite": things_made.kite, "rocket": things_made.rocket, "crown": things_objects.crown,
          "teapot": things_objects.teapot, "owl": things_animals.owl, }


def thing_parts(name, u, v, seed):
    """The parts of a thing in painting order, list of Part.

    `u`, `v` are float32 arrays of one shape, coordinates in the thing's own box [-1, 1]² (v down); the
    seed varies proportions, counts, details and the side it faces. Raises ValueError for an unknown name.

    >>> import numpy as np
    >>> v, u = np.mgrid[-1:1:8j, -1:1:8j].astype(np.float32)
    >>> [part.role for part in thing_parts("leaf", u, v, seed=3)]
    ['accent', 'body', 'accent']
    """
    if name not in THINGS:
        raise ValueError(f"unknown thing {name!r}; choose one of {', '.join(THINGS)}")
    rng = params(seed)
    facing = -1 if rng.random() < .5 else 1
    return THINGS[name](u * facing, v, rng)
