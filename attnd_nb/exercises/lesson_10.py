"""Lesson 10: which token of the picture may look at which token of the exemplar."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from . import Exercise, given, require

# Two maps of different shapes, their labels without order, and no ties within a cell. Target: 2 × 3 cells of 2 × 3 pixels;
# source: 4 × 2 cells of 2 × 2 pixels.
TARGET = torch.tensor([
    [0, 0, 0, 0, 7, 7, 7, 7, 7],
    [0, 0, 7, 0, 7, 7, 7, 7, 0],
    [2, 2, 2, 7, 7, 0, 0, 0, 2],
    [2, 0, 2, 7, 7, 7, 0, 0, 0],
])  # fmt: skip
SOURCE = torch.tensor([
    [7, 7, 0, 0],
    [7, 0, 0, 0],
    [2, 2, 7, 7],
    [0, 2, 2, 7],
    [0, 0, 2, 2],
    [0, 0, 2, 7],
    [7, 7, 0, 0],
    [7, 7, 0, 2],
])  # fmt: skip
GRIDS = (2, 3), (4, 2)
OTHER_NAMES = torch.tensor([3, 0, 0, 0, 0, 0, 0, 9])  # 0, 2, 7 are now called 3, 0, 9


def majority(labels, grid):
    """The label that fills most of each cell of a grid: (h, w) whole numbers to (rows, columns).

    >>> majority(torch.tensor([[5, 5, 9], [5, 9, 9]]), (1, 1))
    tensor([[5]])
    """
    names = labels.unique()
    shares = torch.cat([F.adaptive_avg_pool2d((labels == name)[None].float(), grid) for name in names])
    return names[shares.argmax(0)]


def region_mask(target, source, target_grid, source_grid):
    """Reference, equation (11): bool (target tokens, source tokens), true where both tokens have one label."""
    of_target = majority(target, target_grid).flatten()
    of_source = majority(source, source_grid).flatten()
    return of_target[:, None] == of_source[None, :]


def check_region_mask(answer) -> None:
    tokens, keys = 6, 8
    mask = given(answer(TARGET, SOURCE, *GRIDS))
    require(isinstance(mask, torch.Tensor), f"A tensor is asked for, this is a {type(mask).__name__}.")
    require(mask.dtype == torch.bool,
            f"M is true or false, and yours is {mask.dtype}. Attention *adds* a mask of numbers to the logits: 0 and 1 would "
            "forbid nothing.")
    shape = tuple(mask.shape)
    require(shape != (keys, tokens), "The mask is transposed. Rows are queries, the tokens of the picture; columns are keys, "
                                     "the tokens of the exemplar.")
    require(shape == (tokens, keys), f"The mask is {shape}. The picture has 2 × 3 tokens and the exemplar 4 × 2: "
                                     f"{tokens} rows and {keys} columns, each grid flattened into one axis.")
    ones = answer(torch.full((4, 9), 3), torch.full((8, 4), 3), *GRIDS)
    require(not (~ones).all(), "One label everywhere must allow every pair, and yours forbids all: true means *may look*.")
    require(ones.all(), "One label everywhere must allow every pair: with one region there is nothing to mask.")
    apart = answer(torch.zeros(4, 9, dtype=int), torch.ones(8, 4, dtype=int), *GRIDS)
    require(not apart.any(), "Label 0 may look at label 1. Only equal labels belong together.")
    _check_tokens(mask)
    require(torch.equal(answer(OTHER_NAMES[TARGET], OTHER_NAMES[SOURCE], *GRIDS), mask),
            "Giving the labels other numbers changes the mask, so labels were averaged, or compared as more and less. A label "
            "is a name: half of 0 and half of 2 is not 1.")
    expected = region_mask(TARGET, SOURCE, *GRIDS)
    require(torch.equal(mask, expected),
            f"{int((mask != expected).sum())} of {mask.numel()} pairs are not those of the labels that fill most of the cells: "
            "use `majority` for both maps.")


def _check_tokens(mask) -> None:
    """Name the likely mistakes in cutting a map into tokens."""
    mistakes = {
        "The tokens are numbered column by column. The UNet flattens row by row: token = row · width + column.": _by_columns,
        "Each cell got the label of its upper left pixel. One pixel does not speak for the cell; ask for the majority.":
            _of_corners,
        "A grid is (rows, columns), and yours are the other way round: a picture that is not square shows it.": _grids_turned,
    }
    for message, mistake in mistakes.items():
        require(not torch.equal(mask, mistake(TARGET, SOURCE, *GRIDS)), message)


def _averaged(target, source, target_grid, source_grid):
    target, source = (F.adaptive_avg_pool2d(labels[None].float(), grid).round().flatten()
                      for labels, grid in ((target, target_grid), (source, source_grid)))
    return target[:, None] == source


def _of_corners(target, source, target_grid, source_grid):
    def corners(labels, grid):
        return labels[::labels.shape[0] // grid[0], ::labels.shape[1] // grid[1]].flatten()
    return corners(target, target_grid)[:, None] == corners(source, source_grid)


def _by_columns(target, source, target_grid, source_grid):
    return majority(target, target_grid).T.flatten()[:, None] == majority(source, source_grid).T.flatten()


def _grids_turned(target, source, target_grid, source_grid):
    return region_mask(target, source, target_grid[::-1], source_grid[::-1])


EXERCISES = (
    Exercise(
        name="10.region_mask",
        reference=region_mask,
        check=check_region_mask,
        wrong={
            "would forbid nothing": lambda *maps: region_mask(*maps).float(),
            "The mask is transposed": lambda *maps: region_mask(*maps).T,
            "flattened into one axis": lambda target, source, target_grid, source_grid: (
                majority(target, target_grid)[:, :, None, None] == majority(source, source_grid)),
            "true means *may look*": lambda *maps: ~region_mask(*maps),
            "Only equal labels belong together": lambda *maps: torch.ones_like(region_mask(*maps)),
            "half of 0 and half of 2 is not 1": _averaged,
            "column by column": _by_columns,
            "upper left pixel": _of_corners,
            "the other way round": _grids_turned,
        },
    ),
)
