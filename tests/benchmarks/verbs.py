"""A row of pictures and a figure for each thing that the verbs do: the README's table of verbs.

    python tests/benchmarks/verbs.py                       # the pictures in data/images, and materials
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
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline
from PIL import Image, ImageDraw
from tqdm.auto import tqdm

from attnd_nb import (
    FAST,
    FAST_SAMPLING,
    Schedule,
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
from attnd_nb.models import mini_folder
from attnd_nb.plots import contact_sheet
from attnd_nb.samples import sample, scene_of
from attnd_nb.training.control import edges
from attnd_nb.training.evaluate import photo, picture
from attnd_nb.world import Item, Scene, Style

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
    """With ground truth: the content in the style, and a mountain under the moon in the style, drawn flat for the layout."""
    texture, gravel = sample("texture"), picture(Scene((), "gravel", 5, Style("photo", 5)).render((SIDE, SIDE)))
    painted = scene_of("style")
    items = (Item("mountain", "clouds", 110, 170, 200, 0.0, 2, (0.5, 0.3, 0.5)),
             Item("moon", "marble", 200, 60, 80, 0.0, 4, (0.9, 0.9, 0.8)))
    scene = Scene(items, painted.ground, painted.seed, painted.style, painted.tone)
    return SimpleNamespace(content=sample("content"), style=sample("style"), second=texture, texture=texture,
                           materials=(texture, gravel), truth=picture(scene_of("content").with_style(painted.style).render()),
                           layout=picture(scene.with_style(Style("flat", 1)).render()), layout_truth=picture(scene.render()))


def of_photos(folder):
    names = {kind: [path.stem for path in sorted(folder.glob(f"{kind}_*"))] for kind in ("content", "style", "texture")}
    chosen = (names["content"][0], names["texture"][0], names["texture"][-1])
    content, texture, last = (photo(folder, name, SIDE) for name in chosen)
    style, second = (photo(folder, name, SIDE) for name in names["style"][-2:])
    return SimpleNamespace(content=content, style=style, second=second, texture=texture, materials=(texture, last), truth=None,
                           layout=rough_layout(style), layout_truth=None)


def rough_layout(style):
    """A hill under a sun, in the style's commonest, darkest and lightest colours."""
    few = np.asarray(style.convert("RGB").quantize(6).convert("RGB")).reshape(-1, 3)
    colours, counts = np.unique(few, axis=0, return_counts=True)
    grey = colours.sum(1)
    ground, hill, sun = (tuple(map(int, colours[i])) for i in (counts.argmax(), grey.argmin(), grey.argmax()))
    rough = Image.new("RGB", (SIDE, SIDE), ground)
    draw = ImageDraw.Draw(rough)
    draw.polygon([(0, 256), (0, 190), (110, 120), (256, 210), (256, 256)], fill=hill)
    draw.ellipse((150, 30, 220, 100), fill=sun)
    return rough


def seeded(seed=0):
    return {"generator": torch.Generator().manual_seed(seed), "progress": False}


def transfer(pipe, given):
    """`optimize` and `guided_sample` with a content, beside KV injection."""
    start = {"content": given.content, "strength": 0.6}
    images = {
        "KV injection": injected_sample(pipe, given.style, num_inference_steps=STEPS, **start, **seeded()).images[0],
        "optimised, λ = 0.25": optimize(pipe, given.style, given.content, 0.25, **FAST, **seeded()).images[0],
        "guided, λ = 0.5": guided_sample(pipe, given.style, content_weight=0.5, **start, **FAST_SAMPLING,
                                         **seeded()).images[0],
    }  # fmt: skip
    before, figures = patch_distance(given.content, given.style), {}
    for name, image in images.items():
        figures |= {name: patch_distance(image, given.style) / before, f"{name}, edges": edge_correlation(image, given.content)}
    return [("content", given.content), ("style", given.style), *images.items()], figures


