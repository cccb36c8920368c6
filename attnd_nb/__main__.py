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

WEIGHTS = (0.1, 0.25, 0.5)
INJECTED_STEPS, STRENGTH = 50, 0.6  # sampling starts from the content, noised up to STRENGTH of the steps


def main(arguments: list[str] | None = None) -> int:
    """Run the job; returns the exit code: 0, or 2 when the input was at fault, with one line on stderr."""
    options = _options(arguments)
    # The libraries speak about their own affairs; this program has one bar and four lines to say.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        sheet = run(options)
    except (OSError, ValueError, TypeError, FloatingPointError) as error:
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
    options.out.mkdir(parents=True, exist_ok=True)  # what is wrong with it is told before the long part
    results = _results(content, style, texture, options)
    for name, result in results.items():
        result.save(options.out / name)

    from .plots import contact_sheet

    path = options.out / "contact_sheet.png"
    contact_sheet(_rows(results), path=path,
                  title="Style transfer and texture; d is the patch distance to the style, 0 for its equal")
    return path


def _results(content, style, texture, options) -> dict:
    """Every result by name: transfer injected, guided and optimised at each λ, texture injected and distilled."""
    import torch
    from tqdm import tqdm

    from . import FAST, FAST_SAMPLING, guided_sample, injected_sample, load_pipeline, optimize
    from .arguments import check_steps

    pipe = load_pipeline(options.model)
    check_steps(pipe, steps=options.steps)
    guided = math.ceil(options.steps * FAST_SAMPLING["num_inference_steps"] / FAST["num_steps"])
    from_content = [math.ceil(steps * STRENGTH) for steps in (INJECTED_STEPS, *[guided] * len(WEIGHTS))]
    bar = tqdm(total=sum(from_content) + len(WEIGHTS) * options.steps + INJECTED_STEPS + guided, desc="distilling")

    def settings(**steps):
        generator = torch.Generator().manual_seed(options.seed)
        return dict(generator=generator, progress=False, callback=lambda step: bar.update(), **steps)

    def inject(picture, **changes):
        return injected_sample(pipe, picture, **changes, **settings(num_inference_steps=INJECTED_STEPS))

    def guide(picture, **changes):
        return guided_sample(pipe, picture, **changes, **settings(**FAST_SAMPLING | {"num_inference_steps": guided}))

    def distil(weight):
        return optimize(pipe, style, content, weight, **settings(**FAST | {"num_steps": options.steps}))

    with bar:
        return {
            "transfer_injected": inject(style, content=content, strength=STRENGTH),
            **{f"transfer_{weight}": guide(style, content=content, content_weight=weight, strength=STRENGTH)
               for weight in WEIGHTS},
            **{f"optimised_{weight}": distil(weight) for weight in WEIGHTS},
            "texture_injected": inject(texture),
            "texture_distilled": guide(texture),
        }


def _picture(named, default: str):
    """The picture that the user named, or one that comes with the package."""
    from .images import open_image
    from .samples import sample

    return open_image(named) if named else sample(default)


def _rows(results) -> list:
    """The contact sheet's rows of (caption, picture): the transfer by Algorithm 2, and the texture beside that by Algorithm 1.

    Content and style as the model saw them: patches of pictures of other sizes would not compare.
    """
    from .metrics import patch_distance

    given = results["transfer_injected"].inputs
    content, style, texture = given["content"], given["style_0"], results["texture_injected"].inputs["style_0"]

    def entry(name, picture, reference):
        return f"{name}, d = {patch_distance(picture, reference):.2f}", picture

    made = {name: result.images[0] for name, result in results.items()}

    def at_each_weight(label, name):
        return [entry(f"{label}, λ = {weight}", made[f"{name}_{weight}"], style) for weight in WEIGHTS]

    return [
        [entry("content", content, style), ("style", style), entry("KV injection", made["transfer_injected"], style),
         *at_each_weight("distilled while sampling", "transfer")],
        [("texture", texture), entry("KV injection", made["texture_injected"], texture),
         entry("distilled from noise", made["texture_distilled"], texture), *at_each_weight("optimised", "optimised")],
    ]


def _course() -> str:
    """The command that opens the course, as it can be pasted here."""
    folders = Path(__file__).parents[1] / "notebooks", Path.cwd() / "handout"  # the second in class, where a wheel is installed
    notebooks = [folder / "00_start_here.ipynb" for folder in folders]
    notebook = next((path for path in notebooks if path.is_file()), None)
    if notebook is None:
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
        "texture, beside KV injection; the transfer by both of the paper's algorithms. Without arguments it runs on "
        "pictures that come with the package.")
    parser.add_argument("--content", metavar="FILE", help="picture whose layout is kept")
    parser.add_argument("--style", metavar="FILE", help="picture whose style is taken")
    parser.add_argument("--texture", metavar="FILE", help="exemplar of the texture (the style)")
    parser.add_argument("--out", metavar="FOLDER", type=Path, default="out",
                        help="where the results go (%(default)s)")
    parser.add_argument("--steps", metavar="N", type=_count, default=16,
                        help="timesteps of Algorithm 1, with five steps of Adam at each; Algorithm 2 takes five eighths of them "
                        "(%(default)s)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="seed of the noise (%(default)s)")
    parser.add_argument("--model", metavar="NAME", default="mini",
                        help="mini, sd15, sd21, sdxl, a pipeline folder or a hub id (%(default)s); rates are tuned on mini")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of steps; give 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
