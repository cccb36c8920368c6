"""What lesson 08 writes inline agrees with the package."""

import ast
from pathlib import Path

import nbformat
import pytest
import torch
from conftest import seed

import attnd_nb
from attnd_nb.exercises import exercises
from attnd_nb.models import frozen

CELLS = nbformat.read(next((Path(__file__).parents[1] / "notebooks").glob("08_*.ipynb")), as_version=4).cells
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
              "stride": 1000 // STEPS, "empty": attnd_nb.encode_prompt(tiny_sd, ""),
              "guided_step": exercises("08")[0].reference}
    exec(functions("ddim_step", "denoise", "read", "nudge", "guided", "guess_at", "optimise_noised"), scope)
    with frozen(tiny_sd):
        yield scope


def test_the_loop_is_guided_sample_to_the_bit(lesson, tiny_sd, style):
    for inner_steps in (0, 2):
        ours = lesson["guided"](style, inner_steps=inner_steps)
        theirs = attnd_nb.guided_sample(tiny_sd, style, size=SIZE, num_inference_steps=STEPS, inner_steps=inner_steps,
                                        generator=seed())
        assert torch.equal(ours[-1][1], theirs.latents)
        assert [int(t) for t, _ in ours] == [501, 251, 1, 0]


def test_the_step_by_hand_is_the_schedulers(lesson, tiny_sd):
    z, alphas = torch.randn(1, 8, 8, 8, generator=seed()), lesson["alphas"]
    for t in lesson["scheduler"].timesteps:
        with torch.no_grad():
            noise = attnd_nb.predict_noise(tiny_sd, z, t, lesson["empty"])
        ours, guess = lesson["ddim_step"](z, noise, alphas[t], alphas[(t - 250).clamp(min=0)])
        assert torch.allclose(ours, lesson["denoise"](z, t), atol=1e-5)
        assert torch.allclose(guess, lesson["guess_at"](z, t), rtol=1e-4, atol=1e-4)


def test_noised_features_without_noise_are_algorithm_1(lesson, tiny_sd, style):
    lesson["alphas"] = torch.ones(1000)
    ours = lesson["optimise_noised"](style, num_steps=STEPS)
    settings = attnd_nb.FAST | {"num_steps": STEPS, "inner_steps": 1}
    theirs = attnd_nb.optimize(tiny_sd, style, size=SIZE, **settings, generator=seed())
    assert torch.equal(ours, theirs.latents)
