"""The image world: things made of materials, on grounds, in styles, with captions and ground truths.

>>> scene = sample_scene(7)
>>> picture = scene.render((64, 64), scale=0.25)  # (64, 64, 3) float32 in [0, 1]
>>> other = scene.with_style(Style("mosaic", 1)).render((64, 64), scale=0.25)
"""

from .captions import VOCABULARY, caption, full_caption
from .materials import ADJECTIVE, MATERIALS, render_material
from .sampling import KINDS, sample_image, sample_portrait, sample_scene
from .scene import Item, Scene, Style
from .styles import STYLES
from .things import THINGS

__all__ = [
    "ADJECTIVE", "KINDS", "MATERIALS", "STYLES", "THINGS", "VOCABULARY", "Item", "Scene", "Style",
    "caption", "full_caption", "render_material", "sample_image", "sample_portrait", "sample_scene",
]  # fmt: skip
