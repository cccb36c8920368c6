"""Lesson 11: windows that leave no cell out."""

from __future__ import annotations

import math

from . import Exercise, given, require

CASES = [  # length, window, stride
    (32, 32, 8), (40, 32, 8), (48, 32, 16), (135, 64, 8), (59, 32, 8), (96, 32, 32), (11, 4, 3), (10, 4, 3), (20, 32, 8),
]  # fmt: skip


def window_starts(length, window, stride):
    """Reference: where windows begin; the last one is clamped, so that it ends where the axis ends."""
    window = min(window, length)
    count = math.ceil((length - window) / stride) + 1
    return [min(index * stride, length - window) for index in range(count)]


def check_window_starts(answer) -> None:
    for length, window, stride in CASES:
        _check_one(list(map(int, given(answer(length, window, stride)))), length, window, stride)


def _check_one(starts, length, window, stride) -> None:
    case = f"{length} cells, windows of {window}, stride {stride}: "
    require(starts, f"{case}no window at all. One window must be there even if it is wider than the axis.")
    require(min(starts) >= 0, f"{case}a window begins at {min(starts)}. An axis shorter than the window has one window, at 0.")
    require(starts[0] == 0, f"{case}the first window begins at {starts[0]}, so the cells before it are in none. Begin at 0.")
    shown = min(window, length)
    require(starts[-1] + shown <= length,
            f"{case}the last window ends at {starts[-1] + shown}, beyond the axis. Clamp its start to length − window.")
    require(len(set(starts)) == len(starts),
            f"{case}a window occurs twice ({starts}). Its cells would count double; ⌈(length − window) / stride⌉ + 1 windows are "
            "enough.")
    covered = {cell for start in starts for cell in range(start, start + shown)}
    missing = sorted(set(range(length)) - covered)
    require(not missing,
            f"{case}{len(missing)} cells are in no window ({missing[0] if missing else ''} is the first). If the number of "
            "windows is rounded down, the end of the axis is never painted: round up, and clamp the last window.")
    steps = [after - before for before, after in zip(starts, starts[1:])]
    require(all(0 < step <= stride for step in steps),
            f"{case}windows are up to {max(steps, default=0)} cells apart, more than the stride, so neighbours share less than "
            "was asked for.")
    require(starts == window_starts(length, window, stride),
            f"{case}{starts}: everything is covered, but with {len(starts)} windows, or at other places than multiples of the "
            f"stride with the last one clamped: {window_starts(length, window, stride)}.")


def _rounded_down(length, window, stride):
    window = min(window, length)
    return [index * stride for index in range((length - window) // stride + 1)]


def _not_clamped(length, window, stride):
    window = min(window, length)
    return [index * stride for index in range(math.ceil((length - window) / stride) + 1)]


def _stride_by_stride(length, window, stride):
    window = min(window, length)
    return [min(start, length - window) for start in range(0, length, stride)]


def _without_the_last(length, window, stride):
    return list(range(0, length - min(window, length), stride)) or [0]


def _from_one(length, window, stride):
    return [start + 1 for start in window_starts(length, window, stride)]


def _wider_than_the_axis(length, window, stride):
    return [min(index * stride, length - window) for index in range(max(0, math.ceil((length - window) / stride)) + 1)]


def _side_by_side(length, window, stride):
    return window_starts(length, window, min(window, length))


def _evenly(length, window, stride):
    window = min(window, length)
    count = math.ceil((length - window) / stride)
    return [round(index * (length - window) / max(1, count)) for index in range(count + 1)]


EXERCISES = (
    Exercise(
        name="11.window_starts",
        reference=window_starts,
        check=check_window_starts,
        wrong={
            "round up, and clamp the last window": _rounded_down,
            "Clamp its start": _not_clamped,
            "occurs twice": _stride_by_stride,
            "is never painted": _without_the_last,
            "Begin at 0": _from_one,
            "shorter than the window": _wider_than_the_axis,
            "more than the stride": _side_by_side,
            "the last one clamped": _evenly,
            "no window at all": lambda length, window, stride: [],
        },
    ),
)
