"""Every training image through the autoencoder once: the UNet never sees a pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from . import data, vae
from .loop import device, join_processes, mixed_precision, processes, rank


def run(run: Path) -> None:
    """Writes one file of latents a shard to `run/latents`; what exists is kept. Processes of torchrun share the shards.

    Each image is encoded whole and at half its size: `full` (n, c, h/8, w/8) and `half` (n, c, h/16, w/16), half precision,
    unscaled. The scaling factor that gives the first shard unit variance is written to `run/scaling_factor.txt`.
    """
    model = vae.load(run).to(device())
    folder = run / "latents"
    folder.mkdir(exist_ok=True)
    first = join_processes()
    batch = 128 if device().type == "cuda" else 4  # a CPU is fastest on what stays in its cache
    shards = sorted((run / "data").glob("[0-9]*.npz"))[rank() :: processes()]
    for path in tqdm(shards, desc="latents", unit="shard", disable=not first):
        if not (folder / path.name).exists():
            shard = np.load(path)
            pairs = [_encode(model, shard["images"][i : i + batch]) for i in range(0, len(shard["images"]), batch)]
            full, half = (np.concatenate(parts) for parts in zip(*pairs))
            np.savez(folder / f"new_{path.name}", full=full, half=half, captions=shard["captions"])
            (folder / f"new_{path.name}").replace(folder / path.name)
            if first and not (factor := run / "scaling_factor.txt").exists():
                factor.write_text(f"{1 / full.astype(np.float64).std():.5f}")


@torch.no_grad()
def _encode(model, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pixels = data.to_tensor(images, device())
    with mixed_precision():
        means = [model.encode(x).latent_dist.mean for x in (pixels, F.avg_pool2d(pixels, 2))]
    return tuple(mean.half().cpu().numpy() for mean in means)


def load(run: Path) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """All latents, scaled to about unit variance: full, half (both half precision) and captions."""
    shards = [np.load(path) for path in sorted((run / "latents").glob("[0-9]*.npz"))]
    if not shards:
        raise FileNotFoundError(f"no latents in {run / 'latents'}: run `python -m attnd_nb.training latents` first")
    factor = float((run / "scaling_factor.txt").read_text())
    full, half = (torch.from_numpy(np.concatenate([s[k] for s in shards])) * factor for k in ("full", "half"))
    if not (full.isfinite().all() and half.isfinite().all()):
        raise FloatingPointError(f"some latents in {run / 'latents'} are no numbers; delete the folder and encode again")
    return full, half, [str(c) for s in shards for c in s["captions"]]
