"""A region looks at regions of its label only, at every layer's resolution, whatever the labels are called."""

import itertools
import math

import numpy as np
import pytest
import torch
from conftest import picture, seed, unchanged
from PIL import Image
from torch.nn import functional as F

from attnd_nb import Regions, Schedule, Weights, ad_loss, encode, guided_sample, open_labels, optimize, replay
from attnd_nb.attention import Features
from attnd_nb.distillation import Distiller
from attnd_nb.layers import halved
from attnd_nb.losses import ideal_output
from attnd_nb.masks import COLOURS, members, region_colour, shares
from attnd_nb.plots import plot_regions

RED, GREY = (255, 0, 0), (9, 9, 9)
HALVES = np.arange(64)[None].repeat(64, 0) // 32  # 0 left, 1 right
FAST = dict(num_steps=2, progress=False)


def spot(size, box, inside=1, outside=0):
    """A map (h, w) with a rectangle (top, left, bottom, right)."""
    labels = np.full(size, outside)
    labels[box[0] : box[2], box[1] : box[3]] = inside
    return labels


def random_map(size, count, seed=0):
    """A map of blocks, two cells of an 8-pixel grid wide."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, count, (math.ceil(size[0] / 16), math.ceil(size[1] / 16)))
    return blocks.repeat(16, 0).repeat(16, 1)[: size[0], : size[1]]


# Maps


def test_a_map_in_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # its name on Windows
    Image.fromarray(np.uint8([[3, 4]])).save(tmp_path / "map.png")
    assert open_labels("~/map.png").tolist() == [[3, 4]]


def test_maps_with_too_many_labels_together_are_refused():
    with pytest.raises(ValueError, match="257 labels together"):
        Regions(np.arange(200)[None], [np.arange(100, 257)[None]])


def test_every_kind_of_map_is_read(tmp_path):
    numbers = np.array([[0, 3], [7, 3]])
    expected = numbers.tolist()
    grey = Image.fromarray(numbers.astype(np.uint8))
    grey.save(tmp_path / "grey.png")
    Image.fromarray(numbers.astype(np.uint16)).save(tmp_path / "deep.png")  # 16 bit: scaled, they would all be 0
    for source in (numbers, torch.tensor(numbers), grey, grey.convert("RGB"), tmp_path / "grey.png",
                   str(tmp_path / "deep.png"), numbers.astype(np.int8)):
        assert open_labels(source).tolist() == expected
    assert open_labels(numbers > 0).tolist() == [[0, 1], [1, 1]]
    colours = Image.new("RGB", (2, 1), RED)
    colours.putpixel((0, 0), GREY)
    assert open_labels(colours).tolist() == [[9, COLOURS + 0xFF0000]]
    assert open_labels(colours.quantize(2)).tolist() == open_labels(colours).tolist()
    assert open_labels(np.asarray(colours)).tolist() == open_labels(colours).tolist()


def test_blended_edges_take_the_nearest_colour_that_was_meant(tmp_path):
    clean = Image.fromarray(np.where(spot((64, 64), (16, 16, 48, 48))[..., None], RED, (0, 0, 255)).astype(np.uint8))
    clean.resize((60, 60), Image.Resampling.BICUBIC).save(tmp_path / "smooth.jpg", quality=30)
    assert len(np.unique(open_labels(tmp_path / "smooth.jpg", colours=["red", "blue"]))) == 2
    read = open_labels(tmp_path / "smooth.jpg", colours=["red", "blue"])
    assert (read[20:40, 20:40] == COLOURS + 0xFF0000).all() and (read[:10] == COLOURS + 0xFF).all()


@pytest.mark.parametrize("source, words", [
    (np.zeros((4, 4)), "astype"),
    (np.zeros((4, 4, 5), int), "whole numbers"),
    (np.zeros((0, 4), int), "no pixels"),
    (np.arange(400).reshape(20, 20), "400 labels"),
    (picture(), "colours="),
    ("nowhere.png", "nowhere.png"),
    ([[0, 1]], "list"),
])
def test_what_is_no_map_is_refused(source, words):
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=words):
        open_labels(source)


# From pixels to tokens


@pytest.mark.parametrize("size, grid", [((64, 64), (8, 8)), ((48, 80), (6, 10)), ((48, 80), (3, 5))])
def test_a_token_has_the_label_of_most_of_its_pixels(size, grid):
    labels = np.random.default_rng(1).choice(3, size, p=[0.2, 0.3, 0.5])
    of_tokens = members(shares(torch.from_numpy(labels), 3, grid))[0]
    high, wide = size[0] // grid[0], size[1] // grid[1]
    for index, (row, column) in enumerate(itertools.product(*map(range, grid))):
        block = labels[row * high : (row + 1) * high, column * wide : (column + 1) * wide]
        counts = np.bincount(block.ravel(), minlength=3)
        assert of_tokens[counts.argmax(), index]


@pytest.mark.parametrize("grid", [(32, 32), (8, 8), (3, 5), (1, 1)])
def test_no_label_is_lost_however_coarse_the_layer(grid):
    """One pixel of a label is enough, and at 1 × 1 the one token has all labels."""
    labels = torch.from_numpy(spot((64, 64), (40, 41, 41, 42), inside=2) + spot((64, 64), (0, 0, 3, 64)))
    found = members(shares(labels, 3, grid))[0]
    assert found.any(1).all() and found.any(0).all()
    row, column = 40 * grid[0] // 64, 41 * grid[1] // 64
    assert found[2].nonzero().item() == row * grid[1] + column  # the token that holds the pixel


def test_the_mask_is_equation_eleven():
    """Against a slow comparison of labels, with references and picture of different shapes."""
    target, sources = random_map((64, 96), 3, 1), [random_map((64, 64), 3, 2), random_map((32, 128), 3, 3)]
    regions = Regions(target, sources)
    for level in (0, 1):
        mask = regions.mask(regions.shares((8, 12)), level, [(8, 8), (4, 16)])
        step = 8 * 2**level
        expected = [[i == j for one in sources for j in one[::step, ::step].ravel()]
                    for i in target[::step, ::step].ravel()]
        assert mask.shape == (1, 1, len(expected), len(expected[0]))
        assert mask[0, 0].tolist() == expected


def test_windows_of_the_shares_give_the_rows_of_the_whole_mask():
    regions = Regions(random_map((64, 128), 3, 4), [random_map((64, 64), 3, 5)])
    whole = regions.shares((8, 16))
    rows = regions.mask(whole, 0, [(8, 8)]).view(8, 16, 64)
    windows = torch.cat([whole[..., :8], whole[..., 4:12]])
    masks = regions.mask(windows, 0, [(8, 8)])
    assert torch.equal(masks[0, 0], rows[:, :8].flatten(0, 1))
    assert torch.equal(masks[1, 0], rows[:, 4:12].flatten(0, 1))


@pytest.mark.parametrize("size", [(8, 8), (11, 7), (3, 1)])
def test_no_query_is_left_without_a_key(size):
    target = spot((88, 56), (40, 40, 41, 41), inside=2) + spot((88, 56), (0, 0, 88, 5))
    source = spot((64, 64), (0, 0, 1, 1), inside=2) + spot((64, 64), (9, 9, 11, 11))
    regions = Regions(target, [source])
    regions.weigh()
    for level in range(4):
        mask = regions.mask(regions.shares(size), level, [(8, 8)])
        assert mask is None or mask.any(-1).all()
        assert mask is None or mask.shape[-2:] == (math.prod(halved(size, level)), math.prod(halved((8, 8), level)))


def test_names_of_labels_do_not_matter():
    target, source = random_map((64, 64), 3, 6), random_map((64, 64), 3, 7)
    names = np.array([COLOURS + 0xFF0000, 5, -2])
    plain, renamed = Regions(target, [source]), Regions(names[target], [names[source]])
    assert torch.equal(plain.mask(plain.shares((8, 8)), 1, [(8, 8)]), renamed.mask(renamed.shares((8, 8)), 1, [(8, 8)]))
    assert np.array_equal(plain.fill([picture(1)], seed()), renamed.fill([picture(1)], seed()))
    assert set(renamed.names) == {"#ff0000", "5", "-2"}
    maps = plain.pictures()
    again = Regions(open_labels(maps["target_mask"]), [open_labels(maps["source_mask_0"])])
    assert torch.equal(again.target, plain.target) and torch.equal(again.sources[0], plain.sources[0])
    assert len({region_colour(index) for index in range(256)}) == 256


def test_labels_that_no_reference_has_are_named_with_their_place():
    with pytest.raises(ValueError, match=r"label 4 \(6 of 64 pixels, in rows 2–3 and columns 1–3 of 8 x 8\).* 0, 1"):
        Regions(spot((8, 8), (2, 1, 4, 4), inside=4), [spot((8, 8), (0, 0, 1, 1))]).weigh()
    colours = np.where(spot((8, 8), (2, 1, 4, 4)), COLOURS + 0xFF8000, 0)
    with pytest.raises(ValueError, match="label #ff8000"):
        Regions(colours, [np.zeros((8, 8), int)]).weigh()
    both = Regions(spot((8, 8), (2, 1, 4, 4)), [np.zeros((4, 4), int), np.ones((4, 4), int)])
    both.weigh((1, 0.1))
    with pytest.raises(ValueError, match="of a reference that counts"):
        both.weigh((1, 0))


# The masked initialisation


def colours_of(image, where):
    return {tuple(pixel) for pixel in np.asarray(image)[where].tolist()}


def test_regions_are_filled_with_pixels_of_their_label():
    pictures, sources = [picture(1), picture(2, (32, 48))], [HALVES, spot((32, 48), (0, 0, 16, 48))]
    target = spot((40, 56), (4, 4, 30, 20))
    regions = Regions(target, sources)
    filled = regions.fill(pictures, seed())
    assert filled.size == (56, 40)
    for label in (0, 1):
        allowed = colours_of(pictures[0], HALVES == label) | colours_of(pictures[1], sources[1] == label)
        assert colours_of(filled, target == label) <= allowed
        assert len(colours_of(filled, target == label)) > 200  # random ones, not one of them
    assert np.array_equal(filled, regions.fill(pictures, seed()))
    assert not np.array_equal(filled, regions.fill(pictures, seed(1)))


def test_a_reference_gives_pixels_by_its_weight():
    pictures = [Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), GREY)]
    regions = Regions(np.zeros((64, 64), int), [np.zeros((8, 8), int)] * 2)
    share = []
    for weights in (None, (3, 1), (0, 1)):
        regions.weigh(weights)
        share.append((np.asarray(regions.fill(pictures, seed()))[..., 0] == 255).mean())
    assert np.allclose(share, (0.5, 0.75, 0), atol=0.03) and share[2] == 0


# The masked loss


def layer(seed, tokens=12):
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(1, 2, tokens, 4, generator=generator) for _ in range(3))
    return Features(q, k, v, F.scaled_dot_product_attention(q, k, v))


def test_the_masked_loss_is_attention_within_each_region():
    x, s = layer(0), layer(1, tokens=9)
    of_target, of_source = torch.arange(12) % 3, torch.arange(9) // 3
    mask = of_target[:, None] == of_source
    expected = 0
    for label in range(3):
        i, j = of_target == label, of_source == label
        ideal = F.scaled_dot_product_attention(x.query[:, :, i], s.key[:, :, j], s.value[:, :, j])
        expected += (x.output[:, :, i] - ideal).abs().sum() / x.output.numel()
    assert torch.allclose(ad_loss({"a": x}, {"a": s}, mask={"a": mask}), expected, atol=1e-6)
    everywhere = ad_loss({"a": x}, {"a": s}, mask={"a": torch.ones_like(mask)})
    assert torch.allclose(everywhere, ad_loss({"a": x}, {"a": s}), atol=1e-6)
    assert torch.equal(ad_loss({"a": x}, {"a": s}, mask={"a": None}), ad_loss({"a": x}, {"a": s}))


def test_a_mask_that_does_not_fit_or_leaves_nothing_to_see_is_refused():
    x, s = layer(0), layer(1, tokens=9)
    for wrong in (torch.ones(12, 12, dtype=bool), torch.ones(9, 12, dtype=bool)):
        with pytest.raises(ValueError, match="12 tokens that look at 9"):
            ad_loss({"a": x}, {"a": s}, mask={"a": wrong})
    blind = torch.ones(12, 9, dtype=bool)
    blind[3:5] = False
    halves = [one.half() for one in (x.query, s.key, s.value)]
    with pytest.raises(ValueError, match="leaves 2 query tokens"):
        ideal_output(*halves, torch.zeros(12, 9).masked_fill(~blind, -1e9))  # which is minus infinity in float16
    for mask in (blind, torch.zeros(12, 9).masked_fill(~blind, -torch.inf)):
        with pytest.raises(ValueError, match="2 query tokens"):
            ad_loss({"a": x}, {"a": s}, mask={"a": mask})
    with pytest.raises(ValueError, match="different layers"):
        ad_loss({"a": x}, {"a": s}, mask={"b": blind})


# The verbs


def test_one_label_everywhere_is_no_mask_to_the_bit(tiny_sd, style, content):
    ones = np.ones((32, 32), int)
    masks = dict(source_mask=ones, target_mask=ones)
    plain = optimize(tiny_sd, style, content, 0.2, **FAST)
    assert torch.equal(optimize(tiny_sd, style, content, 0.2, **masks, **FAST).latents, plain.latents)
    sample = dict(num_inference_steps=2, progress=False, content=content)
    plain = guided_sample(tiny_sd, style, generator=seed(), **sample)
    assert torch.equal(guided_sample(tiny_sd, style, generator=seed(), **masks, **sample).latents, plain.latents)


def test_the_masked_initialisation_is_start_and_content(tiny_sd, style):
    masked = optimize(tiny_sd, style, source_mask=np.zeros((8, 8), int), target_mask=np.zeros((8, 8), int),
                      generator=seed(), **FAST)
    filled = masked.inputs["masked_start"]
    assert masked.settings["arguments"]["content_weight"] == 0.15
    assert torch.equal(optimize(tiny_sd, style, filled, 0.15, **FAST).latents, masked.latents)
    everywhere = np.ones((64, 64), bool)
    assert colours_of(filled, everywhere) < colours_of(style, everywhere)


def test_masks_change_the_result_and_lower_the_masked_loss(tiny_sd, style):
    masks = dict(source_mask=HALVES, target_mask=1 - HALVES)
    start = dict(content=picture(3), content_weight=0, num_steps=6, progress=False)
    free, masked = optimize(tiny_sd, style, **start), optimize(tiny_sd, style, **masks, **start)
    assert not torch.allclose(free.latents, masked.latents)
    assert masked.losses[-1]["total"] < masked.losses[0]["total"]
    # the first losses differ only by where the same queries may look
    assert free.losses[0]["total"] != pytest.approx(masked.losses[0]["total"], rel=1e-3)


@pytest.mark.parametrize("verb, options", [
    (optimize, dict(num_steps=2)),
    (guided_sample, dict(num_inference_steps=2, strength=0.9, adain=True, prompt=["a", "b"])),
])
def test_maps_of_any_shape_several_styles_and_images(tiny_sd, tmp_path, verb, options):
    """With a label of one pixel, which no layer's grid shows: nothing becomes NaN. And it can be replayed."""
    styles = [picture(1), picture(2, (40, 80))]
    sources = [Image.fromarray((HALVES * 255).astype(np.uint8)), spot((20, 40), (3, 3, 4, 4), 2, 255)]
    target = spot((72, 48), (50, 0, 72, 48), 255)
    target[3, 3] = 2
    with unchanged(tiny_sd):
        result = verb(tiny_sd, styles, source_mask=sources, target_mask=target, num_images=2, generator=seed(),
                      progress=False, **options)
    rows = 2 * len(options.get("prompt", "a"))
    assert result.images[0].size == (48, 72) and len(result.images) == rows
    assert torch.isfinite(result.latents).all() and all(map(math.isfinite, (e["total"] for e in result.losses)))
    assert all(entry["content"] for entry in result.losses)
    assert not torch.allclose(result.latents[0], result.latents[1])
    assert list(result.inputs) == ["style_0", "style_1", "source_mask_0", "source_mask_1", "target_mask",
                                   "masked_start"]
    assert torch.equal(replay(result.save(tmp_path), tiny_sd, progress=False).latents, result.latents)


