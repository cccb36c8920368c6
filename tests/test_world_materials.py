"""Fields, materials and abstract images: functions of coordinates and a seed, and of nothing else."""

import numpy as np
import pytest

from attnd_nb.world import abstract, fields
from attnd_nb.world.materials import ADJECTIVE, MATERIALS, render_material

NAMES = list(MATERIALS)


def grid(h=64, w=64, x=0, y=0, step=1):
    v, u = np.mgrid[0:h, 0:w].astype(np.float32)
    return u * step + x, v * step + y


def assert_image(image, h, w):
    assert image.shape == (h, w, 3) and image.dtype == np.float32
    assert np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 7])
def test_material_is_an_image_and_repeats(name, seed):
    x, y = grid(40, 56)
    image = render_material(name, x, y, seed)
    assert_image(image, 40, 56)
    assert image.std() > 0.01, "a material must show a pattern"
    assert np.array_equal(image, render_material(name, x, y, seed))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_window_of_a_render_is_the_render_of_the_window(name, seed):
    x, y = grid(96, 96, x=-37, y=211)
    whole = render_material(name, x, y, seed)
    part = render_material(name, x[30:61, 45:], y[30:61, 45:], seed)
    assert np.abs(whole[30:61, 45:] - part).max() < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_coarse_render_samples_the_same_material(name):
    """Steps of two pixels visit every second pixel: nothing may depend on the array's own spacing."""
    fine = render_material(name, *grid(64, 64), seed=5)
    coarse = render_material(name, *grid(32, 32, step=2), seed=5)
    assert np.abs(fine[::2, ::2] - coarse).max() < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_seed_and_colour_matter(name):
    x, y = grid()
    first, second = render_material(name, x, y, 1), render_material(name, x, y, 2)
    assert np.abs(first - second).mean() > 0.01
    red, blue = (render_material(name, x, y, 1, colour=c) for c in ((0.8, 0.2, 0.2), (0.2, 0.2, 0.8)))
    assert_image(red, 64, 64)
    assert (red - blue)[..., 0].mean() > 0.005 and (red - blue)[..., 2].mean() < -0.005


def test_materials_differ_from_each_other():
    """No two materials share a texture: their renders of one seed are not even correlated."""
    x, y = grid(96, 96)
    flat = np.stack([fields.luminance(render_material(name, x, y, 3)).ravel() for name in NAMES])
    correlation = np.corrcoef(flat) - np.eye(len(NAMES))
    assert np.abs(correlation).max() < 0.6


def test_registry():
    assert len(NAMES) >= 26
    assert list(ADJECTIVE) == NAMES
    assert all(name.isalpha() and name.islower() for name in (*NAMES, *ADJECTIVE.values()))
    with pytest.raises(KeyError, match="'velvet'.*wood"):
        render_material("velvet", *grid(4, 4), seed=0)


@pytest.mark.parametrize(
    "field",
    [
        lambda x, y: fields.noise(x, y, 3, 15),
        lambda x, y: fields.fbm(x, y, 3, 40),
        lambda x, y: fields.warp(x, y, 3, 40, 8)[0],
        lambda x, y: fields.cells(x, y, 3, 20)[1],
        lambda x, y: fields.cell_random(fields.cells(x, y, 3, 20)[2], 1),
    ],
)
def test_fields_are_float32_and_pointwise(field):
    x, y = grid(80, 80, x=-500, y=90)
    whole = field(x, y)
    assert whole.dtype == np.float32
    assert np.allclose(whole[11:30, 50:], field(x[11:30, 50:], y[11:30, 50:]), atol=1e-5)


def test_noise_fills_its_range():
    value = fields.noise(*grid(256, 256), seed=4, scale=6)
    assert value.min() >= 0 and value.max() <= 1
    assert abs(value.mean() - 0.5) < 0.03 and 0.1 < value.std() < 0.25


