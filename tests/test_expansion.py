"""Windows cover everything, expansion is guided sampling in windows, and what wraps has no edge."""

import contextlib
import itertools
import math

import numpy as np
import pytest
import torch
from conftest import picture, seed, unchanged
from torch.nn import functional as F

from attnd_nb import (
    Schedule,
    Weights,
    circular_padding,
    decode,
    decode_tiled,
    distillation,
    encode,
    encode_tiled,
    expand,
    expansion,
    frozen,
    guided_sample,
    optimize,
    replay,
    sampling,
    select_layers,
    tiling,
    window_starts,
)
from attnd_nb.distillation import Distiller
from attnd_nb.masks import Regions
from attnd_nb.sampling import Denoiser
from attnd_nb.tiling import Windows

QUICK = dict(num_inference_steps=2, progress=False)
WIDE = dict(size=(64, 96), stride=4, **QUICK)  # two windows


def nearly_equal(a, b):
    """Adam's first step is the gradient's sign, and where that is a matter of rounding it may differ."""
    return ((a - b).abs() < 1e-3).float().mean() > 0.97


# Windows


@pytest.mark.parametrize("window", [1, 5, 8])
@pytest.mark.parametrize("wrap", [False, True])
def test_every_cell_is_covered_for_every_length_up_to_three_windows(window, wrap):
    for length, stride in itertools.product(range(1, 3 * window + 1), range(1, window + 1)):
        if stride > length:
            continue
        starts, shape = window_starts(length, window, stride, wrap), min(window, length)
        covered = {(start + cell) % length for start in starts for cell in range(shape)}
        assert covered == set(range(length)), (length, stride)
        assert starts == sorted(set(starts)) and starts[0] == 0, (length, stride)
        gaps = np.diff(starts + [length] if wrap else starts)
        assert (gaps <= stride).all(), (length, stride)
        if not wrap:
            assert starts[-1] == length - shape, (length, stride)


def test_rounding_the_number_of_windows_down_would_leave_cells_uncovered():
    windows = Windows((64, 135), window=64, stride=8)
    assert windows.coverage().min() == 1
    last = (135 - 64) // 8 * 8
    assert 64 * (135 - last - 64) == 448  # the cells right of the last window, were there no clamped one
    assert windows.corners[-1] == (0, 71)


@pytest.mark.parametrize("size", [(3, 20), (8, 8), (17, 24)])
@pytest.mark.parametrize("seamless", [False, "x", "y", "both"])
def test_shares_sum_to_one_and_the_mean_of_what_is_there_is_what_is_there(size, seamless):
    windows = Windows(size, window=8, stride=3, seamless=seamless)
    assert windows.coverage().min() >= 1
    shares = torch.zeros(size)
    for corner in windows.corners:
        shares[windows.cells(corner)] += windows.share(corner)
    assert torch.allclose(shares, torch.ones(size))
    z, other = torch.randn(2, 3, *size), torch.randn(1, 3, *size)
    shift = windows.random_shift(seed())
    assert [by > 0 for by in shift] <= list(windows.wrap)
    seen = []

    def function(rows, crops, held):
        seen.append(len(rows))
        return crops + held
    assert torch.allclose(windows.mean(function, z, other, batch=3, shift=shift), z + other, atol=1e-6)
    assert max(seen) <= 3 and sum(seen) == 2 * len(windows)


def test_a_window_counts_most_at_its_centre():
    """Where two windows meet, the mean goes over from one to the other without a jump."""
    windows, numbers = Windows((1, 12), window=8, stride=4), iter([0.0, 1.0])
    mean = windows.mean(lambda rows, crops: crops + next(numbers), torch.zeros(1, 1, 1, 12), batch=1)
    assert torch.allclose(mean[0, 0, 0], torch.tensor([0, 0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1]))


# Sampling in windows


@pytest.mark.parametrize("options", [
    dict(), dict(inner_steps=0), dict(size=(40, 64), inner_steps=1), dict(num_images=2),
    dict(adain=True, learning_rate=Schedule(0.2, 0.01)),
    dict(prompt=["a", "b c"], negative_prompt="z", guidance_scale=3.0)])
def test_where_one_window_is_the_whole_it_is_guided_sampling(tiny_sd, style, options):
    ours, theirs = (verb(tiny_sd, style, generator=seed(3), **options, **QUICK)
                    for verb in (expand, guided_sample))
    assert torch.equal(ours.latents, theirs.latents)
    assert [(e["timestep"], e["total"], e["ad"]) for e in ours.losses] == [
        (e["timestep"], e["total"], e["ad"]) for e in theirs.losses]