def test_a_long_picture_and_its_map_are_rounded_alike_and_replayed(tiny_sd, tmp_path):
    labels = np.zeros((60, 306), int)
    labels[:, 153:] = 1
    result = optimize(tiny_sd, picture(1, labels.shape), source_mask=labels, target_mask=labels, resolution=64, num_steps=1,
                      generator=seed(), progress=False)
    assert result.images[0].size == (144, 32)  # the model takes whole cells, and the aspect suffers
    assert torch.equal(replay(result.save(tmp_path), tiny_sd, progress=False).latents, result.latents)


def test_weights_and_masks_go_together(tiny_sd, style):
    """A reference that does not count gives its region nothing, so the other must have it."""
    options = dict(source_mask=[HALVES, HALVES], target_mask=HALVES, generator=seed(), **FAST)
    result = optimize(tiny_sd, [style, picture(4)], weights=Weights(content=0.1, references=(1, 0)), **options)
    alone = optimize(tiny_sd, style, content_weight=0.1, source_mask=HALVES, target_mask=HALVES, generator=seed(),
                     **FAST)
    assert torch.allclose(result.latents, alone.latents, atol=1e-4)
    with pytest.raises(ValueError, match="label 1 .* that counts"):
        optimize(tiny_sd, [style, picture(4)], source_mask=[0 * HALVES, HALVES], target_mask=HALVES,
                 weights=Weights(content=Schedule(0.1), references=(1, 0)), **FAST)


