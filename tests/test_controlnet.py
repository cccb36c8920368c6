"""A ControlNet advises the denoising, exactly as in diffusers' own pipelines, and the features not at all."""


import numpy as np
import pytest
import torch
from conftest import picture, seed, unchanged

from attnd_nb import ad_loss, distillation, encode, encode_prompt, frozen, guided_sample, predict_noise, record, replay
from attnd_nb.images import to_tensor
from attnd_nb.sampling import Control

SAMPLE = dict(num_inference_steps=4, progress=False)


def with_controlnet(pipe, random=True):
    """`pipe` with a ControlNet made from its UNet; its last convolutions are zero, or `random`."""
    from diffusers import ControlNetModel, StableDiffusionControlNetPipeline, StableDiffusionXLControlNetPipeline

    torch.manual_seed(1)
    controlnet = ControlNetModel.from_unet(pipe.unet, conditioning_embedding_out_channels=(4, 4, 8, 8))
    if random:
        zero = [controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block,
                controlnet.controlnet_cond_embedding.conv_out]
        for weight in (weight for part in zero for weight in part.parameters()):
            torch.nn.init.normal_(weight, 0, 0.3)
    if hasattr(pipe, "text_encoder_2"):
        made = StableDiffusionXLControlNetPipeline(**pipe.components, controlnet=controlnet, add_watermarker=False,
                                                   force_zeros_for_empty_prompt=False)
    else:
        made = StableDiffusionControlNetPipeline(**pipe.components, controlnet=controlnet,
                                                 requires_safety_checker=False)
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(params=["tiny_sd", "tiny_sd21", "tiny_sdxl"])
def controlled(request):
    return with_controlnet(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def control_sd(tiny_sd):
    return with_controlnet(tiny_sd)


@pytest.fixture
def edges():
    return picture(9)


def test_a_controlnet_that_starts_at_zero_changes_nothing(any_pipe, style, edges):
    pipe = with_controlnet(any_pipe, random=False)
    options = dict(prompt="a", num_images=2, **SAMPLE)
    plain = guided_sample(any_pipe, style, generator=seed(), **options)
    controlled = guided_sample(pipe, style, control=edges, generator=seed(), **options)
    uncontrolled = guided_sample(pipe, style, generator=seed(), **options)
    assert torch.equal(plain.latents, controlled.latents) and plain.losses == controlled.losses
    assert torch.equal(plain.latents, uncontrolled.latents)


@pytest.mark.parametrize("options, scale", [
    (dict(prompt=["a b"], guidance_scale=3.0, num_images=2), 1.0),
    (dict(prompt=["a", "b c"], guidance_scale=3.0, negative_prompt="z"), 0.6),
    (dict(prompt=["a"], guidance_scale=1.0, size=(64, 64)), 1.5),
])
def test_without_inner_steps_it_is_the_pipelines_own_sampling(controlled, style, edges, options, scale):
    ours = guided_sample(controlled, style, control=edges, control_scale=scale, inner_steps=0, generator=seed(5),
                         **options, **SAMPLE)
    negative = options.get("negative_prompt")
    with frozen(controlled):  # PyTorch takes another route through some matrix products while weights want gradients
        theirs = controlled(
            options["prompt"], image=edges, height=64, width=64, num_inference_steps=4, output_type="latent",
            negative_prompt=negative and [negative] * len(options["prompt"]), controlnet_conditioning_scale=scale,
            guidance_scale=options["guidance_scale"], num_images_per_prompt=options.get("num_images", 1),
            latents=torch.randn(ours.latents.shape, generator=seed(5)))
    assert torch.equal(ours.latents, theirs.images)


def test_control_and_its_scale_change_the_picture(control_sd, style, edges):
    def latents(**options):
        with unchanged(control_sd):
            return guided_sample(control_sd, style, generator=seed(), **options, **SAMPLE).latents

    plain, weak, strong = latents(), latents(control=edges, control_scale=0.01), latents(control=edges)
    other = latents(control=picture(10))
    assert 0 < (weak - plain).abs().mean() < (strong - plain).abs().mean()
    assert not torch.allclose(other, strong)


def test_features_are_read_without_control(control_sd, style, edges, monkeypatch):
    """Of two images that are alike the loss is zero; with advice in one of the two it would not be."""
    z, text = encode(control_sd, style), encode_prompt(control_sd, "")

    def features(control=None):
        with torch.no_grad(), record(control_sd, "last6") as seen:
            predict_noise(control_sd, z, torch.tensor(1), text, control)
        return seen

    assert ad_loss(features(), features()) < 1e-4
    assert ad_loss(features(Control(to_tensor([edges]), 1.0)), features()) > 0.01

    calls, true = [], distillation.predict
    monkeypatch.setattr(distillation, "predict", lambda *args: calls.append(len(args)) or true(*args))
    guided_sample(control_sd, style, control=edges, generator=seed(), **SAMPLE)
    assert set(calls) == {4}  # pipe, latents, timestep, condition


@pytest.mark.parametrize("options, size", [
    (dict(control=picture(3, (48, 80))), (48, 80)),
    (dict(control=picture(3, (48, 80)), size=(24, 40)), (24, 40)),
    (dict(control=picture(3, (96, 160)), content=picture(4, (48, 80))), (48, 80)),
    (dict(control=picture(3, (128, 128))), (64, 64)),
    (dict(control=picture(3, (128, 128)), resolution=128), (128, 128)),
])
def test_the_size_follows_content_then_size_then_control(control_sd, style, options, size):
    result = guided_sample(control_sd, style, generator=seed(), num_inference_steps=1, progress=False, **options)
    assert result.images[0].size == result.inputs["control"].size == size[::-1]


@pytest.mark.parametrize("options", [{}, dict(size=(32, 32)), dict(content=picture(4, (48, 48)))])
def test_a_controlled_result_is_saved_and_replayed(control_sd, style, tmp_path, options):
    result = guided_sample(control_sd, style, control=picture(9, (96, 96)), control_scale=0.5, generator=seed(3),
                           **options, **SAMPLE)
    again = replay(result.save(tmp_path), control_sd, progress=False)
    assert torch.equal(again.latents, result.latents)
    assert again.settings["arguments"] == result.settings["arguments"]
    assert result.settings["arguments"]["control_scale"] == 0.5


def test_control_runs_in_half_precision(control_sd, style, edges):
    import copy

    parts = {name: copy.deepcopy(part) for name, part in control_sd.components.items()}
    half = type(control_sd)(**parts, requires_safety_checker=False).to(torch.bfloat16)
    result = guided_sample(half, style, control=edges, generator=seed(), **SAMPLE)
    assert result.latents.dtype == torch.float32 and np.isfinite(result.losses[-1]["total"])


@pytest.mark.parametrize("options, words", [
    (dict(control_scale=0.5), "control_scale=0.5 has no effect without control"),
    (dict(control=picture(), control_scale=0), "control_scale must be a positive number, not 0"),
    (dict(control=picture(), control_scale="much"), "control_scale must be a positive number, not 'much'"),
    (dict(control="nowhere.png"), "nowhere.png"),
    (dict(control=picture(), size=(64, 128)), "control of 64 x 64 pixels would be stretched to 64 x 128"),
    (dict(control=picture(), content=picture(1, (48, 80))), "control of 64 x 64 pixels would be stretched to 48 x 80"),
])
def test_control_that_cannot_be_is_an_error(control_sd, style, options, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        guided_sample(control_sd, style, **options, **SAMPLE)


def test_control_needs_a_controlnet(tiny_sd, control_sd, style, edges):
    from diffusers import MultiControlNetModel

    several = type(control_sd)(**{**control_sd.components, "controlnet": MultiControlNetModel([control_sd.controlnet])},
                               requires_safety_checker=False)
    for pipe in (tiny_sd, several):
        with pytest.raises(ValueError, match="one ControlNetModel.*pipe.components, controlnet=controlnet"):
            guided_sample(pipe, style, control=edges, **SAMPLE)


def test_a_small_controlnet_is_trained_and_exported(tmp_path, monkeypatch):
    """The stage on an untrained UNet and two scenes: it learns something, resumes, and loads with diffusers alone."""
    from diffusers import ControlNetModel

    from attnd_nb.training import control, text, unet, vae
    from attnd_nb.world import VOCABULARY

    torch.manual_seed(0)
    tokenizer = text.build_tokenizer(list(VOCABULARY))
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    denoiser = unet.Denoiser(tokenizer)
    denoiser.unet.conv_out.reset_parameters()  # an untrained UNet says nothing, whatever comes in
    torch.save({"ema": denoiser.state_dict()}, tmp_path / "unet.pt")
    for folder in ("data", "latents"):
        (tmp_path / folder).mkdir()
    scenes = dict(images=np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3), np.uint8),
                  captions=np.array(["a fish", "a cup"]), meta=np.array(['{"kind": "scene"}', '{"kind": "noise"}']))
    np.savez(tmp_path / "data" / "00000.npz", **scenes)
    channels = vae.LATENT_CHANNELS
    np.savez(tmp_path / "latents" / "00000.npz", full=np.ones((2, channels, 32, 32), np.float16),
             half=np.ones((2, channels, 16, 16), np.float16), captions=scenes["captions"])
    (tmp_path / "scaling_factor.txt").write_text("1.0")
    monkeypatch.setattr(control, "sheet", lambda *_: None)
    control.run(tmp_path, minutes=0.01, batch=1)
    control.export(tmp_path, tmp_path / "control")
    controlnet = ControlNetModel.from_pretrained(tmp_path / "control", local_files_only=True)
    assert controlnet.controlnet_mid_block.weight.any()  # it was zero
    untrained, copied = control.build(denoiser), denoiser.unet.state_dict()
    shared = {name: weight for name, weight in untrained.state_dict().items() if not name.startswith("controlnet_")}
    assert shared and all(torch.equal(weight, copied[name]) for name, weight in shared.items())
    assert sum(file.stat().st_size for file in (tmp_path / "control").iterdir()) < 9e6
    assert control.edges(picture(1)).size == (64, 64)


