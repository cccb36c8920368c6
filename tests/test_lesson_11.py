"""What lesson 11 writes inline is what the package does."""

import ast
import itertools
from pathlib import Path
from unittest import mock

import nbformat
import pytest
import torch
from conftest import picture, seed

from attnd_nb import Windows, expand, tiling
from attnd_nb.exercises import exercises
from attnd_nb.sampling import Denoiser, draw_noise

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "11_multidiffusion.ipynb"


@pytest.fixture
def inline():
    """The functions that the notebook defines, as they stand there."""
    namespace = {"torch": torch}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "code" and "%pip" not in cell.source:
            functions = [node for node in ast.parse(cell.source).body if isinstance(node, ast.FunctionDef)]
            exec(compile(ast.Module(functions, []), str(NOTEBOOK), "exec"), namespace)
    return namespace


def test_the_windows_of_the_exercise_are_the_packages():
    reference = exercises("11")[0].reference
    for length, window in itertools.product(range(1, 40), (1, 5, 8)):
        for stride in range(1, min(window, length) + 1):
            assert reference(length, window, stride) == tiling.window_starts(length, window, stride)


def test_coverage_and_the_mean_are_those_of_the_package(inline):
    windows = Windows((4, 21), window=8, stride=3)
    starts = [column for _, column in windows.corners]
    assert torch.equal(inline["coverage"](21, starts, 8), windows.coverage()[0])
    z = torch.randn(1, 2, 4, 21, generator=seed())

    def function(crops):
        return crops.sin() + crops.mean((1, 2, 3), keepdim=True)
    ours = inline["mean_of_windows"](function, z, starts, 8)
    assert torch.allclose(ours, windows.mean(lambda rows, crops: function(crops), z), atol=1e-6)


def test_multidiffusion_written_out_is_the_packages(tiny_sd, inline):
    noise, starts = draw_noise(tiny_sd, 1, (64, 104), seed()), tiling.window_starts(13, 8, 2)
    mean = inline["mean_of_windows"]  # which wide_ddim calls with the window of mini, 32
    inline.update(pipe=tiny_sd, starts=starts, Denoiser=Denoiser, mean_of_windows=lambda f, z, s, window: mean(f, z, s, 8))
    theirs = expand(tiny_sd, picture(), size=(64, 104), inner_steps=0, num_inference_steps=3, generator=seed(), progress=False)
    assert torch.allclose(inline["wide_ddim"](noise, 3), theirs.latents, atol=1e-4)


def test_windows_rounded_down_leave_zeros(tiny_sd, inline):
    """What the lesson breaks on purpose: the columns right of the last window stay the zero that a sum begins with."""
    with mock.patch("attnd_nb.tiling.window_starts", inline["rounded_down"]):
        broken = expand(tiny_sd, picture(), size=(64, 104), stride=4, inner_steps=1, num_inference_steps=2, generator=seed(),
                        progress=False)
    assert (broken.latents[..., 12:] == 0).all() and (broken.latents[..., :12] != 0).any(dim=1).all()
