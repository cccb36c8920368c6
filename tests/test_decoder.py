"""The decoder learns equation (10), and nothing else about the pipeline changes, for longer than asked."""

import copy
import gc
import math

import numpy as np
import pytest
import torch
from conftest import picture, seed, unchanged
from torch.nn import functional as F

from attnd_nb import decode, decoder, encode, load_pipeline, optimize, tune_decoder, tuned_decoder
from attnd_nb.decoder import decoder_weights
from attnd_nb.metrics import psnr

QUIET = dict(progress=False)


def pixels(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1


def weights(pipe):
    """Every weight of the VAE: where it lies, and its bits."""
    return {name: (w.data_ptr(), w.detach().clone()) for name, w in pipe.vae.named_parameters()}


def changed(before, after):
    return {name for name in before if not torch.equal(before[name][1], after[name][1])}


def test_the_decoder_is_what_decode_uses(tiny_sd):
    """Gradients of D reach all of its weights and no other; gradients of E reach none of them."""
    vae, latents = copy.deepcopy(tiny_sd.vae), torch.randn(1, 8, 4, 4)
    for output, ours in ((vae.decode(latents).sample, True), (vae.encode(torch.randn(1, 3, 32, 32))[0].mode(), False)):
        vae.zero_grad()
        output.sum().backward()
        reached = {name for name, weight in vae.named_parameters() if weight.grad is not None}
        assert (reached == set(decoder_weights(vae))) if ours else not reached & set(decoder_weights(vae))


def test_tuning_is_equation_ten(tiny_sd, style):
    """Against a transcription on a copy of the VAE."""
    vae = copy.deepcopy(tiny_sd.vae).eval()
    theta = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    adam, losses = torch.optim.Adam(theta, lr=1e-3), []
    with torch.no_grad():
        latents = vae.encode(pixels(style)).latent_dist.mode()
    for _ in range(4):
        loss = (vae.decode(latents).sample - pixels(style)).abs().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    tuning = tuned_decoder(tiny_sd, style, steps=4, learning_rate=1e-3, **QUIET)
    with tuning as pipe:
        assert np.allclose(tuning.losses, losses, rtol=1e-4)
        # Adam moves by ±1e-3 at first, so a sign that hangs on rounding may differ (a bias before a group norm).
        apart = torch.cat([(weight - vae.get_parameter(name)).detach().abs().flatten()
                           for name, weight in decoder_weights(pipe.vae).items()])
        assert (apart < 1e-4).float().mean() > 0.95


def test_inside_only_the_decoder_differs_and_afterwards_nothing(any_pipe, style):
    before, latents = weights(any_pipe), encode(any_pipe, style)
    with unchanged(any_pipe):
        with tuned_decoder(any_pipe, style, steps=10, learning_rate=3e-3, **QUIET) as pipe:
            assert pipe is any_pipe
            moved = changed(before, weights(pipe))
            assert moved and moved <= set(decoder_weights(pipe.vae))
            assert len(moved) > 0.9 * len(decoder_weights(pipe.vae))
            assert torch.equal(encode(pipe, style), latents)
            inside = decode(pipe, latents)
    after = weights(any_pipe)
    assert changed(before, after) == set()
    assert {name: where for name, (where, _) in before.items()} == {name: where for name, (where, _) in after.items()}
    assert psnr(inside[0], style) > psnr(decode(any_pipe, latents)[0], style) + 0.5


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_in_the_block_undoes_it(tiny_sd, style, error):
    before = weights(tiny_sd)
    with unchanged(tiny_sd), pytest.raises(error, match="stop here"):
        with tuned_decoder(tiny_sd, style, steps=2, **QUIET):
            raise error("stop here")
    assert changed(before, weights(tiny_sd)) == set()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("tune", [tune_decoder, lambda *args, **options: tuned_decoder(*args, **options).__enter__()])
def test_an_interrupted_tuning_changes_nothing(tiny_sd, style, monkeypatch, error, tune):
    calls = []

    def l1_loss(*args):
        calls.append(args)
        if len(calls) == 3:
            raise error("stop here")
        return F.mse_loss(*args)

    monkeypatch.setattr(decoder.F, "l1_loss", l1_loss)
    before = weights(tiny_sd)
    with unchanged(tiny_sd), pytest.raises(error, match="stop here"):
        tune(tiny_sd, style, learning_rate=0.1, **QUIET)
    assert changed(before, weights(tiny_sd)) == set()


def test_weights_set_aside_are_what_verbs_use(tiny_sd, style):
    """A verb in the block makes the same latents and another picture of them."""
    options = dict(num_steps=2, generator=seed(), **QUIET)
    plain = optimize(tiny_sd, style, **options)
    with unchanged(tiny_sd), tuned_decoder(tiny_sd, style, steps=5, learning_rate=3e-3, **QUIET) as pipe:
        tuned = optimize(pipe, style, **{**options, "generator": seed()})
    assert torch.equal(plain.latents, tuned.latents)
    assert plain.images[0].tobytes() != tuned.images[0].tobytes()


def test_a_pipeline_that_moves_inside_keeps_one_precision(tiny_sd, style):
    vae = copy.deepcopy(tiny_sd.vae)
    pipe = type(tiny_sd)(**{**tiny_sd.components, "vae": vae}, requires_safety_checker=False)
    with tuned_decoder(pipe, style, steps=1, **QUIET):
        vae.half()
    assert {weight.dtype for weight in vae.parameters()} == {torch.float16}
    assert all(torch.equal(a.half(), b) for a, b in zip(tiny_sd.vae.parameters(), vae.parameters()))


def test_blocks_nest_and_can_be_entered_again(tiny_sd, style, content):
    before = weights(tiny_sd)
    tuning = tuned_decoder(tiny_sd, style, steps=2, **QUIET)
    with tuning:
        outer, first = weights(tiny_sd), tuning.losses
        with tuned_decoder(tiny_sd, content, steps=2, **QUIET):
            assert changed(outer, weights(tiny_sd))
        assert changed(outer, weights(tiny_sd)) == set()
        with tuning:
            assert tuning.losses[0] < first[0]
        assert changed(outer, weights(tiny_sd)) == set()
    assert changed(before, weights(tiny_sd)) == set()


def test_a_decoder_can_be_kept_and_saved(tiny_sd, style, tmp_path):
    pipe = type(tiny_sd)(**{name: copy.deepcopy(part) for name, part in tiny_sd.components.items()},
                         requires_safety_checker=False)
    losses = tune_decoder(pipe, style, steps=6, learning_rate=3e-3, **QUIET)
    assert len(losses) == 6 and losses[-1] < losses[0] and all(isinstance(loss, float) for loss in losses)
    pipe.save_pretrained(tmp_path)
    latents = encode(pipe, style)
    ours, loaded = decode(pipe, latents), decode(load_pipeline(tmp_path, device="cpu"), latents)
    assert torch.allclose(ours, loaded, atol=1e-6)
    assert not torch.allclose(ours, decode(tiny_sd, latents), atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_tuning_is_in_float32_whatever_the_precision(tiny_sd, style, dtype):
    """The steps of a half-precision pipeline are those of a float32 one with the same (rounded) weights."""
    parts = {name: copy.deepcopy(part) for name, part in tiny_sd.components.items()}
    half = type(tiny_sd)(**parts, requires_safety_checker=False).to(dtype)
    full = type(tiny_sd)(**copy.deepcopy(parts), requires_safety_checker=False).to(dtype).to(torch.float32)
    # bfloat16 could not add 1e-5 to a weight of 1e-2 or more; float32 can, and the loss falls as it should
    options = dict(steps=12, learning_rate=1e-5, **QUIET)
    expected = tune_decoder(full, style, **options)
    tuning = tuned_decoder(half, style, **options)
    before = weights(half)
    with unchanged(half), tuning as pipe:
        assert {weight.dtype for weight in pipe.vae.parameters()} == {dtype}
        assert decode(pipe, encode(pipe, style)).dtype == torch.float32
    assert changed(before, weights(half)) == set()
    assert math.isclose(tuning.losses[0], expected[0], rel_tol=0.02)  # E alone is in half precision
    assert math.isclose(tuning.losses[0] - tuning.losses[-1], expected[0] - expected[-1], rel_tol=0.1)


def test_several_pictures_of_several_sizes_count_alike(tiny_sd, style):
    others = [style, picture(5, (32, 96)), picture(6, (80, 48))]
    alone = [tune_decoder_loss(tiny_sd, one) for one in others]
    assert math.isclose(tune_decoder_loss(tiny_sd, others), np.mean(alone), rel_tol=1e-5)


def tune_decoder_loss(pipe, images):
    """The loss before the first step."""
    tuning = tuned_decoder(pipe, images, steps=1, **QUIET)
    with tuning:
        return tuning.losses[0]


def test_crops_are_drawn_from_the_generator(tiny_sd, monkeypatch):
    seen, true = [], decoder._pair
    monkeypatch.setattr(decoder, "_pair", lambda pipe, image: seen.append(image) or true(pipe, image))
    wide = picture(3, (64, 72))

    def losses(number):
        tuning = tuned_decoder(tiny_sd, [wide, picture(4)], steps=3, crop=32, generator=seed(number), **QUIET)
        with unchanged(tiny_sd), tuning:
            return tuning.losses

    assert losses(0) == losses(0) != losses(1)
    assert {image.size for image in seen} == {(32, 32)} and len(seen) == 3 * 3 * 2
    inside = [any(np.array_equal(np.array(seen[0]), np.array(wide)[top : top + 32, left : left + 32])
                  for top in range(33) for left in range(41))]
    assert inside == [True]


def test_pictures_are_tuned_at_the_size_at_which_verbs_work(tiny_sd, monkeypatch):
    seen, true = [], decoder._pair
    monkeypatch.setattr(decoder, "_pair", lambda pipe, image: seen.append(image.size) or true(pipe, image))
    large = picture(3, (200, 200))
    for options in ({}, dict(resolution=128)):
        with tuned_decoder(tiny_sd, large, steps=1, **options, **QUIET) as pipe:
            verb = optimize(pipe, large, num_steps=1, **options, **QUIET)
            assert verb.inputs["style_0"].size == seen[-1]


def test_no_memory_stays_behind(tiny_sd, style):
    def held():
        gc.collect()
        return sum(x.numel() for x in gc.get_objects() if type(x) in (torch.Tensor, torch.nn.Parameter))

    before = held()
    with tuned_decoder(tiny_sd, style, steps=2, **QUIET):
        # the originals, and nothing of the optimizer, its gradients or the graph
        assert held() - before <= sum(weight.numel() for weight in decoder_weights(tiny_sd.vae).values())
    assert held() == before


def test_tuning_works_where_gradients_are_off(tiny_sd, style):
    with torch.no_grad(), tuned_decoder(tiny_sd, style, steps=2, **QUIET):
        assert not torch.is_grad_enabled()


def test_an_autoencoder_without_post_quant_conv_has_a_decoder_too(tiny_sd, style):
    from diffusers import AutoencoderTiny

    vae = AutoencoderTiny(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4, latent_channels=8)
    pipe = type(tiny_sd)(**{**tiny_sd.components, "vae": vae}, requires_safety_checker=False)
    tuning = tuned_decoder(pipe, style, steps=6, learning_rate=1e-3, **QUIET)
    with unchanged(pipe), tuning:
        assert tuning.losses[-1] < tuning.losses[0]


@pytest.mark.parametrize("options, words", [
    (dict(images=[]), "images is an empty list"),
    (dict(images="nowhere.png"), "nowhere.png"),
    (dict(images=3), "not int"),
    (dict(steps=0), "steps must be .* not 0"),
    (dict(steps=2.5), "steps must be .* not 2.5"),
    (dict(learning_rate=0), "learning_rate must be .* not 0"),
    (dict(learning_rate=math.inf), "learning_rate must be .* not inf"),
    (dict(crop=0), "crop must be .* not 0"),
    (dict(crop=30), "crop=30 must be a multiple of 8 of at most 64"),
    (dict(crop=72), "crop=72 must be a multiple of 8 of at most 64"),
    (dict(generator=seed()), "generator has no effect without crop"),
    (dict(crop=32, generator=7), "manual_seed"),
    (dict(resolution=1), "resolution"),
])
def test_arguments_out_of_range_or_without_effect_are_errors(tiny_sd, options, words):
    with unchanged(tiny_sd), pytest.raises((ValueError, TypeError, FileNotFoundError), match=words):
        with tuned_decoder(tiny_sd, **{"images": picture(), "progress": False, **options}):
            pass


def test_what_is_no_pipeline_is_refused(tiny_sd, style):
    with pytest.raises(TypeError, match="load_pipeline"):
        tune_decoder(tiny_sd.vae, style)


def test_running_out_of_memory_names_the_crop(tiny_sd, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(decoder, "functional_call", fail)
    with unchanged(tiny_sd), pytest.raises(MemoryError) as caught:
        tune_decoder(tiny_sd, picture(1), steps=1, progress=False)
    assert "crop=" in caught.value.__notes__[0]
