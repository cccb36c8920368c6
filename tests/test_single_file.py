"""A single-file checkpoint is the pipeline it was made of: weights from the file, all else from the folder it lies in."""

import re
import shutil

import pytest
import torch
from conftest import picture, seed
from safetensors.torch import load_file, save_file

from attnd_nb import guided_sample, load_pipeline, optimize

# Diffusers' names and those of single files, which are the first latent diffusion code's: patterns, applied in order.
RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
          "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}  # fmt: skip
UNET = {
    r"(resnets\.\d)\.(\w+)": lambda m: f"{m[1]}.{RESNET[m[2]]}",
    r"^conv_in": "input_blocks.0.0",
    r"^conv_norm_out": "out.0",
    r"^conv_out": "out.2",
    r"^time_embedding\.linear_(\d)": lambda m: f"time_embed.{2 * int(m[1]) - 2}",
    r"^down_blocks\.(\d)\.(resnets|attentions)\.(\d)":
        lambda m: f"input_blocks.{3 * int(m[1]) + int(m[3]) + 1}.{int(m[2] == 'attentions')}",
    r"^down_blocks\.(\d)\.downsamplers\.0\.conv": lambda m: f"input_blocks.{3 * int(m[1]) + 3}.0.op",
    r"^mid_block\.resnets\.(\d)": lambda m: f"middle_block.{2 * int(m[1])}",
    r"^mid_block\.attentions\.0": "middle_block.1",
    r"^up_blocks\.(\d)\.(resnets|attentions)\.(\d)":
        lambda m: f"output_blocks.{3 * int(m[1]) + int(m[3])}.{int(m[2] == 'attentions')}",
    r"^up_blocks\.(\d)\.upsamplers\.0": lambda m: f"output_blocks.{3 * int(m[1]) + 2}.{1 if m[1] == '0' else 2}",
}  # fmt: skip
VAE = {
    r"down_blocks\.(\d)\.resnets": r"down.\1.block",
    r"down_blocks\.(\d)\.downsamplers\.0": r"down.\1.downsample",
    r"up_blocks\.(\d)\.resnets": lambda m: f"up.{3 - int(m[1])}.block",
    r"up_blocks\.(\d)\.upsamplers\.0": lambda m: f"up.{3 - int(m[1])}.upsample",
    r"mid_block\.resnets\.(\d)": lambda m: f"mid.block_{int(m[1]) + 1}",
    r"mid_block\.attentions\.0": "mid.attn_1",
    r"group_norm": "norm",
    r"to_out\.0": "proj_out",
    r"to_(q|k|v)\b": r"\1",
    r"conv_shortcut": "nin_shortcut",
    r"conv_norm_out": "norm_out",
}
LAYOUT = {"unet": (UNET, "model.diffusion_model."), "vae": (VAE, "first_stage_model."),
          "text_encoder": ({r"^(?!text_model\.)": "text_model."}, "cond_stage_model.transformer.")}  # fmt: skip


def write_single_file(pipe, path):
    weights = {}
    for part, (patterns, prefix) in LAYOUT.items():
        for name, value in getattr(pipe, part).state_dict().items():
            for pattern, other in patterns.items():
                name = re.sub(pattern, other, name)
            weights[prefix + name] = value.contiguous()
    save_file(weights, path)


@pytest.fixture
def file(tiny_sd, tmp_path):
    """A checkpoint among the small files of its repository, as the hub has them: configurations and tokenizer, no weights."""
    tiny_sd.save_pretrained(tmp_path)
    for weights in tmp_path.rglob("*.safetensors"):
        weights.unlink()
    write_single_file(tiny_sd, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_it_is_the_pipeline_it_was_made_of(file, tiny_sd):
    pipe = load_pipeline(file)
    for part in LAYOUT:
        ours, theirs = (getattr(one, part).state_dict() for one in (tiny_sd, pipe))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert not pipe.unet.training and not any(p.requires_grad for p in pipe.unet.parameters())
    results = [optimize(one, picture(1), num_steps=2, generator=seed(), progress=False) for one in (tiny_sd, pipe)]
    assert torch.equal(results[0].latents, results[1].latents)


def test_a_file_says_that_it_predicts_v(file):
    weights = load_file(file)
    save_file(weights | {"v_pred": torch.empty(0), "ztsnr": torch.empty(0)}, file)
    pipe = load_pipeline(file)
    assert pipe.scheduler.config.prediction_type == "v_prediction" and pipe.scheduler.alphas_cumprod[-1] == 0
    plain = guided_sample(pipe, picture(1), num_inference_steps=2, generator=seed(), progress=False)
    assert plain.latents.isfinite().all() and plain.losses


@pytest.mark.parametrize("width, name", [(768, "stable-diffusion-v1-5/"), (1024, "stable-diffusion-2-1")])
def test_it_asks_the_hub_for_the_configuration_of_its_kind(tmp_path, width, name):
    save_file({"model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": torch.zeros(2, width)},
              tmp_path / "model.safetensors")  # fmt: skip
    with pytest.raises(ConnectionError, match=f"hf download [^ ]*{name}"):
        load_pipeline(tmp_path / "model.safetensors")


def test_without_its_folder_it_says_what_is_missing(file, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(file, elsewhere)
    with pytest.raises(ConnectionError, match="model_index.json"):
        load_pipeline(elsewhere / "model.safetensors")
