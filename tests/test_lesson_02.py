"""What lesson 02 writes out by hand agrees with the package, on every shape of UNet."""

import ast
from pathlib import Path

import nbformat
import pytest
import torch

from attnd_nb import encode_prompt, predict_noise, record, self_attention_layers
from attnd_nb.exercises.lesson_02 import recorder

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "02_finding_self_attention.ipynb"


@pytest.fixture(scope="module")
def inline():
    """The functions that the notebook defines, as they stand there."""
    code = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    namespace = {}
    for source in code:
        if "%pip" not in source:
            functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and not node.decorator_list]
            exec(compile(ast.Module(functions, []), str(NOTEBOOK), "exec"), namespace)
    return namespace


def run(pipe, latents):
    return predict_noise(pipe, latents, torch.tensor(1), encode_prompt(pipe, ""))


def test_the_search_finds_what_the_package_finds(any_pipe, inline):
    found, known = inline["find_self_attention"](any_pipe.unet), self_attention_layers(any_pipe)
    assert found == known and list(found) != list(known)  # the same modules, registered in another order
    assert inline["in_running_order"](found) == list(known)


def test_the_order_of_registration_and_that_of_running_are_the_lessons(tiny_sd, inline):
    registered, ran = list(inline["find_self_attention"](tiny_sd.unet)), list(self_attention_layers(tiny_sd))
    middle = "mid_block.attentions.0.transformer_blocks.0.attn1"
    assert (len(registered), registered.index(middle), ran.index(middle)) == (16, 15, 6)


def test_the_recorder_sees_what_the_package_records(tiny_sd, inline):
    latents, names = torch.randn(1, 8, 8, 8), list(self_attention_layers(tiny_sd))[-2:]
    with record(tiny_sd, names) as features, recorder(tiny_sd.unet, [f"{name}.to_q" for name in names]) as outputs:
        run(tiny_sd, latents)
    hooks = inline["count_hooks"](tiny_sd.unet)
    for name in names:
        split = inline["split_heads"](outputs[f"{name}.to_q"], self_attention_layers(tiny_sd)[name].heads)
        assert torch.equal(split, features[name].query)
    assert hooks == 0
