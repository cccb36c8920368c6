"""The two algorithms do what the paper says, start where it says, and leave the pipeline as they found it."""

import math

import numpy as np
import pytest
import torch
from conftest import picture, seed, unchanged

from attnd_nb import (
    Schedule,
    Weights,
    distillation,
    encode,
    encode_prompt,
    expand,
    frozen,
    guided_sample,
    injected_sample,
    match_statistics,
    optimize,
    replay,
    sampling,
    stored_in_half,
    synthesis,
)
from attnd_nb.arguments import check_steps
from attnd_nb.layers import self_attention_layers
from attnd_nb.sampling import Denoiser

SAMPLE = dict(num_inference_steps=4, progress=False)


def totals(result):
    return [entry["total"] for entry in result.losses]


def test_what_waits_for_the_backward_pass_takes_half_the_memory(tiny_sd, style, content):
    hooks = stored_in_half()
    weight, activation = torch.rand(8), torch.rand(8, requires_grad=True)
    half = activation.detach().half().requires_grad_()
    assert hooks.pack_hook(weight) is weight and hooks.pack_hook(half) is half
    kept = hooks.pack_hook(activation)
    assert kept[0].nbytes == activation.nbytes / 2
    assert hooks.unpack_hook(kept).dtype == torch.float32 and torch.allclose(hooks.unpack_hook(kept), activation, rtol=0.01)

    z_s, z_c = encode(tiny_sd, style), encode(tiny_sd, content)

    def gradient():
        distiller = distillation.Distiller(tiny_sd, list(self_attention_layers(tiny_sd))[-6:], 0.25)
        target = distiller.target(torch.tensor(401), [z_s], z_c)
        return distiller.gradient((z_c + 0.1).requires_grad_(), torch.tensor(401), target)

    with frozen(tiny_sd):
        exact, losses = gradient()
        with stored_in_half():
            rounded, same = gradient()
    assert 0 < (rounded - exact).norm() < 0.02 * exact.norm() and torch.equal(losses[0], same[0])


def test_gradient_checkpointing_changes_no_result(tiny_sd, style, content):
    settings = dict(style=style, content=content, num_steps=2, progress=False)
    expected = optimize(tiny_sd, **settings).latents
    tiny_sd.unet.enable_gradient_checkpointing()
    try:
        found = optimize(tiny_sd, **settings).latents
    finally:
        tiny_sd.unet.disable_gradient_checkpointing()
    assert torch.allclose(found, expected, atol=1e-4)


