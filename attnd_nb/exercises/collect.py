"""The answers that a class hands in: a table learner × exercise.

THIS RUNS FOREIGN CODE: the answers in the collected notebooks, with your rights, in a process of its own for each
learner that is stopped after a time limit. That keeps an endless loop or a crash away from the others; it is no wall
against ill will. For notebooks of people you do not know, use a machine or a container with nothing to lose. And it is
feedback, not an examination: the reference answers come with the package.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from . import exercises
from .notebook import attempted, code_cells, read_notebook

__all__ = ["Verdict", "collect", "learners", "table", "write_csv"]

WORDS = ("solved", "not yet", "stopped", "timed out", "open", "absent")  # the best first
_LESSON = re.compile(r"(.*)(?<!\d)\d\d_[a-z]")  # the last of them: platforms put numbers of their own before it


class Verdict(NamedTuple):
    """How one exercise of one learner fares: one of `WORDS`, and the line that the learner saw."""

    learner: str
    exercise: str
    word: str
    message: str


def collect(folder, seconds: float = 120) -> list[Verdict]:
    """Judges every learner's answers; each learner's processes may run for `seconds`.

    `folder` holds a folder for each learner, or loose notebooks called "ada_05_ad_loss.ipynb". Of several attempts at
    one exercise the best counts. An exercise whose notebook a learner did not hand in is "absent".
    Raises ValueError when there are no notebooks.
    """
    handed_in = learners(folder)
    judged = {}
    for number, (learner, paths) in enumerate(handed_in.items(), 1):
        print(f"{number} of {len(handed_in)}: {learner}", file=sys.stderr, flush=True)
        judged[learner] = _judge(paths, seconds)
    names = _columns(judged)
    return [
        Verdict(learner, name, *found.get(name, ("absent", "")))
        for learner, found in judged.items() for name in names
    ]  # fmt: skip


def learners(folder) -> dict[str, list[Path]]:
    """{learner: their notebooks}: by the first folder on the way, or by what stands before the lesson's name."""
    folder, found = Path(folder), {}
    for path in sorted(folder.rglob("*.ipynb")):
        way = path.relative_to(folder).parts
        if any(part.startswith((".", "__")) for part in way):  # checkpoints, and what archives of a Mac bring along
            continue
        lesson = _LESSON.match(path.stem)
        learner = way[0] if len(way) > 1 else (lesson[1].strip(" _-") if lesson else "") or path.stem
        found.setdefault(learner, []).append(path)
    if not found:
        raise ValueError(f"no notebooks in {folder}; it should hold a folder for each learner")
    return found


def _judge(paths: list[Path], seconds: float) -> dict[str, tuple[str, str]]:
    """{exercise: (word, message)} of one learner."""
    readable, expected = [], []
    for path in paths:
        try:
            names = [name for source in code_cells(read_notebook(path)) for name in attempted(source)]
        except ValueError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        readable.append(str(path.resolve()))
        expected += names
    with tempfile.TemporaryDirectory() as place:
        verdicts = Path(place) / "verdicts.jsonl"
        verdicts.touch()
        end = _run([str(verdicts), *readable], place, seconds) if expected else ""
        lines = [json.loads(line) for line in verdicts.read_text(encoding="utf-8").splitlines()]
    lines += [[name, end] for name in expected if name not in dict(lines)]
    found = {}
    for name, message in lines:
        word = next((word for word in WORDS if message.startswith(word)), "stopped")
        found[name] = min((word, message), found.get(name, ("absent", "")), key=lambda one: WORDS.index(one[0]))
    return found


def _run(arguments: list[str], place: str, seconds: float) -> str:
    """Runs the judge; returns what to say of an exercise that it did not get to."""
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    quiet = {"TQDM_DISABLE": "1", "MPLBACKEND": "Agg", "TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error"}
    command = [sys.executable, "-m", "attnd_nb.exercises.judge", *arguments]
    nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    try:
        done = subprocess.run(command, cwd=place, env={**os.environ, **quiet, "PYTHONPATH": path}, timeout=seconds, **nowhere)
    except subprocess.TimeoutExpired:
        return f"timed out after {seconds:g} s"
    return f"stopped: the process ended with code {done.returncode}"


def _columns(judged: dict) -> list[str]:
    """All exercises of the lessons that anybody handed in, in the course's order."""
    names = []
    for lesson in sorted({name.partition(".")[0] for found in judged.values() for name in found}):
        try:
            names += [exercise.name for exercise in exercises(lesson)]
        except ValueError:  # a lesson that this version of the course does not have
            continue
    return names


def table(verdicts: list[Verdict]) -> str:
    """Learner × exercise as text, with the number solved.

    >>> print(table([Verdict("ada", "00.latents", "solved", ""), Verdict("bob", "00.latents", "open", "")]))
    learner  00.latents  solved
    ada      solved      1 of 1
    bob      open        0 of 1
    """
    names = list(dict.fromkeys(one.exercise for one in verdicts))
    rows = [["learner", *names, "solved"]]
    for learner in dict.fromkeys(one.learner for one in verdicts):
        words = [one.word for one in verdicts if one.learner == learner]
        rows.append([learner, *words, f"{words.count('solved')} of {len(words)}"])
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows)


def write_csv(verdicts: list[Verdict], path) -> Path:
    """One line for each learner and exercise, with the message that the learner saw; opens in any spreadsheet."""
    with open(path, "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(Verdict._fields)
        writer.writerows(verdicts)
    return Path(path)
