"""How close is a picture to a style, and how much of the content is left?

Every function takes pictures as `open_image` does (path, PIL image, array, tensor), compares them as the
8-bit RGB that a viewer sees, scaled to [0, 1], and returns a float. None of them needs a network or a
download.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.nn import functional as F

from .images import open_image

__all__ = [
    "copied_share", "edge_correlation", "patch_distance", "psnr", "seam_profile", "seam_strength", "ssim",
]  # fmt: skip

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def patch_distance(a, b, patch: int = 7, scales: int = 4, projections: int = 64) -> float:
    """Sliced Wasserstein distance between the patches of two pictures, averaged over scales.

    All patches (patch × patch × 3) of a picture, wherever they lie, are one cloud of points. Along a random
    unit direction w the two clouds are two sorted lists of numbers, and their distance is

        W1 = mean_i |sort(w·a)_i - sort(w·b)_i|,

    averaged over `projections` directions, then over `scales` resolutions, each half the one before.
    Positions do not enter, so two crops of one texture are close and two textures are far. The directions
    come from a fixed seed: the same pictures give the same number. Sizes may differ: the longer list is read
    at the quantiles of the shorter.

    Returns a distance ≥ 0 in units of pixel values: 0 for equal pictures; a change of brightness by d
    everywhere gives about 0.8 d (a unit direction's weights sum to about ±0.8).

    Raises ValueError when a picture is smaller than one patch at the coarsest scale.

    Source: sliced Wasserstein over patches as in Elnekave and Weiss, "Generating natural images with direct
    patch distributions matching" (GPDM, ECCV 2022); W1 instead of W2, averaged over scales.

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).random((64, 64, 3), np.float32)
    >>> patch_distance(noise, noise, scales=2)
    0.0
    >>> patch_distance(noise, noise[::-1], scales=2) < 0.1 < patch_distance(noise, noise ** 4, scales=2)
    True
    """
    a, b = _tensor(a), _tensor(b)
    smallest = patch * 2 ** (scales - 1)
    for picture in (a, b):
        if min(picture.shape[-2:]) < smallest:
            raise ValueError(
                f"patch_distance: a picture of {_size(picture)} pixels has no patch of {patch} pixels at "
                f"scale {scales}; give pictures of at least {smallest} pixels a side, or fewer scales"
            )
    directions = _directions(projections, patch)
    total = 0.0
    for scale in range(scales):
        if scale:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        total += (_quantiles(a, b, directions) - _quantiles(b, a, directions)).abs().mean().item()
    return total / scales


def edge_correlation(a, b, sigma: float = 1.5) -> float:
    """How much of the drawing two pictures share: Pearson correlation of their edge strengths.

    The edge strength is |∇(G_sigma * luminance)|: the gradient's length after a Gaussian blur of `sigma`
    pixels, so colour, contrast and the sign of an edge do not matter, but its place does.

    Returns a number in [-1, 1]: 1 when the edges agree, about 0 when they have nothing to do with each other,
    and 0 when one of the pictures has no edge at all. Raises ValueError when the sizes differ.

    >>> import numpy as np
    >>> step = np.zeros((32, 32, 3), np.float32); step[:, 16:] = 1
    >>> round(edge_correlation(step, 1 - step), 3), edge_correlation(step, step * 0)
    (1.0, 0.0)
    """
    a, b = _pair(a, b, "edge_correlation")
    edges_a, edges_b = _edge_strength(a, sigma), _edge_strength(b, sigma)
    if min(edges_a.std(), edges_b.std()) < 1e-6:
        return 0.0
    return float(np.corrcoef(edges_a.ravel(), edges_b.ravel())[0, 1])


def psnr(a, b) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(1 / mean (a - b)²); infinite for equal pictures.

    Raises ValueError when the sizes differ.

    >>> import numpy as np
    >>> grey = np.full((16, 16, 3), 100, np.uint8)
    >>> round(psnr(grey, grey + 8), 2)  # 20 log10(255 / 8)
    30.07
    """
    a, b = _pair(a, b, "psnr")
    with np.errstate(divide="ignore"):
        return float(peak_signal_noise_ratio(a, b, data_range=1.0))


def ssim(a, b) -> float:
    """Structural similarity (Wang et al., 2004) over the colour channels, in [-1, 1]; 1 for equal pictures.

    Raises ValueError when the sizes differ.

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).random((32, 32, 3), np.float32)
    >>> round(ssim(noise, noise), 3)
    1.0
    """
    a, b = _pair(a, b, "ssim")
    return float(structural_similarity(a, b, channel_axis=-1, data_range=1.0))


def _tensor(image) -> torch.Tensor:
    """Any picture as float32 (1, 3, h, w) in [0, 1] on the CPU."""
    pixels = torch.from_numpy(np.asarray(open_image(image), np.float32) / 255)
    return pixels.permute(2, 0, 1)[None]


