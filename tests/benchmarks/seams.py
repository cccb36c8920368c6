"""What closes a seamless texture: padding in circles, as `expand` does, or turning the latent round before each pass.

    python tests/benchmarks/seams.py                     # world materials on data/mini
    python tests/benchmarks/seams.py --photos FOLDER     # texture_* files of the folder as well

Seam strength: the step from the last column (row) round to the first over the mean step inside, so 1 is no seam; its mean over
seeds, and its largest. A window that is turned has a border all the same, which ends up somewhere inside the picture: so
"anywhere" is the largest step between any two columns or rows, over the median one.
"""

import argparse
from contextlib import ExitStack, nullcontext
from pathlib import Path
from statistics import mean, median
from unittest.mock import patch

import torch

from attnd_nb import FAST_SAMPLING, Windows, expand, expansion, load_pipeline
from attnd_nb.metrics import patch_distance, seam_profile, seam_strength
from attnd_nb.training.evaluate import photo, picture
from attnd_nb.world import Scene, Style

MATERIALS = ("bark", "gravel", "wood", "leopard")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of real textures, texture_*")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each (%(default)s)")
    arguments = parser.parse_args()
    pipe = load_pipeline("mini")
    textures = {name: picture(Scene((), name, 5, Style("photo", 5)).render()) for name in MATERIALS}
    if arguments.photos:
        textures |= {path.stem: photo(arguments.photos, path.stem) for path in sorted(arguments.photos.glob("texture_*"))}
    print("| texture | | seam x | seam y | anywhere | patch distance | seconds |\n|---|---|---|---|---|---|---|")
    for name, texture in textures.items():
        row(name, "repeated", texture, [(texture, 0)])
        for label in ("circles", "turned"):
            row(name, label, texture, [made(pipe, texture, label == "turned", seed) for seed in range(arguments.seeds)])


def made(pipe, texture, turned, seed):
    """A seamless texture, and the seconds it took."""
    with ExitStack() as changed:
        if turned:
            changed.enter_context(patch.object(expansion, "circular_padding", lambda network, seamless: nullcontext()))
            changed.enter_context(patch.object(Windows, "random_shift", anywhere))
        result = expand(pipe, texture, seamless="both", **FAST_SAMPLING, progress=False,
                        generator=torch.Generator().manual_seed(seed))  # fmt: skip
    return result.images[0], result.seconds


def anywhere(windows, generator):
    return tuple(int(torch.randint(length, (), generator=generator)) for length in windows.size)


def row(name, label, texture, runs):
    images, seconds = zip(*runs)
    seams = ([seam_strength(image, axis=axis, period=8) for image in images] for axis in "xy")
    seams = " | ".join(f"{mean(found):.2f} ({max(found):.2f})" for found in seams)
    profiles = [seam_profile(image, axis).tolist() for image in images for axis in "xy"]
    largest = mean(max(profile) / median(profile) for profile in profiles)
    away = mean(patch_distance(image, texture) for image in images)
    print(f"| {name} | {label} | {seams} | {largest:.2f} | {away:.4f} | {mean(seconds):.0f} |", flush=True)


if __name__ == "__main__":
    main()
