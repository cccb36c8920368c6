"""A row of pictures and a figure for each thing that the verbs do: the README's table of verbs.

    python tests/benchmarks/verbs.py                       # the pictures in data/images
    python tests/benchmarks/verbs.py --photos some/folder  # your own: content_*, two style_* and two texture_* files or more
    python tests/benchmarks/verbs.py --only masks wide     # some of the rows

Writes `notebooks/pictures/verb_NAME.jpg` (`--to` names another folder) and prints the figures. A figure is a patch distance (0
for the picture itself) where nothing else is said; every run starts from seed 0.
"""

import argparse
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image, ImageDraw
from tqdm.auto import tqdm

from attnd_nb import (
    FAST,
    FAST_SAMPLING,
    Weights,
    decode,
    encode,
    expand,
    guided_sample,
    injected_sample,
    load_pipeline,
    open_image,
    optimize,
    repeat_image,
    tuned_decoder,
)
from attnd_nb.metrics import copied_share, edge_correlation, patch_distance, psnr, seam_strength, ssim
from attnd_nb.plots import contact_sheet
from attnd_nb.samples import sample
from attnd_nb.training.evaluate import photo, picture
from attnd_nb.world import Scene, Style

SIDE, STEPS = 256, 25


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help="as load_pipeline takes it (%(default)s)")
    parser.add_argument("--photos", type=Path, help="a folder of pictures instead of data/images")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=ROWS, help="the rows to make (all)")
    parser.add_argument("--to", type=Path, default=Path("notebooks/pictures"), help="%(default)s")
    arguments = parser.parse_args()
    pipe = load_pipeline(arguments.model)
    pictures = of_photos(arguments.photos) if arguments.photos else of_the_world()
    arguments.to.mkdir(parents=True, exist_ok=True)
    for name in tqdm(arguments.only, unit="row"):
        row, figures = ROWS[name](pipe, pictures)
        sheet = contact_sheet([row], tile=192).convert("RGB")
        sheet.save(arguments.to / f"verb_{name}.jpg", quality=88)
        tqdm.write(f"{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in figures.items()))


def of_the_world():
    bark, gravel = (picture(Scene((), name, 5, Style("photo", 5)).render((SIDE, SIDE))) for name in ("bark", "gravel"))
    texture = sample("texture")
    return SimpleNamespace(content=sample("content"), style=sample("style"), second=texture, texture=texture,
                           materials=(bark, gravel))


def of_photos(folder):
    names = {kind: [path.stem for path in sorted(folder.glob(f"{kind}_*"))] for kind in ("content", "style", "texture")}
    chosen = (names["content"][0], names["texture"][0], names["texture"][-1])
    content, texture, last = (photo(folder, name, SIDE) for name in chosen)
    style, second = (photo(folder, name, SIDE) for name in names["style"][-2:])
    return SimpleNamespace(content=content, style=style, second=second, texture=texture, materials=(texture, last))


def seeded():
    return {"generator": torch.Generator().manual_seed(0), "progress": False}


def transfer(pipe, given):
    """`optimize` and `guided_sample` with a content, beside KV injection."""
    start = {"content": given.content, "strength": 0.6}
    images = {
        "KV injection": injected_sample(pipe, given.style, num_inference_steps=STEPS, **start, **seeded()).images[0],
        "optimised, λ = 0.25": optimize(pipe, given.style, given.content, 0.25, **FAST, **seeded()).images[0],
        "guided, λ = 0.5": guided_sample(pipe, given.style, content_weight=0.5, adain=True, **start, **FAST_SAMPLING,
                                         **seeded()).images[0],
    }  # fmt: skip
    before, figures = patch_distance(given.content, given.style), {}
    for name, image in images.items():
        figures |= {name: patch_distance(image, given.style) / before, f"{name}, edges": edge_correlation(image, given.content)}
    return [("content", given.content), ("style", given.style), *images.items()], figures


def texture(pipe, given):
    """`optimize` and `guided_sample` from noise."""
    made = {"optimised": optimize(pipe, given.texture, **FAST, **seeded()).images[0],
            "guided": guided_sample(pipe, given.texture, adain=True, **FAST_SAMPLING, **seeded()).images[0]}  # fmt: skip
    figures = {"round trip": patch_distance(decode(pipe, encode(pipe, given.texture))[0], given.texture)}
    for name, image in made.items():
        figures |= {name: patch_distance(image, given.texture), f"{name}, copied": copied_share(image, given.texture)}
    return [("exemplar", given.texture), *made.items()], figures


def text(pipe, given, prompt="a butterfly"):
    """`guided_sample` with a prompt, beside KV injection and the model alone, from one noise."""
    options = {"prompt": prompt, "num_inference_steps": STEPS}
    images = {
        "the model alone": guided_sample(pipe, given.style, inner_steps=0, **options, **seeded()).images[0],
        "KV injection": injected_sample(pipe, given.style, **options, **seeded()).images[0],
        "distilled": guided_sample(pipe, given.style, adain=True, learning_rate=0.015, **options, **seeded()).images[0],
    }
    row = [("style", given.style), *((f"{name}: “{prompt}”", image) for name, image in images.items())]
    return row, {name: patch_distance(image, given.style) for name, image in images.items()}


def masks(pipe, given):
    """`guided_sample` with label maps: two materials side by side, made anew in the shape that a second map draws."""
    half = SIDE // 2
    exemplar = Image.new("RGB", (SIDE, SIDE))
    for place, material in enumerate(given.materials):
        exemplar.paste(material.crop((0, 0, half, SIDE)), (place * half, 0))
    source = np.repeat((np.arange(SIDE) >= half)[None], SIDE, 0).astype(np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE]
    target = ((x - half) ** 2 + (y - half) ** 2 < (0.4 * SIDE) ** 2).astype(np.uint8)
    image = guided_sample(pipe, exemplar, source_mask=source, target_mask=target, adain=True, **FAST_SAMPLING,
                          **seeded()).images[0]  # fmt: skip
    inside = image.crop((half - 64, half - 64, half + 64, half + 64))
    own, other = (patch_distance(inside, given.materials[i]) for i in (1, 0))
    return [("exemplar", exemplar), ("its map", source * 255), ("wanted", target * 255), ("distilled", image)], {
        "disc to its material": own, "to the other": other}  # fmt: skip


def layout(pipe, given):
    """`guided_sample` that starts from a rough layout in the style's own colours."""
    few = np.asarray(given.style.convert("RGB").quantize(6).convert("RGB")).reshape(-1, 3)
    colours, counts = np.unique(few, axis=0, return_counts=True)
    grey = colours.sum(1)  # the commonest, the darkest and the lightest
    ground, hill, sun = (tuple(map(int, colours[i])) for i in (counts.argmax(), grey.argmin(), grey.argmax()))
    rough = Image.new("RGB", (SIDE, SIDE), ground)
    draw = ImageDraw.Draw(rough)
    draw.polygon([(0, 256), (0, 190), (110, 120), (256, 210), (256, 256)], fill=hill)
    draw.ellipse((150, 30, 220, 100), fill=sun)
    image = guided_sample(pipe, given.style, content=rough, strength=0.7, content_weight=0.25, adain=True, **FAST_SAMPLING,
                          **seeded()).images[0]  # fmt: skip
    return [("style", given.style), ("rough layout", rough), ("distilled", image)], {
        "layout": patch_distance(rough, given.style), "distilled": patch_distance(image, given.style),
        "correlation of 16-px blocks with the layout": _blocks(image, rough)}  # fmt: skip


def _blocks(image, other):
    """Correlation of the grey of 16 × 16 blocks."""
    means = [np.asarray(open_image(one)).mean(2).reshape(16, 16, 16, 16).mean((1, 3)) for one in (image, other)]
    return float(np.corrcoef(means[0].ravel(), means[1].ravel())[0, 1])


def wide(pipe, given):
    """`expand`: an exemplar continued to twice its width."""
    image = expand(pipe, given.texture, size=(SIDE, 2 * SIDE), adain=True, stride=16, **FAST_SAMPLING, **seeded()).images[0]
    return [("exemplar", given.texture), ("wider", image)], {
        "wider": patch_distance(image, given.texture), "copied": copied_share(image, given.texture),
        "seam at the windows' edges": seam_strength(image, at=[127, 255, 383], period=8),
        "in the exemplar": seam_strength(given.texture, at=[63, 127, 191], period=8)}  # fmt: skip


def seamless(pipe, given):
    """`expand(seamless="both")`, laid twice beside and below itself."""
    image = expand(pipe, given.texture, seamless="both", adain=True, **FAST_SAMPLING, **seeded()).images[0]
    return [("exemplar, 2 × 2", repeat_image(given.texture)), ("seamless, 2 × 2", repeat_image(image))], {
        f"{name}, {axis}": seam_strength(picture, axis=axis, period=8)
        for name, picture in (("exemplar", given.texture), ("seamless", image)) for axis in "xy"}  # fmt: skip


def decoder(pipe, given):
    """`tuned_decoder` on the style: how well its own round trip is drawn."""
    z = encode(pipe, given.style)
    before = decode(pipe, z)[0]
    with tuned_decoder(pipe, given.style, progress=False):
        after = decode(pipe, z)[0]
    figures = {f"{name}, {when}": measure(image, given.style)
               for name, measure in (("PSNR", psnr), ("SSIM", ssim)) for when, image in (("before", before), ("after", after))}
    return [("style", given.style), ("round trip", before), ("with a tuned decoder", after)], figures


def weighted(pipe, given):
    """`guided_sample` with two references of unequal weight."""
    styles, row, figures = [given.style, given.second], [("first", given.style), ("second", given.second)], {}
    for pair in ((3, 1), (1, 3)):
        image = guided_sample(pipe, styles, content=given.content, weights=Weights(content=0.5, references=pair), strength=0.6,
                              adain=True, **FAST_SAMPLING, **seeded()).images[0]  # fmt: skip
        row.append((f"{pair[0]} : {pair[1]}", image))
        figures |= {f"{pair[0]}:{pair[1]} to the {name}": patch_distance(image, one)
                    for name, one in zip(("first", "second"), styles)}  # fmt: skip
    return row, figures


ROWS = {row.__name__: row for row in (transfer, texture, text, masks, layout, wide, seamless, decoder, weighted)}

if __name__ == "__main__":
    main()
