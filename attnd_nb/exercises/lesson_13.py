"""Lesson 13: one thing at a time, an account of what failed, and a checklist that is computed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..images import open_image
from ..result import Result
from ..samples import sample
from . import Exercise, Wrong, given, require

# The failure that the lesson explains; a learner's own is told in other words.
EXAMPLE = (
    "The result stops short of the style: its patches are not yet those of the style picture.",
    "Nobody held the statistics of the latent.",
)
SAMPLES = ("content", "style", "texture")
FEWEST_RESULTS, FEWEST_WORDS = 3, 15


def ablate(run, settings, name, values, seed=0):
    """Reference: every run gets the same settings but one, and a generator of its own with the same seed."""
    return {
        label: run(**{**settings, name: value}, generator=torch.Generator().manual_seed(seed))
        for label, value in values.items()
    }  # fmt: skip


class _Recorder:
    """Stands for a verb: remembers what it was called with, and the first number that its generator gave."""

    def __init__(self):
        self.arguments, self.draws, self.results = [], [], []

    def __call__(self, **arguments):
        generator = arguments.pop("generator", None)
        self.arguments.append(arguments)
        self.draws.append(None if generator is None else torch.rand(1, generator=generator).item())
        self.results.append(f"result {len(self.results)}")
        return self.results[-1]


def check_ablate(answer) -> None:
    state = torch.get_rng_state()
    _check_one_sweep(answer, "content_weight", {"weak": 0.05, "as before": 0.25, "strong": 1.0}, seed=3)
    _check_one_sweep(answer, "num_steps", {"few": 10, "many": 80}, seed=4)
    require(torch.equal(state, torch.get_rng_state()),
            "torch.manual_seed changes the random numbers of everybody else; seed a generator of your own (lesson 00).")


def _check_one_sweep(answer, name, values, seed) -> None:
    settings = {"style": "bark.png", "content_weight": 0.25, "num_steps": 40}
    before, run = dict(settings), _Recorder()
    try:
        made = given(answer(run, settings, name, values, seed=seed))
    except TypeError as error:
        if "multiple values" not in str(error):
            raise
        raise Wrong(f"{name!r} is in the settings already, so it is passed twice. Merge two dicts, the later one "
                    "wins: {**settings, name: value}.") from error
    require(isinstance(made, dict), f"A dict of results by label is asked for, this is a {type(made).__name__}.")
    require(list(made) == list(values), f"The results have the labels {list(made)}; asked for were {list(values)}.")
    require(settings == before,
            "The settings that were passed in have changed: the next ablation would start from the last value of "
            "this one, and two things differ at once. Build a new dict for each run.")
    require(len(run.arguments) == len(values), f"{len(run.arguments)} runs for {len(values)} values.")
    swept = [arguments.get(name) for arguments in run.arguments]
    require(swept != list(values), "The runs were given the labels, not the values that belong to them.")
    require(not any("name" in arguments for arguments in run.arguments),
            "run(name=value) passes an argument called 'name'. To use the word that `name` holds: **{name: value}.")
    require(swept == list(values.values()), f"{name} was {swept} in the runs; asked for was {list(values.values())}.")
    rest = [{key: value for key, value in arguments.items() if key != name} for arguments in run.arguments]
    expected = {key: value for key, value in before.items() if key != name}
    require(all(one == expected for one in rest), f"Besides {name}, the runs got {rest[0]}; the settings say {expected}.")
    require(None not in run.draws, "The runs got no generator: each would draw noise of its own, a second difference.")
    require(len(set(run.draws)) == 1,
            "The runs started from different noise. One generator for all of them is a tape that moves on: make a "
            "new one, with the same seed, for each run.")
    require(run.draws[0] == torch.rand(1, generator=torch.Generator().manual_seed(seed)).item(),
            "All runs start from the same noise, but not from that of the seed that was asked for.")
    require(list(made.values()) == run.results, "The results are not, in order, what the runs returned.")


def _changes_its_settings(run, settings, name, values, seed=0):
    made = {}
    for label, value in values.items():
        settings[name] = value
        made[label] = run(**settings, generator=torch.Generator().manual_seed(seed))
    return made


def _one_generator(run, settings, name, values, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {label: run(**{**settings, name: value}, generator=generator) for label, value in values.items()}


def _everybodys_seed(run, settings, name, values, seed=0):
    torch.manual_seed(seed)
    return ablate(run, settings, name, values, seed)


WRONG = {
    "two things differ at once": _changes_its_settings,
    "a tape that moves on": _one_generator,
    "everybody else": _everybodys_seed,
    "got no generator": lambda run, settings, name, values, seed=0: {
        label: run(**{**settings, name: value}) for label, value in values.items()},
    "the seed that was asked for": lambda run, settings, name, values, seed=0: ablate(run, settings, name, values),
    "it is passed twice": lambda run, settings, name, values, seed=0: {
        label: run(**settings, **{name: value}, generator=torch.Generator().manual_seed(seed))
        for label, value in values.items()},
    "an argument called 'name'": lambda run, settings, name, values, seed=0: {
        label: run(**settings | {"name": value}, generator=torch.Generator().manual_seed(seed))
        for label, value in values.items()},
    "given the labels": lambda run, settings, name, values, seed=0: ablate(
        run, settings, name, {label: label for label in values}, seed),
    "the settings say": lambda run, settings, name, values, seed=0: ablate(run, {}, name, values, seed),
    "A dict of results": lambda run, settings, name, values, seed=0: list(
        ablate(run, settings, name, values, seed).values()),
    "asked for were": lambda run, settings, name, values, seed=0: {
        value: result for value, result in zip(values.values(), ablate(run, settings, name, values, seed).values())},
}  # fmt: skip

EXERCISES = (Exercise(name="13.ablation", reference=ablate, check=check_ablate, wrong=WRONG),)


def what_differs(a: Result, b: Result) -> list[str]:
    """The names of the arguments in which two results differ; also "verb", "model" and "seed".

    >>> from types import SimpleNamespace as Like
    >>> a = Like(seed=0, settings={"verb": "optimize", "model": "mini", "arguments": {"num_steps": 40}})
    >>> b = Like(seed=0, settings={"verb": "optimize", "model": "mini", "arguments": {"num_steps": 80, "resolution": 128}})
    >>> what_differs(a, b)
    ['num_steps', 'resolution']
    """
    one, other = (
        {**r.settings["arguments"], "seed": r.seed, "verb": r.settings["verb"], "model": r.settings["model"]} for r in (a, b)
    )
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


@dataclass(frozen=True)
class Failure:
    """A failure, and an explanation of it that could have been wrong.

    `symptom`, `cause`: in words. `before`: the failed result. `after`: one with the cause taken away, and nothing else
    changed. `measure(result)`: a number that shows the symptom. `predicted`: whether it "rises" or "falls" from before
    to after, by `at_least` so much. `verdict`: what you read from the measurement, "confirmed" or "refuted"; both are
    worth as much.
    """

    symptom: str
    cause: str
    before: Result
    after: Result
    measure: Callable[[Result], float]
    predicted: str
    at_least: float
    verdict: str

    def __post_init__(self):
        for name, known in (("predicted", ("rises", "falls")), ("verdict", ("confirmed", "refuted"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {known}, not {getattr(self, name)!r}")
        if not self.at_least > 0:
            raise ValueError(f"at_least={self.at_least} predicts nothing that could turn out wrong; give a positive number")

    @property
    def outcome(self) -> str:
        """What the measurement says of the prediction: "confirmed" or "refuted"."""
        change = self.measure(self.after) - self.measure(self.before)
        return "confirmed" if (change if self.predicted == "rises" else -change) >= self.at_least else "refuted"


def checks(pictures: dict, result: Result, folder, ablation: dict[str, Result], failure: Failure) -> dict[str, bool]:
    """The capstone's checklist, {sentence: whether it holds}, computed from what the learner made.

    `pictures`: {"content": picture, "style": picture}, or "style" alone for a texture. `folder`: where `result` was
    saved. `ablation`: results by label.
    """
    runs = list(ablation.values())
    varied = {name for run in runs[1:] for name in what_differs(runs[0], run)}
    words = f"{failure.symptom} {failure.cause}".split()
    return {
        **{f"The {name} is a picture of your own.": not any(_alike(picture, sample(one)) for one in SAMPLES)
           for name, picture in pictures.items()},
        "The result was made from these pictures.": _made_from(result, pictures),
        "It is saved with its seed, so anybody can make it again.": _can_be_replayed(result, Path(folder)),
        f"The ablation has {FEWEST_RESULTS} results or more.": len(runs) >= FEWEST_RESULTS,
        "They differ in one argument only.": len(varied) == 1 and all(_made_from(run, pictures) for run in runs),
        "That argument is your choice, not the lesson's `layers`.": bool(varied) and varied != {"layers"},
        f"The failure is told in your words, {FEWEST_WORDS} or more.":
            len(words) >= FEWEST_WORDS and (failure.symptom, failure.cause) != EXAMPLE,
        "Its test changes one argument of the failed run only.":
            len(what_differs(failure.before, failure.after)) == 1 and _made_from(failure.before, failure.after.inputs),
        "The verdict says what the measurement says.": failure.verdict == failure.outcome,
    }  # fmt: skip


def checklist(pictures: dict, result: Result, folder, ablation: dict[str, Result], failure: Failure) -> None:
    """Print `checks`, ticked or open, and how many hold."""
    lines = checks(pictures, result, folder, ablation, failure)
    for sentence, holds in lines.items():
        print("☑" if holds else "☐", sentence)
    print(f"{sum(lines.values())} of {len(lines)}")


def _alike(a, b) -> bool:
    """Whether two pictures are one, whatever their sizes: thumbnails that differ by less than 2 % on average."""
    one, other = (np.asarray(open_image(picture, (32, 32)), float) / 255 for picture in (a, b))
    return bool(np.abs(one - other).mean() < 0.02)


def _made_from(result: Result, pictures: dict) -> bool:
    """Whether a result's inputs are these pictures; "style" is the first of its styles."""
    inputs = {"style" if name == "style_0" else name: picture for name, picture in result.inputs.items()}
    pictures = {"style" if name == "style_0" else name: picture for name, picture in pictures.items()}
    return pictures.keys() <= inputs.keys() and all(_alike(inputs[name], pictures[name]) for name in pictures)


def _can_be_replayed(result: Result, folder: Path) -> bool:
    """Whether the folder holds this result's settings, and a seed."""
    if result.seed is None or not (folder / "settings.json").is_file():
        return False
    saved = json.loads((folder / "settings.json").read_text())
    return saved["seed"] == result.seed and all(saved.get(name) == value for name, value in result.settings.items())
