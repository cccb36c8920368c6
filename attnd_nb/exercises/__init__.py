"""Exercises that check themselves, and numbers that can be compared on any machine.

In a notebook:

    def draw_latents(shape, seed, device="cpu"):
        ...                                    # the learner's answer

    draw_latents = attempt("00.latents", draw_latents)

`attempt` says how the answer fares and hands back what the lesson goes on with: the learner's answer once it
is right, the reference until then. So Run All always works.

Each lesson's exercises live in a module of their own, `lesson_00`, `lesson_01`, …, as a tuple `EXERCISES`. A
check tests properties first (shapes, zero at equality, invariances, limits), then values, and every failure
names the likely mistake. `Exercise.wrong` lists known wrong answers by a phrase that the message must
contain; a test proves that each is caught.
"""

from __future__ import annotations

import inspect
import math
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module

__all__ = [
    "Exercise", "Unattempted", "Wrong", "attempt", "exercises", "given", "progress", "report", "require",
]


class Wrong(AssertionError):
    """An answer is wrong; the message names the likely mistake."""


class Unattempted(Exception):
    """An answer returns nothing, as a function does that is still empty."""


@dataclass(frozen=True)
class Exercise:
    """One exercise of a lesson, called "lesson.word".

    `check(answer)` raises `Wrong`; `wrong` maps a phrase of that message to a wrong answer that causes it.
    """

    name: str
    reference: Callable
    check: Callable[[Callable], None]
    wrong: dict[str, Callable] = field(default_factory=dict)


_solved: dict[str, bool] = {}  # what this session of the notebook has attempted


def exercises(lesson: str) -> tuple[Exercise, ...]:
    """All exercises of a lesson, in order.

    >>> [exercise.name for exercise in exercises("00")]
    ['00.latents']
    """
    try:
        return import_module(f"{__name__}.lesson_{lesson}").EXERCISES
    except ModuleNotFoundError as error:
        raise ValueError(f"no exercises for lesson {lesson!r}; lessons are named '00', '01', …") from error


def attempt(name: str, answer: Callable) -> Callable:
    """Check a learner's answer to an exercise, say how it fares, and return what the lesson goes on with.

    Unattempted (the answer returns None) or wrong: the reference. Right: the answer itself. Raises ValueError
    for an unknown name.

    >>> def draw_latents(shape, seed, device="cpu"):
    ...     ...
    >>> draw_latents = attempt("00.latents", draw_latents)
    Exercise 00.latents: open. Until you write your own, the reference answer runs.
    """
    exercise = next((e for e in exercises(name.partition(".")[0]) if e.name == name), None)
    if exercise is None:
        raise ValueError(f"no exercise {name!r}; have {[e.name for e in exercises(name.partition('.')[0])]}")
    _solved[name] = False
    try:
        exercise.check(answer)
    except Unattempted:
        if _is_stub(answer):
            print(f"Exercise {name}: open. Until you write your own, the reference answer runs.")
        else:
            print(f"Exercise {name}: not yet. Your function hands back None: is a `return` missing? (The lesson goes on with "
                  "the reference.)")
    except Wrong as error:
        print(f"Exercise {name}: not yet. {error} (The lesson goes on with the reference.)")
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1].line
        print(f"Exercise {name}: stopped with {type(error).__name__}: {error}, at `{line}`. "
              "(The lesson goes on with the reference.)")
    else:
        print(f"Exercise {name}: solved. The lesson goes on with your answer.")
        _solved[name] = True
        return answer
    return exercise.reference


def _is_stub(answer: Callable) -> bool:
    """Whether a function does nothing: its body is `...`, `pass` or a docstring."""

    def stub():
        """As long as this one."""

    code = getattr(inspect.unwrap(answer), "__code__", None)  # a callable that is no function has none
    return code is not None and len(code.co_code) <= len(stub.__code__.co_code)


def progress(lesson: str) -> None:
    """Print how many of a lesson's exercises this session has solved, and which are open."""
    names = [exercise.name for exercise in exercises(lesson)]
    still_open = [name for name in names if not _solved.get(name)]
    rest = f"; open: {', '.join(still_open)}" if still_open else ""
    print(f"Lesson {lesson}: {len(names) - len(still_open)} of {len(names)} exercises solved{rest}.")


def require(condition, message: str) -> None:
    """Raise `Wrong(message)` unless the condition holds."""
    if not condition:
        raise Wrong(message)


def given(value):
    """The value, or `Unattempted` when an answer returned None: how a check opens."""
    if value is None:
        raise Unattempted
    return value


def report(label: str, measured: float, expected: float, within: float) -> None:
    """Print a measured number so that it can be compared letter by letter on any machine.

    Prints the *expected* value while the measurement lies within the stated tolerance, and the measurement
    beside it otherwise: stable across processors, and a strict comparison still fails when the number moves.

    >>> report("share of edges kept", 0.7312, expected=0.73, within=0.02)
    share of edges kept: 0.73 (±0.02)
    >>> report("share of edges kept", 0.61, expected=0.73, within=0.02)
    share of edges kept: 0.61, not the expected 0.73 (±0.02)

    `ATTND_NB_TOLERANCE` in the environment, a factor of at most 1, narrows all tolerances: `notebooks/execute.py --accept`
    sets it, so that what lessons print is what was measured, and not a guess that nothing contradicted. An expected 0 is
    exact but for rounding, and stays 0.
    """
    if not (within > 0 and math.isfinite(within)):
        raise ValueError(f"report: within={within} is no tolerance; give a positive number")
    narrower = min(1.0, float(os.environ.get("ATTND_NB_TOLERANCE", 1))) if expected else 1.0
    if abs(float(measured) - expected) <= within * narrower:
        print(f"{label}: {expected:g} (±{within:g})")
    else:  # also when the measurement is NaN
        print(f"{label}: {float(measured):.3g}, not the expected {expected:g} (±{within:g})")
