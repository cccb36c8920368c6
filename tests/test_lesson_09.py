"""What lesson 09 writes inline agrees with the package."""

import ast
from pathlib import Path

import nbformat
import pytest
import torch
from conftest import picture, seed

import attnd_nb
from attnd_nb.distillation import match_statistics
from attnd_nb.exercises import exercises
from attnd_nb.models import frozen
from attnd_nb.sampling import join

CELLS = nbformat.read(next((Path(__file__).parents[1] / "notebooks").glob("09_*.ipynb")), as_version=4).cells
SIZE, STEPS = (64, 64), 4


def functions(*names):
    """The source of functions that the lesson defines."""
    nodes = [node for cell in CELLS if cell.cell_type == "code" and "%pip" not in cell.source
             for node in ast.parse(cell.source).body if isinstance(node, ast.FunctionDef)]
    found = {node.name: ast.unparse(node) for node in nodes if node.name in names}
    return "\n".join(found[name] for name in names)


@pytest.fixture
def lesson(tiny_sd):
    """The lesson's functions on a tiny pipeline with four timesteps."""
    scheduler = attnd_nb.ddim_scheduler(tiny_sd)
    scheduler.set_timesteps(STEPS)
    scope = {name: getattr(attnd_nb, name) for name in attnd_nb.__all__}
    scope |= {"torch": torch, "pipe": tiny_sd, "SIZE": SIZE, "scheduler": scheduler, "alphas": scheduler.alphas_cumprod,
              "stride": 1000 // STEPS, "empty": attnd_nb.encode_prompt(tiny_sd, ""), "join": join,
              "adain": exercises("09")[0].reference}
    exec(functions("guide", "denoise", "votes", "read", "nudge", "paint", "keep", "adain_over_all"), scope)
    with frozen(tiny_sd):
        yield scope


def theirs(pipe, style, **options):
    return attnd_nb.guided_sample(
        pipe, style, prompt="a b", guidance_scale=5.0, size=SIZE, num_inference_steps=STEPS, generator=seed(1),
        **options).latents


def test_the_loop_is_guided_sample_to_the_bit(lesson, tiny_sd, style):
    """AdaIN aside, whose arithmetic the package orders otherwise: here the loop is given the package's."""
    def match(z, reference):
        return match_statistics(z, [reference])

    nudged = theirs(tiny_sd, style, adain=True, inner_steps=2, learning_rate=0.015)
    assert torch.equal(lesson["paint"]("a b", style, match=match), nudged)
    without = lesson["paint"]("a b", style, inner_steps=0, match=lesson["keep"])
    assert torch.equal(without, theirs(tiny_sd, style, inner_steps=0))


def test_the_answer_is_the_packages_adain(lesson):
    z, reference = torch.randn(2, 8, 8, 8, generator=seed(1)), torch.randn(1, 8, 6, 9, generator=seed(2)) * 3 + 1
    assert torch.allclose(lesson["adain"](z, reference), match_statistics(z, [reference]), atol=1e-4)


def test_the_broken_adain_is_right_only_over_all_channels(lesson):
    z, spread = torch.randn(1, 8, 8, 8, generator=seed(1)), torch.arange(8.0).view(1, 8, 1, 1)
    reference = torch.randn(1, 8, 8, 8, generator=seed(2)) + spread
    broken = lesson["adain_over_all"](z, reference)
    assert torch.allclose(broken.mean(), reference.mean(), atol=1e-4)
    assert not torch.allclose(broken.mean((2, 3)), reference.mean((2, 3)), atol=0.5)


def test_the_vote_goes_to_the_prompt_under_which_the_noise_is_predicted(lesson, tiny_sd):
    clean, alphas = attnd_nb.encode(tiny_sd, picture()), lesson["alphas"]

    def knows_the_second(pipe, noisy, t, condition):
        noise = (noisy - alphas[t] ** 0.5 * clean) / (1 - alphas[t]) ** 0.5
        return torch.stack([torch.zeros_like(noise[0]), noise[1], noise[2] * 0.9])

    lesson["predict_noise"] = knows_the_second
    assert lesson["votes"](picture(), ["a", "b", "c"], draws=5).tolist() == [0, 1, 0]
