"""A small ControlNet (Zhang et al., 2023) for `data/mini`: edges say where things are, the prompt says what they are.

Its own recipe at mini's size: a copy of the convolutions in the UNet's first half and middle that also sees the edges, and hands
on what it finds through convolutions that start at zero. It has no attention of its own, which would be a third of its weights:
edges are local, and the prompt is read by the UNet. The UNet and the text encoder stay as they are.
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import torch
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline
from PIL import Image
from skimage.color import rgb2gray
from skimage.feature import canny
from tqdm.auto import tqdm
from transformers import CLIPTokenizer

from . import data, latents, text, unet
from .loop import Ema, device, join_processes, meet, mixed_precision, share, train

CAPTION_DROPOUT = 0.5  # half of the captions are hidden, so that the edges have to be read
EMBEDDING = (8, 16, 32, 64)  # widths on the way from the edges' pixels to the latent's cells
CARD = """# data/control: a ControlNet for data/mini

Edges (`attnd_nb.training.control.edges`) say where things are, the prompt says what they are. {parameters:.1f} million
parameters, trained for {minutes:.0f} minutes, {steps} steps, by `python -m attnd_nb.training control` on nothing but pictures
that `attnd_nb/world` draws; under this repository's licence.

    from diffusers import ControlNetModel, StableDiffusionControlNetPipeline
    controlnet = ControlNetModel.from_pretrained("data/control")
    pipe = StableDiffusionControlNetPipeline(**pipe.components, controlnet=controlnet, requires_safety_checker=False)

Limits: it knows the edges of the world's scenes at 256 pixels. With a prompt it holds outlines; with the empty one, faintly. What
it is worth is measured by `tests/benchmarks/verbs.py --only control`.
"""


def edges(image, sigma: float = 2.0) -> Image.Image:
    """White outlines on black (Canny, 1986), as the ControlNet was trained on; `image` as `open_image` takes it.

    >>> edges(np.tile(np.repeat([0.0, 1.0], 16), (32, 1))).getextrema()
    ((0, 255), (0, 255), (0, 255))
    """
    from attnd_nb import open_image

    return Image.fromarray(_outlines(np.asarray(open_image(image)), sigma)).convert("RGB")


def _outlines(pixels: np.ndarray, sigma: float = 2.0) -> np.ndarray:
    """(h, w, 3) uint8 to (h, w) uint8."""
    return canny(rgb2gray(pixels), sigma).astype(np.uint8) * 255


def draw_edges(run: Path) -> None:
    """Draws the outlines of all images to `run/edges`, eight pixels a byte, on all cores; what exists is kept."""
    (run / "edges").mkdir(exist_ok=True)
    shards = sorted((run / "data").glob("[0-9]*.npz"))
    jobs = [(shard, run / "edges" / shard.with_suffix(".npy").name) for shard in shards]
    missing = [job for job in jobs if not job[1].exists()]
    if missing:
        with multiprocessing.get_context("spawn").Pool() as pool:
            list(tqdm(pool.imap(_draw_shard, missing), total=len(missing), desc="edges", unit="shard"))


def _draw_shard(job: tuple[Path, Path]) -> None:
    shard, file = job
    new = file.with_name("new_" + file.name)  # no shard's name until it is whole
    np.save(new, np.packbits([_outlines(image) > 0 for image in np.load(shard)["images"]], axis=-1))
    new.replace(file)


def load_denoiser(run: Path) -> tuple[unet.Denoiser, CLIPTokenizer]:
    """The averaged weights of the unet stage, frozen."""
    tokenizer = CLIPTokenizer.from_pretrained(run / "tokenizer")
    model = unet.Denoiser(tokenizer)
    model.load_state_dict(torch.load(run / "unet.pt", map_location="cpu", weights_only=True)["ema"])
    return model.eval().requires_grad_(False), tokenizer


def build(model: unet.Denoiser) -> ControlNetModel:
    """A ControlNet that changes nothing yet: the UNet's convolutions and embedding of t, and connections that are zero."""
    config = model.unet.config
    controlnet = ControlNetModel(
        in_channels=config.in_channels, down_block_types=("DownBlock2D",) * 4, mid_block_type="UNetMidBlock2D",
        block_out_channels=config.block_out_channels, layers_per_block=config.layers_per_block,
        norm_num_groups=config.norm_num_groups, cross_attention_dim=config.cross_attention_dim,
        conditioning_embedding_out_channels=EMBEDDING,
    )  # fmt: skip
    controlnet.load_state_dict(model.unet.state_dict(), strict=False)
    return controlnet


