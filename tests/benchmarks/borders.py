"""Who makes the regions of masked synthesis, and who holds their borders (the paper's Fig. 15)?

    python tests/benchmarks/borders.py                     # world materials on data/mini
    python tests/benchmarks/borders.py --photos FOLDER     # and the folder's texture_* files, in pairs
    python tests/benchmarks/borders.py --sheet sheet.png   # the pictures as well

Two materials side by side are made anew as a disc of the second in the first. In the table: the patch distance of the disc's
inside, and of the strip above it, each to its own material; the border's width in pixels, the reciprocal of the steepest slope
of the colour from ring to ring, where 0 is the colour outside and 1 the colour inside; and the contrast of these two colours
over that of the materials. The truth is the disc cut from the material itself, and its round trip what the autoencoder leaves
of it.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from attnd_nb import FAST, FAST_SAMPLING, decode, encode, guided_sample, load_pipeline, optimize, to_pil
from attnd_nb.metrics import patch_distance
from attnd_nb.plots import contact_sheet
from attnd_nb.training.evaluate import photo, picture
from attnd_nb.world import Scene, Style

SIDE, RADIUS, WEIGHT = 256, 72, 0.15
PAIRS = (("brick", "grass"), ("leopard", "wood"))
y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.5
FROM_BORDER = RADIUS - np.hypot(x, y)  # in pixels, inside positive
MAPS = {"source_mask": np.uint8(x >= 0), "target_mask": np.uint8(FROM_BORDER > 0)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of real textures, texture_*")
    parser.add_argument("--sheet", type=Path, help="where to write the pictures")
    arguments = parser.parse_args()
    pipe = load_pipeline("mini")
    pairs = {f"{a}, {b}": (material(a), material(b)) for a, b in PAIRS}
    if arguments.photos:
        names = sorted(path.stem for path in arguments.photos.glob("texture_*"))
        pairs |= {f"{a}, {b}": (photo(arguments.photos, a), photo(arguments.photos, b)) for a, b in pairwise(names)}
    print("| materials | | inside | outside | border, pixels | contrast |\n|---|---|---|---|---|---|")
    rows = []
    for name, pair in pairs.items():
        images = results(pipe, *pair)
        for label, image in images.items():
            if label != "exemplar":
                print(f"| {name} | {label} | {' | '.join(scores(image, *pair))} |", flush=True)
        rows.append([*images.items()])
    if arguments.sheet:
        contact_sheet(rows, path=arguments.sheet, tile=192)


def material(name):
    return picture(Scene((), name, 5, Style("photo", 5)).render())


def results(pipe, outer, inner):
    """The exemplar, the truth and what the parts of the method make of it, by name."""
    exemplar, truth = outer.copy(), outer.copy()
    exemplar.paste(inner.crop((0, 0, SIDE // 2, SIDE)), (SIDE // 2, 0))
    truth.paste(inner, mask=Image.fromarray(np.uint8(255 * MAPS["target_mask"])))

    def made(verb, **options):
        return verb(pipe, exemplar, **options, progress=False, generator=torch.Generator().manual_seed(0))

    both = made(optimize, **MAPS, content_weight=WEIGHT, **FAST)
    start = both.inputs["masked_start"]
    return {
        "exemplar": exemplar, "truth": truth, "round trip": to_pil(decode(pipe, encode(pipe, truth)))[0], "start": start,
        "masked AD alone": made(optimize, **MAPS, content_weight=0.0, **FAST).images[0],
        "content alone": made(optimize, content=start, content_weight=WEIGHT, **FAST).images[0],
        "both": both.images[0],
        "both, guided": made(guided_sample, **MAPS, content_weight=WEIGHT, **FAST_SAMPLING).images[0],
    }  # fmt: skip


def scores(image, outer, inner):
    """The table's four figures."""
    half = int(RADIUS / 2**0.5) - 4
    middle = SIDE // 2 - half, SIDE // 2 - half, SIDE // 2 + half, SIDE // 2 + half
    above = 0, 0, SIDE, SIDE // 2 - RADIUS
    away = [patch_distance(image.crop(box), one) for box, one in ((middle, inner), (above, outer))]
    pixels = np.asarray(image.convert("RGB"), float)
    difference = np.subtract(*(np.asarray(one.convert("RGB"), float).mean((0, 1)) for one in (inner, outer)))
    colour = pixels @ difference / (difference @ difference)  # outer and inner differ by 1 in it
    ring = np.floor(FROM_BORDER).astype(int)
    profile = np.array([colour[ring == d].mean() for d in range(-30, 30)])
    contrast = profile[40:].mean() - profile[:20].mean()
    slope = np.convolve(profile, [0.5, 0, -0.5], mode="valid")[15:-15].max()  # per pixel, near the border
    return *(f"{one:.3f}" for one in away), f"{contrast / slope:.1f}", f"{contrast:.2f}"


if __name__ == "__main__":
    main()
