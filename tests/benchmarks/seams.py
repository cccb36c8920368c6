"""What closes a seamless texture: shifting the latent round between steps, windows that lie across the edge, or both.

    python tests/benchmarks/seams.py                     # world materials on data/mini, one seed
    python tests/benchmarks/seams.py --photos FOLDER     # texture_* files of the folder

Seam strength: the step from the last column (row) round to the first over the mean step inside, so 1 is no seam.
"""

import argparse
from pathlib import Path
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
    arguments = parser.parse_args()
    pipe = load_pipeline("mini")
    if arguments.photos:
        textures = {path.stem: photo(arguments.photos, path.stem) for path in sorted(arguments.photos.glob("texture_*"))}
    else:
        textures = {name: picture(Scene((), name, 5, Style("photo", 5)).render()) for name in MATERIALS}
    half = native_side(pipe) // 2
    print("| texture | | seam x | seam y | patch distance | seconds |\n|---|---|---|---|---|---|")
    for name, texture in textures.items():
        row(name, "repeated", texture, texture, 0)
        for label, stride, shifted in (("shifts", None, True), ("windows", half, False), ("both", half, True)):
            moves = Windows.random_shift if shifted else lambda self, generator: (0, 0)
            with patch.object(Windows, "random_shift", moves):
                made = expand(pipe, texture, seamless="both", stride=stride, adain=True, **FAST_SAMPLING, progress=False,
                              generator=torch.Generator().manual_seed(0))  # fmt: skip
            row(name, label, made.images[0], texture, made.seconds)


def row(name, label, image, texture, seconds):
    seams = " | ".join(f"{seam_strength(image, axis=axis, period=8):.2f}" for axis in "xy")
    print(f"| {name} | {label} | {seams} | {patch_distance(image, texture):.4f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
