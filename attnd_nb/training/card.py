"""The model card of `data/mini`, written from what the stages logged and what `evaluate` measured: no number by hand."""

from __future__ import annotations

import json
from pathlib import Path

import torch

TEXT = """# data/mini: Stable Diffusion in miniature

A complete diffusers pipeline that `StableDiffusionPipeline.from_pretrained("data/mini")` loads unaided: SD 1.5's layout with
{widths} features on its four levels where SD 1.5 has 320, 640, 1280 and 1280. It was trained on nothing but
pictures that the program in `attnd_nb/world` draws, so no licence of anybody's pictures or weights is attached to it; it is
under this repository's licence.

| part | what it is | parameters |
|---|---|---|
{parts}

256 px pictures are 32x32 latents of {channels} channels (f8, scaling factor {scaling}); v prediction, DDIM with Stable
Diffusion's betas; prompts of at most {tokens} tokens from a closed vocabulary of {words} words (`attnd_nb.world.VOCABULARY`).

## How it was made

`python -m attnd_nb.training` with the stages data, vae, latents, unet, export: {images} pictures of the image world (things made
of materials, in twelve styles, nearly half of them one large thing before a light ground; plain materials, dead leaves, coloured
noise). The text encoder learns first, from captions alone, to say at their end which words are in them, and is frozen, as in
Stable Diffusion. The UNet predicts v, as SD 2.1's does.

| stage | steps | minutes | learning rate at the end of the log |
|---|---|---|---|
{stages}

Machine: {machine}.{history}

## Figures, on pictures it never saw

Written by `python -m attnd_nb.training evaluate`.

**Reconstruction** (encode and decode, mean PSNR): world {world_psnr:.1f} dB{real_psnr}.

{prompts}

{styled}

{transfer}

{texture}

## Limits

- It knows the image world's words and things only; a prompt outside the vocabulary is spelled out in pieces that mean nothing.
- Photographs and paintings pass through the autoencoder and through attention features, and Attention Distillation works on
  them; the model cannot draw them from a prompt.
- Detail finer than about four pixels is lost by the autoencoder.
"""

PROMPTS = """**Prompts**: share of samples (25 DDIM steps) in which a small classifier trained on the world finds what
the prompt names, in 48 pictures of one thing ("an oil painting of a wooden fish on grass") and of each material alone ("a photo
of wood"); below, the same scenes drawn by the world itself, which is all that the classifier can find.

| | thing | material | style | material alone |
|---|---|---|---|---|
{rows}"""
STYLED = """**Prompts in a picture's style** (`guided_sample` with AdaIN, 25 steps, guidance 7.5): share of eight samples in which
the classifier finds the prompt's thing, and mean patch distance to the style.

| | things | style |
|---|---|---|
{rows}"""

TRANSFER = """**Style transfer** (`optimize` with `FAST`, {seconds:.0f} s each here, where 200 steps take {slow:.0f} s):
patch distance of result to style over that of content to style / edge correlation with the content{truth_note}.

| content in style | KV injection | λ .05 | λ .15 | λ .25 | λ .5 | `guided_sample`, strength .6, λ .5 |
|---|---|---|---|---|---|---|
{rows}"""

TEXTURE = """**Texture from noise** (`optimize` and `guided_sample` with AdaIN, 250 steps at rates that fall from .1 to .01):
patch distance to the exemplar. "Injected" is KV injection, "matched" its latent with the exemplar's mean and deviation in each
channel, which AdaIN gives to the others.

| exemplar | round trip | plain | injected | injected, matched | 100 steps | 250 steps | `FAST` | guided, 50x2 | `FAST_SAMPLING` |
|---|---|---|---|---|---|---|---|---|---|
{rows}"""


