"""The main job: one style transfer and one texture, on a contact sheet.

    python -m attnd_nb --content photo.jpg --style painting.jpg
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import sys
from pathlib import Path

WEIGHTS = (0.05, 0.15, 0.35)
INJECTED_STEPS, STRENGTH = 50, 0.6  # the transfer starts from the content, noised up to STRENGTH of the steps


def main(arguments: list[str] | None = None) -> int:
    """Run the job; returns the exit code: 0, or 2 when the input was at fault, with one line on stderr."""
    options = _options(arguments)
    # The libraries speak about their own affairs; this program has one bar and four lines to say.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        sheet = run(options)
    except (OSError, ValueError) as error:
        print(f"attnd-nb: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(f"contact sheet: {sheet}")
    print(f"the course:    {_course()}")
    return 0


def run(options: argparse.Namespace) -> Path:
    """Make the pictures, save each result in a folder of its own, and return the contact sheet's path."""
    content = _picture(options.content, "content")
    style = _picture(options.style, "style")
    # A style picture that the user named is the texture's exemplar too, unless another was named.
    texture = _picture(options.texture or options.style, "texture")
    results = _results(content, style, texture, options)
    for name, result in results.items():
        result.save(options.out / name)

    from .plots import contact_sheet

    path = options.out / "contact_sheet.png"
    contact_sheet(_rows(content, style, texture, results), path=path,
                  title="Style transfer and texture; d is the patch distance to the style, 0 for its equal")
    return path


def _results(content, style, texture, options) -> dict:
    """Every result by name: transfer injected and distilled at each λ, texture injected and distilled."""
    import torch
    from tqdm import tqdm

    from . import FAST, injected_sample, load_pipeline, optimize

    pipe = load_pipeline(options.model)
    injected_steps = math.ceil(INJECTED_STEPS * STRENGTH) + INJECTED_STEPS
    bar = tqdm(total=(len(WEIGHTS) + 1) * options.steps + injected_steps, desc="distilling")

    def settings(**steps):
        generator = torch.Generator().manual_seed(options.seed)
        return dict(generator=generator, progress=False, callback=lambda step: bar.update(), **steps)

    def inject(picture, **changes):
        return injected_sample(pipe, picture, **changes, **settings(num_inference_steps=INJECTED_STEPS))

    def distil(picture, **changes):
        return optimize(pipe, picture, **changes, **settings(**FAST | {"num_steps": options.steps}))

    with bar:
        return {
            "transfer_injected": inject(style, content=content, strength=STRENGTH),
            **{f"transfer_{weight}": distil(style, content=content, content_weight=weight)
               for weight in WEIGHTS},
            "texture_injected": inject(texture),
            "texture_distilled": distil(texture, adain=True),
        }


def _picture(named, default: str):
    """The picture that the user named, or one that comes with the package."""
    from .images import open_image
    from .samples import sample

    return open_image(named) if named else sample(default)


def _rows(content, style, texture, results) -> list:
    """The contact sheet's rows of (caption, picture): the transfer, then the texture."""
    from .metrics import patch_distance

    def entry(name, picture, reference):
        return f"{name}, d = {patch_distance(picture, reference):.2f}", picture

    made = {name: result.images[0] for name, result in results.items()}
    return [
        [entry("content", content, style), ("style", style),
         entry("KV injection", made["transfer_injected"], style),
         *(entry(f"distilled, λ = {weight}", made[f"transfer_{weight}"], style) for weight in WEIGHTS)],
        [("exemplar", texture), entry("KV injection", made["texture_injected"], texture),
         entry("distilled from noise", made["texture_distilled"], texture)],
    ]


def _course() -> str:
    """The command that opens the course, as it can be pasted here."""
    notebook = Path(__file__).parents[1] / "notebooks" / "00_start_here.ipynb"
    if not notebook.is_file():
        return "its notebooks are in the folder notebooks/ of the repository"
    if importlib.util.find_spec("jupyterlab") is None:
        return 'pip install -e ".[notebooks]", then this command again'
    return f"{_here(Path(sys.executable))} -m jupyterlab {_here(notebook)}"


def _here(path: Path) -> Path:
    """The path from the current folder, if it lies inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="attnd-nb",
        description="Attention Distillation on two pictures: a style transfer at three content weights and a "
        "texture, beside KV injection. Without arguments it runs on pictures that come with the package.")
    parser.add_argument("--content", metavar="FILE", help="picture whose layout is kept")
    parser.add_argument("--style", metavar="FILE", help="picture whose style is taken")
    parser.add_argument("--texture", metavar="FILE", help="exemplar of the texture (the style)")
    parser.add_argument("--out", metavar="FOLDER", type=Path, default="out",
                        help="where the results go (%(default)s)")
    parser.add_argument("--steps", metavar="N", type=_count, default=25,
                        help="timesteps a picture, of four optimisation steps each (%(default)s)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="seed of the noise (%(default)s)")
    parser.add_argument("--model", metavar="NAME", default="mini",
                        help="mini, sd15, sd21, sdxl, a pipeline folder or a hub id (%(default)s)")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of steps; give 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