@pytest.mark.parametrize("verb, options, words", [
    (optimize, dict(source_mask=HALVES), "source_mask has no effect without target_mask"),
    (guided_sample, dict(target_mask=HALVES), "target_mask has no effect without source_mask"),
    (optimize, dict(source_mask=[HALVES] * 2, target_mask=HALVES), "2 label maps for 1"),
    (optimize, dict(source_mask=HALVES[:40], target_mask=HALVES), "source_mask_0 of 40 x 64"),
    (optimize, dict(source_mask=HALVES, target_mask=HALVES[:40], size=(64, 64)), "target_mask of 40 x 64"),
    (optimize, dict(source_mask=HALVES, target_mask=HALVES[:40], content=picture()), "target_mask of 40 x 64"),
    (optimize, dict(source_mask=HALVES, target_mask=HALVES + 1), "label 2"),
    (optimize, dict(source_mask=HALVES, target_mask=HALVES, content=picture(), num_images=2), "num_images"),
    (guided_sample, dict(source_mask=HALVES, target_mask=HALVES, inner_steps=0), "needs inner_steps above 0"),
])
def test_masks_that_cannot_be_used_are_errors(tiny_sd, verb, options, words):
    with pytest.raises(ValueError, match=words):
        verb(tiny_sd, picture(), **options)


