"""The UNet in SD 1.5's layout, trained to denoise (paper, Eq. 1) with a frozen text encoder.

It predicts v (Salimans & Ho, 2022), as SD 2.1 does, and not the noise as SD 1.5. Where sampling begins, the picture that follows
from a predicted noise is off by 13 times the error of the noise, and a small model copies noise no better than to a few per
cent: after three minutes at the full learning rate from the same weights, the squared error of the guessed picture at t = 980
was 1.15 with noise and .82 with v, where one picture for everything has .91. v is nearly the picture itself at large t and nearly
the noise at small t.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from . import data, latents, text, vae
from .loop import Ema, device, join_processes, meet, mixed_precision, share, train

CAPTION_DROPOUT = 0.12  # what classifier-free guidance and the empty prompt of Attention Distillation live on
SNR_RANGE = 0.5, 5.0  # between them an error of the guessed picture counts as much as the signal-to-noise ratio says
PROMPTS = ["a wooden fish", "a house made of brick", "a knitted cat on grass", "a star, watercolour", "a tree, oil painting",
           "a butterfly, stained glass", "leopard", "a marble cup"]  # fmt: skip


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion's betas, v prediction."""
    return DDIMScheduler(
        num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1, prediction_type="v_prediction",
    )  # fmt: skip


def build(widths=(32, 64, 192, 192), channels: int = vae.LATENT_CHANNELS, text_width: int = 128) -> UNet2DConditionModel:
    """SD 1.5's layout at a tenth to a seventh of its widths: four levels, two layers a block, sixteen self-attention layers."""
    unet = UNet2DConditionModel(
        sample_size=32, in_channels=channels, out_channels=channels, block_out_channels=widths, layers_per_block=2,
        cross_attention_dim=text_width, attention_head_dim=tuple(w // 32 for w in widths), norm_num_groups=8,
    )  # fmt: skip  (attention_head_dim is, by an old slip in diffusers, the number of heads)
    nn.init.zeros_(unet.conv_out.weight)
    return unet


class FullPrecisionAttention:
    """An attention processor whose softmax is float32 also under autocast.

    On a CPU bf16 attention is slower, backward most. On a GPU it was there when training on from trained weights gave no
    numbers, for a reason that was not found; from new weights it went well.
    """

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        heads = [x.unflatten(-1, (attn.heads, -1)).transpose(1, 2).float()
                 for x in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))]  # fmt: skip
        with torch.autocast(hidden_states.device.type, enabled=False):
            out = F.scaled_dot_product_attention(*heads)  # (batch, heads, tokens, head_dim)
        return attn.to_out[0](out.transpose(1, 2).flatten(2))