def texture(pipe, given):
    """`optimize` and `guided_sample` from noise."""
    made = {"optimised": optimize(pipe, given.texture, **FAST, **seeded()).images[0],
            "guided": guided_sample(pipe, given.texture, **FAST_SAMPLING, **seeded()).images[0]}  # fmt: skip
    figures = {"round trip": patch_distance(decode(pipe, encode(pipe, given.texture))[0], given.texture)}
    for name, image in made.items():
        figures |= {name: patch_distance(image, given.texture), f"{name}, copied": copied_share(image, given.texture)}
    return [("exemplar", given.texture), *made.items()], figures


def text(pipe, given, prompt="a butterfly"):
    """`guided_sample` with a prompt, beside KV injection and the model alone, from one noise (seed 0 draws no butterfly)."""
    options = {"prompt": prompt, "num_inference_steps": STEPS}
    images = {
        "the model alone": guided_sample(pipe, given.style, inner_steps=0, **options, **seeded(1)).images[0],
        "KV injection": injected_sample(pipe, given.style, **options, **seeded(1)).images[0],
        "distilled": guided_sample(pipe, given.style, adain=True, learning_rate=0.015, **options, **seeded(1)).images[0],
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
    image = guided_sample(pipe, exemplar, source_mask=source, target_mask=target, **FAST_SAMPLING,
                          **seeded()).images[0]  # fmt: skip
    inside = image.crop((half - 64, half - 64, half + 64, half + 64))
    own, other = (patch_distance(inside, given.materials[i]) for i in (1, 0))
    return [("exemplar", exemplar), ("its map", source * 255), ("wanted", target * 255), ("distilled", image)], {
        "disc to its material": own, "to the other": other}  # fmt: skip


def layout(pipe, given):
    """`guided_sample` that starts from a rough layout in the style's own colours."""
    rough, truth = given.layout, given.layout_truth
    image = guided_sample(pipe, given.style, content=rough, strength=0.7, content_weight=0.25, **FAST_SAMPLING,
                          **seeded()).images[0]  # fmt: skip
    row, figures = [("style", given.style), ("rough layout", rough), ("distilled", image)], {}
    for name, one in (("layout", rough), ("distilled", image)):
        figures[f"{name} to the style"] = patch_distance(one, given.style)
        if truth is not None:
            figures |= {f"{name} to the truth": patch_distance(one, truth), f"{name}, SSIM to the truth": ssim(one, truth)}
    figures["correlation of 16-px blocks with the layout"] = _blocks(image, rough)
    return row if truth is None else [*row, ("truth", truth)], figures


def _blocks(image, other):
    """Correlation of the grey of 16 × 16 blocks."""
    means = [np.asarray(open_image(one)).mean(2).reshape(16, 16, 16, 16).mean((1, 3)) for one in (image, other)]
    return float(np.corrcoef(means[0].ravel(), means[1].ravel())[0, 1])


def wide(pipe, given):
    """`expand`: an exemplar continued to twice its width."""
    image = expand(pipe, given.texture, size=(SIDE, 2 * SIDE), stride=16, **FAST_SAMPLING, **seeded()).images[0]
    return [("exemplar", given.texture), ("wider", image)], {
        "wider": patch_distance(image, given.texture), "copied": copied_share(image, given.texture),
        "seam at the windows' edges": seam_strength(image, at=[127, 255, 383], period=8),
        "in the exemplar": seam_strength(given.texture, at=[63, 127, 191], period=8)}  # fmt: skip


def seamless(pipe, given):
    """`expand(seamless="both")`, laid twice beside and below itself."""
    image = expand(pipe, given.texture, seamless="both", **FAST_SAMPLING, **seeded()).images[0]
    return [("exemplar, 2 × 2", repeat_image(given.texture)), ("seamless, 2 × 2", repeat_image(image))], {
        f"{name}, {axis}": seam_strength(picture, axis=axis, period=8)
        for name, picture in (("exemplar", given.texture), ("seamless", image)) for axis in "xy"}  # fmt: skip


def decoder(pipe, given):
    """`tuned_decoder` on the style: how well it draws the style, a transfer of it, and a picture it was not tuned on."""
    transfer = optimize(pipe, given.style, given.content, 0.25, **FAST, **seeded())
    latents = {"style": encode(pipe, given.style), "transfer": transfer.latents, "other picture": encode(pipe, given.second)}

    def drawn():
        return {name: decode(pipe, z)[0] for name, z in latents.items()}

    before = drawn()
    with tuned_decoder(pipe, given.style, progress=False):
        after = drawn()
    figures = {}
    for name, truth in (("style", given.style), ("other picture", given.second), ("transfer", given.truth)):
        for when, images in (("before", before), ("after", after)):
            if truth is not None:
                figures |= {f"{name} {when}, PSNR": psnr(images[name], truth), f"{name} {when}, SSIM": ssim(images[name], truth)}
            if name == "transfer":
                figures[f"transfer {when}, to the style"] = patch_distance(images[name], given.style)
    return [("style", given.style), ("round trip", before["style"]), ("tuned decoder", after["style"]),
            ("transfer", before["transfer"]), ("tuned decoder", after["transfer"])], figures


def weighted(pipe, given):
    """`guided_sample` with two references of unequal weight."""
    styles, row, figures = [given.style, given.second], [("first", given.style), ("second", given.second)], {}
    for pair in ((3, 1), (1, 3)):
        image = guided_sample(pipe, styles, content=given.content, weights=Weights(content=0.5, references=pair), strength=0.6,
                              **FAST_SAMPLING, **seeded()).images[0]  # fmt: skip
        row.append((f"{pair[0]} : {pair[1]}", image))
        figures |= {f"{pair[0]}:{pair[1]} to the {name}": patch_distance(image, one)
                    for name, one in zip(("first", "second"), styles)}  # fmt: skip
    return row, figures


def schedules(pipe, given):
    """`guided_sample` from noise whose content loss counts always, early or late, or in one layer."""
    last = {-index: 0.0 for index in range(2, 7)}
    weights = {"always": Weights(content=0.5), "first half": Weights(content=Schedule(0.5, end=0.5)),
               "second half": Weights(content=Schedule(0.5, start=0.5)), "last layer": Weights(content=0.5, layers=last)}
    row, figures = [("content", given.content)], {}
    for name, one in weights.items():
        image = guided_sample(pipe, given.style, content=given.content, weights=one, **FAST_SAMPLING,
                              **seeded()).images[0]  # fmt: skip
        row.append((name, image))
        figures |= {name: patch_distance(image, given.style), f"{name}, edges": edge_correlation(image, given.content)}
    return row, figures


def control(pipe, given, prompt="a boat"):
    """`guided_sample` with a ControlNet: a prompt, the content's outlines and a style; beside it two of the three alone."""
    controlnet = ControlNetModel.from_pretrained(mini_folder().with_name("control")).to(pipe.device)
    controlled = StableDiffusionControlNetPipeline(**pipe.components, controlnet=controlnet, requires_safety_checker=False)
    outlines, options = edges(given.content), {"prompt": prompt, "num_inference_steps": STEPS}
    distilled = {"adain": True, "learning_rate": 0.015}
    images = {
        "no style": guided_sample(controlled, given.style, control=outlines, inner_steps=0, **options, **seeded()).images[0],
        "no outlines": guided_sample(pipe, given.style, **options, **distilled, **seeded()).images[0],
        "distilled": guided_sample(controlled, given.style, control=outlines, **options, **distilled, **seeded()).images[0],
    }
    figures = {name: patch_distance(image, given.style) for name, image in images.items()}
    figures |= {f"{name}, edges": edge_correlation(image, given.content) for name, image in images.items()}
    row = [("style", given.style), ("outlines", outlines), *((f"{name}: “{prompt}”", image) for name, image in images.items())]
    return row, figures


ROWS = (transfer, texture, text, masks, layout, wide, seamless, decoder, weighted, schedules, control)
ROWS = {row.__name__: row for row in ROWS}

if __name__ == "__main__":
    main()
