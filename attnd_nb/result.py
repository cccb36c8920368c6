"""What every verb returns, and the bookkeeping that every verb's loop shares."""

import contextlib
import csv
import json
import math
import os
import time
from dataclasses import asdict, dataclass, field, is_dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from PIL import Image
from tqdm.auto import tqdm

from .images import to_pil
from .latents import decode
from .models import device_of, frozen

LESS_MEMORY = (
    "to need less memory: pipe.unet.enable_gradient_checkpointing(), on a GPU load_pipeline(..., offload=True), in float32 "
    "attnd_nb.stored_in_half(), a smaller size= or resolution=, fewer images or references at once, "
    "expand(..., views_per_batch=1)"
)


@contextlib.contextmanager
def memory_hint(text):
    """Adds `text` to an error that says that memory ran out, on any device."""
    try:
        yield
    except Exception as error:
        said = str(error)  # on a CPU "can't allocate memory", on Apple's GPU "out of memory", both RuntimeErrors
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in said or "out of memory" in said:
            error.add_note(text)
        raise


@dataclass(frozen=True)
class Step:
    """What a callback is shown after each timestep."""

    step: int  # 0, 1, 2, …
    timestep: int  # diffusion time at which the features were read
    loss: float  # L_total before the last update; NaN where nothing was optimised
    latents: torch.Tensor  # (n, channels, h, w), a copy