def run(run: Path, minutes: float, peak: float = 8e-4, batch: int = 16) -> None:
    """Trains on the scenes among the images; checkpoint `run/control.pt`."""
    model, tokenizer = load_denoiser(run)
    controlnet = build(model).train()
    for module in (model, controlnet):
        module.to(device(), memory_format=torch.channels_last)
    model.unet.set_attn_processor(unet.FullPrecisionAttention())
    ema = Ema(controlnet, decay=0.999)
    optimizer = torch.optim.AdamW(controlnet.parameters(), lr=peak, betas=(0.9, 0.99), weight_decay=0.01)
    if join_processes():
        draw_edges(run)
    meet()
    outlines = np.concatenate([np.load(file) for file in sorted((run / "edges").glob("[0-9]*.npy"))])
    full, _, captions = latents.load(run)
    meta = data.load_meta(run / "data")
    scenes = np.array([index for index, about in enumerate(meta[: len(full)]) if about["kind"] in ("portrait", "scene")])
    ids, empty = text.token_ids(tokenizer, captions), text.token_ids(tokenizer, [""])
    alphas_cumprod = unet.build_scheduler().alphas_cumprod.to(device())
    weights = unet.loss_weights(alphas_cumprod)
    rng = np.random.default_rng()

    def loss_of(progress: float) -> dict:
        index = rng.choice(scenes, share(batch))
        drawn = torch.from_numpy(np.unpackbits(outlines[index], axis=-1)).to(device())[:, None].expand(-1, 3, -1, -1).float()
        dropped = torch.from_numpy(rng.random(len(index)) < CAPTION_DROPOUT)
        clean = full[index].float().to(device())
        tokens = torch.where(dropped[:, None], empty, ids[index]).to(device())
        noisy, timestep, v = unet.noised(clean, alphas_cumprod)
        with mixed_precision():
            told = model.text_encoder(tokens)[0]
            down, mid = controlnet(noisy, timestep, told, drawn, return_dict=False)
            prediction = model.unet(
                noisy, timestep, told, down_block_additional_residuals=down, mid_block_additional_residual=mid
            ).sample
        error = (prediction.float() - v).square().mean(dim=(1, 2, 3))
        return {"loss": (weights[timestep] * error).mean(), "mse": error.mean()}

    state = {"model": controlnet, "ema": ema.module, "optimizer": optimizer}
    train("control", run, state, loss_of, peak, minutes, after_step=lambda step: ema.update(controlnet, step),
          sheet=lambda step: sheet(run, model, tokenizer, ema.module, step))  # fmt: skip


def sheet(run: Path, model: unet.Denoiser, tokenizer, controlnet: ControlNetModel, step: int) -> None:
    """Scenes that were never trained on, their edges, and samples with the caption and without, one column a scene."""
    from attnd_nb.world import full_caption, sample_scene

    pipe = unet.pipeline(run, model, tokenizer)
    pipe = StableDiffusionControlNetPipeline(**pipe.components, controlnet=controlnet, requires_safety_checker=False)
    pipe.to(device()).set_progress_bar_config(disable=True)
    scenes = [sample_scene(data.HELD_OUT + index) for index in range(4)]
    pictures = [Image.fromarray((scene.render((256, 256)) * 255 + 0.5).astype(np.uint8)) for scene in scenes]
    drawn = [edges(picture) for picture in pictures]
    rows = [pictures, drawn]
    for prompts in ([full_caption(scene) for scene in scenes], [""] * len(scenes)):
        noise = torch.Generator().manual_seed(0)
        rows.append(pipe(prompts, drawn, num_inference_steps=25, guidance_scale=4.0, generator=noise).images)
    page = Image.new("RGB", (256 * len(scenes), 256 * len(rows)))
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            page.paste(image, (256 * column, 256 * row))
    page.save(run / f"control_{step:06d}.png")


def export(run: Path, target: Path) -> None:
    """The averaged weights as a folder that `ControlNetModel.from_pretrained` loads, half precision on disk."""
    saved = torch.load(run / "control.pt", map_location="cpu", weights_only=True)
    controlnet = build(load_denoiser(run)[0])
    controlnet.load_state_dict(saved["ema"])
    controlnet.half().save_pretrained(target)
    minutes, parameters = saved["seconds"] / 60, sum(weight.numel() for weight in controlnet.parameters()) / 1e6
    (target / "README.md").write_text(CARD.format(steps=saved["step"], minutes=minutes, parameters=parameters))
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file()) / 1e6
    print(f"{target}: {size:.1f} MB, after {saved['step']} steps and {saved['seconds'] / 60:.0f} minutes")
