"""Renders the image world into shards, in parallel, and reads them back.

A shard is an `.npz` of `images` (n, h, w, 3) uint8, `captions` (n,) and `meta` (n,) JSON: what is in each image.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

SHARD = 128
HELD_OUT = 900_000_000  # seeds from here on are never trained on


def render_shard(folder: Path, index: int, first_seed: int, size: int) -> Path:
    """Renders images of `SHARD` consecutive seeds to one file, unless it is there already."""
    from attnd_nb.world import sample_image

    path = folder / f"{index:05d}.npz"
    if not path.exists():
        drawn = [sample_image(first_seed + i, size) for i in range(SHARD)]
        images = np.stack([(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8) for image, *_ in drawn])
        captions = np.array([caption for _, caption, *_ in drawn])
        meta = np.array([json.dumps({"kind": kind, **extra}) for *_, kind, extra in drawn])
        np.savez(folder / f"new_{path.name}", images=images, captions=captions, meta=meta)  # no shard's name until it is whole
        os.replace(folder / f"new_{path.name}", path)
    return path


def _render(job):
    return render_shard(*job)


def render(folder: Path, images: int, size: int = 256, first_seed: int = 0, workers: int | None = None) -> list[Path]:
    """Renders `images` images (rounded up to whole shards) on all cores; what exists is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    count = -(-images // SHARD)
    jobs = [(folder, i, first_seed + SHARD * i, size) for i in range(count)]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        return sorted(tqdm(pool.imap_unordered(_render, jobs), total=count, desc="rendering", unit="shard"))


def load(folder: Path) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """All shards of a folder: images (n, h, w, 3) uint8, captions (n,), meta (n dicts)."""
    shards = _shards(folder)
    images = np.concatenate([shard["images"] for shard in shards])
    captions = np.concatenate([shard["captions"] for shard in shards])
    return images, captions, load_meta(folder)


def load_meta(folder: Path) -> list[dict]:
    """What is in each image of a folder's shards."""
    return [json.loads(line) for shard in _shards(folder) for line in shard["meta"]]


def _shards(folder: Path) -> list:
    shards = [np.load(path) for path in sorted(folder.glob("[0-9]*.npz"))]
    if not shards:
        raise FileNotFoundError(f"no shards in {folder}: run `python -m attnd_nb.training data` first")
    return shards


def to_tensor(images: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """(n, h, w, 3) uint8 to (n, 3, h, w) float in [-1, 1], on `device`.

    >>> to_tensor(np.zeros((1, 2, 2, 3), np.uint8)).min().item()
    -1.0
    """
    return torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
