"""The figures of the model card, measured on pictures that the model never saw.

Real photographs and paintings are the caller's (`--photos`: content_*, style_* and texture_* files); none are shipped.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from PIL import Image

from attnd_nb import (
    FAST,
    FAST_SAMPLING,
    Schedule,
    decode,
    encode,
    guided_sample,
    injected_sample,
    load_pipeline,
    match_statistics,
    open_image,
    optimize,
)
from attnd_nb.metrics import edge_correlation, patch_distance, psnr
from attnd_nb.plots import contact_sheet
from attnd_nb.world import MATERIALS, Scene, Style, full_caption, sample_image, sample_portrait, sample_scene

from . import card, recogniser
from .data import HELD_OUT

WEIGHTS = (0.05, 0.15, 0.25, 0.5)
PHOTO_PAIRS = (("content_barn", "style_starry_night"), ("content_bridge", "style_watercolour"))
PHOTO_TEXTURES = ("texture_rust", "texture_seeds", "texture_wood")
WORLD_PAIRS = (("mosaic", 12), ("oil", 13))
WORLD_TEXTURES = ("gravel",)
RATES, INNER = (0.005, 0.015, 0.05), (1, 2, 4)
GUIDANCE = (5.0, 7.5)  # the last is the verbs' default


def run(run: Path, target: Path, photos: Path | None, machine: str) -> None:
    """Measures everything; writes `run/figures.json` as it goes, sheets of pictures beside it, and the model card.

    Raises FileNotFoundError at once, and not after minutes, if a picture that is measured is not among the photos.
    """
    for name in {*sum(PHOTO_PAIRS, ()), *PHOTO_TEXTURES} if photos else ():
        if not [*photos.glob(name + ".*")]:
            raise FileNotFoundError(f"no picture {name}.* in {photos}, where the real pictures to be measured should be")
    pipe = load_pipeline(str(target))
    figures: dict = {}
    stages = {
        "reconstruction": lambda: reconstruction(pipe, photos),
        "texture": lambda: textures(pipe, photos, run),
        "transfer": lambda: transfers(pipe, photos, run),
        "prompts": lambda: prompts(pipe, recogniser.load(run), run),
        "styled": lambda: styled(pipe, recogniser.load(run), photos, run),
    }
    if not (run / "recogniser.pt").exists():
        print("prompts are not measured: there is no trained recogniser in", run)
        del stages["prompts"], stages["styled"]
    for name, measure in stages.items():
        start = time.monotonic()
        figures[name] = measure()
        print(f"{name}, {time.monotonic() - start:.0f} s: {json.dumps(figures[name])}", flush=True)
        (run / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    card.write(run, target, machine)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def picture(array: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(array, 0, 1) * 255 + 0.5).astype(np.uint8))


def round_trip(pipe, image) -> Image.Image:
    """What the autoencoder alone makes of a picture."""
    return decode(pipe, encode(pipe, image))[0]


def photo(folder: Path, name: str, side: int = 256) -> Image.Image:
    """The middle square of a file, brought to `side` pixels."""
    image = Image.fromarray(np.asarray(open_image(next(folder.glob(name + ".*")))))
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    return image.crop((left, top, left + edge, top + edge)).resize((side, side), Image.Resampling.LANCZOS)


def reconstruction(pipe, photos: Path | None, count: int = 64) -> dict:
    """Mean PSNR of encode and decode: on renders of held-out seeds and on real pictures at 256 px."""
    world = [picture(sample_image(HELD_OUT + i)[0]) for i in range(count)]
    out = {"world": mean(psnr(round_trip(pipe, image), image) for image in world)}
    if photos:
        real = {path.stem: photo(photos, path.stem) for path in sorted(photos.glob("*.jpg"))}
        each = {name: psnr(round_trip(pipe, image), image) for name, image in real.items()}
        out |= {"real": mean(each.values()), "each": each}
    return out


def prompts(pipe, judge, run: Path, count: int = 48) -> dict:
    """Share of samples in which the classifier finds the prompt's thing, material and style; its own accuracy beside it.

    The same scenes are drawn by the model from "an oil painting of a wooden fish on grass", and by the world. So is each
    material alone ("a photo of wood"): in a style and the shape of a thing the classifier hardly tells one from another.
    """
    scenes = [sample_portrait(HELD_OUT + i) for i in range(count)]
    wanted = {"thing": [s.items[0].thing for s in scenes], "material": [s.items[0].material for s in scenes],
              "style": [s.style.name for s in scenes]}  # fmt: skip
    drawn = all_drawn(pipe, scenes, run / "sheet_prompts.png")
    plain = [Scene((), name, HELD_OUT + i, Style("photo", HELD_OUT + i)) for i, name in enumerate(MATERIALS)]
    alone = all_drawn(pipe, plain, run / "sheet_materials.png")
    return {
        name: {kind: found_share(judge, drawn[name], kind, names) for kind, names in wanted.items()}
        | {"material alone": found_share(judge, alone[name], "material", list(MATERIALS))}
        for name in drawn
    }


def all_drawn(pipe, scenes: list[Scene], sheet: Path) -> dict:
    """Pictures of the scenes: by the model from their captions, at each guidance, and by the world; a sheet of 32 samples."""
    from tqdm.auto import tqdm

    texts = [full_caption(scene) for scene in scenes]
    pipe.set_progress_bar_config(disable=True)
    drawn = {}
    for scale in GUIDANCE:
        images = drawn[f"guidance {scale:g}"] = []
        for i in tqdm(range(0, len(texts), 8), desc=f"{sheet.stem}, guidance {scale:g}"):
            images += pipe(texts[i : i + 8], guidance_scale=scale, num_inference_steps=25, generator=seeded()).images
    contact_sheet([list(zip(texts[i : i + 8], images[i : i + 8])) for i in range(0, 32, 8)], path=sheet, tile=192)
    return drawn | {"rendered": [picture(scene.render()) for scene in scenes]}


def found_share(judge, images: list[Image.Image], kind: str, wanted: list[str]) -> float:
    """Share of the images in which the classifier finds what was wanted of them."""
    found = recogniser.recognise(judge, np.stack([np.asarray(image) for image in images]))[kind]
    return float(np.mean([a == b for a, b in zip(found, wanted)]))


def styled(pipe, judge, photos: Path | None, run: Path, count: int = 8, steps: int = 25) -> dict:
    """Prompts in the style of a picture, over learning rates and inner steps, beside what costs less: KV injection and others.

    things: share of `count` samples in which the classifier finds the prompt's thing. style: mean patch distance to the style.
    """
    names = recogniser.labels()["thing"][:count]
    style = photo(photos, PHOTO_PAIRS[0][1]) if photos else world_pair(*WORLD_PAIRS[0])[1]
    common = {"style": style, "prompt": [f"a {name}" for name in names], "num_inference_steps": steps}
    made = {
        "the model alone": guided_sample(pipe, **common, inner_steps=0, generator=seeded()),
        "KV injection": injected_sample(pipe, **common, generator=seeded()),
        "AdaIN alone": guided_sample(pipe, **common, adain=True, inner_steps=0, generator=seeded()),
    }
    for rate in RATES:
        for inner in INNER:
            made[f"rate {rate}, {inner} inner"] = guided_sample(
                pipe, **common, adain=True, learning_rate=rate, inner_steps=inner, generator=seeded()
            )
    out = {}
    for key, result in made.items():
        out[key] = {
            "things": found_share(judge, result.images, "thing", names),
            "style": mean(patch_distance(image, style) for image in result.images),
        }
    contact_sheet([list(zip([key, *names[1:]], result.images)) for key, result in made.items()], path=run / "sheet_styled.png",
                  tile=128)  # fmt: skip
    return out


def transfers(pipe, photos: Path | None, run: Path) -> dict:
    """Style transfer over λ with the settings `FAST`, and inside sampling, of real pictures and of world scenes with their truth.

    style: patch distance of result to style over that of content to style. edges: edge correlation with the content.
    truth: patch distance of the result to the same scene rendered in the style, over that of the content to it.
    """
    jobs = {f"{c} in {s}": (photo(photos, c), photo(photos, s), None) for c, s in PHOTO_PAIRS} if photos else {}
    jobs |= {f"world in {name}": world_pair(name, seed) for name, seed in WORLD_PAIRS}
    out, rows, seconds = {}, [], []
    content, style, _ = next(iter(jobs.values()))
    slow = optimize(pipe, style=style, content=content, num_steps=200, generator=seeded()).seconds
    for title, (content, style, truth) in jobs.items():
        row = [("content", content), ("style", style)]
        injected = injected_sample(pipe, style=style, content=content, generator=seeded()).images[0]
        results = {"injected": injected}
        for weight in WEIGHTS:
            result = optimize(pipe, style=style, content=content, content_weight=weight, **FAST, generator=seeded())
            results[f"{weight}"] = result.images[0]
            seconds.append(result.seconds)
        results["guided"] = guided_sample(pipe, style, content=content, content_weight=0.5, strength=0.6,
                                          **FAST_SAMPLING, generator=seeded()).images[0]  # fmt: skip
        out[title] = {key: transfer_scores(image, content, style, truth) for key, image in results.items()}
        row += [(f"{key}: {out[title][key]['style']:.2f}, {out[title][key]['edges']:.2f}", im) for key, im in results.items()]
        rows.append(row + ([("ground truth", truth)] if truth else []))
        contact_sheet(rows, path=run / "sheet_transfers.png", tile=224)
    return out | {"seconds": mean(seconds), "seconds of 200 steps": slow}


def transfer_scores(image, content, style, truth) -> dict:
    scores = {"style": patch_distance(image, style) / patch_distance(content, style), "edges": edge_correlation(image, content)}
    if truth:
        scores["truth"] = patch_distance(image, truth) / patch_distance(content, truth)
    return scores


def world_pair(name: str, seed: int) -> tuple[Image.Image, Image.Image, Image.Image]:
    """A scene as a photograph, another scene in a style, and the first in the second's style: the ground truth."""
    content: Scene = sample_scene(HELD_OUT + seed).with_style(Style("photo", seed))
    style = Style(name, seed)
    reference = sample_scene(HELD_OUT + 1000 + seed).with_style(style)
    return picture(content.render()), picture(reference.render()), picture(content.with_style(style).render())


