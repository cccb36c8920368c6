"""Tiny, randomly initialised pipelines in the shapes of SD 1.5, SD 2.1 and SDXL, built offline in seconds.

They differ from the real ones wherever code might assume a number: eight latent channels, 16 tokens, 64 px,
a scaling factor of .7, and (for the SD 1.5 shape) heads that grow with the width.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # test files run side by side
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import contextlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

LATENT_CHANNELS, SIDE, TOKENS = 8, 64, 16


def tiny_tokenizer(folder):
    """A CLIP tokenizer that knows single letters."""
    from transformers import CLIPTokenizer

    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=TOKENS)


def tiny_text_encoder(width, with_projection=False):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=54,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        projection_dim=width,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return (CLIPTextModelWithProjection if with_projection else CLIPTextModel)(config)


def tiny_vae():
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(4, 4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=LATENT_CHANNELS,
        sample_size=SIDE,
        scaling_factor=0.7,
    )


def tiny_unet(**changes):
    """SD 1.5's layout: four levels, two layers a block, sixteen self-attention layers."""
    from diffusers import UNet2DConditionModel

    config = dict(
        sample_size=SIDE // 8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        layers_per_block=2,
        block_out_channels=(8, 16, 16, 16),
        attention_head_dim=(1, 2, 2, 2),
        norm_num_groups=4,
        cross_attention_dim=8,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    )
    return UNet2DConditionModel(**{**config, **changes})


def ddim(**changes):
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        **{
            **dict(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                clip_sample=False,
                set_alpha_to_one=False,
                steps_offset=1,
            ),
            **changes,
        }
    )


def build_sd(folder, unet=None, scheduler=None):
    from diffusers import StableDiffusionPipeline

    torch.manual_seed(0)
    pipe = StableDiffusionPipeline(
        tiny_vae(),
        tiny_text_encoder(8),
        tiny_tokenizer(folder),
        unet or tiny_unet(),
        scheduler or ddim(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def build_sdxl(folder):
    from diffusers import StableDiffusionXLPipeline

    torch.manual_seed(0)
    unet = tiny_unet(
        block_out_channels=(8, 16, 16),
        attention_head_dim=(1, 2, 2),
        use_linear_projection=True,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        cross_attention_dim=16,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 8,
    )
    tokenizer = tiny_tokenizer(folder)
    pipe = StableDiffusionXLPipeline(
        tiny_vae(),
        tiny_text_encoder(8),
        tiny_text_encoder(8, True),
        tokenizer,
        tokenizer,
        unet,
        ddim(),
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory):
    """SD 1.5's shape; weights want gradients and the UNet trains, for code must not rely on a loader."""
    pipe = build_sd(tmp_path_factory.mktemp("sd"))
    pipe.unet.train()
    return pipe


@pytest.fixture(scope="session")
def tiny_sd21(tmp_path_factory):
    """SD 2.1's: v-prediction, linear projections."""
    return build_sd(
        tmp_path_factory.mktemp("sd21"),
        tiny_unet(use_linear_projection=True),
        ddim(prediction_type="v_prediction"),
    )


@pytest.fixture(scope="session")
def tiny_sdxl(tmp_path_factory):
    """SDXL's: two text encoders, pooled embeddings, added time ids, its seventy self-attention layers."""
    return build_sdxl(tmp_path_factory.mktemp("sdxl"))


@pytest.fixture(params=["tiny_sd", "tiny_sd21", "tiny_sdxl"])
def any_pipe(request):
    return request.getfixturevalue(request.param)


def picture(seed=0, size=(SIDE, SIDE)):
    """A smooth random picture as a PIL image of (height, width)."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((size[1], size[0]), Image.Resampling.BICUBIC)


@pytest.fixture
def style():
    return picture(1)


@pytest.fixture
def content():
    return picture(2)


def seed(value=0):
    return torch.Generator().manual_seed(value)


def state_of(pipe):
    """Everything about a pipeline that a verb might leave changed."""
    modules = [
        m for part in pipe.components.values() if isinstance(part, torch.nn.Module) for m in part.modules()
    ]
    weights = [p for m in modules for p in m.parameters(recurse=False)]
    scheduler = {name: value for name, value in vars(pipe.scheduler).items() if name != "_internal_dict"}
    return {
        "hooks": [
            len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in modules
        ],
        "training": [m.training for m in modules],
        "requires_grad": [p.requires_grad for p in weights],
        "grad": [p.grad is None for p in weights],
        "dtype": [p.dtype for p in weights],
        "forward": ["forward" in vars(m) for m in modules],
        "values": [float(p.detach().double().sum()) for p in weights],
        "scheduler": {
            name: value.tolist() if hasattr(value, "tolist") else value for name, value in scheduler.items()
        },
    }


@contextlib.contextmanager
def unchanged(pipe):
    """Assert that the block leaves the pipeline as it was, also when it raises."""
    before = state_of(pipe)
    try:
        yield
    finally:
        after = state_of(pipe)
        assert [name for name in before if before[name] != after[name]] == []
