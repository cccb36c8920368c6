"""Scenes, styles, captions and the training mixture: the properties that the ground truths rest on."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from attnd_nb.world import (
    KINDS,
    MATERIALS,
    STYLES,
    THINGS,
    VOCABULARY,
    Item,
    Scene,
    Style,
    sample_image,
    sample_portrait,
    sample_scene,
)
from attnd_nb.world.captions import STYLE_PHRASES, caption, full_caption, words
from attnd_nb.world.fields import luminance
from attnd_nb.world.render import compose

HEART = Item("heart", "brick", 120, 130, 150, 0.1, 4, (0.9, 0.7, 0.1))
CUP = Item("cup", "knit", 60, 70, 90, -0.1, 5, (0.1, 0.3, 0.8))


def one(style="photo", ground="plain", items=(HEART,)):
    return Scene(items, ground, 3, Style(style, 5))


def disagreement(a, b):
    """Share of pixels that differ by more than 2/255."""
    return float((np.abs(a - b).max(-1) > 2 / 255).mean())


@pytest.mark.parametrize("style", STYLES)
def test_render_is_a_picture_and_the_same_each_time(style):
    scene = one(style, "grass")
    image = scene.render((96, 80), (60, 60))
    assert image.shape == (96, 80, 3) and image.dtype == np.float32
    assert image.min() >= 0 and image.max() <= 1 and image.std() > 0.03
    assert np.array_equal(image, scene.render((96, 80), (60, 60)))


@pytest.mark.parametrize("style", STYLES)
def test_windows_agree(style):
    """A wider render shows in its middle what a narrower one shows, also where its borders cut an item."""
    scene = one(style, "gravel", (HEART, CUP))
    wide = scene.render((96, 200), (50, -40))
    narrow = scene.render((64, 96), (70, 40))
    assert disagreement(wide[20:84, 80:176], narrow) < 0.002
    half = scene.render((48, 90), scale=0.5)
    assert disagreement(half[:, :64], scene.render((48, 64), scale=0.5)) < 0.002


def test_windows_that_do_not_overlap_differ():
    scene = one("oil", "gravel")
    assert disagreement(scene.render((64, 64)), scene.render((64, 64), (0, 64))) > 0.5


@pytest.mark.parametrize("style", STYLES)
def test_styles_change_the_whole_picture_and_so_do_their_seeds(style):
    scene = one("photo", "leopard")
    picture, photo = (
        scene.with_style(Style(style, 8)).render((80, 80), (88, 10)),
        scene.render((80, 80), (88, 10)),
    )
    if style != "photo":
        assert disagreement(picture, photo) > 0.9
    other = scene.with_style(Style(style, 9)).render((80, 80), (88, 10))
    assert disagreement(picture, other) > 0.5


def test_half_scale_is_the_same_picture_smaller():
    scene = one("photo", "plain")
    full, half = scene.render(), scene.render((128, 128), scale=0.5)
    small = full.reshape(128, 2, 128, 2, 3).mean((1, 3))
    assert np.abs(small - half).mean() < 0.02


@pytest.mark.parametrize("style", ["mosaic", "glass"])
def test_joints_are_as_wide_at_double_scale(style):
    scene = one(style, "plain")
    # joints of half the width make it .03 to .04 lighter
    assert abs(scene.render().mean() - scene.render((512, 512), scale=2).mean()) < 0.015


def test_labels_agree_with_what_is_drawn():
    scene = one("photo", "plain", (HEART, CUP))
    labels = scene.labels()
    assert set(np.unique(labels)) == {0, 1, 2}
    assert np.array_equal(labels, compose(scene, (256, 256), (0, 0), 1.0).labels)
    without = replace(scene, items=(HEART,))
    ours, theirs = (compose(s, (256, 256), (0, 0), 1.0).albedo for s in (scene, without))
    changed = np.abs(ours - theirs).max(-1) > 1e-3
    assert changed[labels == 2].mean() > 0.95 and not changed[labels == 0].mean() > 0.01
    assert not changed[(labels == 1) & (compose(scene, (256, 256), (0, 0), 1.0).rim < -2)].any()
    assert np.array_equal(scene.labels((100, 120), (30, 50)), labels[30:130, 50:170])


def test_with_methods_change_only_what_they_say():
    scene = one("oil", "grass", (HEART, CUP))
    assert scene.with_style(Style("ink", 2)) == replace(scene, style=Style("ink", 2))
    assert scene.with_ground("wood") == replace(scene, ground="wood")
    assert scene.with_material(1, "fur").items == (HEART, replace(CUP, material="fur"))
    assert scene.with_thing(0, "star").items == (replace(HEART, thing="star"), CUP)
    before, after = (compose(s, (256, 256), (0, 0), 1.0) for s in (scene, scene.with_material(0, "zebra")))
    assert np.array_equal(before.labels, after.labels) and np.array_equal(before.light, after.light)
    second = (before.labels == 2) & (before.rim < -1)
    assert np.allclose(before.albedo[second], after.albedo[second], atol=1e-5)
    ground = before.labels == 0
    assert np.array_equal(before.albedo[ground & (before.rim > 1)], after.albedo[ground & (before.rim > 1)])
    first = (before.labels == 1) & (before.rim < -2)
    assert not np.array_equal(before.albedo[first], after.albedo[first])


def test_json_round_trip():
    for seed in range(20):
        scene = sample_scene(seed)
        again = Scene.from_dict(json.loads(json.dumps(scene.to_dict())))
        assert again == scene and hash(again) == hash(scene)
    assert np.array_equal(again.render((48, 48)), scene.render((48, 48)))


@pytest.mark.parametrize(
    "make, named",
    [
        (lambda: one("crayon"), "crayon"),
        (lambda: one(ground="cheese"), "cheese"),
        (lambda: replace(HEART, thing="blob"), "blob"),
        (lambda: one().with_material(0, "cheese"), "cheese"),
        (lambda: one().with_thing(1, "star"), "item 1"),
        (lambda: one().with_style("mosaic"), "'mosaic'"),
        (lambda: replace(one(), items=HEART), "tuple of Items"),
        (lambda: replace(one(), tone=200), "200"),
        (lambda: replace(HEART, size=0), "size 0"),
        (lambda: replace(HEART, accent=(255, 0, 0)), "255"),
        (lambda: Style("oil", -1), "-1"),
    ],
)
def test_what_cannot_be_drawn_is_named(make, named):
    with pytest.raises((ValueError, IndexError, TypeError), match=named):
        make()


def test_items_stand_out_from_their_ground():
    """Brightness of item and ground differ, in the photo, for nearly all one-item scenes."""
    gaps = []
    for seed in range(40):
        scene = sample_scene(seed)
        if len(scene.items) == 1:
            layers = compose(scene, (64, 64), (0, 0), 0.25)
            y = luminance(layers.albedo)
            gaps.append(abs(y[layers.labels == 1].mean() - y[layers.labels == 0].mean()))
    assert np.mean(np.array(gaps) > 0.1) > 0.85


def test_sampled_scenes_are_sensible():
    scenes = [sample_scene(seed) for seed in range(300)]
    counts = Counter(len(s.items) for s in scenes)
    assert set(counts) == {1, 2, 3} and 0.5 < counts[1] / 300 < 0.7
    assert {i.thing for s in scenes for i in s.items} == set(THINGS)
    assert {i.material for s in scenes for i in s.items} == set(MATERIALS)
    assert {s.style.name for s in scenes} == set(STYLES)
    for item in (i for s in scenes for i in s.items):
        assert 90 <= item.size <= 204 and abs(item.angle) <= 0.262
        reach = item.size / 2 - 6
        assert min(item.x, item.y) >= reach and max(item.x, item.y) <= 256 - reach
    overlap = [s for s in scenes if len(s.items) == 2]
    crowded = [
        np.hypot(a.x - b.x, a.y - b.y) < 0.4 * (a.size + b.size) for a, b in (s.items for s in overlap)
    ]
    assert np.mean(crowded) < 0.05
    assert sample_scene(5) == sample_scene(5) != sample_scene(6)


def test_a_portrait_is_one_large_thing_in_the_middle():
    scenes = [sample_portrait(seed) for seed in range(300)]
    items = [item for scene in scenes for item in scene.items]
    assert len(items) == 300 and {item.thing for item in items} == set(THINGS)
    assert all(186 <= item.size <= 220 and max(abs(item.x - 128), abs(item.y - 128)) <= 8 for item in items)
    assert 0.7 < np.mean([scene.ground == "plain" for scene in scenes]) < 0.9
    assert np.mean([scene.tone > 0.8 for scene in scenes]) > 0.7
    assert sample_portrait(5) == sample_portrait(5) != sample_portrait(6)


def test_captions_stay_in_the_vocabulary_and_tell_the_truth():
    assert set(STYLE_PHRASES) == set(STYLES)
    assert len(VOCABULARY) == len(set(VOCABULARY)) and 80 < len(VOCABULARY) < 150
    texts = []
    for seed in range(400):
        scene = sample_scene(seed)
        if seed % 5 == 0:
            scene = replace(scene, items=())
        texts.append(caption(scene, np.random.default_rng(seed)))
        assert (
            set(words(texts[-1])) <= set(VOCABULARY)
            and words(texts[-1]) == texts[-1].replace(",", " ,").split()
        )
        shown = {i.thing for i in scene.items}
        told = set(words(texts[-1])) & set(THINGS)
        assert told in (set(), shown)
        assert set(words(full_caption(scene))) <= set(VOCABULARY) and shown <= set(words(full_caption(scene)))
    assert "" in texts and len(set(texts)) > 250
    assert any(t in THINGS or t in [f"a {x}" for x in THINGS] for t in texts)
    assert caption(one(), np.random.default_rng(3)) == caption(one(), np.random.default_rng(3))


def test_mixture_has_its_shares_and_its_truth():
    assert abs(sum(KINDS.values()) - 1) < 1e-9
    kinds = Counter()
    for seed in range(200):
        image, text, kind, meta = sample_image(seed, size=16)
        kinds[kind] += 1
        assert image.shape == (16, 16, 3) and image.dtype == np.float32 and np.isfinite(image).all()
        assert 0 <= image.min() and image.max() <= 1 and set(words(text)) <= set(VOCABULARY)
        if kind in ("portrait", "scene", "material"):
            scene = Scene.from_dict(meta["scene"])
            assert meta["things"] == [i.thing for i in scene.items] and (len(scene.items) > 0) == (
                kind != "material"
            )
            assert (meta["ground"], meta["style"]) == (scene.ground, scene.style.name)
        else:
            assert meta["things"] == [] and meta["scene"] is None
    for kind, share in KINDS.items():
        assert abs(kinds[kind] / 200 - share) < 4 * np.sqrt(share * (1 - share) / 200)


def test_sample_image_is_its_scene_and_repeats():
    image, text, kind, meta = next(s for s in (sample_image(k, 64) for k in range(30)) if s[2] == "scene")
    assert np.array_equal(image, Scene.from_dict(meta["scene"]).render((64, 64), scale=0.25))
    assert all(np.array_equal(sample_image(k, 32)[0], sample_image(k, 32)[0]) for k in range(6))
