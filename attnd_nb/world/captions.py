"""Captions in a small closed vocabulary, several phrasings, with parts left out as people leave them out."""

import re

from .materials import ADJECTIVE, MATERIALS
from .things import THINGS

# style: (noun phrase that takes "of", medium that takes "in" or follows a comma)
STYLE_PHRASES = {
    "photo": ("a photo", "photo"),
    "flat": ("a poster", "flat colours"),
    "watercolour": ("a watercolour", "watercolour"),
    "oil": ("an oil painting", "oil"),
    "pencil": ("a pencil drawing", "pencil"),
    "pixel": ("pixel art", "pixel art"),
    "glass": ("a stained glass window", "stained glass"),
    "mosaic": ("a mosaic", "mosaic"),
    "woodcut": ("a woodcut", "woodcut"),
    "pointillism": ("a pointillist painting", "pointillism"),
    "chalk": ("a chalk drawing", "chalk"),
    "ink": ("an ink painting", "ink"),
}
_CONNECTIVES = (
    "a",
    "an",
    "and",
    "of",
    "on",
    "in",
    "made",
    "texture",
    "plain",
    "ground",
    "shapes",
    "noise",
    ",",
)


def words(caption):
    """The words and commas of a caption.

    >>> words("a wooden fish, oil painting")
    ['a', 'wooden', 'fish', ',', 'oil', 'painting']
    """
    return re.findall(r"[a-z]+|,", caption)


VOCABULARY = tuple(
    sorted({w for text in (*_CONNECTIVES, *THINGS, *MATERIALS, *ADJECTIVE.values(),
                           *(p for pair in STYLE_PHRASES.values() for p in pair)) for w in words(text)})
)  # fmt: skip


def caption(scene, rng):
    """A caption of a scene, drawn with the `numpy.random.Generator` rng; often of a part, sometimes empty.

    >>> import numpy as np
    >>> from attnd_nb.world import Item, Scene, Style
    >>> fish = Item("fish", "wood", 128, 128, 160, 0.0, 1, (0.8, 0.2, 0.2))
    >>> scene = Scene((fish,), "plain", 7, Style("oil", 3))
    >>> text = caption(scene, np.random.default_rng(0))
    >>> set(words(text)) <= set(VOCABULARY)
    True
    """
    draw = rng.random()
    noun, medium = STYLE_PHRASES[scene.style.name]
    if draw < 0.03:
        return ""
    if draw < 0.08:
        return medium
    subject = _subject(scene, rng)
    style = rng.random()
    if style < 0.25:
        return subject
    if style < 0.55:
        return f"{noun} of {subject}"
    if style < 0.80 or scene.style.name == "photo":
        return f"{subject}, {re.sub('^an? ', '', noun)}"
    return f"{subject} in {medium}"


def full_caption(scene):
    """The caption that leaves nothing out, always phrased alike: for prompts whose result is checked.

    >>> from attnd_nb.world import Item, Scene, Style
    >>> cat = Item("cat", "brick", 128, 128, 160, 0.0, 1, (1, 0, 0))
    >>> full_caption(Scene((cat,), "grass", 7, Style("oil", 3)))
    'an oil painting of a brick cat on grass'
    >>> full_caption(Scene((), "plain", 7, Style("oil", 3)))
    'an oil painting of a plain ground'
    """
    subject = _join([_article(f"{ADJECTIVE[i.material]} {i.thing}") for i in scene.items])
    where = "a plain ground" if scene.ground == "plain" else scene.ground
    subject = f"{subject} on {where}" if scene.items else where
    return f"{STYLE_PHRASES[scene.style.name][0]} of {subject}"


def _subject(scene, rng):
    if not scene.items:
        if scene.ground == "plain":
            return "a plain ground"
        return (scene.ground, scene.ground, f"{scene.ground} texture", f"a texture of {scene.ground}")[
            rng.integers(4)
        ]
    named = rng.random() < 0.78  # materials are told of all items or of none
    subject = _join([_item(item, named, rng) for item in scene.items])
    if rng.random() < 0.4:
        subject += " on a plain ground" if scene.ground == "plain" else f" on {scene.ground}"
    return subject


def _item(item, named, rng):
    if not named:
        return _article(item.thing)
    if rng.random() < 0.6:
        return _article(f"{ADJECTIVE[item.material]} {item.thing}")
    return f"{_article(item.thing)} made of {item.material}"


def _article(noun):
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _join(parts):
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