@dataclass
class Result:
    """Images, and everything that says how they came about.

    `images`: PIL images. `latents`: float32 (n, channels, h, w), on the CPU. `losses`: one dict per update:
    step, inner, timestep, total, ad {layer: value}, content {layer: value}. `settings`: JSON-able; verb,
    arguments, sizes, model, versions. `seed`: what the generator was seeded with, or None if it had been
    used before. `inputs`: the pictures as the model saw them, by their part ("content", "style_0", …). `seconds`: wall time.
    """

    images: list[Image.Image]
    latents: torch.Tensor
    losses: list[dict]
    settings: dict
    seed: int | None
    seconds: float
    inputs: dict[str, Image.Image] = field(default_factory=dict)

    def _repr_png_(self):
        return self.images[0]._repr_png_()

    def save(self, folder):
        """Write the images, the inputs, settings.json, losses.json and losses.csv; returns the folder.

        Earlier files of the same names are overwritten. `replay` makes the result again from the folder.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for index, image in enumerate(self.images):
            image.save(folder / f"image_{index}.png")
        for name, image in self.inputs.items():
            image.save(folder / f"input_{name}.png")
        about = {**self.settings, "seed": self.seed, "seconds": round(self.seconds, 3)}
        (folder / "settings.json").write_text(json.dumps(about, indent=2) + "\n")
        (folder / "losses.json").write_text(json.dumps(self.losses) + "\n")
        with open(folder / "losses.csv", "w", newline="") as file:
            rows = [_flat(entry) for entry in self.losses]
            writer = csv.DictWriter(file, rows[0] if rows else ["step"])
            writer.writeheader()
            writer.writerows(rows)
        return folder


def _flat(entry):
    row = {name: value for name, value in entry.items() if not isinstance(value, dict)}
    for kind in ("ad", "content"):
        row |= {f"{kind}:{layer}": value for layer, value in entry[kind].items()}
    return row


def replay(folder, pipe, **changes):
    """Make a saved result again, with `pipe`, from its settings and inputs; returns a new `Result`.

    `changes` replace arguments of the original call. The same pipeline on the same machine gives the same
    latents; a GPU does so only under `torch.use_deterministic_algorithms(True)`, otherwise to the eye.
    Raises ValueError if the result was made with a generator that had been used before.
    """
    import attnd_nb

    folder = Path(folder)
    about = json.loads((folder / "settings.json").read_text())
    arguments = dict(about["arguments"])
    if about["seed"] is None and "generator" not in changes:
        raise ValueError(f"{folder} cannot be replayed: its generator had been used before; pass generator=")
    for name in about["pictures"]:  # "content", or one of several: "style_0", "style_1"
        kind, _, index = name.rpartition("_")
        if index.isdigit():
            arguments.setdefault(kind, []).append(folder / f"input_{name}.png")
        else:
            arguments[name] = folder / f"input_{name}.png"
    if about["seed"] is not None:
        arguments["generator"] = torch.Generator().manual_seed(about["seed"])
    return getattr(attnd_nb, about["verb"])(pipe, **{**arguments, **changes})


class Run(contextlib.AbstractContextManager):
    """The skeleton of every verb's loop: frozen weights, progress bar, loss history, callback, clock.

        with Run(pipe, "optimize", arguments, pictures, generator, progress, callback) as run:
            for t in run.steps(timesteps):
                run.update(t, inner, total, ad, content)    # after each update of the latents
                run.end_step(latents)                       # after each timestep
            return run.result(latents)

    `arguments`: the verb's `locals()` once resolved; what is not a setting is left out. `pictures`: an
    object with `images` {name: PIL}, `about` {name: dict} and `output_size`.
    """

    NOT_SETTINGS = {"pipe", "style", "content", "control", "source_mask", "target_mask", "generator", "progress",
                    "callback", "pictures"}

    def __init__(self, pipe, verb, arguments, pictures, generator=None, progress=True, callback=None):
        self.pipe, self.pictures, self.progress, self.callback = pipe, pictures, progress, callback
        self.generator, self.seed = seeded(generator)
        self.settings = {
            "verb": verb,
            "arguments": _jsonable(
                {
                    name: value
                    for name, value in arguments.items()
                    if name not in self.NOT_SETTINGS and value is not None
                }
            ),
            "pictures": pictures.about,
            "output_size": list(pictures.output_size),
            **_environment(pipe),
        }
        self.step, self.timestep, self.entries = -1, None, []
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        self.started = time.perf_counter()
        self.stack.enter_context(memory_hint(LESS_MEMORY))
        self.stack.enter_context(frozen(self.pipe))
        return self

    def __exit__(self, kind, error, traceback):
        self.stack.__exit__(kind, error, traceback)
        self.pipe.maybe_free_model_hooks()  # with offload=True the last network would stay on the device

    def steps(self, timesteps):
        """Yield the timesteps, counted, under a progress bar (off with progress=False or TQDM_DISABLE)."""
        bar = self.stack.enter_context(progress_bar(self.progress, iterable=timesteps, desc=self.settings["verb"]))
        for self.step, self.timestep in enumerate(bar):
            yield self.timestep

    def update(self, t, inner, total, ad, content):
        """Remember the losses of one update, on their device until the end, so that nothing waits."""

        def detached(losses):
            return {name: value.detach() for name, value in losses.items()}

        self.entries.append((self.step, inner, t, total.detach(), detached(ad), detached(content)))

    def end_step(self, latents):
        """Show the callback where things stand."""
        if self.callback is None:
            return
        timestep, loss = int(self.timestep), math.nan
        if self.entries and self.entries[-1][0] == self.step:
            timestep, loss = self.entries[-1][2], float(self.entries[-1][3])
        self.callback(Step(self.step, timestep, loss, latents.detach().clone()))

    def decoded(self, latents):
        """The pictures of the latents, (n, 3, f h, f w) in [0, 1]."""
        return decode(self.pipe, latents)

    def result(self, latents):
        """Decode, and gather everything into a `Result`."""

        def floats(losses):
            return {name: float(value) for name, value in losses.items()}

        images = to_pil(self.decoded(latents))
        losses = [
            dict(
                step=step, inner=inner, timestep=t, total=float(total), ad=floats(ad), content=floats(content)
            )
            for step, inner, t, total, ad, content in self.entries
        ]
        return Result(
            images,
            latents.detach().float().cpu(),
            losses,
            self.settings,
            self.seed,
            time.perf_counter() - self.started,
            self.pictures.images,
        )


def progress_bar(progress, **options):
    """tqdm's bar; none with progress=False or TQDM_DISABLE, which its bar for notebooks does not look at itself."""
    return tqdm(**options, disable=not progress or bool(os.environ.get("TQDM_DISABLE")))


def seeded(generator):
    """The generator to draw from, and what it was seeded with: None if it has been used since."""
    if generator is None:
        generator = torch.Generator()
        generator.seed()
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator must be a torch.Generator, not {generator!r}; "
            "write generator=torch.Generator().manual_seed(0)"
        )
    if generator.device.type != "cpu":
        raise ValueError(
            f"generator is on {generator.device}; use a CPU generator, torch.Generator(), "
            "whose numbers are the same on every machine"
        )
    seed = generator.initial_seed()
    fresh = torch.equal(torch.Generator().manual_seed(seed).get_state(), generator.get_state())
    return generator, (seed if fresh else None)


def _jsonable(settings):
    """As JSON would give it back: tuples as lists, numpy's numbers as Python's, a `Weights` as a dict."""
    return json.loads(json.dumps(settings, default=lambda x: asdict(x) if is_dataclass(x) else x.item()))


def _environment(pipe):
    return {
        "model": {
            "name": str(getattr(pipe.config, "_name_or_path", "") or ""),
            "class": type(pipe).__name__,
            "device": str(device_of(pipe)),
            "dtype": str(pipe.unet.dtype).removeprefix("torch."),
        },
        "versions": {name: version(name) for name in ("torch", "diffusers", "transformers")},
    }