def write(run: Path, target: Path, machine: str) -> None:
    """Writes `target/README.md` from `run/figures.json` and the checkpoints' records."""
    figures = json.loads((run / "figures.json").read_text())
    config = {part: json.loads((target / part / "config.json").read_text()) for part in ("unet", "vae", "text_encoder")}
    (target / "README.md").write_text(
        TEXT.format(
            parts="\n".join(_parts(target)), widths=_listed(config["unet"]["block_out_channels"]),
            channels=config["vae"]["latent_channels"],
            scaling=config["vae"]["scaling_factor"], tokens=config["text_encoder"]["max_position_embeddings"],
            words=_vocabulary_size(), images=_count_images(run), stages="\n".join(_stages(run)),
            machine=machine, history=_history(run),
            world_psnr=figures["reconstruction"]["world"], real_psnr=_real(figures["reconstruction"]),
            prompts=_section("Prompts", PROMPTS, figures.get("prompts"), _shares),
            styled=_section("Prompts in a picture's style", STYLED, figures.get("styled"), _styled),
            transfer=_section("Style transfer", TRANSFER, figures.get("transfer"), _transfers),
            texture=_section("Texture from noise", TEXTURE, figures.get("texture"), _distances),
        )
    )  # fmt: skip


def _row(name: str, values, form: str) -> str:
    return f"| {name} | " + " | ".join(form.format(value) for value in values) + " |"


def _listed(numbers: list[int]) -> str:
    """
    >>> _listed([1, 2, 3])
    '1, 2 and 3'
    """
    return ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"


def _parts(target: Path) -> list[str]:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    models = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}
    count = {name: sum(p.numel() for p in kind.from_pretrained(target / name).parameters()) for name, kind in models.items()}
    return [f"| {name} | {models[name].__name__} | {number / 1e6:.2f} M |" for name, number in count.items()]


def _stages(run: Path) -> list[str]:
    rows = []
    for name in (name for name in ("vae", "unet", "recogniser") if (run / f"{name}.pt").exists()):
        saved = torch.load(run / f"{name}.pt", map_location="cpu", weights_only=True)
        rate = saved["optimizer"]["param_groups"][0]["lr"]
        rows.append(f"| {name} | {saved['step']} | {saved['seconds'] / 60:.0f} | {rate:.1e} |")
    return rows


def _history(run: Path) -> str:
    """What the stages began with, where it was not nothing: `run/history.md`, written by whoever put older weights there."""
    path = run / "history.md"
    return f" {path.read_text().strip()}" if path.exists() else ""


def _section(name: str, form: str, figures: dict | None, rows) -> str:
    if figures is None:
        return f"**{name}**: not measured for these weights."
    extra = {}
    if "seconds" in figures:
        extra = {"seconds": figures["seconds"], "slow": figures["seconds of 200 steps"], "truth_note": _truth_note(figures)}
    return form.format(rows="\n".join(rows(figures)), **extra)


def _shares(prompts: dict) -> list[str]:
    return [_row(name, values.values(), "{:.0%}") for name, values in prompts.items()]


def _styled(styled: dict) -> list[str]:
    return [f"| {name} | {found['things']:.0%} | {found['style']:.3f} |" for name, found in styled.items()]


def _distances(texture: dict) -> list[str]:
    return [_row(name, values.values(), "{:.3f}") for name, values in texture.items()]


def _vocabulary_size() -> int:
    from attnd_nb.world import VOCABULARY

    return len(VOCABULARY)


def _count_images(run: Path) -> int:
    from . import latents

    return len(latents.load(run)[2])


def _real(reconstruction: dict) -> str:
    if "real" not in reconstruction:
        return ""
    each = ", ".join(f"{name.replace('_', ' ')} {value:.1f}" for name, value in reconstruction["each"].items())
    return f", real photographs, paintings and textures {reconstruction['real']:.1f} dB ({each})"


def _truth_note(transfer: dict) -> str:
    worlds = any("truth" in entry["injected"] for entry in transfer.values() if isinstance(entry, dict))
    note = (
        "; on world scenes also / patch distance to the scene's own rendering in that style over that of the content (far above "
        "1 where the rendering keeps the scene's palette, while distillation takes the reference's)"
    )
    return note * worlds


def _transfers(transfer: dict) -> list[str]:
    rows = []
    for name, entry in transfer.items():
        if isinstance(entry, dict):
            rows.append(_row(name, (" / ".join(f"{v:.2f}" for v in scores.values()) for scores in entry.values()), "{}"))
    return rows