def test_it_works_on_every_kind_of_model_and_does_not_hang_on_the_batch(any_pipe, style):
    sized = {**WIDE, "size": (64, 104), "prompt": "a", "inner_steps": 1}
    one, many = (expand(any_pipe, style, views_per_batch=n, generator=seed(), **sized) for n in (1, 8))
    assert one.latents.shape == (1, 8, 8, 13) and one.images[0].size == (104, 64)
    assert nearly_equal(one.latents, many.latents)
    assert math.isclose(one.losses[0]["total"], many.losses[0]["total"], rel_tol=1e-3)


def test_each_picture_has_its_own_prompts(tiny_sd, style, monkeypatch):
    """Rows, windows and both halves of the guidance stay together, whatever the batches are."""
    noise = torch.randn(3, 8, 8, 12, generator=seed())
    options = dict(inner_steps=0, guidance_scale=5.0, **WIDE)
    prompts, negatives = ["a", "b c d", "q"], ["x", "y", "z z"]
    monkeypatch.setattr(expansion, "draw_noise", lambda *args: noise)
    together = expand(tiny_sd, style, prompt=prompts, negative_prompt=negatives, views_per_batch=4, **options)
    for row, (prompt, negative) in enumerate(zip(prompts, negatives)):
        monkeypatch.setattr(expansion, "draw_noise", lambda *args, row=row: noise[row:row + 1])
        alone = expand(tiny_sd, style, prompt=prompt, negative_prompt=negative, **options)
        assert torch.allclose(together.latents[row], alone.latents[0], atol=1e-4)
        assert not torch.allclose(together.latents[row], together.latents[row - 1], atol=1e-2)


def test_what_the_model_sees_at_once_does_not_grow_with_the_picture(tiny_sd, style):
    for size, count in (((64, 128), 3), ((96, 96), 4)):
        seen = []

        def look(module, args, seen=seen):
            seen.append(args[0].shape)
        hook = tiny_sd.unet.register_forward_pre_hook(look)
        try:
            expand(tiny_sd, style, size=size, stride=4, views_per_batch=3, inner_steps=2, **QUICK)
        finally:
            hook.remove()
        assert {shape[2:] for shape in seen} == {(8, 8)} and max(shape[0] for shape in seen) == 3
        # For each of two timesteps: three passes over the windows, and the style once.
        assert len(seen) == 2 * (3 * math.ceil(count / 3) + 1)


def test_a_large_content_is_encoded_in_tiles(tiny_sd, style):
    """640 cells, in tiles of at most twice the model's side, 16: the encoder's memory does not grow either."""
    seen = []
    hook = tiny_sd.vae.encoder.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape))
    try:
        expand(tiny_sd, style, content=picture(2, (128, 320)), stride=8, inner_steps=1, num_inference_steps=1, progress=False)
    finally:
        hook.remove()
    assert [tuple(shape[2:]) for shape in seen] == [(64, 64)] + 3 * [(128, 128)]


def test_the_styles_noise_is_drawn_once_for_each_timestep(tiny_sd, style, monkeypatch):
    drawn, true = [], expansion.noise_to
    monkeypatch.setattr(expansion, "noise_to", lambda *args: drawn.append(float(args[1])) or true(*args))
    expand(tiny_sd, style, views_per_batch=1, **WIDE)
    assert drawn == [float(tiny_sd.scheduler.alphas_cumprod[t]) for t in (1, 0)]


def test_the_gradient_of_all_windows_moves_the_latent_by_the_learning_rate(tiny_sd, style, monkeypatch):
    """Averaged before Adam, not after: then no cell moves less because windows disagree."""
    moves, true = [], expansion.Sweep.gradient

    def gradient(self, z, *args):
        moves.append(z.clone())
        return true(self, z, *args)
    monkeypatch.setattr(expansion.Sweep, "gradient", gradient)
    result = expand(tiny_sd, style, size=(64, 128), stride=4, inner_steps=1, num_inference_steps=1,
                    learning_rate=0.03, generator=seed(), progress=False)
    assert torch.allclose((result.latents - moves[0]).abs().median(), torch.tensor(0.03), rtol=1e-2)


