"""A full-size model without a download: real configurations, random weights, saved as a pipeline folder.

    python tests/benchmarks/random_model.py sd15 out/sd15       # 2 GB in float16
    python tests/benchmarks/speed.py --model out/sd15 --steps 2
    python tests/benchmarks/cost.py --model out/sd15 --steps 2 --rounds 1 --to out/cost.png

Time and memory do not depend on what the weights say; pictures and losses do, and mean nothing here. The tokenizer is that of
`data/mini`, as no other can be had offline. Configurations: those of the models' own cards on the hub.
"""

import argparse
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from attnd_nb.models import mini_folder

CLIP_L = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, projection_dim=768)
CLIP_H = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16, projection_dim=512,
              hidden_act="gelu")  # fmt: skip
CLIP_G = dict(hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20, projection_dim=1280,
              hidden_act="gelu")  # fmt: skip
SD = dict(block_out_channels=(320, 640, 1280, 1280), layers_per_block=2)
UNETS = {
    "sd15": dict(SD, sample_size=64, cross_attention_dim=768, attention_head_dim=8),
    "sd21": dict(SD, sample_size=96, cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True),
    "sdxl": dict(
        block_out_channels=(320, 640, 1280), layers_per_block=2, sample_size=128, cross_attention_dim=2048,
        attention_head_dim=(5, 10, 20), use_linear_projection=True, transformer_layers_per_block=(1, 2, 10),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), addition_embed_type="text_time",
        addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
    ),
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=UNETS)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    pipe = build(arguments.model)
    print(f"{sum(p.numel() for p in pipe.unet.parameters()) / 1e6:.0f} million parameters in the UNet")
    pipe.to(torch.float16).save_pretrained(arguments.folder)


def build(model):
    """The pipeline, in float32."""
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(mini_folder() / "tokenizer", model_max_length=77)
    unet = UNet2DConditionModel(**UNETS[model])
    if model == "sdxl":
        texts = CLIPTextModel(text_config(CLIP_L)), CLIPTextModelWithProjection(text_config(CLIP_G))
        return StableDiffusionXLPipeline(vae(1024, 0.13025, True), *texts, tokenizer, tokenizer, unet, ddim("epsilon"),
                                         add_watermarker=False)  # fmt: skip
    prediction, clip = ("v_prediction", CLIP_H) if model == "sd21" else ("epsilon", CLIP_L)
    return StableDiffusionPipeline(
        vae(UNETS[model]["sample_size"] * 8, 0.18215), CLIPTextModel(text_config(clip)), tokenizer, unet, ddim(prediction),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def vae(size, scaling_factor, force_upcast=False):
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4, layers_per_block=2,
        up_block_types=("UpDecoderBlock2D",) * 4, sample_size=size, scaling_factor=scaling_factor, force_upcast=force_upcast,
    )  # fmt: skip


def text_config(clip):
    return CLIPTextConfig(vocab_size=49408, max_position_embeddings=77, bos_token_id=0, eos_token_id=1, pad_token_id=1, **clip)


def ddim(prediction):
    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                         set_alpha_to_one=False, steps_offset=1, prediction_type=prediction)  # fmt: skip


if __name__ == "__main__":
    main()
