"""A small classifier trained on the world: it says which things, materials and style are in a picture.

It measures whether samples follow their prompts; its own accuracy on renders it never saw bounds what it can say.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import data
from .loop import device, mixed_precision, train

KINDS = ("thing", "material", "style")


def labels() -> dict[str, list[str]]:
    """The names behind the classifier's outputs."""
    from attnd_nb.world import MATERIALS, STYLES, THINGS

    return {"thing": list(THINGS), "material": list(MATERIALS), "style": list(STYLES)}


class Recogniser(nn.Module):
    """Images (n, 3, 128, 128) in [-1, 1] to one row of logits for each of `KINDS`."""

    def __init__(self, width: int = 32):
        super().__init__()
        layers, channels = [], 3
        for level in range(4):
            for stride in (2, 1):
                out = width * 2**level
                layers += [nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
                channels = out
        self.body = nn.Sequential(*layers)
        self.heads = nn.ModuleDict({kind: nn.Linear(2 * channels, len(names)) for kind, names in labels().items()})

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.body(images)
        pooled = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        return {kind: head(pooled) for kind, head in self.heads.items()}


def targets(meta: list[dict]) -> dict[str, torch.Tensor]:
    """Which things and materials each image holds (n, classes) and its style's index (n,).

    The material of a picture without things is that of its ground.
    """
    names = labels()
    out = {kind: torch.zeros(len(meta), len(names[kind])) for kind in ("thing", "material")}
    styles = torch.zeros(len(meta), dtype=torch.long)
    for row, entry in enumerate(meta):
        for name in entry["things"]:
            out["thing"][row, names["thing"].index(name)] = 1
        for name in entry["materials"] or ([entry["ground"]] if entry["ground"] in names["material"] else []):
            out["material"][row, names["material"].index(name)] = 1
        styles[row] = names["style"].index(entry["style"])
    return out | {"style": styles}


def run(run: Path, minutes: float, batch: int = 32, peak: float = 2e-3) -> None:
    """Trains on the shards at half size; checkpoint `run/recogniser.pt`."""
    images, _, meta = data.load(run / "data")
    keep = [i for i, entry in enumerate(meta) if entry["scene"]]
    images, truth = images[keep], targets([meta[i] for i in keep])
    model = Recogniser().to(device())
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=0.05)
    rng = np.random.default_rng()

    def loss_of(progress: float) -> dict:
        index = rng.integers(0, len(images), batch)
        x = shrink(images[index]).to(device())
        x = x.flip(-1) if rng.random() < 0.5 else x
        shift = [int(s) for s in rng.integers(-12, 13, 2)]
        with mixed_precision():
            out = model(torch.roll(x, shift, dims=(-2, -1)))
        here = {kind: value[index].to(device()) for kind, value in truth.items()}
        parts = {kind: 10 * F.binary_cross_entropy_with_logits(out[kind].float(), here[kind]) for kind in ("thing", "material")}
        parts["style"] = F.cross_entropy(out["style"].float(), here["style"])
        return {"loss": sum(parts.values()), **parts}

    train("recogniser", run, {"model": model, "optimizer": optimizer}, loss_of, peak, minutes)


def shrink(images: np.ndarray) -> torch.Tensor:
    """(n, 256, 256, 3) uint8 to (n, 3, 128, 128) in [-1, 1]."""
    return F.avg_pool2d(data.to_tensor(images), 2)


def load(run: Path) -> Recogniser:
    """The trained classifier."""
    model = Recogniser()
    model.load_state_dict(torch.load(run / "recogniser.pt", map_location="cpu", weights_only=True)["model"])
    return model.eval().requires_grad_(False)


@torch.no_grad()
def recognise(model: Recogniser, images: np.ndarray) -> dict[str, list[str]]:
    """The likeliest thing, material and style of each image (n, 256, 256, 3) uint8."""
    logits = model(shrink(images))
    names = labels()
    return {kind: [names[kind][i] for i in logits[kind].argmax(dim=1).tolist()] for kind in KINDS}
