"""`expand` at four sizes: time, memory, seams, distance to the exemplar, copies. A table, and the pictures.

    python tests/benchmarks/wide.py                      # data/mini; pictures in out/wide
    python tests/benchmarks/wide.py --texture bark.jpg

`FAST_SAMPLING` with AdaIN, windows every half window. A seam is the step across the columns and rows where windows begin or
end, over that between other neighbours; beside it the exemplar's own at the same places. Without `--texture`, the world's own
rendering of each size is measured as well. Large pictures are decoded in tiles: "whole" is their PSNR to the same latents
decoded in one piece. Memory is what a run needs above the loaded model (Linux).
"""

import argparse
import time
from pathlib import Path

import torch
from speed import new_peak, peak

from attnd_nb import FAST_SAMPLING, decode, expand, load_pipeline, open_image, to_pil
from attnd_nb.metrics import copied_share, patch_distance, psnr, seam_strength
from attnd_nb.samples import sample, scene_of
from attnd_nb.training.evaluate import picture

SIZES = ((256, 256), (256, 768), (768, 768), (512, 1536))
HALF = 128  # pixels between windows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texture", type=Path, help="an exemplar (by default the course's)")
    parser.add_argument("--to", type=Path, default=Path("out/wide"), help="%(default)s")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    pipe = load_pipeline("mini")
    exemplar = open_image(arguments.texture or sample("texture"), (256, 256))
    own = max(seam_strength(exemplar, axis=axis, at=[HALF - 1], period=8) for axis in "xy")
    print(f"exemplar: seam {own:.2f}\n")
    print("| size | windows | seconds | MiB | seam | patch distance | the world's own | copied | whole, dB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for height, width in SIZES:
        options = {"stride": HALF // pipe.vae_scale_factor} if max(height, width) > 256 else {}
        before, start = new_peak(pipe.device.type), time.perf_counter()
        result = expand(pipe, exemplar, size=(height, width), generator=torch.Generator().manual_seed(0), **options,
                        **FAST_SAMPLING)  # fmt: skip
        seconds, memory = time.perf_counter() - start, peak(pipe.device.type) - before
        image, whole = result.images[0], to_pil(decode(pipe, result.latents))[0]
        own_size = None if arguments.texture else picture(scene_of("texture").render((height, width)))
        truth = "" if own_size is None else f"{patch_distance(own_size, exemplar):.4f}"
        edges = {axis: list(range(HALF - 1, side - 1, HALF)) for axis, side in (("x", width), ("y", height))}
        seam = max(seam_strength(image, axis=axis, at=at, period=8) for axis, at in edges.items())
        windows = (2 * height // 256 - 1) * (2 * width // 256 - 1)
        away = patch_distance(image, exemplar)
        print(f"| {height} × {width} | {windows} | {seconds:.0f} | {memory:.0f} | {seam:.2f} | {away:.4f} | {truth} "
              f"| {copied_share(image, exemplar):.3f} | {psnr(image, whole):.1f} |", flush=True)  # fmt: skip
        image.save(arguments.to / f"{height}x{width}.png")


if __name__ == "__main__":
    main()