def test_more_inner_steps_get_closer_to_the_style(tiny_sd, style):
    options = dict(generator=seed(), **WIDE)
    more, less = (expand(tiny_sd, style, inner_steps=n, **options).losses[-1]["total"] for n in (5, 1))
    assert more < less


# Content


def sweep_of(pipe, windows, content_weight=0.5, regions=None):
    class NoRun:
        generator = seed()

    distiller = Distiller(pipe, list(select_layers(pipe, "last2")), content_weight, regions)
    sweep = expansion.Sweep(NoRun, Denoiser(pipe, 2), distiller, windows, batch=4)
    sweep.bar = type("Bar", (), {"update": staticmethod(lambda count: None)})
    return sweep


@pytest.mark.parametrize("seamless", [False, "both"])
def test_each_window_is_held_to_its_own_part_of_the_content(tiny_sd, seamless):
    content, t = torch.randn(1, 8, 8, 13, generator=seed()), torch.tensor(1)
    sweep = sweep_of(tiny_sd, Windows((8, 13), 8, 4, seamless))
    with frozen(tiny_sd):
        target = sweep.distiller.target(t, [torch.randn(1, 8, 8, 8, generator=seed(1))])
        _, (_, _, held) = sweep.gradient(content.clone(), t, target, content)
        _, (_, _, moved) = sweep.gradient(content.roll(1, 3), t, target, content)
    assert {float(loss) for loss in held.values()} == {0.0} and min(moved.values()) > 0.01


def test_content_sets_the_size_or_is_brought_to_it(tiny_sd, style):
    options = dict(content=picture(2, (48, 99)), inner_steps=1, stride=4, **QUICK)
    result = expand(tiny_sd, style, generator=seed(), **options)
    assert result.latents.shape == (1, 8, 6, 12) and result.losses[0]["content"]
    larger = expand(tiny_sd, style, size=(64, 136), **options)
    assert larger.latents.shape == (1, 8, 8, 17) and larger.inputs["content"].size == (136, 64)
    with pytest.raises(ValueError, match="content.*stretched"):
        expand(tiny_sd, style, size=(64, 64), **options)


# Masks and weights


MAP = np.zeros((64, 96), int)
MAP[:, 40:] = 1
SOURCE = np.arange(64)[:, None].repeat(64, 1) // 32


def test_one_label_everywhere_is_no_mask_to_the_bit(tiny_sd, style):
    options = dict(content=picture(2, (64, 96)), inner_steps=1, stride=4, **QUICK)
    ones = dict(source_mask=np.ones((8, 8), int), target_mask=np.ones((8, 12), int))
    plain = expand(tiny_sd, style, generator=seed(), **options)
    assert torch.equal(expand(tiny_sd, style, generator=seed(), **ones, **options).latents, plain.latents)
    parted = expand(tiny_sd, style, generator=seed(), source_mask=SOURCE, target_mask=MAP, **options)
    assert not torch.allclose(parted.latents, plain.latents, atol=1e-2)


@pytest.mark.parametrize("options", [
    dict(target_mask=MAP[:, 20:84]),
    dict(target_mask=MAP[:, 20:84], prompt=["a", "b"], num_images=2, inner_steps=1),
    dict(target_mask=MAP[:, 20:84], content=picture(2)),
    dict(target_mask=MAP[:, 20:84], weights=Weights(content=Schedule(0.4, 0.1), layers={15: 2.0}, references=(1, 3))),
    dict(target_mask=MAP[:, 20:84], weights=Weights(ad=Schedule(1, end=0.7), content=Schedule(0.2, end=0.7))),
])
def test_masks_and_weights_in_one_window_are_those_of_guided_sampling(tiny_sd, options):
    # Styles of other sizes than the content: of one size, guided_sample reads them in one batch, which is rounded
    # otherwise.
    styles, sources = [picture(1, (48, 88)), picture(5, (56, 64))], [SOURCE[:48, :88], 1 - SOURCE[4:60]]
    sources[0] = np.pad(sources[0], ((0, 0), (0, 24)))
    ours, theirs = (verb(tiny_sd, styles, source_mask=sources, generator=seed(3), **options, **QUICK)
                    for verb in (expand, guided_sample))
    assert torch.equal(ours.latents, theirs.latents)
    assert [e["total"] for e in ours.losses] == pytest.approx([e["total"] for e in theirs.losses], rel=1e-5)
    assert ours.settings["arguments"].get("weights") == theirs.settings["arguments"].get("weights")


