"""What lesson 03 writes out by hand agrees with the package, and what it claims of a layer's memory holds."""

import ast
import math
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from attnd_nb import attention_map, encode, encode_prompt, predict_noise, record
from attnd_nb.exercises.lesson_03 import attention_probabilities
from attnd_nb.images import to_tensor
from attnd_nb.losses import ideal_output
from attnd_nb.query_maps import QueryMaps
from attnd_nb.samples import sample

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "03_what_qkv_hold.ipynb"


@pytest.fixture(scope="module")
def inline():
    """The functions that the notebook defines, as they stand there."""
    code = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    namespace = {"torch": torch, "math": math, "F": F, "to_tensor": to_tensor}
    for source in code:
        if "%pip" not in source:
            functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
            exec(compile(ast.Module(functions, []), str(NOTEBOOK), "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def features(tiny_sd):
    """Two pictures' features in a layer with two heads."""
    latents = torch.randn(2, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), record(tiny_sd, [11]) as both:
        predict_noise(tiny_sd, latents, torch.tensor(1), encode_prompt(tiny_sd, ""))
    (both,) = both.values()
    return both[:1], both[1:]


def test_the_answer_is_the_packages_map(features):
    own, other = features
    assert torch.allclose(attention_probabilities(own.query, own.key), attention_map(own), atol=1e-6)
    assert torch.allclose(attention_probabilities(own.query, other.key), attention_map(own, reference=other), atol=1e-6)
    assert torch.allclose(attention_probabilities(own.query, own.key) @ own.value, own.output, atol=1e-5)


def test_the_memory_is_a_bag(features):
    own, other = features
    order = torch.randperm(other.key.shape[2], generator=torch.Generator().manual_seed(1))
    answer = ideal_output(own.query, other.key, other.value)
    assert torch.allclose(answer, ideal_output(own.query, other.key[:, :, order], other.value[:, :, order]), atol=1e-5)
    assert not torch.allclose(answer, ideal_output(own.query, other.key[:, :, order], other.value), atol=1e-3)


def test_pixels_find_their_token(inline):
    assert inline["token_at"](124, 140, tokens_a_side=16) == 7 * 16 + 8 == 120
    numbers = [inline["token_at"](row, column, 4, picture_side=64) for row in range(0, 64, 16) for column in range(0, 64, 16)]
    assert numbers == list(range(16))


def test_the_token_of_the_lesson_is_the_one_of_query_maps(tiny_sd, inline):
    maps = QueryMaps(tiny_sd, sample("content").resize((64, 64)), sample("style").resize((64, 64)), layers=[11])
    row, column = 4, 5  # of 8 × 8 places; the layer has 4 × 4 tokens
    token = inline["token_at"](8 * row, 8 * column, 4, picture_side=64)
    with torch.no_grad(), record(tiny_sd, [11]) as features:
        predict_noise(tiny_sd, encode(tiny_sd, maps.pictures[0]), torch.tensor(1), encode_prompt(tiny_sd, ""))
    (layer,) = features.values()
    expected = attention_probabilities(layer.query, layer.key)[0, :, token].mean(0)
    np.testing.assert_allclose(maps.at(row, column, 11)[0].ravel(), expected, atol=1e-6)


def test_shuffled_patches_are_the_same_patches(inline):
    picture, order = sample("style"), torch.randperm(256, generator=torch.Generator().manual_seed(0))
    puzzle = inline["shuffled_patches"](picture, order)
    assert puzzle.shape == (1, 3, 256, 256)
    assert torch.equal(inline["shuffled_patches"](picture, torch.arange(256)), to_tensor([picture]))
    row, column = divmod(int(order[17]), 16)
    source = to_tensor([picture])[..., 16 * row : 16 * (row + 1), 16 * column : 16 * (column + 1)]
    assert torch.equal(puzzle[..., 16:32, 16:32], source)


def test_alike_tokens_have_one_colour_in_both_pictures(inline):
    kinds = torch.eye(4, 6)
    here, there = kinds[[0, 1, 2, 3]].view(1, 1, 4, 6), kinds[[3, 2, 1, 0]].view(1, 1, 4, 6)
    colours = inline["as_colours"](here, there)
    assert [one.shape for one in colours] == [(3, 2, 2)] * 2
    assert torch.allclose(colours[0].flatten(1), colours[1].flatten(1).flip(1), atol=1e-5)
    assert len(torch.unique(colours[0].flatten(1).T.round(decimals=3), dim=0)) == 4
