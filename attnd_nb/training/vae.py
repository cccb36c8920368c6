"""The autoencoder: a stock `AutoencoderKL` with eight times fewer pixels a side, made trainable on a laptop by its first weights.

With random first weights the reconstruction stalls near the mean colour for hundreds of steps: no picture survives four levels
of random convolutions. DC-AE (Chen et al., 2024) cures that with shortcuts around the resampling layers; here the same
shortcut is written *into the weights*: `linear_start` makes the untrained network return a blurred copy of its input.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import nn

from . import data
from .loop import device, mixed_precision, share, train

LATENT_CHANNELS = 16  # as SD 3: eight hold 23 dB of a photograph at this size, sixteen 25
SCALED = 0.25  # what the averaged latents' pictures count beside the whole ones
NOISE = 0.1  # at most, of the latents' deviation, when the decoder learns alone
CONSTANT = 2.0  # a constant feature this large beside a colour makes a group norm and a SiLU nearly linear for the colour


def build(widths=(16, 32, 64, 128), latent_channels: int = LATENT_CHANNELS) -> AutoencoderKL:
    """An untrained f8 autoencoder that already returns a blurred copy of what it is given."""
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=widths,
        layers_per_block=1, latent_channels=latent_channels, norm_num_groups=4, sample_size=256, scaling_factor=1.0,
        mid_block_add_attention=False,
    )  # fmt: skip
    linear_start(vae)
    return vae


@torch.no_grad()
def linear_start(vae: AutoencoderKL) -> None:
    """Writes a path for the three colours through the untrained network; every other weight stays random.

    Residual branches start at zero, the down-samplers average 2x2 pixels, the up-samplers interpolate. Before the
    last SiLU of each half the colour travels as a pair (c, -c), because silu(c) - silu(-c) = c.
    """
    encoder, decoder = vae.encoder, vae.decoder
    for name, module in vae.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0, module.weight[0].numel() ** -0.5 if not name.endswith("conv2") else 0.0)
            nn.init.zeros_(module.bias)
    blocks = [*encoder.down_blocks, *decoder.up_blocks]
    shortcuts = [r.conv_shortcut for block in blocks for r in block.resnets if r.conv_shortcut is not None]
    for conv in (encoder.conv_in, decoder.conv_in, *shortcuts):
        _colours_through(conv, _centre(conv))
    average = torch.zeros(3, 3)
    average[:2, :2] = 0.25
    binomial = torch.outer(torch.tensor([0.25, 0.5, 0.25]), torch.tensor([0.25, 0.5, 0.25]))
    for block in encoder.down_blocks[:-1]:
        _colours_through(block.downsamplers[0].conv, average)
    for block in decoder.up_blocks[:-1]:
        _colours_through(block.upsamplers[0].conv, binomial)
    _linear_tail(encoder.down_blocks[-1].resnets[0].conv_shortcut, encoder.conv_norm_out, encoder.conv_out)
    _linear_tail(decoder.up_blocks[-1].resnets[0].conv_shortcut, decoder.conv_norm_out, decoder.conv_out)
    channels = vae.config.latent_channels
    encoder.conv_out.weight[channels:] = 0  # the second half is the log variance of the posterior: begin with little noise
    encoder.conv_out.bias[channels:] = -5.0
    for conv in (vae.quant_conv, vae.post_quant_conv):
        nn.init.dirac_(conv.weight)


def _centre(conv: nn.Conv2d) -> torch.Tensor:
    kernel = torch.zeros(conv.kernel_size)
    kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
    return kernel


def _colours_through(conv: nn.Conv2d, kernel: torch.Tensor) -> None:
    conv.weight[:3] = 0
    for colour in range(3):
        conv.weight[colour, colour] = kernel


def _linear_tail(shortcut: nn.Conv2d, norm: nn.GroupNorm, out: nn.Conv2d) -> None:
    size = shortcut.weight.shape[0] // norm.num_groups
    rms = ((2 * CONSTANT**2 + 0.5 * (size - 3)) / size) ** 0.5  # of the group: two constants, a pair, and random features
    for colour in range(3):
        first = colour * size
        shortcut.weight[first : first + 4] = 0
        shortcut.weight[first, colour], shortcut.weight[first + 1, colour] = 1, -1
        shortcut.bias[first + 2], shortcut.bias[first + 3] = CONSTANT, -CONSTANT
        out.weight[colour] = 0
        out.weight[colour, first, 1, 1], out.weight[colour, first + 1, 1, 1] = rms, -rms


def reconstruction_loss(output: torch.Tensor, target: torch.Tensor, levels: int = 3) -> torch.Tensor:
    """L1 of the pixels and of their gradients, over `levels` octaves: colours, edges and masses count alike."""
    total = output.new_zeros(())
    for level in range(levels):
        error = output - target
        total = total + error.abs().mean() + error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        if level + 1 < levels:
            output, target = F.avg_pool2d(output, 2), F.avg_pool2d(target, 2)
    return total / levels


def crops(images: np.ndarray, batch: int, size: int, rng: np.random.Generator) -> torch.Tensor:
    """Random crops (batch, 3, size, size), half of them mirrored, a third of them halved where the images are large enough."""
    halved = rng.binomial(batch, 0.35) if images.shape[1] >= 2 * size else 0
    whole = data.to_tensor(_cut(images, batch - halved, size, rng), device())
    if not halved:
        return whole
    return torch.cat([whole, F.avg_pool2d(data.to_tensor(_cut(images, halved, 2 * size, rng), device()), 2)])


def _cut(images: np.ndarray, count: int, size: int, rng: np.random.Generator) -> np.ndarray:
    out = np.empty((count, size, size, 3), np.uint8)
    for row, index in enumerate(rng.integers(0, len(images), count)):
        top, left = rng.integers(0, images.shape[1] - size + 1, 2)
        crop = images[index, top : top + size, left : left + size]
        out[row] = crop[:, :: rng.choice((1, -1))]
    return out


def with_noise(latents: torch.Tensor) -> torch.Tensor:
    """Latents (n, c, h, w) with noise of up to `NOISE` of their deviation, of another strength for each picture.

    >>> latents = 3 * torch.randn(64, 4, 8, 8)
    >>> strength = (with_noise(latents) - latents).std(dim=(1, 2, 3)) / 3
    >>> bool(strength.min() < 0.2 * NOISE < 0.8 * NOISE < strength.max() < 1.2 * NOISE)
    True
    """
    strength = NOISE * latents.std() * torch.rand(len(latents), 1, 1, 1, device=latents.device)
    return latents + strength * torch.randn_like(latents)


def run(
    run: Path, minutes: float, batch: int = 16, peak: float = 1e-3, kl_weight: float = 1e-4, begin: Path | None = None
) -> None:
    """Trains the autoencoder on crops of 64 px, and of 128 and 256 px after a fifth of the budget; checkpoint `run/vae.pt`.

    Latents averaged over 2x2 cells have to decode to the crop at half its size (EQ-VAE, Kouzelis et al., 2025): latents that
    behave like a picture are easier to denoise, and what lies between two latents still decodes to something.

    Once the latents stage has run, the encoder stays as it is, for the UNet has learned its latents: the decoder alone goes on,
    on large crops (group norms see the whole crop: what was learned on 64 px loses .7 dB on whole pictures) and in small steps.
    It is given latents with noise of up to `NOISE` of their deviation: optimised and sampled latents are never clean, and a
    decoder that knows clean ones only draws their errors as needles.
    """
    images, _, _ = data.load(run / "data")
    vae = build()
    if begin:
        vae.load_state_dict(AutoencoderKL.from_pretrained(begin / "vae").state_dict())
    fixed = any((run / "latents").glob("*.npz"))
    vae.encoder.requires_grad_(not fixed)
    vae.quant_conv.requires_grad_(not fixed)
    vae.to(device(), memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=peak, betas=(0.9, 0.99), weight_decay=0.0)
    rng = np.random.default_rng()

    def loss_of(progress: float) -> dict:
        size = int(rng.choice((128, 256))) if fixed or progress > 0.2 else 64
        x = crops(images, max(1, share(batch) * 64**2 // size**2), size, rng)
        with mixed_precision():
            posterior = vae.encode(x).latent_dist
            z = posterior.sample()
            if fixed:
                z = with_noise(z)
            output, small = vae.decode(z).sample, vae.decode(F.avg_pool2d(z, 2)).sample
        kl = 0.5 * (posterior.mean**2 + posterior.var - 1 - posterior.logvar).mean()
        fit = reconstruction_loss(output.float(), x)
        scaled = reconstruction_loss(small.float(), F.avg_pool2d(x, 2))
        loss = fit + SCALED * scaled + kl_weight * kl
        return {"loss": loss, "l1": (output - x).abs().mean(), "scaled": scaled, "kl": kl}

    held_out = data.to_tensor(images[:8])
    state = {"model": vae, "optimizer": optimizer}
    train("vae", run, state, loss_of, 0.2 * peak if fixed else peak, minutes,
          sheet=lambda step: sheet(vae, held_out, run / f"vae_{step:06d}.png"))  # fmt: skip


@torch.no_grad()
def sheet(vae: AutoencoderKL, images: torch.Tensor, path: Path) -> None:
    """Originals above, reconstructions below."""
    from PIL import Image

    vae.eval()
    output = vae.decode(vae.encode(images.to(device())).latent_dist.mean).sample.cpu()
    vae.train()
    rows = torch.cat([torch.cat(list(images), dim=-1), torch.cat(list(output), dim=-1)], dim=-2)
    Image.fromarray(((rows.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).numpy()).save(path)


def load(run: Path) -> AutoencoderKL:
    """The trained autoencoder, its scaling factor measured by the latents stage if that has run."""
    vae = build()
    vae.load_state_dict(torch.load(run / "vae.pt", map_location="cpu", weights_only=True)["model"])
    factor = run / "scaling_factor.txt"
    if factor.exists():
        vae.register_to_config(scaling_factor=float(factor.read_text()))
    return vae.eval().requires_grad_(False)