def test_noise_is_smooth():
    """A step of 1/20 of the scale moves the value little, across lattice lines too."""
    value = fields.noise(*grid(200, 200), seed=8, scale=20)
    assert np.abs(np.diff(value, axis=0)).max() < 0.12 and np.abs(np.diff(value, axis=1)).max() < 0.12


def test_cells_agree_with_a_slow_search():
    """f1, f2 and the vector against all points, found as the zeros of f1 on a fine grid."""
    x, y = grid(60, 60)
    f1, f2, cell, dx, dy = fields.cells_vector(x, y, 5, 20)
    assert (f1 <= f2).all() and np.allclose(np.hypot(dx, dy), f1, atol=1e-5)
    points = np.unique(np.round(np.stack([x - 20 * dx, y - 20 * dy], -1).reshape(-1, 2), 1), axis=0)
    far = np.sort(np.hypot(x[..., None] - points[:, 0], y[..., None] - points[:, 1]), axis=-1) / 20
    inner = (slice(20, 40), slice(20, 40))  # points outside the frame are not in the list
    assert np.allclose(far[..., 0][inner], f1[inner], atol=0.02)
    for one in np.unique(cell):
        centre = np.stack([x - 20 * dx, y - 20 * dy], -1)[cell == one]
        assert np.ptp(centre, axis=0).max() < 0.1, "one id, one point"


def test_seeds_mix():
    assert len({fields.mix(a, b) for a in range(60) for b in range(60)}) == 3600
    uniform = fields.hash2(*np.meshgrid(np.arange(200), np.arange(200)), seed=1)
    assert abs(uniform.mean() - 0.5) < 0.01 and abs(uniform.std() - 12**-0.5) < 0.01


def test_lerp_mixes_maps_and_colours():
    t = np.float32([[0, 0.5, 1]])
    assert fields.lerp(np.float32([1, 0, 0]), np.float32([0, 0, 1]), t)[0].tolist() == [
        [1, 0, 0],
        [0.5, 0, 0.5],
        [0, 0, 1],
    ]
    assert fields.lerp(2.0, 4.0, t).tolist() == [[2, 3, 4]]
    assert fields.lerp(np.ones((1, 3, 3)), np.float32([0, 1, 2]), t)[0, 2].tolist() == [0, 1, 2]


@pytest.mark.parametrize("seed", [0, 5])
def test_dead_leaves_repeat_and_have_windows(seed):
    x, y = grid(96, 112)
    image = abstract.dead_leaves(x, y, seed)
    assert_image(image, 96, 112)
    window = abstract.dead_leaves(x[20:70, 31:90], y[20:70, 31:90], seed)
    assert np.abs(image[20:70, 31:90] - window).max() < 1e-4
    assert np.abs(image - abstract.dead_leaves(x, y, seed + 1)).mean() > 0.05


def test_dead_leaves_need_a_grid():
    with pytest.raises(ValueError, match="regular grid"):
        abstract.dead_leaves(*fields.rotate(*grid(16, 16), 0.3), seed=0)


@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_coloured_noise_falls_with_frequency(size):
    slopes = []
    for seed in range(6):
        image = abstract.coloured_noise(*size, seed)
        assert_image(image, *size)
        assert np.array_equal(image, abstract.coloured_noise(*size, seed))
        grey = fields.luminance(image)
        power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
        far = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])[None])
        low, high = power[(far > 0.03) & (far < 0.08)].mean(), power[(far > 0.25) & (far < 0.5)].mean()
        slopes.append(np.log(low / high) / np.log(0.35 / 0.055))
    assert 1 < np.mean(slopes) < 4, "natural images have power about 1/f^2"


def test_lit_keeps_the_picture():
    x, y = grid(64, 64)
    image = render_material("checks", x, y, 3)
    for seed in range(8):
        out = abstract.lit(image, seed)
        assert_image(out, 64, 64)
        assert np.array_equal(out, abstract.lit(image, seed))
        assert np.corrcoef(fields.luminance(image).ravel(), fields.luminance(out).ravel())[0, 1] > 0.4
    assert image.max() <= 1 and not np.array_equal(abstract.lit(image, 0), abstract.lit(image, 1))
