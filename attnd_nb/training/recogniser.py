"""A small classifier trained on the world: it says which thing, material and style are in a picture of one thing.

It measures whether samples follow their prompts; its own accuracy on renders it never saw bounds what it can say.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import data
from .loop import device, mixed_precision, share, train

KINDS = ("thing", "material", "style")
PICTURES = ("portrait", "material")  # the kinds of training pictures with one thing, or none
UNKNOWN = -100  # what cross-entropy ignores: the thing in a picture of a material


def labels() -> dict[str, list[str]]:
    """The names behind the classifier's outputs."""
    from attnd_nb.world import MATERIALS, STYLES, THINGS

    return {"thing": list(THINGS), "material": list(MATERIALS), "style": list(STYLES)}


class Recogniser(nn.Module):
    """Images (n, 3, 256, 256) in [-1, 1] to one row of logits for each of `KINDS`.

    Thing and style are seen in the whole picture at half size, the material in its middle at full size: halved, a
    weave or a scale is a pixel or two.
    """

    def __init__(self, width: int = 32):
        super().__init__()
        self.whole, self.middle = _body(width), _body(width)
        self.heads = nn.ModuleDict({kind: nn.Linear(16 * width, len(names)) for kind, names in labels().items()})

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        whole = _pooled(self.whole(F.avg_pool2d(images, 2)))
        middle = _pooled(self.middle(images[..., 64:192, 64:192]))
        return {kind: head(middle if kind == "material" else whole) for kind, head in self.heads.items()}


def _body(width: int) -> nn.Sequential:
    layers, channels = [], 3
    for level in range(4):
        for stride in (2, 1):
            out = width * 2**level
            layers += [nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
    return nn.Sequential(*layers)


def _pooled(features: torch.Tensor) -> torch.Tensor:
    return torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)


def targets(meta: list[dict]) -> dict[str, torch.Tensor]:
    """Indices (n,) of each picture's thing, material and style; in a picture of a material that is its ground's.

    >>> found = targets([{"things": [], "materials": [], "ground": "bark", "style": "flat"}])
    >>> {kind: int(index) for kind, index in found.items()}
    {'thing': -100, 'material': 1, 'style': 1}
    """
    names = labels()
    return {
        "thing": torch.tensor([names["thing"].index(m["things"][0]) if m["things"] else UNKNOWN for m in meta]),
        "material": torch.tensor([names["material"].index([*m["materials"], m["ground"]][0]) for m in meta]),
        "style": torch.tensor([names["style"].index(m["style"]) for m in meta]),
    }


def run(run: Path, minutes: float, batch: int = 32, peak: float = 2e-3) -> None:
    """Trains on the shards' pictures of one thing and, as often, of a material alone; checkpoint `run/recogniser.pt`."""
    images, _, meta = data.load(run / "data")
    pools = [[i for i, entry in enumerate(meta) if entry["kind"] == kind] for kind in PICTURES]
    pools = [pool for pool in pools if pool]
    keep = [i for pool in pools for i in pool]
    images, truth = images[keep], targets([meta[i] for i in keep])
    chance = np.repeat([1 / len(pools) / len(pool) for pool in pools], [len(pool) for pool in pools])  # as often one as the other
    torch.manual_seed(0)  # all processes begin alike
    model = Recogniser().to(device())
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=0.05)
    rng = np.random.default_rng()

    def loss_of(progress: float) -> dict:
        index = rng.choice(len(images), share(batch), p=chance)
        x = data.to_tensor(images[index], device())
        x = x.flip(-1) if rng.random() < 0.5 else x
        shift = [int(s) for s in rng.integers(-24, 25, 2)]
        with mixed_precision():
            out = model(torch.roll(x, shift, dims=(-2, -1)))
        parts = {kind: F.cross_entropy(out[kind].float(), truth[kind][index].to(device())) for kind in KINDS}
        return {"loss": sum(parts.values()), **parts}

    train("recogniser", run, {"model": model, "optimizer": optimizer}, loss_of, peak, minutes)


def load(run: Path) -> Recogniser:
    """The trained classifier."""
    model = Recogniser()
    model.load_state_dict(torch.load(run / "recogniser.pt", map_location="cpu", weights_only=True)["model"])
    return model.eval().requires_grad_(False)


@torch.no_grad()
def recognise(model: Recogniser, images: np.ndarray) -> dict[str, list[str]]:
    """The likeliest thing, material and style of each image (n, 256, 256, 3) uint8."""
    logits = model(data.to_tensor(images))
    names = labels()
    return {kind: [names[kind][i] for i in logits[kind].argmax(dim=1).tolist()] for kind in KINDS}
