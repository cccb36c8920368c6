"""Writes the trained parts as a diffusers pipeline folder, half precision on disk."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import CLIPTokenizer

from . import unet


def run(run: Path, target: Path) -> None:
    """`run`'s checkpoints to a folder that `StableDiffusionPipeline.from_pretrained` loads unaided; uses the averaged weights."""
    tokenizer = CLIPTokenizer.from_pretrained(run / "tokenizer")
    saved = torch.load(run / "unet.pt", map_location="cpu", weights_only=True)
    model = unet.Denoiser(tokenizer)
    model.load_state_dict(saved["ema"])
    pipe = unet.pipeline(run, model.eval(), tokenizer).to(torch.float16)
    pipe.save_pretrained(target)
    _load_in_full_precision(target / "text_encoder" / "config.json")
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file()) / 1e6
    print(f"{target}: {size:.1f} MB, after {saved['step']} steps and {saved['seconds'] / 60:.0f} minutes")


def _load_in_full_precision(config: Path) -> None:
    """transformers gives a model the precision its config names, diffusers gives float32: make them agree on a CPU."""
    config.write_text(json.dumps(json.loads(config.read_text()) | {"dtype": "float32"}, indent=2) + "\n")
