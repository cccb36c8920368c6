"""Every training image through the autoencoder once: the UNet never sees a pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from . import data, vae
from .loop import device, mixed_precision


def run(run: Path, batch: int = 32) -> None:
    """Writes one file of latents a shard to `run/latents`, and the scaling factor that gives them unit variance.

    Each image is encoded whole and at half its size, plain and mirrored:
    `full` (n, 2, c, h/8, w/8) and `half` (n, 2, c, h/16, w/16), half precision, unscaled.
    """
    model = vae.load(run).to(device())
    folder = run / "latents"
    folder.mkdir(exist_ok=True)
    sums = torch.zeros(3, dtype=torch.float64)
    for path in tqdm(sorted((run / "data").glob("[0-9]*.npz")), desc="latents", unit="shard"):
        shard = np.load(path)
        full, half = zip(*(_encode(model, shard["images"][i : i + batch]) for i in range(0, len(shard["images"]), batch)))
        full, half = torch.cat(full), torch.cat(half)
        sums += torch.stack([torch.tensor(full.numel()), full.double().sum(), (full.double() ** 2).sum()])
        np.savez(folder / path.name, full=full.numpy(), half=half.numpy(), captions=shard["captions"])
    count, total, squares = sums.tolist()
    factor = (squares / count - (total / count) ** 2) ** -0.5
    (run / "scaling_factor.txt").write_text(f"{factor:.5f}")


@torch.no_grad()
def _encode(model, images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = data.to_tensor(images).to(device())
    pairs = []
    for x in (pixels, F.avg_pool2d(pixels, 2)):
        with mixed_precision():
            sides = [model.encode(side).latent_dist.mean for side in (x, x.flip(-1))]
        pairs.append(torch.stack(sides, dim=1).half().cpu())
    return pairs[0], pairs[1]


def load(run: Path) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """All latents, scaled to unit variance: full, half (both half precision) and captions."""
    shards = [np.load(path) for path in sorted((run / "latents").glob("[0-9]*.npz"))]
    if not shards:
        raise FileNotFoundError(f"no latents in {run / 'latents'}: run `python -m attnd_nb.training latents` first")
    factor = float((run / "scaling_factor.txt").read_text())
    full, half = (torch.from_numpy(np.concatenate([s[k] for s in shards])) * factor for k in ("full", "half"))
    return full, half, [str(c) for s in shards for c in s["captions"]]