@pytest.mark.parametrize("seamless, by", [(False, 0), ("x", 3)])
def test_each_window_sees_the_labels_of_its_own_cells(tiny_sd, seamless, by, monkeypatch):
    """Two windows, side by side, of a map in two halves: each is as if its label were everywhere."""
    halves = np.roll(np.arange(128)[None].repeat(64, 0) // 64, 8 * by, 1)
    windows, t = Windows((8, 16), 8, 8, seamless), torch.tensor(1)
    monkeypatch.setattr(Windows, "random_shift", lambda *args: (0, by))
    z, z_s = torch.randn(2, 8, 8, 16, generator=seed()), [torch.randn(1, 8, 8, 8, generator=seed(1))]

    def gradient(target_mask):
        sweep = sweep_of(tiny_sd, windows, regions=Regions(target_mask, [SOURCE]))
        target = sweep.distiller.target(t, z_s, masked=False)
        assert target.mask is None
        return sweep.gradient(z.clone(), t, target)[0].roll(-by, 3)

    with frozen(tiny_sd):
        both, left, right = (gradient(one) for one in (halves, 0 * halves, 0 * halves + 1))
    assert torch.equal(both[..., :8], left[..., :8]) and torch.equal(both[..., 8:], right[..., 8:])
    assert not torch.allclose(left, right)


def test_a_label_without_a_reference_is_named_with_its_place(tiny_sd, style):
    with pytest.raises(ValueError, match=r"label 1 \(.* columns 40–95 of 64 x 96\); no source_mask has it"):
        expand(tiny_sd, style, source_mask=0 * SOURCE, target_mask=MAP, **QUICK)


def test_the_map_sets_the_size_or_is_brought_to_it(tiny_sd, style, tmp_path):
    options = dict(source_mask=SOURCE, target_mask=MAP, inner_steps=1, num_images=2, stride=4, **QUICK)
    with unchanged(tiny_sd):
        result = expand(tiny_sd, style, generator=seed(), **options)
    assert result.images[0].size == (96, 64) == result.inputs["masked_start"].size
    assert result.settings["arguments"]["content_weight"] == 0.15 and result.losses[0]["content"]
    assert not torch.allclose(result.latents[0], result.latents[1])
    assert torch.equal(replay(result.save(tmp_path), tiny_sd, progress=False).latents, result.latents)
    assert expand(tiny_sd, style, size=(80, 120), **options).images[0].size == (120, 80)
    with pytest.raises(ValueError, match="target_mask of 64 x 96 .* stretched to 64 x 64"):
        expand(tiny_sd, style, size=(64, 64), **options)


def test_references_and_layers_have_their_weights(tiny_sd, style):
    # One timestep, for a second reference draws noise of its own.
    pair, options = [style, picture(7, (32, 64))], {**WIDE, "inner_steps": 1, "num_inference_steps": 1}
    first, equal, none = (expand(tiny_sd, pair, generator=seed(), weights=weights, **options).latents
                          for weights in (Weights(references=(1, 0)), Weights(references=(2, 2)), None))
    alone = expand(tiny_sd, style, generator=seed(), **options).latents
    assert nearly_equal(first, alone) and torch.equal(equal, none) and not nearly_equal(first, none)
    few, zero = (expand(tiny_sd, style, generator=seed(), **more, **options).latents for more in (
        dict(layers=[10, 11, 12, 13, 14]), dict(weights=Weights(layers={15: 0}))))
    assert nearly_equal(few, zero)


def test_where_nothing_counts_nothing_moves(tiny_sd, style):
    """Of four timesteps, which end at 501, 251, 1 and 0, all but the first are beyond the schedule's end."""
    seen, options = [], {**WIDE, "num_inference_steps": 4}
    result = expand(tiny_sd, style, weights=Weights(ad=Schedule(1, end=0.6)), callback=seen.append, **options)
    assert [(entry["step"], entry["timestep"]) for entry in result.losses] == [(0, 501)] * 2
    assert [math.isnan(step.loss) for step in seen] == [False, True, True, True]


# What wraps has no edge


@pytest.mark.parametrize("seamless, size, window, by", [
    ("x", (8, 12), 8, (0, 4)), ("y", (12, 8), 8, (4, 0)), ("both", (16, 16), 16, (8, 8)), ("both", (16, 24), 16, (8, 4))])
def test_turning_the_circle_turns_the_result(tiny_sd, seamless, size, window, by):
    """Windows run across the edge, or there is one that has none, so the edge is nowhere in particular."""
    z, t = torch.randn(1, 8, *size, generator=seed()), torch.tensor(501)
    sweep = sweep_of(tiny_sd, Windows(size, window, 4, seamless))
    sweep.windows.random_shift = lambda generator: (0, 0)
    with frozen(tiny_sd):
        target = sweep.distiller.target(t, [torch.randn(1, 8, 8, 8, generator=seed(1))])
        for one_pass in (lambda z: sweep.denoised(z, t), lambda z: sweep.gradient(z, t, target)[0]):
            turned = one_pass(z.roll(by, (2, 3)))
            straight = one_pass(z)
            assert torch.allclose(turned, straight.roll(by, (2, 3)), atol=1e-4 * straight.abs().max())
    ends = sweep_of(tiny_sd, Windows(size, window, 4))
    with frozen(tiny_sd):
        turned, straight = ends.denoised(z.roll(by, (2, 3)), t), ends.denoised(z, t)
        assert not torch.allclose(turned, straight.roll(by, (2, 3)), atol=1e-2)


def test_windows_of_a_circle_begin_elsewhere_in_each_pass(tiny_sd, style, monkeypatch):
    shifts, true = [], Windows.random_shift
    monkeypatch.setattr(Windows, "random_shift", lambda self, g: shifts.append(true(self, g)) or shifts[-1])
    expand(tiny_sd, style, seamless="x", inner_steps=1, generator=seed(), **WIDE)
    assert len(shifts) == 4 and len({across for _, across in shifts}) > 1
    assert {down for down, _ in shifts} == {0}


@pytest.fixture
def short_sighted(monkeypatch):
    """A decoder that sees two cells around, pads with zeros, and has no group norms: tiles can be exact."""
    def decode(pipe, latents):
        blurred = F.avg_pool2d(latents[:, :3], 5, stride=1, padding=2)
        return F.interpolate(blurred, scale_factor=8).sigmoid()

    monkeypatch.setattr(tiling, "decode", decode)
    return decode


@pytest.mark.parametrize("size, seamless, count", [
    ((64, 64), False, 1), ((64, 96), False, 3), ((64, 64), "both", 1), ((64, 96), "x", 6),
    ((96, 64), "x", 3)])
def test_one_window_is_enough_for_a_circle_that_it_holds(tiny_sd, size, seamless, count):
    assert len(expansion._windows(tiny_sd, size, None, seamless)) == count


@pytest.mark.parametrize("seamless, by", [("x", (0, 5)), ("y", (3, 0)), ("both", (3, 5))])
def test_decoding_wraps(tiny_sd, short_sighted, seamless, by):
    """A decoder pads with zeros at the edge; here the edge is nowhere in particular."""
    z = torch.randn(2, 8, 12, 9, generator=seed())
    pixels = [8 * cells for cells in by]
    for tile, close in ((30, 1e-6), (22, 0.03)):
        straight, turned = (decode_tiled(tiny_sd, one, seamless, tile) for one in (z, z.roll(by, (2, 3))))
        assert straight.shape == (2, 3, 96, 72)
        assert torch.allclose(straight.roll(pixels, (2, 3)), turned, atol=close)
    plain, plain_turned = (short_sighted(None, one) for one in (z, z.roll(by, (2, 3))))
    assert not torch.allclose(plain.roll(pixels, (2, 3)), plain_turned, atol=0.06)


def test_decoding_in_tiles_is_decoding(tiny_sd, short_sighted):
    z = torch.randn(2, 8, 16, 40, generator=seed())
    whole = short_sighted(None, z)
    assert torch.equal(decode_tiled(tiny_sd, z, tile=26), whole)  # 26² cells are more than 16 · 40
    tiled = decode_tiled(tiny_sd, z, tile=24)
    # Tiles overlap in columns 16 to 23. Each is wrong two cells from its end, where it counts little.
    error = (tiled - whole).abs().amax((0, 1, 2)).view(40, 8).amax(1)
    assert tiled.shape == whole.shape
    assert error[[16, 17, 22, 23]].min() > 1e-4 and error.max() < 0.03
    assert error[[*range(16), *range(18, 22), *range(24, 40)]].max() < 1e-6


def test_encoding_in_tiles_is_encoding(tiny_sd, monkeypatch):
    wide = picture(3, (128, 320))
    assert torch.equal(encode_tiled(tiny_sd, [wide], tile=26), encode(tiny_sd, wide))
    odd = picture(4, (131, 315))  # comes to whole cells as for `encode`
    assert encode_tiled(tiny_sd, [odd], tile=24).shape == encode(tiny_sd, odd).shape
    tiled, whole = encode_tiled(tiny_sd, [wide, picture(4, (128, 320))], tile=24), encode(tiny_sd, wide)
    assert tiled.shape == (2, 8, 16, 40) and (tiled[:1] - whole).abs().mean() < 0.3 * whole.std()

    def means(pipe, image):  # an encoder that sees its own cell only: tiles are exact
        return F.avg_pool2d(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255, 8)[:, [0, 1, 2, 0, 1, 2, 0, 1]]
    monkeypatch.setattr(tiling, "encode", means)
    assert torch.allclose(encode_tiled(tiny_sd, [wide], tile=10), means(None, wide), atol=1e-6)


@pytest.mark.parametrize("seamless, by", [("x", (0, 8)), ("y", (8, 0)), ("both", (8, 8))])
def test_a_network_that_pads_in_circles_has_no_edge(tiny_sd, seamless, by):
    z = torch.randn(1, 8, 16, 16, generator=seed())  # turned by a whole number of the coarsest level's cells

    def noise(latents):
        return sampling.predict_noise(tiny_sd, latents, torch.tensor(501), sampling.encode_prompt(tiny_sd, ""))

    with unchanged(tiny_sd), frozen(tiny_sd):
        plain = noise(z)
        with circular_padding(tiny_sd.unet, seamless):
            wrapped, turned = noise(z), noise(z.roll(by, (2, 3)))
        assert torch.equal(noise(z), plain)
    assert torch.allclose(wrapped.roll(by, (2, 3)), turned, atol=1e-4)
    assert not torch.allclose(wrapped, plain, atol=1e-2)


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_padding_is_put_back(tiny_sd, error):
    def paddings():
        return [conv.padding for conv in tiny_sd.unet.modules() if isinstance(conv, torch.nn.Conv2d)]

    reflecting, x = torch.nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), torch.randn(1, 1, 6, 6)
    with circular_padding(torch.nn.Sequential(reflecting, torch.nn.Conv2d(1, 1, 3, padding=1))):
        assert reflecting(x).shape == x.shape  # it pads by what it was built with, and would pad twice

    before = paddings()
    with unchanged(tiny_sd), contextlib.suppress(ValueError, KeyboardInterrupt):
        with circular_padding(tiny_sd.unet, "x"):
            assert paddings() != before and {padding[1] for padding in paddings()} == {0}
            with circular_padding(tiny_sd.unet, "y"):
                assert set(paddings()) == {(0, 0)}
            if error:
                raise error
    assert paddings() == before


