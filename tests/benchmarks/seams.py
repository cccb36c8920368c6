"""What closes a seamless texture: shifting the latent round between steps, windows that lie across the edge, or both.

    python tests/benchmarks/seams.py                     # world materials on data/mini
    python tests/benchmarks/seams.py --photos FOLDER     # texture_* files of the folder as well

Seam strength: the step from the last column (row) round to the first over the mean step inside, so 1 is no seam; its mean over
seeds, and its largest.
"""

import argparse
from pathlib import Path
from statistics import mean
from unittest.mock import patch

import torch

from attnd_nb import FAST_SAMPLING, Windows, expand, load_pipeline
from attnd_nb.metrics import patch_distance, seam_strength
from attnd_nb.tiling import native_side
from attnd_nb.training.evaluate import photo, picture
from attnd_nb.world import Scene, Style

MATERIALS = ("gravel", "wood", "leopard")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of real textures, texture_*")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each (%(default)s)")
    arguments = parser.parse_args()
    pipe = load_pipeline("mini")
    textures = {name: picture(Scene((), name, 5, Style("photo", 5)).render()) for name in MATERIALS}
    if arguments.photos:
        textures |= {path.stem: photo(arguments.photos, path.stem) for path in sorted(arguments.photos.glob("texture_*"))}
    side = native_side(pipe)
    print("| texture | | seam x | seam y | patch distance | seconds |\n|---|---|---|---|---|---|")
    for name, texture in textures.items():
        row(name, "repeated", texture, [(texture, 0)])
        for label, stride, shifted in (("shifts", side, True), ("windows", side // 2, False), ("both", None, True)):
            row(name, label, texture, [made(pipe, texture, stride, shifted, seed) for seed in range(arguments.seeds)])


def made(pipe, texture, stride, shifted, seed):
    """A seamless texture, and the seconds it took."""
    moves = Windows.random_shift if shifted else lambda self, generator: (0, 0)
    with patch.object(Windows, "random_shift", moves):
        result = expand(pipe, texture, seamless="both", stride=stride, **FAST_SAMPLING, progress=False,
                        generator=torch.Generator().manual_seed(seed))  # fmt: skip
    return result.images[0], result.seconds


def row(name, label, texture, runs):
    images, seconds = zip(*runs)
    seams = ([seam_strength(image, axis=axis, period=8) for image in images] for axis in "xy")
    seams = " | ".join(f"{mean(found):.2f} ({max(found):.2f})" for found in seams)
    away = mean(patch_distance(image, texture) for image in images)
    print(f"| {name} | {label} | {seams} | {away:.4f} | {mean(seconds):.0f} |", flush=True)


if __name__ == "__main__":
    main()
