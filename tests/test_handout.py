"""Notebooks go out without solutions, and answers come back as a table, whatever the learners wrote."""

import csv
import json
import re
from pathlib import Path

import nbformat
import pytest

from attnd_nb import exercises as course
from attnd_nb.exercises.__main__ import main
from attnd_nb.exercises.collect import collect, learners
from attnd_nb.exercises.handout import handout, write_handout
from attnd_nb.exercises.judge import judge
from attnd_nb.exercises.notebook import attempted, code_cells, read_notebook, source_of

LESSONS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SETUP = '%pip install -q something\nimport torch\nfrom attnd_nb.exercises import attempt\nmodel = load("large")'
ATTEMPT = 'draw_latents = attempt("00.latents", draw_latents)'
RIGHT = """def draw_latents(shape, seed, device="cpu"):
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(shape, generator=generator).to(device)
"""


def notebook(*cells):
    """A notebook of code cells as a dict; the last one makes the attempt, unless it does already."""
    sources = [SETUP, *cells[:-1], cells[-1] if "attempt" in cells[-1] else f"{cells[-1]}\n{ATTEMPT}"]
    return {"cells": [{"cell_type": "code", "source": source} for source in sources]}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_goes_out_with_hints_and_without_solutions(path):
    before = path.read_bytes()
    lesson, given = read_notebook(path), handout(read_notebook(path))
    nbformat.validate(given)
    assert path.read_bytes() == before

    def summaries(notebook):
        return re.findall(r"<summary>(.*?)</summary>", "".join("".join(cell["source"]) for cell in notebook["cells"]))

    assert [one for one in summaries(lesson) if "Solution" not in one] == summaries(given)
    assert len(summaries(lesson)) > len(summaries(given))
    assert code_cells(lesson) == code_cells(given)
    assert "attachments" in lesson["cells"][0] and not any("attachments" in cell for cell in given["cells"])
    assert "attachment:" not in "".join(source_of(cell) for cell in given["cells"])
    code = [cell for cell in given["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def folded(summary, text="x"):
    return {"cell_type": "markdown", "source": f"<details><summary>{summary}</summary>\n\n{text}\n</details>"}


def test_what_might_leak_a_solution_is_refused():
    exercise = notebook(RIGHT)["cells"]
    assert len(handout({"cells": [*exercise, folded("Solution")]})["cells"]) == len(exercise)  # its cell is gone, too
    with pytest.raises(ValueError, match="1 cells with exercises, but 0 folded texts called Solution"):
        handout({"cells": [*exercise, folded("Answer")]})
    with pytest.raises(ValueError, match="inside a solution"):
        handout({"cells": [*exercise, folded("Solution", text=folded("More")["source"])]})


def test_a_folder_is_handed_out_whole_or_not_at_all(tmp_path, capsys):
    lessons, copies = tmp_path / "lessons", tmp_path / "out" / "copies"
    write(lessons / "00_a.ipynb", {"cells": [*notebook(RIGHT)["cells"], folded("Solution")]})
    assert main(["handout", str(lessons), str(copies)]) == 0
    assert capsys.readouterr().out == f"1 notebooks without solutions and outputs: {copies}\n"
    assert "Solution" not in (copies / "00_a.ipynb").read_text()
    with pytest.raises(ValueError, match="holds the lessons themselves"):
        write_handout(lessons, lessons)
    (lessons / "01_b.ipynb").write_text("no notebook")
    assert main(["handout", str(lessons), str(tmp_path / "other")]) == 2
    assert "01_b.ipynb is no notebook" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    assert main(["handout", str(tmp_path / "nowhere"), str(copies)]) == 2
    assert "no notebooks in" in capsys.readouterr().err


ANSWERS = {
    "solved": [RIGHT],
    "solved, with a helper and a constant of an earlier cell": [
        "DEVICE = 'cpu'\ndef noise(shape, seed):\n    return torch.randn(shape, generator="
        "torch.Generator(DEVICE).manual_seed(seed))\nraise ValueError('the rest of a cell is not run')",
        "def draw_latents(shape, seed, device='cpu'):\n    return noise(shape, seed).to(device)"],
    "solved, though the cell goes on with what is not there": [f"{RIGHT}\n{ATTEMPT}\nmodel(draw_latents)"],
    "open": ["def draw_latents(shape, seed, device='cpu'):\n    ..."],
    "not yet. Two draws": ["def draw_latents(shape, seed, device='cpu'):\n    print('?')\n    return torch.randn(shape)"],
    "stopped with ZeroDivisionError: division by zero, at `return 1 / 0`": [
        "def draw_latents(shape, seed, device='cpu'):\n    return 1 / 0"],
    "stopped with NameError: name 'draw_latents' is not defined": ["def draw(shape, seed, device='cpu'):\n    ..."],
    "stopped with SyntaxError: expected ':', at `def draw_latents(shape)`": ["def draw_latents(shape)\n    ..."],
    "stopped with SystemExit": ["def draw_latents(shape, seed, device='cpu'):\n    raise SystemExit"],
}  # fmt: skip


@pytest.mark.parametrize("verdict", ANSWERS)
def test_an_answer_is_judged_without_running_the_lesson(verdict, capsys):
    lines, attempt = {}, course.attempt
    judge(notebook(*ANSWERS[verdict]), lines.__setitem__)
    assert list(lines) == ["00.latents"]
    assert lines["00.latents"].startswith(verdict.partition(",")[0] if verdict.startswith("solved") else verdict)
    assert course.attempt is attempt and capsys.readouterr().out == ""


def with_solutions(lesson):
    """The lesson as a learner hands it in who copied each folded solution into the cell of its exercise."""
    exercise = None
    for cell in lesson["cells"]:
        text = source_of(cell)
        if cell["cell_type"] == "code":
            exercise = cell if attempted(text) else exercise
        for solution in re.findall(r"<summary>Solution</summary>.*?```python\n(.*?)```", text, re.DOTALL):
            attempts = [line for line in source_of(exercise).splitlines() if attempted(line)]
            exercise["source"] = "\n".join([solution, *attempts])
    return lesson


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_stubs_of_a_lesson_are_open_and_its_solutions_solve_them(path):
    open_, solved = {}, {}
    judge(read_notebook(path), open_.__setitem__)
    judge(with_solutions(read_notebook(path)), solved.__setitem__)
    names = [exercise.name for exercise in course.exercises(path.name[:2])]
    assert {name: line.partition(".")[0] for name, line in open_.items()} == dict.fromkeys(names, "open")
    assert {name: line.partition(" The lesson goes on")[0] for name, line in solved.items()} == dict.fromkeys(names, "solved.")


def test_a_class_hands_in_and_a_table_comes_out(tmp_path, capsys):
    write(tmp_path / "ada" / "first" / "00_start_here.ipynb", notebook("def draw_latents(*a, **k): ..."))
    write(tmp_path / "ada" / "00_start_here (1).ipynb", notebook(RIGHT))  # the best of both counts
    write(tmp_path / "ada" / ".ipynb_checkpoints" / "00_start_here.ipynb", {})
    write(tmp_path / "bob_00_start_here.ipynb", notebook("import os\nos._exit(3)"))
    write(tmp_path / "cem" / "00_start_here.ipynb", {"no": "notebook"})
    assert list(learners(tmp_path)) == ["ada", "bob", "cem"]
    assert main(["collect", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines()[:4]] == [
        ["learner", "00.latents"], ["ada", "solved"], ["bob", "stopped"], ["cem", "absent"]]
    assert "cem/00_start_here.ipynb is no notebook" in Path(err.strip()).as_posix()
    assert [line for line in err.splitlines() if " of 3: " in line] == ["1 of 3: ada", "2 of 3: bob", "3 of 3: cem"]
    with open(tmp_path / "exercises.csv", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["word"] for row in rows] == ["solved", "stopped", "absent"]
    assert rows[0]["message"].startswith("solved.") and "ended with code 3" in rows[1]["message"]


@pytest.mark.parametrize("file, learner", [
    ("cem_05_ad_loss", "cem"), ("Ada L_12345_assignsubmission_file_05_ad_loss", "Ada L_12345_assignsubmission_file"),
    ("dee_12_a_05_ad_loss (2)", "dee_12_a"), ("05_ad_loss", "05_ad_loss"), ("answers", "answers"),
])
def test_a_loose_notebook_names_its_learner(file, learner, tmp_path):
    write(tmp_path / f"{file}.ipynb", {})
    assert list(learners(tmp_path)) == [learner]


def test_an_endless_answer_costs_the_time_limit_and_no_more(tmp_path):
    write(tmp_path / "dee" / "00_start_here.ipynb", notebook("while True:\n    pass"))
    (verdict,) = collect(tmp_path, seconds=2)
    assert verdict == ("dee", "00.latents", "timed out", "timed out after 2 s")


@pytest.mark.parametrize("arguments, message", [
    (["collect", "nowhere"], "no notebooks in nowhere"),
    (["collect", ".", "--seconds", "0"], "'0' is no time limit"),
    ([], "required"),
])
def test_the_command_names_what_was_wrong(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        assert main(arguments) == 2
    except SystemExit as stop:
        assert stop.code == 2
    assert message in capsys.readouterr().err


def test_attempts_are_found_however_they_are_written():
    assert attempted("x = attempt( '05.ad', f)\ny = attempt(\n    \"05.ideal\", g)\nattempt('05.ad', f)") == ["05.ad", "05.ideal"]
