"""Pipelines load from folders, offline; what cannot be loaded says why and what to do."""

import copy
import operator
import subprocess
import sys

import pytest
import torch
from conftest import picture, seed, unchanged
from diffusers import DiffusionPipeline, EDMEulerScheduler
from huggingface_hub.utils import are_progress_bars_disabled

import attnd_nb
from attnd_nb import (
    ddim_scheduler,
    decode,
    draw_noise,
    encode_prompt,
    frozen,
    guided_sample,
    load_pipeline,
    models,
    optimize,
    predict,
    predict_noise,
    tuned_decoder,
)


@pytest.fixture(scope="module")
def folder(tiny_sd, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved")
    tiny_sd.save_pretrained(path)
    return path


def test_importing_costs_nothing():
    code = "import sys; before = {*sys.modules}; import attnd_nb; print(*sorted({*sys.modules} - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "attnd_nb" in loaded
    assert {name.partition(".")[0] for name in loaded} <= {"attnd_nb"} | sys.stdlib_module_names


def test_every_exported_name_exists():
    for name in attnd_nb.__all__:
        assert getattr(attnd_nb, name) is not None
    with pytest.raises(AttributeError, match="optimise"):
        operator.attrgetter("optimise")(attnd_nb)


def test_a_folder_loads_ready_for_use(folder, tiny_sd):
    pipe = load_pipeline(folder, device="cpu")
    assert (
        type(pipe).__name__ == "StableDiffusionPipeline" and type(pipe.scheduler).__name__ == "DDIMScheduler"
    )
    for module in (pipe.unet, pipe.vae, pipe.text_encoder):
        assert not module.training and not any(p.requires_grad for p in module.parameters())
        assert module.dtype == torch.float32
    z = torch.randn(1, 8, 8, 8)
    with frozen(tiny_sd):
        expected = predict_noise(tiny_sd, z, 5, encode_prompt(tiny_sd, "a"))
    assert torch.allclose(predict_noise(pipe, z, 5, encode_prompt(pipe, "a")), expected, atol=1e-5)


def test_a_vae_that_overflows_in_float16_works_in_float32_and_the_pipeline_is_called_as_ever(tiny_sdxl, tmp_path, style):
    tiny_sdxl.save_pretrained(tmp_path)
    pipe = load_pipeline(tmp_path, device="cpu", dtype=torch.float16)
    seen = []
    for part in (pipe.vae.encoder, pipe.vae.decoder):
        part.register_forward_pre_hook(lambda module, args: seen.append(args[0].dtype))
    result = optimize(pipe, style, num_steps=2, generator=seed(), progress=False)
    assert torch.isfinite(result.latents).all()
    assert set(seen) == {torch.float32} and pipe.unet.dtype == pipe.vae.dtype == torch.float16
    with pytest.raises(RuntimeError):
        decode(pipe, torch.zeros(1, 1, 4, 4))  # too few channels
    assert {weight.dtype for weight in pipe.vae.parameters()} == {torch.float16}
    assert pipe("a", num_inference_steps=1, height=32, width=32, output_type="np").images.shape == (1, 32, 32, 3)


def with_part(pipe, **parts):
    """The pipeline with other parts; the given one stays as it is."""
    return type(pipe)(**pipe.components | parts, requires_safety_checker=False)


def test_latents_that_overflow_are_an_error_and_not_a_run_that_stands_still(tiny_sd, style):
    vae = copy.deepcopy(tiny_sd.vae).requires_grad_(False)
    vae.encoder.conv_out.bias.fill_(float("inf"))
    with pytest.raises(FloatingPointError, match="not finite"):
        optimize(with_part(tiny_sd, vae=vae), style, num_steps=2, progress=False)


def test_what_hides_layers_or_has_no_betas_is_refused(tiny_sd, style):
    with pytest.raises(ValueError, match="EDMEulerScheduler without betas"):
        guided_sample(with_part(tiny_sd, scheduler=EDMEulerScheduler()), style, progress=False)
    with pytest.raises(ValueError, match="_orig_mod"):
        optimize(with_part(tiny_sd, unet=torch.compile(tiny_sd.unet)), style, progress=False)


def test_a_device_that_is_not_there_and_a_dtype_by_name_are_refused_before_loading(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device='cuda:1', but torch finds none"):
        load_pipeline(device="cuda:1")
    with pytest.raises(TypeError, match="torch.float16, not 'float16'"):
        load_pipeline(device="cpu", dtype="float16")


def test_downloads_keep_their_progress_bars():
    with models._quiet():
        assert not are_progress_bars_disabled()


def test_mini_is_found_in_the_package_or_the_checkout(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(models.resources, "files", lambda name: tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(models, "__file__", str(tmp_path / "attnd_nb" / "models.py"))
        with pytest.raises(FileNotFoundError, match="data/mini is missing"):
            load_pipeline("mini")
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "mini").symlink_to(folder)
        assert models.mini_folder() == tmp_path / "data" / "mini"
        (tmp_path / "_data").mkdir()
        (tmp_path / "_data" / "mini").symlink_to(folder)
        assert models.mini_folder() == tmp_path / "_data" / "mini"
        assert load_pipeline("mini", device="cpu").unet.config.sample_size == 8


@pytest.mark.parametrize("name", ["nowhere", "./no/where", "a/b/c", "/abs/model", "model.safetensors"])
def test_a_wrong_path_is_not_sought_on_the_hub(name):
    with pytest.raises(FileNotFoundError, match="no pipeline at"):
        load_pipeline(name)


def test_what_is_no_pipeline_says_so(tmp_path):
    with pytest.raises(ValueError, match="model_index.json"):
        load_pipeline(tmp_path)
    (tmp_path / "model.ckpt").write_bytes(b"")
    with pytest.raises(ValueError, match="safetensors"):
        load_pipeline(tmp_path / "model.ckpt")
    from safetensors.torch import save_file

    save_file({"lora": torch.zeros(1)}, tmp_path / "lora.safetensors")
    with pytest.raises(ValueError, match="LoRA"):
        load_pipeline(tmp_path / "lora.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"not weights")
    with pytest.raises(ValueError, match="broken"):
        load_pipeline(tmp_path / "broken.safetensors")


def test_a_folder_without_safetensors_is_refused(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "copy")
    weights = tmp_path / "copy" / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_pipeline(tmp_path / "copy", device="cpu")


@pytest.mark.parametrize("name", ["sd15", "sd21", "sdxl", "someone/something"])
def test_an_unreachable_hub_says_what_to_do(name, monkeypatch):
    """The hub is switched off for all tests (HF_HUB_OFFLINE), and an empty cache holds nothing."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "/nonexistent")
    with pytest.raises(ConnectionError, match="hf download .*load_pipeline.'mini'") as caught:
        load_pipeline(name)
    repository, revision = models.HUB.get(name, (name, None))
    assert repository in str(caught.value) and (revision or "") in str(caught.value)


def test_known_models_come_in_half_precision_where_they_run_in_it(tiny_sd, monkeypatch):
    asked = []
    monkeypatch.setattr(DiffusionPipeline, "load_config", lambda *_, **__: {})
    monkeypatch.setattr(DiffusionPipeline, "from_pretrained", lambda *_, revision, variant, **__: asked.append(
        (revision is not None, variant)) or copy.deepcopy(tiny_sd))  # fmt: skip
    for name, dtype in (("sd15", torch.float16), ("sd21", torch.bfloat16), ("sdxl", torch.float32), ("a/b", torch.float16)):
        assert load_pipeline(name, device="cpu", dtype=dtype).unet.dtype == dtype
    assert asked == [(True, "fp16"), (True, "fp16"), (True, None), (False, None)]


def test_frozen_puts_back_what_it_found(tiny_sd):
    mixed = next(tiny_sd.vae.parameters())
    mixed.requires_grad_(False)
    tiny_sd.vae.decoder.train()
    try:
        with unchanged(tiny_sd), pytest.raises(KeyboardInterrupt), frozen(tiny_sd):
            assert not any(p.requires_grad for p in tiny_sd.unet.parameters()) and not tiny_sd.unet.training
            raise KeyboardInterrupt
    finally:
        mixed.requires_grad_(True)
        tiny_sd.vae.eval()


def test_frozen_convolutions_forget_their_input_and_give_the_same_gradient(tiny_sd):
    convolution = tiny_sd.unet.down_blocks[0].downsamplers[0].conv
    x = torch.randn(2, convolution.in_channels, 8, 8, requires_grad=True)
    assert convolution.stride == (2, 2) and convolution.bias is not None

    def kept_and_gradient():
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one) or one, lambda one: one):
            y = convolution(x)
        return kept, torch.autograd.grad(y.square().sum(), x)[0], y

    convolution.requires_grad_(False)
    try:
        kept, expected, y = kept_and_gradient()
        assert any(one is x for one in kept)  # PyTorch's own way, for nothing
        with frozen(tiny_sd):
            kept, gradient, same = kept_and_gradient()
            assert kept and not any(one is x for one in kept)
            with torch.no_grad():
                assert torch.equal(convolution(x), y)
        assert torch.equal(same, y) and torch.equal(gradient, expected)
        assert any(one is x for one in kept_and_gradient()[0])
    finally:
        convolution.requires_grad_(True)


def test_frozen_convolutions_work_under_autocast(tiny_sd):
    convolution = tiny_sd.unet.conv_in
    x = torch.randn(1, convolution.in_channels, 8, 8, requires_grad=True)
    convolution.requires_grad_(False)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            (expected,) = torch.autograd.grad(convolution(x).square().sum(), x)
            with frozen(tiny_sd):
                (gradient,) = torch.autograd.grad(convolution(x).square().sum(), x)
    finally:
        convolution.requires_grad_(True)
    assert gradient.dtype == x.dtype and torch.allclose(gradient, expected, rtol=0.02, atol=0.02)


def test_a_model_that_predicts_the_picture_has_no_noise_to_read(tiny_sd):
    from unittest.mock import patch

    scheduler = models.DDIMScheduler.from_config(tiny_sd.scheduler.config, prediction_type="sample")
    with patch.object(tiny_sd, "scheduler", scheduler), pytest.raises(ValueError, match="'sample'"):
        predict_noise(tiny_sd, torch.randn(1, 8, 8, 8), torch.tensor(1), encode_prompt(tiny_sd, ""))


def test_prompts_condition_the_prediction(any_pipe):
    z, t = torch.randn(2, 8, 8, 8), torch.tensor(501)
    condition, negative = encode_prompt(any_pipe, ["a", "b"], guidance=True)
    assert len(condition) == len(negative) == 2
    both = predict_noise(any_pipe, z, t, condition)
    assert both.shape == z.shape and both.dtype == torch.float32
    alone = predict_noise(any_pipe, z[1:], t, encode_prompt(any_pipe, "b"))
    assert torch.allclose(both[1:], alone, atol=1e-5)
    assert not torch.allclose(both, predict_noise(any_pipe, z, t, negative))
    with pytest.raises(ValueError, match="3 rows for 2 latents"):
        predict_noise(any_pipe, z, t, encode_prompt(any_pipe, "a", num_images=3))


def test_ddim_does_not_clip_latents(tiny_sd):
    from diffusers import EulerDiscreteScheduler, PNDMScheduler

    true = tiny_sd.scheduler
    try:
        for cls in (PNDMScheduler, EulerDiscreteScheduler):
            tiny_sd.scheduler = cls(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
            ours = models.ddim_scheduler(tiny_sd)
            assert not ours.config.clip_sample
            assert torch.allclose(ours.alphas_cumprod, true.alphas_cumprod)
    finally:
        tiny_sd.scheduler = true


def test_inpainting_unets_are_refused(tiny_sd, style, monkeypatch):
    from conftest import tiny_unet

    monkeypatch.setattr(tiny_sd, "unet", tiny_unet(in_channels=17))
    with pytest.raises(ValueError, match="17 channels"):
        optimize(tiny_sd, style)


def test_unets_with_image_prompts_are_refused(tiny_sd, style):
    tiny_sd.unet.register_to_config(encoder_hid_dim_type="ip_image_proj")
    try:
        with pytest.raises(ValueError, match="unload_ip_adapter"):
            optimize(tiny_sd, style)
    finally:
        tiny_sd.unet.register_to_config(encoder_hid_dim_type=None)


def test_after_a_verb_no_network_is_left_on_the_card(tiny_sd, style, monkeypatch):
    freed = []
    monkeypatch.setattr(type(tiny_sd), "maybe_free_model_hooks", lambda self: freed.append(True))
    optimize(tiny_sd, style, num_steps=1, progress=False)
    with pytest.raises(ZeroDivisionError):
        optimize(tiny_sd, style, num_steps=1, progress=False, callback=lambda step: 1 / 0)
    assert len(freed) == 2


def test_verbs_run_while_weights_lie_elsewhere(tiny_sd, monkeypatch):
    """CPU offload puts hooks around every network, here with the CPU as the card, too."""
    def made():
        result = guided_sample(tiny_sd, picture(1), "a b", num_inference_steps=2, generator=seed(), progress=False)
        with tuned_decoder(tiny_sd, picture(1), steps=2, progress=False):
            return result.latents, optimize(tiny_sd, picture(1), picture(2), num_steps=2, progress=False).images[0].tobytes()

    latents, pixels = made()
    tiny_sd.enable_model_cpu_offload(device="cpu")
    try:
        again, same = made()
        assert torch.equal(again, latents) and same == pixels
        monkeypatch.setattr(type(tiny_sd), "_execution_device", torch.device("meta"))
        assert draw_noise(tiny_sd, 1, (64, 64), seed()).device.type == "meta"
    finally:
        tiny_sd.remove_all_hooks()


def test_offloaded_weights_stay_where_they_are(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(DiffusionPipeline, "enable_model_cpu_offload", lambda self, device: asked.append(device))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    pipe = load_pipeline(folder, device="cuda", dtype=torch.bfloat16, offload=True)
    assert asked == [torch.device("cuda")]
    assert (pipe.unet.device.type, pipe.unet.dtype) == ("cpu", torch.bfloat16)
    with pytest.raises(ValueError, match="offload"):
        load_pipeline(folder, device="cpu", offload=True)


def test_predict_noise_is_the_noise_whatever_the_model_says(any_pipe):
    """Both ways to the next latent: the scheduler's from the model's output, DDIM's formula from the noise."""
    scheduler, latents = ddim_scheduler(any_pipe), torch.randn(1, 8, 8, 8, generator=seed(3))
    scheduler.set_timesteps(4)
    t, condition = scheduler.timesteps[1], encode_prompt(any_pipe, "")
    alpha, before = (scheduler.alphas_cumprod[step] for step in (t, t - 250))
    with torch.no_grad():
        noise = predict_noise(any_pipe, latents, t, condition)
        expected = scheduler.step(predict(any_pipe, latents, t, condition), t, latents).prev_sample
        many = predict_noise(any_pipe, torch.cat([latents, latents]), torch.stack([t, t - 250]), condition)
    guess = (latents - (1 - alpha).sqrt() * noise) / alpha.sqrt()
    assert torch.allclose(before.sqrt() * guess + (1 - before).sqrt() * noise, expected, atol=1e-5)
    assert torch.allclose(many[:1], noise, atol=1e-5)
