"""Pictures that come with the package, and the scenes that they are renderings of."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

__all__ = ["sample", "sample_folder", "scene_of"]


def sample_folder() -> Path:
    """The folder of the pictures: in an installed package, or in the checkout."""
    installed = Path(str(resources.files("attnd_nb") / "_data" / "images"))
    return installed if installed.is_dir() else Path(__file__).parents[1] / "data" / "images"


def sample(name: str):
    """A picture of the package as a PIL image: "content", "style" or "texture".

    Raises ValueError for another name.

    >>> sample("style").size
    (256, 256)
    """
    from .images import open_image

    return open_image(sample_folder() / f"{_known(name)}.png")


def scene_of(name: str):
    """The `world.Scene` that a sample is a rendering of: its truth in other styles, materials and sizes.

    Raises ValueError for another name.

    >>> scene_of("content").style.name
    'photo'
    """
    from .world import Scene

    return Scene.from_dict(_scenes()[_known(name)])


def _scenes() -> dict:
    return json.loads((sample_folder() / "scenes.json").read_text())


def _known(name: str) -> str:
    if name not in (names := list(_scenes())):
        raise ValueError(f"no sample {name!r}; have {names}. open_image(path) opens a picture of your own")
    return name