def test_other_verbs_can_be_run_in_circles(tiny_sd, style):
    with unchanged(tiny_sd), circular_padding(tiny_sd.unet), circular_padding(tiny_sd.vae.decoder):
        wrapped = optimize(tiny_sd, style, num_steps=2, generator=seed(), progress=False)
    assert not torch.equal(wrapped.latents, optimize(tiny_sd, style, num_steps=2, generator=seed(), progress=False).latents)


def test_what_cannot_wrap_is_refused(tiny_sd):
    with pytest.raises(ValueError, match="Linear has no convolution"), circular_padding(torch.nn.Linear(2, 2)):
        pass
    with pytest.raises(ValueError, match="seamless"), circular_padding(tiny_sd.unet, "z"):
        pass


def test_decoding_is_the_pipelines_own(tiny_sd):
    z = torch.randn(1, 8, 8, 12, generator=seed())
    whole = decode(tiny_sd, z)
    assert torch.equal(decode_tiled(tiny_sd, z), whole)
    # of one grey for all pixels .7; what wraps differs in more than that, for random weights see all of so small a picture
    for changed, share in ((decode_tiled(tiny_sd, z, tile=8), 0.5), (decode_tiled(tiny_sd, z, "both"), 1)):
        assert changed.shape == whole.shape and (changed - whole).abs().mean() < share * whole.std()