def _pair(a, b, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures of one size as arrays (h, w, 3)."""
    a, b = _tensor(a), _tensor(b)
    if a.shape != b.shape:
        raise ValueError(
            f"{name} compares pixel by pixel, but the pictures are {_size(a)} and {_size(b)}; "
            "resize one of them"
        )
    return a[0].permute(1, 2, 0).numpy(), b[0].permute(1, 2, 0).numpy()


def _size(image: torch.Tensor) -> str:
    return f"{image.shape[-2]}×{image.shape[-1]}"


def _directions(projections: int, patch: int) -> torch.Tensor:
    """Random unit vectors over patches, the same on every call: (projections, 3, patch, patch)."""
    weights = torch.randn(projections, 3 * patch * patch, generator=torch.Generator().manual_seed(0))
    return F.normalize(weights, dim=1).view(projections, 3, patch, patch)


def _quantiles(image: torch.Tensor, other: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """The sorted projections of all patches of `image`, as many as the smaller of both pictures has."""
    patch = directions.shape[-1]
    projected = F.conv2d(image, directions).flatten(2)  # (1, projections, patches)
    projected = torch.from_numpy(np.sort(projected.numpy(), axis=-1))  # four times as fast as torch's sort
    count = min((i.shape[-2] - patch + 1) * (i.shape[-1] - patch + 1) for i in (image, other))
    return F.interpolate(projected, size=count, mode="linear")


def _edge_strength(image: np.ndarray, sigma: float) -> np.ndarray:
    rows, columns = np.gradient(gaussian_filter(image @ LUMA, sigma))
    return np.hypot(rows, columns)


def seam_profile(image, axis: str = "x") -> np.ndarray:
    """How much a picture changes from each column to the next: mean |I[:, j + 1] - I[:, j]|.

    The last entry is the step from the last column round to the first, where a repeated picture has its seam.
    `axis`: "x", or "y" for rows. Returns as many numbers in [0, 1] as there are columns (or rows).

    >>> import numpy as np
    >>> step = np.zeros((4, 6, 3), np.float32); step[:, 3:] = 1
    >>> seam_profile(step).round().tolist()  # one edge inside, and the one where right meets left
    [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    """
    if axis not in ("x", "y"):
        raise ValueError(f"seam_profile: axis must be 'x' or 'y', not {axis!r}")
    pixels = _tensor(image)[0].numpy().astype(np.float64)  # (3, h, w)
    if axis == "y":
        pixels = pixels.swapaxes(1, 2)
    return np.abs(np.roll(pixels, -1, axis=2) - pixels).mean((0, 1))


def seam_strength(image, at=(-1,), axis: str = "x", period: int = 1) -> float:
    """The mean of `seam_profile` at some places over its mean at all others: about 1 where there is no seam.

    `at`: indices of the profile, by default the wrap-around, which is never among the others: a picture
    that was not made to be repeated has a seam there. `period`: the others are only those a multiple of it
    away. A decoder's pictures change a little more every 8 pixels, at the borders of latent cells, where
    windows and edges are, too: there, 8 is fair. Returns NaN for a picture that does not change elsewhere.

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).random((32, 64, 3), np.float32)
    >>> halves = np.concatenate([noise[:, :32] / 2, noise[:, 32:]], axis=1)
    >>> [bool(seam_strength(picture, at=[31]) > 1.2) for picture in (noise, halves)]
    [False, True]
    """
    profile = seam_profile(image, axis)
    chosen = np.zeros(len(profile), bool)
    chosen[list(at)] = True
    places = np.arange(len(profile))
    others = ~chosen & np.isin(places % period, places[chosen] % period)
    others[-1] = False
    inside = profile[others].mean() if others.any() else 0.0
    return float(profile[chosen].mean() / inside) if inside else float("nan")


def copied_share(image, exemplar, patch: int = 8, tolerance: float = 1.0) -> float:
    """Share of a picture that is copied from the exemplar in pieces, rather than made anew.

    At half resolution the picture is cut into patches side by side, and for each the nearest patch of the
    exemplar is sought at every position. A patch counts as copied when at least two of its four neighbours
    come from just beside its own source (within `tolerance` pixels): three patches, 32 to 48 pixels.

    Returns a number in [0, 1]. On photographs: 1 for the exemplar itself, .6 to 1 for a patchwork of pieces
    of 32 to 128 pixels, 0 for pieces of 16 pixels and for another part of the same photograph. Blank patches
    have no place of their own and are not counted. Raises ValueError when a picture is too small.

    Source: the coherence of nearest neighbours in Ashikhmin, "Synthesizing natural textures" (2001).

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).random((96, 96, 3), np.float32)
    >>> copied_share(noise, noise), copied_share(noise[:, ::-1], noise)
    (1.0, 0.0)
    """
    image, exemplar = _tensor(image), _tensor(exemplar)
    if min(image.shape[-2:]) < 4 * patch or min(exemplar.shape[-2:]) < 2 * patch:
        raise ValueError(
            f"copied_share: pictures of {_size(image)} and {_size(exemplar)} pixels; at least {4 * patch} and "
            f"{2 * patch} a side are needed, or a smaller patch"
        )
    image, exemplar = F.avg_pool2d(image, 2), F.avg_pool2d(exemplar, 2)
    rows, columns = (side // patch for side in image.shape[-2:])
    wanted, known = F.unfold(image, patch, stride=patch)[0], F.unfold(exemplar, patch)[0]  # (3 · patch², n)
    half = known.square().sum(0) / 2  # |w - k|² is smallest where |k|² / 2 - w·k is
    nearest = torch.cat([(half - some.T @ known).argmin(1) for some in wanted.split(1024, dim=1)])
    across = exemplar.shape[-1] - patch + 1
    source = torch.stack([nearest // across, nearest % across]).view(2, rows, columns)
    agreeing = torch.zeros(rows, columns, dtype=torch.int)
    down = torch.tensor([patch, 0]).view(2, 1, 1)
    below = ((source.diff(dim=1) - down).abs() <= tolerance).all(0).int()
    beside = ((source.diff(dim=2) - down.flip(0)).abs() <= tolerance).all(0).int()
    agreeing[:-1] += below
    agreeing[1:] += below
    agreeing[:, :-1] += beside
    agreeing[:, 1:] += beside
    return (agreeing >= 2).float().mean().item()
