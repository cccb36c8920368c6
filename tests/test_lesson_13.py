"""The capstone's checklist is computed: it ticks what was made, and only that."""

import dataclasses
from pathlib import Path

import nbformat
import pytest
from conftest import picture, seed

from attnd_nb import optimize
from attnd_nb.exercises.lesson_13 import EXAMPLE, Failure, ablate, checklist, checks, what_differs
from attnd_nb.samples import sample

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "13_capstone.ipynb"
MINE = {"content": picture(2), "style": picture(1)}
SYMPTOM = "The small boat in the corner has dissolved into the water, and its mast is gone."


@pytest.fixture(scope="module")
def work(tiny_sd, tmp_path_factory):
    """What a learner has made who did everything right, as keyword arguments of `checks`."""
    def transfer(**arguments):
        return optimize(tiny_sd, **arguments, progress=False)

    settings = {**MINE, "num_steps": 1}
    result = transfer(**settings, generator=seed(0))
    ablation = ablate(transfer, settings, "content_weight", {"weak": 0.0, "middle": 0.2, "strong": 0.9})
    failure = Failure(SYMPTOM, "Too few steps were made.", result, ablate(transfer, settings, "num_steps", {"": 2})[""],
                      lambda result: len(result.losses), "rises", 1, "confirmed")
    return dict(pictures=MINE, result=result, folder=result.save(tmp_path_factory.mktemp("work")), ablation=ablation,
                failure=failure)


def open_lines(**arguments):
    return [sentence for sentence, holds in checks(**arguments).items() if not holds]


def test_work_of_ones_own_ticks_every_line(work, capsys):
    assert open_lines(**work) == []
    checklist(**work)
    assert capsys.readouterr().out.splitlines()[-1] == "10 of 10"


def test_each_line_stays_open_without_what_it_asks_for(work, tiny_sd, tmp_path):
    def only(phrase, **changes):
        found = open_lines(**{**work, **changes})
        assert len(found) == 1 and phrase in found[0], found

    def failure(**changes):
        return {"failure": dataclasses.replace(work["failure"], **changes)}

    weak, middle, strong = work["ablation"].values()
    other = optimize(tiny_sd, **MINE, num_steps=1, layers="last3", content_weight=0.9, generator=seed(0), progress=False)
    layers = ablate(lambda **more: optimize(tiny_sd, **MINE, num_steps=1, progress=False, **more), {}, "layers",
                    {layers: layers for layers in ("last1", "last2", "last3")})
    only("anybody can make it again", folder=tmp_path)
    only("three results".replace("three", "3"), ablation={"weak": weak, "strong": strong})
    only("in one argument only", ablation={"weak": weak, "middle": middle, "other": other})
    only("your choice", ablation=layers)
    only("in your words", **failure(symptom="It is bad."))
    only("in your words", **failure(symptom=EXAMPLE[0], cause=EXAMPLE[1]))
    only("changes one argument of the failed run", **failure(before=other, at_least=1))
    only("The verdict", **failure(verdict="refuted"))
    only("The verdict", **failure(at_least=2))


def test_the_courses_pictures_are_not_ones_own(work, tiny_sd):
    pictures = {"content": sample("content"), "style": sample("style").resize((100, 100))}
    result = optimize(tiny_sd, **pictures, num_steps=1, generator=seed(0), progress=False)
    found = open_lines(**{**work, "pictures": pictures, "result": result})
    assert [sentence.partition(" is a picture")[0] for sentence in found[:2]] == ["The content", "The style"]
    assert "The result was made from these pictures." in open_lines(**{**work, "pictures": pictures})


def test_a_result_without_a_known_seed_cannot_be_made_again(work, tiny_sd, tmp_path):
    used = seed(0)
    used.seed()
    import torch
    torch.rand(1, generator=used)
    result = optimize(tiny_sd, **MINE, num_steps=1, generator=used, progress=False)
    found = open_lines(**{**work, "result": result, "folder": result.save(tmp_path)})
    assert len(found) == 1 and "again" in found[0]


def test_a_failure_has_to_predict_something(work):
    for changes in ({"predicted": "changes"}, {"verdict": "perhaps"}, {"at_least": 0}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            dataclasses.replace(work["failure"], **changes)


def source_with(text):
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    (cell,) = [cell for cell in cells if cell.cell_type == "code" and text in cell.source]
    return cell.source


def test_the_notebooks_what_differs_is_that_of_the_checklist(work):
    names = {}
    exec(source_with("def what_differs").partition("\n\n\n")[0], names)
    results = [work["result"], work["failure"].after, *work["ablation"].values()]
    for a in results:
        for b in results:
            assert names["what_differs"](a, b) == what_differs(a, b)
    assert what_differs(results[0], results[1]) == ["num_steps"]


def test_the_notebooks_example_is_known_to_the_checklist():
    source = source_with("failure = Failure(")
    assert all(f'"{text}"' in source for text in EXAMPLE)
