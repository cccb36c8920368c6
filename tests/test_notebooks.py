"""What strict comparison cannot see: cells never run, missing parts, traces of one machine."""

import copy
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
MOST_LINES = 25
PARTS = ("setup", "experiment", "exercise", "break-it", "skip-in-tests")  # tags that each lesson has
MACHINE = re.compile(r"(?<![\w.:/])(/(home|root|tmp|work|Users|mnt|opt|content)/|[A-Z]:\\)[\w.-]+")


def faults(notebook, name):
    """What is wrong with a lesson, one line each."""
    cells = notebook.cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    tags = {tag for cell in cells for tag in cell.metadata.get("tags", [])}
    return [
        *_faults_of_the_frame(notebook, text, name),
        *(f"no cell is tagged {part!r}" for part in PARTS if part not in tags),
        *(fault for number, cell in enumerate(code)
          for fault in _faults_of_code(cell, f"code cell {number}")),
        *(f"a path of one machine: {MACHINE.search(cell.source)[0]}" for cell in cells
          if MACHINE.search(cell.source)),
    ]


def _faults_of_the_frame(notebook, text, name):
    first = notebook.cells[0].source
    badge = REPOSITORY.replace("https://github.com", "https://colab.research.google.com/github")
    if f"{badge}/blob/main/notebooks/{name}" not in first:
        yield f"the first cell has no Colab badge for {REPOSITORY}"
    if not re.search(r"^# .*\?$", first, re.MULTILINE):
        yield "the title is no question"
    for heading in ("Goals", "Checkpoint", "Sources"):
        if not re.search(rf"^##+ .*{heading}", text, re.MULTILINE):
            yield f"no section {heading!r}"
    if text.count("<details>") < 6 or text.count("<details>") != text.count("</details>"):
        yield "fewer than six folded answers (hint, help, solution, three questions), or one left open"
    for target in re.findall(r"\]\((?!https?:|attachment:|#)([^)]+)\)", text):
        if not (ROOT / "notebooks" / target.split("#")[0]).exists():
            yield f"a link leads nowhere: {target}"
    shown = [kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", {})]
    if sum(kind.startswith("image/") for kind in shown) < 2 or not notebook.cells[0].get("attachments"):
        yield "hardly a picture: at the top, and two that cells show, are the least"
    if "widgets" in notebook.metadata:
        yield "widget state is stored (metadata.widgets)"
    if not 30 <= len(notebook.cells) <= 50:
        yield f"{len(notebook.cells)} cells; 30 to 50 make a lesson"


def _faults_of_code(cell, where):
    tags = cell.metadata.get("tags", [])
    if ("skip-in-tests" in tags) != ("nbval-skip" in tags):
        yield f"{where}: 'skip-in-tests' and 'nbval-skip' go together"
    if cell.execution_count is None and "skip-in-tests" not in tags:
        yield f"{where} was never executed"
    if cell.source.count("\n") >= MOST_LINES:
        yield f"{where} has more than {MOST_LINES} lines"
    for output in cell.outputs:
        if output.get("name") == "stderr":
            yield f"{where} wrote to stderr: {output.text.strip()[:60]}"
        if output.output_type == "error":
            yield f"{where} stopped with {output.ename}"
        shown = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        if MACHINE.search(shown):
            yield f"{where} prints a path of one machine: {MACHINE.search(shown)[0]}"
        if re.search(r"(package|library|sample|torch\.optim|to the bit)[^\n]*: +False", shown):
            yield f"{where} says that its own code and the package's differ"
        if ", not the expected " in shown:
            yield f"{where} stores a number that is not the expected one"
        if re.search(r"\b0x[0-9a-f]{6,}", shown):
            yield f"{where} prints an address"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_is_complete_and_clean(path):
    assert faults(nbformat.read(path, as_version=4), path.name) == []


def _set(cell, **values):
    for key, value in values.items():
        cell[key] = value


def _untag(notebook, tag):
    for cell in notebook.cells:
        cell.metadata["tags"] = [t for t in cell.metadata.get("tags", []) if t != tag]


STREAM = {"output_type": "stream", "name": "stderr", "text": "warning"}
ELSEWHERE = "/".join(["", "home", "me", "picture.png"])
SPOILS = {
    "was never executed": lambda nb, code: _set(code[1], execution_count=None, outputs=[]),
    "no Colab badge": lambda nb, code: _set(nb.cells[0], source="# Is there a badge?"),
    "the title is no question": lambda nb, code: _set(
        nb.cells[0], source=nb.cells[0].source.replace("?\n", ".\n")),
    "more than 25 lines": lambda nb, code: _set(code[1], source="x = 1\n" * 30),
    "a path of one machine": lambda nb, code: _set(nb.cells[2], source=f"open('{ELSEWHERE}')"),
    "prints a path": lambda nb, code: _set(code[1], outputs=[
        nbformat.from_dict({"output_type": "stream", "name": "stdout", "text": ELSEWHERE})]),
    "wrote to stderr": lambda nb, code: _set(code[1], outputs=[nbformat.from_dict(STREAM)]),
    "its own code and the package's differ": lambda nb, code: _set(code[1], outputs=[
        nbformat.from_dict({**STREAM, "name": "stdout", "text": "the lesson's loop and the package's agree: False"})]),
    "not the expected one": lambda nb, code: _set(code[1], outputs=[
        nbformat.from_dict({**STREAM, "name": "stdout", "text": "loss: 0.61, not the expected 0.5 (±0.02)"})]),
    "prints an address": lambda nb, code: _set(code[1], outputs=[
        nbformat.from_dict({**STREAM, "name": "stdout", "text": "<object at 0x7f3a2b1c>"})]),
    "hardly a picture": lambda nb, code: nb.cells[0].pop("attachments"),
    "widget state is stored": lambda nb, code: nb.metadata.update(widgets={}),
    "no cell is tagged 'exercise'": lambda nb, code: _untag(nb, "exercise"),
    "go together": lambda nb, code: _untag(nb, "nbval-skip"),
    "no section 'Goals'": lambda nb, code: [
        _set(cell, source=cell.source.replace("Goals", "Aims")) for cell in nb.cells],
    "one left open": lambda nb, code: [
        _set(cell, source=cell.source.replace("</details>", "", 1)) for cell in nb.cells],
    "a link leads nowhere": lambda nb, code: _set(nb.cells[2], source="[next](99_nowhere.ipynb)"),
    "30 to 50": lambda nb, code: _set(nb, cells=nb.cells + nb.cells[:1] * 50),
}


@pytest.mark.parametrize("fault", SPOILS)
def test_each_fault_is_refused(fault):
    path = NOTEBOOKS[0]
    notebook = copy.deepcopy(nbformat.read(path, as_version=4))
    SPOILS[fault](notebook, [cell for cell in notebook.cells if cell.cell_type == "code"])
    assert any(fault in line for line in faults(notebook, path.name))


def test_a_changed_number_makes_the_strict_run_fail(tmp_path):
    """The comparison itself, on notebooks of one cell: right, another number stored, another measured."""
    good = "from attnd_nb.exercises import report\nreport('loss', 0.498, expected=0.5, within=0.02)"
    notebooks = {
        "as_stored": (good, "loss: 0.5 (±0.02)\n"),
        "stored_otherwise": (good, "loss: 0.6 (±0.02)\n"),
        "measured_otherwise": (good.replace("0.498", "0.62"), "loss: 0.5 (±0.02)\n"),
    }
    for name, (source, stored) in notebooks.items():
        output = nbformat.v4.new_output("stream", name="stdout", text=stored)
        cell = nbformat.v4.new_code_cell(source, execution_count=1, outputs=[output])
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "--nbval",
               "--nbval-current-env", "--color=no", "--rootdir", str(tmp_path), "-c", os.devnull, "."]
    out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    verdicts = re.findall(r"^(PASSED|FAILED) .*?(\w+)\.ipynb", out, re.MULTILINE)
    assert {name: verdict for verdict, name in verdicts} == {
        "as_stored": "PASSED", "stored_otherwise": "FAILED", "measured_otherwise": "FAILED"}