def test_optimize_is_algorithm_one(tiny_sd, style, content):
    """Against a transcription without early stop, batches, freezing or any of the package's machinery."""
    from diffusers.models.attention_processor import AttnProcessor

    steps, rate, weight = 4, 0.05, 0.25
    names = list(self_attention_layers(tiny_sd))[-6:]
    text, unet = encode_prompt(tiny_sd, "").encoder_hidden_states, tiny_sd.unet
    seen = {}

    class Listen(AttnProcessor):
        def __init__(self, name):
            self.name = name

        def __call__(self, attn, hidden_states, *args, **kwargs):
            q, k, v = (attn.head_to_batch_dim(to(hidden_states)) for to in (attn.to_q, attn.to_k, attn.to_v))
            seen[self.name] = (q, k, v)
            out = attn.batch_to_head_dim((q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v)
            return attn.to_out[0](out)

    def features(z, t):
        unet(z, t, text)
        return [seen[name] for name in names]

    before = unet.attn_processors
    unet.set_attn_processor(
        {
            name: Listen(name.removesuffix(".processor"))
            if name.removesuffix(".processor") in names
            else processor
            for name, processor in before.items()
        }
    )
    try:
        z_s, z_c = encode(tiny_sd, style), encode(tiny_sd, content)
        z = z_c.clone().requires_grad_()
        adam = torch.optim.Adam([z], lr=rate)
        for t in (751, 501, 251, 1):
            loss = 0
            with torch.no_grad():
                of_style, of_content = features(z_s, t), features(z_c, t)
            for (q, k, v), (_, k_s, v_s), (q_c, _, _) in zip(features(z, t), of_style, of_content):
                own = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v
                ideal = (q @ k_s.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v_s
                loss = loss + (own - ideal.detach()).abs().mean() + weight * (q - q_c).abs().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    finally:
        unet.set_attn_processor(before)
        unet.zero_grad()
    result = optimize(tiny_sd, style, content, weight, num_steps=steps, learning_rate=rate, progress=False)
    assert [entry["timestep"] for entry in result.losses] == [751, 501, 251, 1]
    assert math.isclose(totals(result)[-1], loss.item(), rel_tol=0.02)
    # Adam moves by ±rate at first, so a sign that hangs on rounding may differ; nearly none may.
    assert ((result.latents - z.detach()).abs() < rate / 10).float().mean() > 0.97


def test_optimize_starts_at_the_content(tiny_sd, style, content):
    start = []
    optimize(
        tiny_sd,
        style,
        content,
        num_steps=1,
        learning_rate=1e-9,
        progress=False,
        callback=lambda step: start.append(step.latents),
    )
    assert torch.allclose(start[0], encode(tiny_sd, content), atol=1e-6)


def test_optimize_reduces_the_loss(any_pipe, style):
    result = optimize(any_pipe, style, num_steps=8, num_images=2, generator=seed(), progress=False)
    assert result.latents.shape == (2, 8, 8, 8) and result.latents.dtype == torch.float32
    assert not torch.allclose(result.latents[0], result.latents[1])
    assert np.mean(totals(result)[-3:]) < 0.8 * np.mean(totals(result)[:3])


def test_an_image_that_is_the_style_stays(tiny_sd, style):
    result = optimize(tiny_sd, style, style, content_weight=0, num_steps=1, progress=False)
    assert totals(result)[0] < 1e-4
    assert result.losses[0]["content"].keys() == result.losses[0]["ad"].keys()


def test_content_weight_holds_the_content(tiny_sd, style, content):
    start = encode(tiny_sd, content)
    moved = {
        weight: (optimize(tiny_sd, style, content, weight, num_steps=6, progress=False).latents - start)
        .abs()
        .mean()
        for weight in (0, 100)
    }
    assert moved[100] < moved[0]


def test_inner_steps_share_the_features_of_style_and_content(tiny_sd, style, content, monkeypatch):
    reads, target = [], synthesis.Distiller.target

    def counted(self, t, *latents, **options):
        reads.append(int(t))
        return target(self, t, *latents, **options)

    monkeypatch.setattr(synthesis.Distiller, "target", counted)
    result = optimize(tiny_sd, style, content, num_steps=4, inner_steps=3, progress=False)
    assert reads == [751, 501, 251, 1]
    assert [(entry["timestep"], entry["inner"]) for entry in result.losses[:4]] == [(751, 0), (751, 1), (751, 2), (501, 0)]
    assert len(result.losses) == 12


@pytest.mark.parametrize("given", [
    {"size": (64, 64), "num_images": 2},
    {"content": picture(2)},
    {"source_mask": np.zeros((64, 64), int), "target_mask": np.zeros((64, 64), int)},
], ids=["noise", "content", "masks"])  # fmt: skip
def test_adain_holds_the_statistics_of_the_style(tiny_sd, style, given):
    z_s = encode(tiny_sd, style)
    for adain in (True, False):
        z = optimize(tiny_sd, style, adain=adain, num_steps=2, generator=seed(), progress=False, **given).latents
        for statistic in (torch.mean, torch.std):
            own, wanted = (statistic(one, dim=(2, 3)) for one in (z, z_s))
            assert torch.allclose(own, wanted.expand_as(own), atol=1e-4) == adain


def test_noise_has_the_statistics_of_the_style_before_the_first_step(tiny_sd, style, monkeypatch):
    seen = []
    monkeypatch.setattr(synthesis.Distiller, "update", lambda self, run, adam, z, *_: seen.append(z.detach().clone()))
    optimize(tiny_sd, style, adain=True, num_steps=1, generator=seed(), progress=False)
    assert torch.allclose(seen[0].std((2, 3)), encode(tiny_sd, style).std((2, 3)), atol=1e-4)


def test_the_learning_rate_follows_its_schedule_and_is_replayed(tiny_sd, style, tmp_path):
    seen = [synthesis.draw_noise(tiny_sd, 1, (64, 64), seed())]
    result = optimize(tiny_sd, style, size=(64, 64), num_steps=4, learning_rate=Schedule(0.2, 0.0, start=0.24), generator=seed(),
                      progress=False, callback=lambda step: seen.append(step.latents))  # fmt: skip
    moves = [float((b - a).abs().max()) for a, b in zip(seen, seen[1:])]
    way = 1 - 751 / 1000
    assert math.isclose(moves[0], 0.2 - 0.2 * (way - 0.24) / 0.76, rel_tol=1e-2)  # Adam's first step is the rate
    assert moves[3] < 0.01 * moves[0]
    assert torch.equal(replay(result.save(tmp_path), tiny_sd, progress=False).latents, result.latents)


@pytest.mark.parametrize("steps, first, last, count", [(4, 751, 1, 4), (3, 667, 1, 3), (300, 898, 1, 300)])
def test_timesteps_run_from_coarse_to_fine(tiny_sd, style, monkeypatch, steps, first, last, count):
    monkeypatch.setattr(synthesis.Distiller, "target", lambda *args, **options: None)
    monkeypatch.setattr(synthesis.Distiller, "update", lambda *args: None)
    seen = []
    optimize(
        tiny_sd, style, num_steps=steps, progress=False, callback=lambda step: seen.append(step.timestep)
    )
    assert (seen[0], seen[-1], len(seen)) == (first, last, count) and seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    "options",
    [
        dict(prompt=["a b"], guidance_scale=3.0, num_images=2),
        dict(prompt=["a", "b c"], guidance_scale=3.0, negative_prompt="z"),
        dict(prompt=["a"], guidance_scale=1.0, size=(32, 48)),
        dict(prompt=[""]),
    ],
)
def test_without_inner_steps_guided_sampling_is_the_pipelines_own(any_pipe, style, options):
    ours = guided_sample(any_pipe, style, inner_steps=0, generator=seed(5), **options, **SAMPLE)
    height, width = options.get("size", (64, 64))
    negative = options.get("negative_prompt")
    # PyTorch takes another route through some matrix products while weights want gradients.
    with frozen(any_pipe):
        theirs = any_pipe(
            options["prompt"],
            height=height,
            width=width,
            num_inference_steps=4,
            output_type="latent",
            negative_prompt=negative and [negative] * len(options["prompt"]),
            guidance_scale=options.get("guidance_scale", 1.0),
            num_images_per_prompt=options.get("num_images", 1),
            latents=torch.randn(ours.latents.shape, generator=seed(5)),
        )
    assert torch.equal(ours.latents, theirs.images)
    assert ours.losses == []


def test_guided_sampling_gets_closer_to_the_style(any_pipe, style):
    options = dict(num_inference_steps=2, generator=seed(), progress=False)
    more, less = (totals(guided_sample(any_pipe, style, inner_steps=n, **options))[-1] for n in (6, 1))
    assert more < less


def test_guided_sampling_reads_at_the_previous_timestep(tiny_sd, style):
    result = guided_sample(tiny_sd, style, inner_steps=2, generator=seed(), **SAMPLE)
    assert [(entry["step"], entry["inner"], entry["timestep"]) for entry in result.losses] == [
        (0, 0, 501),
        (0, 1, 501),
        (1, 0, 251),
        (1, 1, 251),
        (2, 0, 1),
        (2, 1, 1),
        (3, 0, 0),
        (3, 1, 0),
    ]


def test_the_reference_noise_is_drawn_once_per_timestep(tiny_sd, style, monkeypatch):
    drawn, true = [], synthesis.noise_to
    monkeypatch.setattr(synthesis, "noise_to", lambda *args: drawn.append(float(args[1])) or true(*args))
    guided_sample(tiny_sd, style, inner_steps=3, adain=True, generator=seed(), **SAMPLE)
    alphas = tiny_sd.scheduler.alphas_cumprod
    assert drawn == [float(alphas[t]) for t in (501, 251, 1, 0)]


def test_adam_is_new_at_each_timestep(tiny_sd, style, monkeypatch):
    """Its first step has the size of the learning rate, whatever the gradient's scale."""
    moves, true = [], synthesis.Distiller.update

    def update(self, run, adam, z, *args):
        before = z.detach().clone()
        true(self, run, adam, z, *args)
        moves.append((z.detach() - before).abs().median().item())

    monkeypatch.setattr(synthesis.Distiller, "update", update)
    guided_sample(tiny_sd, style, inner_steps=1, learning_rate=0.03, generator=seed(), **SAMPLE)
    assert np.allclose(moves, 0.03, rtol=1e-2) and len(moves) == 4
    moves.clear()  # and it may fall on the way: t is 501, 251, 1 and 0
    guided_sample(tiny_sd, style, inner_steps=1, learning_rate=Schedule(0.05, 0.01), generator=seed(), **SAMPLE)
    assert np.allclose(moves, [0.03004, 0.02004, 0.01004, 0.01], rtol=1e-2)


def test_guided_sampling_with_content_follows_its_size(tiny_sd, style):
    result = guided_sample(
        tiny_sd, style, content=picture(2, (48, 80)), num_images=2, generator=seed(), **SAMPLE
    )
    assert result.latents.shape == (2, 8, 6, 10) and result.losses[0]["content"]


def test_statistics_are_matched_by_channel():
    z, references = torch.randn(3, 2, 4, 4) * 5, [torch.randn(1, 2, 8, 8) + 3, torch.randn(1, 2, 4, 6) - 1]
    pixels = torch.cat([r.flatten(2) for r in references], 2)[0]
    matched = match_statistics(z, references)
    assert torch.allclose(matched.mean((2, 3)), pixels.mean(1).expand(3, -1), atol=1e-4)
    assert torch.allclose(matched.std((2, 3)), pixels.std(1).expand(3, -1), atol=1e-3)


def test_injection_starts_from_the_same_noise_and_changes_the_picture(any_pipe, style):
    plain = guided_sample(any_pipe, style, inner_steps=0, generator=seed(), **SAMPLE)
    with unchanged(any_pipe):
        injected = injected_sample(any_pipe, style, generator=seed(), **SAMPLE)
    distilled = guided_sample(any_pipe, style, generator=seed(), **SAMPLE)
    assert not torch.allclose(injected.latents, plain.latents)
    assert not torch.allclose(injected.latents, distilled.latents)
    assert injected.losses == []


def test_injection_reads_references_at_the_level_of_the_latents(tiny_sd, style, monkeypatch):
    """At each t the image and its reference are equally noised, and told the same t."""
    calls, true = [], distillation.predict
    monkeypatch.setattr(
        distillation, "predict", lambda p, z, t, c: calls.append(int(t)) or true(p, z, t, c)
    )
    injected_sample(tiny_sd, style, generator=seed(), **SAMPLE)
    assert calls == [751, 501, 251, 1]


def test_injection_from_content_keeps_more_of_it_at_low_strength(tiny_sd, style, content):
    start = encode(tiny_sd, content)
    steps = []
    far = {
        strength: (
            injected_sample(
                tiny_sd,
                style,
                content=content,
                strength=strength,
                num_inference_steps=10,
                generator=seed(),
                progress=False,
                callback=steps.append,
            ).latents
            - start
        )
        .abs()
        .mean()
        for strength in (0.1, 1)
    }
    assert far[0.1] < far[1] and len(steps) == 1 + 10


def test_strength_starts_sampling_at_the_noised_content(tiny_sd, style, content):
    """As in `injected_sample`: of 10 steps, strength .3 takes the last 3; without updates both start alike."""
    options = dict(content=content, strength=0.3, num_inference_steps=10, generator=seed(), progress=False)
    steps = []
    plain = guided_sample(tiny_sd, style, inner_steps=0, callback=steps.append, **options)
    assert [step.timestep for step in steps] == [201, 101, 1]
    start = encode(tiny_sd, content)
    alpha = float(tiny_sd.scheduler.alphas_cumprod[201])
    noised = alpha**0.5 * start + (1 - alpha) ** 0.5 * torch.randn(start.shape, generator=seed())
    denoiser = sampling.Denoiser(tiny_sd, 10)
    z, timesteps = denoiser.start(torch.randn(start.shape, generator=seed()), start, 0.3)
    assert torch.allclose(z, noised, atol=1e-6)
    with frozen(tiny_sd):
        for t in timesteps:
            z = denoiser.step(z, t)
    assert torch.equal(plain.latents, z)
    for count, strength, kept in ((100, 0.07, 7), (50, 0.6, 30), (50, 1, 50), (50, 0.001, 1)):
        assert len(sampling.Denoiser(tiny_sd, count).start(z, z, strength)[1]) == kept


def test_layout_control_holds_more_at_lower_strength(tiny_sd, style, content):
    options = dict(content=content, num_inference_steps=4, inner_steps=1, progress=False)
    start = encode(tiny_sd, content)
    low, high, noise = (guided_sample(tiny_sd, style, strength=strength, generator=seed(),
                                      **options).latents
                        for strength in (0.25, 1, None))
    assert (low - start).abs().mean() < (high - start).abs().mean()
    assert not torch.allclose(high, noise)


def test_a_reference_of_weight_zero_is_absent(tiny_sd, style):
    pair, options = [style, picture(7, (32, 64))], dict(num_steps=3, progress=False)
    both, first, equal, none = (
        optimize(tiny_sd, pair, generator=seed(), weights=weights, **options).latents
        for weights in (Weights(references=(1, 0.2)), Weights(references=(1, 0)), Weights(references=(2, 2)), None)
    )
    alone = optimize(tiny_sd, style, generator=seed(), **options).latents
    assert torch.allclose(first, alone, atol=1e-4) and torch.equal(equal, none)
    assert not torch.allclose(both, alone, atol=1e-2) and not torch.allclose(both, none, atol=1e-2)


def test_weights_count_in_the_statistics():
    z, one, other = torch.randn(1, 2, 4, 4), torch.randn(1, 2, 8, 8), torch.randn(1, 2, 4, 4) + 5
    assert torch.allclose(match_statistics(z, [one, other], (1, 0)).mean((2, 3)), one.mean((2, 3)), atol=1e-4)
    thrice = match_statistics(z, [one, other, other, other])
    assert torch.allclose(match_statistics(z, [one, other], (1, 3)), thrice, atol=0.05)


def test_a_layer_of_weight_zero_has_no_say(tiny_sd, style, content):
    options = dict(num_steps=3, progress=False)
    without = optimize(tiny_sd, style, content, 0.2, layers=[10, 11, 12, 13, 14], **options)
    zero = optimize(tiny_sd, style, content, weights=Weights(content=0.2, layers={15: 0}), **options)
    assert torch.allclose(zero.latents, without.latents, atol=1e-5)
    assert len(zero.losses[0]["ad"]) == 6  # still measured


def test_schedules_follow_the_timestep(tiny_sd, style, content):
    """Way .249, .499, .749, .999 at t = 751, 501, 251, 1; where nothing counts, nothing moves."""
    seen = []
    result = optimize(tiny_sd, style, content, num_steps=4, progress=False, callback=seen.append,
                      weights=Weights(ad=Schedule(1, 0.5, end=0.8), content=Schedule(0.2, end=0.4)))
    assert [entry["timestep"] for entry in result.losses] == [751, 501, 251]
    for entry, ad, weight in zip(result.losses, (1 - 0.249 / 1.6, 1 - 0.499 / 1.6, 1 - 0.749 / 1.6), (0.2, 0, 0)):
        expected = ad * sum(entry["ad"].values()) + weight * sum(entry["content"].values())
        assert entry["total"] == pytest.approx(expected, rel=1e-5)
    assert math.isnan(seen[3].loss) and torch.equal(seen[3].latents, seen[2].latents)


@pytest.mark.parametrize("options, error, words", [
    (dict(weights=0.3), TypeError, "Weights"),
    (dict(weights=Weights(content=0.2)), ValueError, "no effect without content"),
    (dict(weights=Weights(), content=picture()), ValueError, "content=0"),
    (dict(weights=Weights(content=0.2), content=picture(), content_weight=0.2), ValueError, "beside weights"),
    (dict(weights=Weights(references=(1, 2))), ValueError, "2 references, and style 1"),
    (dict(weights=Weights(layers={3: 2.0})), ValueError, "not read: down_blocks.1"),
    (dict(weights=Weights(layers={99: 2.0})), ValueError, "99"),
    (dict(weights=Weights(layers=dict.fromkeys(range(10, 16), 0))), ValueError, "nothing to optimise"),
])
def test_weights_that_cannot_be_used_are_errors(tiny_sd, options, error, words):
    with pytest.raises(error, match=words):
        optimize(tiny_sd, picture(), **options)


@pytest.mark.parametrize(
    "verb, options",
    [
        (optimize, dict(num_steps=3)),
        (guided_sample, dict(prompt="a", adain=True, **SAMPLE)),
        (injected_sample, SAMPLE),
    ],
)
def test_a_seed_fixes_the_result_and_several_styles_work(tiny_sd, style, verb, options):
    styles = [style, picture(7, (32, 64))]
    first, again, other = (verb(tiny_sd, styles, generator=seed(n), **options) for n in (1, 1, 2))
    assert torch.equal(first.latents, again.latents) and not torch.allclose(first.latents, other.latents)
    swapped = verb(tiny_sd, style, generator=seed(1), **options)
    assert not torch.allclose(first.latents, swapped.latents)


@pytest.mark.parametrize(
    "verb, options", [(optimize, dict(num_steps=4)), (guided_sample, SAMPLE), (injected_sample, SAMPLE)]
)
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("at", [0, 2])
def test_nothing_is_left_behind(tiny_sd, style, content, verb, options, error, at):
    def callback(step):
        if error and step.step == at:
            raise error("stop here")

    with unchanged(tiny_sd):
        if error:
            with pytest.raises(error, match="stop here"):
                verb(tiny_sd, style, content=content, callback=callback, **options)
        else:
            verb(tiny_sd, style, content=content, callback=callback, **options)


def test_the_callback_sees_every_step_and_may_keep_what_it_sees(tiny_sd, style):
    seen = []
    result = optimize(tiny_sd, style, num_steps=4, generator=seed(), progress=False, callback=seen.append)
    assert [(s.step, s.timestep, s.loss) for s in seen] == [
        (entry["step"], entry["timestep"], entry["total"]) for entry in result.losses
    ]
    assert torch.equal(seen[-1].latents, result.latents) and not torch.equal(seen[0].latents, seen[1].latents)
    assert not seen[0].latents.requires_grad
    plain = optimize(tiny_sd, style, num_steps=4, generator=seed(), progress=False)
    assert torch.equal(plain.latents, result.latents)


def test_half_precision_keeps_float32_latents(tiny_sd, style):
    import copy

    for dtype in (torch.bfloat16, torch.float16):
        parts = {name: copy.deepcopy(part) for name, part in tiny_sd.components.items()}
        half = type(tiny_sd)(**parts, requires_safety_checker=False).to(dtype)
        with unchanged(half):
            result = optimize(half, style, num_steps=6, learning_rate=0.001, generator=seed(), progress=False)
        full = optimize(tiny_sd, style, num_steps=6, learning_rate=0.001, generator=seed(), progress=False)
        assert result.latents.dtype == torch.float32
        # bfloat16 latents could not move by .001 from values near 1; these move nearly as in full precision.
        assert (result.latents - full.latents).abs().max() < 0.013
        assert math.isclose(totals(result)[-1], totals(full)[-1], rel_tol=0.1)


def test_a_gradient_beyond_float16_is_an_error_and_not_a_picture(tiny_sd, style, monkeypatch):
    import copy

    monkeypatch.setattr("attnd_nb.distillation.HALF_SCALE", 2.0**40)
    parts = {name: copy.deepcopy(part) for name, part in tiny_sd.components.items()}
    half = type(tiny_sd)(**parts, requires_safety_checker=False).to(torch.float16)
    with unchanged(half), pytest.raises(FloatingPointError, match="t=1 .*bfloat16"):
        optimize(half, style, num_steps=1, generator=seed(), progress=False)


def test_verbs_work_where_gradients_are_off(tiny_sd, style):
    for verb, steps in ((optimize, "num_steps"), (guided_sample, "num_inference_steps"), (expand, "num_inference_steps")):
        options = {steps: 2, "progress": False}
        expected = verb(tiny_sd, style, generator=seed(), **options)
        with torch.no_grad():
            assert torch.equal(verb(tiny_sd, style, generator=seed(), **options).latents, expected.latents)


def test_the_most_timesteps_that_are_allowed_can_be_taken(any_pipe):
    timesteps = Denoiser(any_pipe, 999).timesteps
    check_steps(any_pipe, num_inference_steps=999)
    assert len(timesteps) == 999 and int(timesteps.max()) < len(any_pipe.scheduler.alphas_cumprod)


def test_one_negative_prompt_may_stand_in_a_list(tiny_sd, style):
    options = dict(prompt="a", guidance_scale=3.0, inner_steps=0, **SAMPLE)
    alone, listed = (guided_sample(tiny_sd, style, negative_prompt=n, generator=seed(), **options) for n in ("z", ["z"]))
    assert torch.equal(alone.latents, listed.latents)


@pytest.mark.parametrize(
    "verb, options, words",
    [
        (optimize, dict(size=(64, 64), content=picture()), "size"),
        (optimize, dict(num_images=2, content=picture()), "num_images"),
        (optimize, dict(content_weight=0.2), "content_weight"),
        (optimize, dict(content=picture(), content_weight=-1), "content_weight"),
        (optimize, dict(num_steps=0), "num_steps"),
        (optimize, dict(num_steps=1000), "999"),  # with SD's offset of 1 the first timestep would be 1000, behind the last
        (optimize, dict(learning_rate=0), "learning_rate"),
        (optimize, dict(learning_rate=Schedule(0)), "learning_rate"),
        (optimize, dict(inner_steps=0), "inner_steps"),
        (optimize, dict(learning_rate=math.nan), "learning_rate"),
        (optimize, dict(num_images=0), "num_images"),
        (optimize, dict(size=(64,)), "size"),
        (optimize, dict(layers="last99"), "last99"),
        (optimize, dict(resolution=3), "resolution"),
        (optimize, dict(style=[]), "style"),
        (optimize, dict(style="nowhere.png"), "nowhere.png"),
        (optimize, dict(generator=0), "manual_seed"),
        (guided_sample, dict(inner_steps=-1), "inner_steps"),
        (guided_sample, dict(num_images=0), "num_images"),
        (guided_sample, dict(negative_prompt="a"), "negative_prompt"),
        (guided_sample, dict(prompt="a", guidance_scale=1, negative_prompt="b"), "negative_prompt"),
        (guided_sample, dict(guidance_scale=7.5), "guidance_scale"),
        (guided_sample, dict(prompt=[]), "prompt"),
        (guided_sample, dict(prompt=3), "prompt"),
        (guided_sample, dict(size=(64, 64), content=picture()), "size"),
        (guided_sample, dict(strength=0.5), "strength"),
        (guided_sample, dict(content=picture(), strength=2), "strength"),
        (guided_sample, dict(content=picture(), inner_steps=0), "content"),
        (guided_sample, dict(weights=Weights(), inner_steps=0), "weights"),
        (guided_sample, dict(learning_rate=0.05, inner_steps=0), "learning_rate"),
        (guided_sample, dict(prompt="a", negative_prompt=["b", "c"]), "negative_prompt"),
        (injected_sample, dict(strength=0.5), "strength"),
        (injected_sample, dict(content=picture(), strength=0), "strength"),
        (injected_sample, dict(content=picture(), strength=1.5), "strength"),
    ],
)
def test_arguments_out_of_range_or_without_effect_are_errors(tiny_sd, verb, options, words):
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=words):
        verb(tiny_sd, **{"style": picture(), **options})


def test_what_is_no_pipeline_is_refused(tiny_sd, style):
    with pytest.raises(TypeError, match="load_pipeline"):
        optimize(tiny_sd.unet, style)