# Manners


def test_a_seed_fixes_the_result_and_it_can_be_replayed(tiny_sd, style, tmp_path):
    options = dict(content=picture(2, (64, 96)), seamless="x", inner_steps=1, **WIDE)
    first = expand(tiny_sd, style, generator=seed(1), **options)
    assert torch.equal(replay(first.save(tmp_path), tiny_sd, progress=False).latents, first.latents)
    assert first.settings["arguments"]["seamless"] == "x" and first.settings["output_size"] == [64, 96]
    other = expand(tiny_sd, style, generator=seed(2), **options)
    assert not torch.allclose(first.latents, other.latents)


def test_progress_is_counted_in_windows(tiny_sd, style, monkeypatch):
    bars = []

    class Bar:
        def __init__(self, total, **options):
            self.total, self.count = total, 0
            bars.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def update(self, count):
            self.count += count
    monkeypatch.setattr(expansion, "progress_bar", lambda progress, **options: Bar(**options))
    expand(tiny_sd, style, num_images=2, inner_steps=1, **{**WIDE, "progress": True})
    assert [(bar.total, bar.count) for bar in bars] == [(2 * 2 * 2 * 2, 16)]


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_nothing_is_left_behind(tiny_sd, style, monkeypatch, error):
    """Also when it ends in the middle of a pass."""
    calls, true = [], distillation.ad_loss

    def interrupted(*args, **options):
        calls.append(1)
        if error and len(calls) == 3:  # batches of windows: two in each pass
            raise error("stop here")
        return true(*args, **options)
    monkeypatch.setattr(distillation, "ad_loss", interrupted)
    options = dict(content=picture(2, (64, 96)), seamless="x", views_per_batch=2, inner_steps=1, **WIDE)
    with unchanged(tiny_sd):
        if error:
            with pytest.raises(error, match="stop here"):
                expand(tiny_sd, style, **options)
        else:
            expand(tiny_sd, style, **options)