def textures(pipe, photos: Path | None, run: Path) -> dict:
    """Texture from noise: patch distance to the exemplar, beside that of the exemplar's own round trip."""
    jobs = {name: photo(photos, name) for name in PHOTO_TEXTURES} if photos else {}
    jobs |= {name: picture(Scene((), name, 5, Style("photo", 5)).render()) for name in WORLD_TEXTURES}
    out, rows = {}, []
    for name, exemplar in jobs.items():
        def result_of(verb, exemplar=exemplar, **settings):
            return verb(pipe, style=exemplar, size=(256, 256), generator=seeded(), **settings)

        def run_of(verb, result_of=result_of, **settings):
            return result_of(verb, **settings).images[0]

        injected = result_of(injected_sample)
        made = {
            "round trip": round_trip(pipe, exemplar),
            "plain": run_of(guided_sample, inner_steps=0),
            "injected": injected.images[0],
            "injected, matched": decode(pipe, match_statistics(injected.latents, [encode(pipe, exemplar).cpu()]))[0],
            "100 steps": run_of(optimize, num_steps=100, adain=True),
            "250 steps": run_of(optimize, num_steps=250, learning_rate=Schedule(0.1, 0.01), adain=True),
            "fast": run_of(optimize, **FAST),
            "guided": run_of(guided_sample, adain=True),
            "guided, fast": run_of(guided_sample, **FAST_SAMPLING),
        }
        out[name] = {key: patch_distance(image, exemplar) for key, image in made.items()}
        rows.append([("exemplar", exemplar), *((f"{key}: {out[name][key]:.3f}", image) for key, image in made.items())])
        contact_sheet(rows, path=run / "sheet_textures.png", tile=224)
    return out