# The picture of it


def test_the_plot_lights_what_a_region_may_see():
    green = Image.new("RGB", (64, 64), (0, 200, 0))
    sheet = np.asarray(plot_regions([green, green], [HALVES, 0 * HALVES], HALVES, tile=64))
    lit = (sheet == (0, 200, 0)).all(-1)
    # rows: label 0 sees half of the first style and all of the second; label 1 the other half, and nothing
    assert int(lit.sum()) == 32 * 64 + 64 * 64 + 32 * 64
    with pytest.raises(ValueError, match="label 2"):
        plot_regions(green, HALVES, HALVES + 1)


def test_adain_matches_each_region_by_itself(tiny_sd, style):
    source, target = np.zeros((64, 64), int), np.zeros((64, 64), int)
    source[:, :24], target[40:] = 1, 1
    z_s = encode(tiny_sd, style)
    for verb, steps, tolerance in ((optimize, "num_steps", 1e-4), (guided_sample, "num_inference_steps", 0.02)):
        start = dict(learning_rate=1e-9, adain=True, progress=False, generator=seed())
        maps = dict(source_mask=source, target_mask=target)
        z = verb(tiny_sd, style, **maps, content_weight=0.1, **{steps: 1}, **start).latents
        side = z.shape[-1]
        border, top = side * 24 // 64, side * 40 // 64
        for own, wanted in ((z[..., top:, :], z_s[..., :border]), (z[..., :top, :], z_s[..., border:])):
            assert torch.allclose(own.mean((2, 3)), wanted.mean((2, 3)), atol=tolerance)
            assert torch.allclose(own.std((2, 3)), wanted.std((2, 3)), atol=tolerance)


def test_a_region_too_small_for_statistics_is_left_alone(tiny_sd):
    labels = np.zeros((4, 4), int)
    labels[0, 0] = 1
    z, z_s = torch.randn(1, 4, 4, 4, generator=seed(1)), torch.randn(1, 4, 4, 4, generator=seed(2))
    matched = Distiller(tiny_sd, layers=[], regions=Regions(labels, [labels], (32, 32))).match(z, [z_s])
    assert torch.equal(matched[..., 0, 0], z[..., 0, 0]) and not torch.equal(matched, z)
