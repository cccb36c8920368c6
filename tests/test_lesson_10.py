"""What lesson 10 writes inline is what the package does."""

import ast
import math
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from conftest import picture, seed
from torch.nn import functional as F

from attnd_nb import Regions
from attnd_nb.exercises import exercises
from attnd_nb.losses import ideal_output

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "10_masked_synthesis.ipynb"


@pytest.fixture(scope="module")
def inline():
    """The functions that the notebook defines, as they stand there."""
    namespace = {"torch": torch, "np": np, "math": math, "F": F}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "code" and "%pip" not in cell.source:
            functions = [node for node in ast.parse(cell.source).body
                         if isinstance(node, ast.FunctionDef) and not node.decorator_list]
            exec(compile(ast.Module(functions, []), str(NOTEBOOK), "exec"), namespace)
    return namespace


@pytest.fixture
def solution(inline):
    """The answer that the notebook folds away, with the `majority` that it gives."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    (text,) = [cell.source for cell in cells if "<summary>Solution" in cell.source]
    scope = dict(inline)
    exec(text.split("```python\n")[1].split("```")[0], scope)
    return scope["region_mask"]


def maps():
    """Blocks larger than any token here, so that every label wins the tokens that it touches."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 3, shape).repeat(32, 0).repeat(32, 1) for shape in ((2, 4), (3, 2))]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_mask_of_the_exercise_is_the_packages(level, solution):
    target, source = maps()  # 64 × 128 and 96 × 64 pixels: 8 × 16 and 12 × 8 cells
    regions = Regions(target, [source])
    theirs = regions.mask(regions.shares((8, 16)), level, [(12, 8)])[0, 0]
    grids = [tuple(side >> level for side in grid) for grid in ((8, 16), (12, 8))]
    for answer in (exercises("10")[0].reference, solution):
        assert torch.equal(answer(torch.from_numpy(target), torch.from_numpy(source), *grids), theirs)


def test_the_ideal_written_out_is_the_packages(inline):
    generator = seed()
    query, key, value = (torch.randn(1, 2, tokens, 8, generator=generator) for tokens in (12, 9, 9))
    mask = torch.rand(12, 9, generator=generator) < 0.5
    mask[:, 0] = True
    assert torch.allclose(inline["masked_ideal"](query, key, value, mask), ideal_output(query, key, value, mask), atol=1e-5)


def test_the_filled_start_obeys_the_packages_rule(inline):
    """The numbers drawn differ; where a pixel may come from does not."""
    target, source = maps()
    exemplar = np.array(picture(1, source.shape))
    filled = inline["fill_regions"](target, source, exemplar, seed())
    theirs = np.array(Regions(target, [source]).fill([picture(1, source.shape)], seed()))
    for label in range(3):
        pool = {tuple(pixel) for pixel in exemplar[source == label].tolist()}
        for start in (filled, theirs):
            seen = {tuple(pixel) for pixel in start[target == label].tolist()}
            assert seen <= pool and len(seen) > len(pool) / 3
    assert np.array_equal(filled, inline["fill_regions"](target, source, exemplar, seed()))


def test_the_library_answers_orphans_with_zeros(inline):
    """The lesson says so, of PyTorch; the package refuses them."""
    query, key, value = torch.randn(3, 1, 2, 6, 8, generator=seed()).unbind()
    mask = torch.ones(6, 6, dtype=bool)
    mask[:2] = False
    assert (F.scaled_dot_product_attention(query, key, value, attn_mask=mask)[:, :, :2] == 0).all()
    assert inline["masked_ideal"](query, key, value, mask)[:, :, :2].isnan().all()
    with pytest.raises(ValueError, match="2 query tokens"):
        ideal_output(query, key, value, mask)