class Denoiser(nn.Module):
    """UNet and text encoder as one module, so that one checkpoint holds both."""

    def __init__(self, tokenizer, channels: int = vae.LATENT_CHANNELS):
        super().__init__()
        self.unet, self.text_encoder = build(channels=channels), text.build_text_encoder(tokenizer)

    def forward(self, noisy: torch.Tensor, timestep: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return self.unet(noisy, timestep, self.text_encoder(ids)[0]).sample


def loss_weights(alphas_cumprod: torch.Tensor) -> torch.Tensor:
    """Weight of each timestep for v prediction, whose squared error is that of the guessed picture times 1 + SNR.

    An error of the guessed picture counts as much as the signal-to-noise ratio says, clamped to `SNR_RANGE`. From above as
    Min-SNR-gamma (Hang et al., 2023): easy, nearly clean timesteps count less; from below, so that composition is learned.

    >>> loss_weights(torch.tensor([1 / 17, 0.5, 10 / 11]))  # signal-to-noise ratios 1/16, 1 and 10
    tensor([0.4706, 0.5000, 0.4545])
    """
    snr = alphas_cumprod / (1 - alphas_cumprod)
    return snr.clamp(*SNR_RANGE) / (1 + snr)


def batch_of(full, half, ids, empty, coarse: bool, generator, pool=None) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents (n, c, h, w) and their caption ids (n, 24), some captions emptied; of the indices in `pool` only, if given.

    A coarse batch holds 32 latents of 16x16, whole pictures at half size or parts of whole ones by the toss of a coin
    (composition from the first, texture at its own scale from the second); a fine one holds 16 of 32x32.
    On a GPU they are larger (`loop.share`).
    """
    size = share(32 if coarse else 16)
    pool = torch.arange(len(full)) if pool is None else pool
    index = pool[torch.randint(len(pool), (size,), generator=generator)].to(full.device)
    toss, top, left = torch.randint(2**16, (3,), generator=generator).tolist()
    latents = (half if coarse and toss % 2 else full)[index]
    if coarse and not toss % 2:
        top, left = (corner % (latents.shape[-1] // 2 + 1) for corner in (top, left))
        latents = latents[..., top : top + latents.shape[-2] // 2, left : left + latents.shape[-1] // 2]
    dropped = (torch.rand(size, generator=generator) < CAPTION_DROPOUT).to(full.device)
    return latents.float(), torch.where(dropped[:, None], empty, ids[index])


def noised(clean: torch.Tensor, alphas_cumprod: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latents (n, c, h, w) at a random timestep each: what the model is given, the timesteps (n,), and v, what it is to say.

    Large t come a little more often than small (density ∝ √t): there the picture is composed.

    >>> clean, always = torch.randn(2, 1, 4, 4), torch.full((1000,), 0.36)
    >>> noisy, timestep, v = noised(clean, always)
    >>> torch.allclose(0.6 * noisy - 0.8 * v, clean, atol=1e-6)
    True
    """
    noise, timestep = torch.randn_like(clean), (1000 * torch.rand(len(clean), device=clean.device) ** (2 / 3)).long()
    alpha = alphas_cumprod[timestep].view(-1, 1, 1, 1)
    signal, rest = alpha.sqrt(), (1 - alpha).sqrt()
    return signal * clean + rest * noise, timestep, signal * noise - rest * clean


def run(run: Path, minutes: float, peak: float = 8e-4, portrait_share: float = 0.6, begin: Path | None = None) -> None:
    """Trains on portraits mostly for `portrait_share` of the time, then on everything; checkpoint `run/unet.pt`.

    Every fourth batch is of small latents, so that the model knows pictures of 128 px, too.
    """
    full, half, captions = latents.load(run)
    meta = data.load_meta(run / "data")
    if len(meta) != len(full):
        raise ValueError(f"{len(meta)} pictures in {run / 'data'}, {len(full)} in {run / 'latents'}: run the latents stage again")
    portraits = torch.tensor([i for i, about in enumerate(meta) if about["kind"] == "portrait"])
    tokenizer = _tokenizer(run, begin)
    ids, empty = text.token_ids(tokenizer, captions), text.token_ids(tokenizer, [""])
    torch.manual_seed(0)  # all processes begin alike
    model = Denoiser(tokenizer, channels=full.shape[1])
    if begin:
        model.unet.load_state_dict(UNet2DConditionModel.from_pretrained(begin / "unet").state_dict())
        model.text_encoder.load_state_dict(CLIPTextModel.from_pretrained(begin / "text_encoder").state_dict())
    model.to(device(), memory_format=torch.channels_last)  # a tenth faster on a CPU
    full, half, ids, empty = (x.to(device()) for x in (full, half, ids, empty))
    if not begin and not (run / "unet.pt").exists():
        text.train_text_encoder(model.text_encoder, ids)
    model.text_encoder.requires_grad_(False)
    model.unet.set_attn_processor(FullPrecisionAttention())
    ema = Ema(model, decay=0.9995)
    optimizer = torch.optim.AdamW(model.unet.parameters(), lr=peak, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    alphas_cumprod = build_scheduler().alphas_cumprod
    weights = loss_weights(alphas_cumprod).to(device())
    alphas_cumprod = alphas_cumprod.to(device())
    generator = torch.Generator()
    generator.seed()

    turns = count()

    def loss_of(progress: float) -> dict:
        turn = next(turns) % 4
        pool = portraits if len(portraits) and progress < portrait_share and turn < 3 else None
        clean, tokens = batch_of(full, half, ids, empty, turn == 0, generator, pool)
        noisy, timestep, v = noised(clean, alphas_cumprod)
        with mixed_precision():
            prediction = model(noisy, timestep, tokens)
        error = (prediction.float() - v).square().mean(dim=(1, 2, 3))
        return {"loss": (weights[timestep] * error).mean(), "mse": error.mean()}

    state = {"model": model, "ema": ema.module, "optimizer": optimizer}
    train("unet", run, state, loss_of, peak, minutes, after_step=lambda step: ema.update(model, step),
          sheet=lambda step: sheet(run, ema.module, tokenizer, step))  # fmt: skip


def _tokenizer(run: Path, begin: Path | None) -> CLIPTokenizer:
    """The checkpoint's tokenizer, or that of the weights to begin with, or a new one; written to `run/tokenizer`.

    Never built twice for one model, nor in each process: equally frequent pieces come in no fixed order, and the ids of some
    words would change.
    """
    from attnd_nb.world import VOCABULARY

    own, first = run / "tokenizer", join_processes()
    if begin and not (run / "unet.pt").exists():
        own = begin / "tokenizer"
    if first:
        tokenizer = CLIPTokenizer.from_pretrained(own) if own.exists() else text.build_tokenizer(list(VOCABULARY))
        tokenizer.save_pretrained(run / "tokenizer")
    meet()
    return CLIPTokenizer.from_pretrained(run / "tokenizer")


def pipeline(run: Path, model: Denoiser, tokenizer) -> StableDiffusionPipeline:
    """The stages' results as one diffusers pipeline."""
    pipe = StableDiffusionPipeline(
        vae=vae.load(run), text_encoder=model.text_encoder, tokenizer=tokenizer, unet=model.unet, scheduler=build_scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    return pipe


def sheet(run: Path, model: Denoiser, tokenizer, step: int) -> None:
    """One sample of each of `PROMPTS`, from the same noise every time."""
    from PIL import Image

    pipe = pipeline(run, model, tokenizer).to(device())
    noise = torch.Generator().manual_seed(0)
    images = pipe(PROMPTS, num_inference_steps=25, generator=noise, height=256, width=256).images
    row = Image.new("RGB", (256 * len(images), 256))
    for column, image in enumerate(images):
        row.paste(image, (256 * column, 0))
    row.save(run / f"unet_{step:06d}.png")
