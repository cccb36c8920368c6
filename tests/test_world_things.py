"""The things of the image world: properties of every one, over a few seeds."""

import functools

import numpy as np
import pytest

from attnd_nb.world.outlines import outline
from attnd_nb.world.shapes import box, capsule, circle, convex, coverage, ellipse, star
from attnd_nb.world.things import THINGS, thing_parts

SEEDS = range(4)
ROLES = {"body", "accent", "light", "dark"}


def grid(size, reach):
    """Pixel centres of a size x size picture of the box [-reach, reach]²."""
    v, u = ((np.mgrid[:size, :size] + .5) / size * 2 - 1).astype(np.float32) * np.float32(reach)
    return np.ascontiguousarray(u), np.ascontiguousarray(v)


@functools.cache
def parts_of(name, seed):
    """Parts on a 96 x 96 grid of the box [-1.5, 1.5]²."""
    return thing_parts(name, *grid(96, 1.5), seed)


def silhouette(name, seed):
    return np.logical_or.reduce([part.sdf < 0 for part in parts_of(name, seed)])


def visible(name, seed):
    """Index of the part seen in each pixel, -1 where there is none."""
    top = np.full((96, 96), -1)
    for i, part in enumerate(parts_of(name, seed)):
        top[part.sdf < 0] = i
    return top


def test_there_are_enough_things():
    assert len(THINGS) >= 26
    assert all(name.isalpha() and name.islower() for name in THINGS)


@pytest.mark.parametrize("name", THINGS)
def test_parts_are_well_formed(name):
    for seed in SEEDS:
        parts = parts_of(name, seed)
        roles = {part.role for part in parts}
        assert {"body", "accent"} <= roles <= ROLES
        for part in parts:
            assert part.sdf.shape == part.height.shape == (96, 96)
            assert part.sdf.dtype == part.height.dtype == np.float32
            assert np.isfinite(part.sdf).all()
            assert part.height.min() >= 0 and part.height.max() <= 1
            assert (part.height[part.sdf >= 0] == 0).all()


@pytest.mark.parametrize("name", THINGS)
def test_body_is_large_and_everything_stays_in_the_box(name):
    pixel = (3 / 96) ** 2 / 4  # share of the box
    u, v = grid(96, 1.5)
    beyond = np.maximum(np.abs(u), np.abs(v)) > 1.02
    for seed in SEEDS:
        parts, top = parts_of(name, seed), visible(name, seed)
        assert not (silhouette(name, seed) & beyond).any()
        seen = sum((top == i).sum() for i, part in enumerate(parts) if part.role == "body") * pixel
        whole = np.logical_or.reduce([part.sdf < 0 for part in parts if part.role == "body"]).sum() * pixel
        assert .15 <= whole <= .85, (seed, whole)
        assert seen >= .11, (seed, seen)  # enough left to show a material


@pytest.mark.parametrize("name", THINGS)
def test_fills_the_box(name):
    u, v = grid(96, 1.5)
    for seed in SEEDS:
        inside = silhouette(name, seed)
        extent = max(np.ptp(u[inside]), np.ptp(v[inside])) / 2
        assert extent > .8, (seed, extent)


@pytest.mark.parametrize("name", THINGS)
def test_every_part_shows(name):
    """A part hidden behind the others is wasted work, or a mistake in the order of painting."""
    u, v = grid(256, 1.02)
    top, parts = np.full(u.shape, -1), thing_parts(name, u, v, 1)
    for i, part in enumerate(parts):
        top[part.sdf < 0] = i
    hidden = [(i, part.role) for i, part in enumerate(parts) if not (top == i).any()]
    assert not hidden


@pytest.mark.parametrize("name", THINGS)
def test_a_window_and_a_second_call_agree(name):
    u, v = grid(96, 1.5)
    window = np.s_[20:61, 33:90]
    for part, again in zip(parts_of(name, 2), thing_parts(name, u[window].copy(), v[window].copy(), 2)):
        assert part.role == again.role
        np.testing.assert_array_equal(part.sdf[window], again.sdf)
        np.testing.assert_array_equal(part.height[window], again.height)


@pytest.mark.parametrize("name", THINGS)
def test_seeds_differ(name):
    pictures = [[(part.role, part.sdf.tobytes()) for part in parts_of(name, seed)] for seed in SEEDS]
    assert all(a != b for i, a in enumerate(pictures) for b in pictures[:i])


def test_things_have_different_silhouettes():
    """Facing does not matter: a thing is compared with the other one and with its mirror image."""
    shapes = {name: silhouette(name, 3) for name in THINGS}
    names = list(THINGS)
    for i, a in enumerate(names):
        for b in names[:i]:
            for other in (shapes[b], shapes[b][:, ::-1]):
                overlap = (shapes[a] & other).sum() / (shapes[a] | other).sum()
                assert overlap < .86, (a, b, overlap)


def test_unknown_thing_is_named():
    u, v = grid(8, 1)
    with pytest.raises(ValueError, match="'dragon'.*tree"):
        thing_parts("dragon", u, v, 0)


def test_signs_and_distances_of_shapes():
    """Inside is negative, outside positive, and near the outline the value is the distance."""
    u, v = grid(256, 1.3)
    circular = [(np.cos(a), np.sin(a)) for a in np.arange(12) * np.pi / 6]
    truth = np.hypot(u, v) - 1
    near = np.abs(truth) < .1
    discs = [circle(u, v, 0, 0, 1), ellipse(u, v, 0, 0, 1, 1), outline(u, v, circular),
             capsule(u, v, 0, 0, 0, 0, 1)]
    for sdf in discs:
        assert np.abs(sdf - truth)[near].max() < .02
        assert (np.sign(sdf) == np.sign(truth))[np.abs(truth) > .01].all()
    square = convex(u, v, [(-.5, -.5), (.5, -.5), (.5, .5), (-.5, .5)])
    np.testing.assert_allclose(square, box(u, v, 0, 0, .5, .5), atol=1e-6)
    pointed = star(u, v, 0, 0, 1, .5)
    assert pointed[128, 128] < 0 and pointed[40, 128] < 0 < pointed[216, 128]  # a point above, a notch below


def test_coverage_is_the_area_of_a_shape():
    u, v = grid(64, 1)
    area = coverage(circle(u, v, .1, -.05, .7), 2 / 64).sum() * (2 / 64) ** 2
    assert abs(area - np.pi * .49) < .005