def test_the_shipped_controlnet_holds_outlines():
    from diffusers import ControlNetModel, StableDiffusionControlNetPipeline

    from attnd_nb import load_pipeline
    from attnd_nb.metrics import edge_correlation
    from attnd_nb.models import mini_folder
    from attnd_nb.samples import sample
    from attnd_nb.training.control import edges

    pipe, content = load_pipeline("mini", device="cpu"), sample("content")
    controlnet = ControlNetModel.from_pretrained(mini_folder().with_name("control"), local_files_only=True)
    controlled = StableDiffusionControlNetPipeline(**pipe.components, controlnet=controlnet, requires_safety_checker=False)
    options = dict(prompt="a boat", num_inference_steps=10, inner_steps=0, progress=False)
    free = guided_sample(pipe, sample("style"), generator=seed(), **options).images[0]
    held = guided_sample(controlled, sample("style"), control=edges(content), generator=seed(), **options).images[0]
    assert edge_correlation(held, content) > edge_correlation(free, content) + 0.1


def test_a_controlnet_of_another_precision_is_told_of(tiny_sd, style):
    pipe = with_controlnet(tiny_sd)
    pipe.controlnet.to(torch.bfloat16)
    with pytest.raises(ValueError, match="controlnet.to"):
        guided_sample(pipe, style, control=picture(1), **SAMPLE)