def test_the_callback_sees_every_step(tiny_sd, style):
    seen = []
    result = expand(tiny_sd, style, callback=seen.append, inner_steps=1, **WIDE)
    assert [(s.step, s.timestep, s.loss) for s in seen] == [
        (e["step"], e["timestep"], e["total"]) for e in result.losses]
    assert torch.equal(seen[-1].latents, result.latents)


@pytest.mark.parametrize("options, words", [
    (dict(stride=4), "no effect"),
    (dict(stride=4, size=(40, 64)), "no effect"),
    (dict(stride=9, size=(64, 96)), "stride=9"),
    (dict(stride=0, size=(64, 96)), "stride"),
    (dict(seamless=True), "seamless"),
    (dict(seamless="z"), "seamless"),
    (dict(views_per_batch=0), "views_per_batch"),
    (dict(inner_steps=-1), "inner_steps"),
    (dict(content=picture(), inner_steps=0), "content"),
    (dict(learning_rate=0), "learning_rate"),
    (dict(num_images=0), "num_images"),
    (dict(num_inference_steps=0), "num_inference_steps"),
    (dict(content_weight=0.2), "content_weight"),
    (dict(negative_prompt="a"), "negative_prompt"),
    (dict(guidance_scale=7.5), "guidance_scale"),
    (dict(size=(64,)), "size"),
    (dict(layers="last99"), "last99"),
    (dict(target_mask=MAP), "no effect without source_mask"),
    (dict(target_mask=MAP, source_mask=SOURCE, inner_steps=0), "target_mask needs inner_steps above 0"),
    (dict(weights=Weights(), inner_steps=0), "weights needs inner_steps above 0"),
    (dict(learning_rate=0.05, inner_steps=0), "learning_rate needs inner_steps above 0"),
    (dict(weights=Weights(references=(1, 2))), "2 references, and style 1"),
    (dict(weights=Weights(content=1.0)), "no effect without content"),
    (dict(weights=0.5), "weights must be a Weights"),
    (dict(learning_rate=True), "learning_rate must be .* not True"),
    (dict(prompt="a", guidance_scale=0.5), "guidance_scale must be .* not 0.5"),
    (dict(prompt="a", guidance_scale="strong"), "guidance_scale must be .* not 'strong'"),
    (dict(prompt="a", guidance_scale=math.nan), "guidance_scale must be .* not nan"),
    (dict(prompt="a", negative_prompt=7), "negative_prompt must be a text"),
    (dict(prompt="a", negative_prompt=["b", "c"]), "negative_prompt has 2 texts and prompt 1"),
])
def test_arguments_out_of_range_or_without_effect_are_errors(tiny_sd, options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        expand(tiny_sd, picture(), **options)
