"""Copies of the lessons for a class: without solutions and results, with hints and help."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

from .notebook import attempted, code_cells, read_notebook, source_of

__all__ = ["handout", "write_handout"]

_ATTACHED = re.compile(r"!\[[^\]]*\]\(attachment:[^)]*\)\n*")
_SOLUTION = re.compile(r"<details>\s*<summary>[^\n]*\bSolution\b[^\n]*</summary>.*?</details>\s*", re.DOTALL | re.IGNORECASE)


def handout(notebook: dict) -> dict:
    """A copy without folded solutions, outputs and the picture of the result on top; hints, help and checkpoint answers stay.

    Raises ValueError if there are fewer solutions than cells with exercises: one may then be folded under another name,
    and would have been handed out.

    >>> folded = "<details><summary>Hint</summary>Two lines.</details>\\n<details><summary>Solution</summary>x</details>"
    >>> handout({"cells": [{"cell_type": "markdown", "source": folded}]})["cells"][0]["source"]
    '<details><summary>Hint</summary>Two lines.</details>'
    """
    notebook, removed = copy.deepcopy(notebook), 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
        if cell["cell_type"] == "markdown":
            if cell.pop("attachments", None):
                cell["source"] = _ATTACHED.sub("", source_of(cell))
            text, count = _SOLUTION.subn("", source_of(cell))
            if count:
                cell["source"], removed = text.rstrip(), removed + count
            if text.count("<details") != text.count("</details>"):
                raise ValueError("a folded text inside a solution, or one left open; fold solutions on their own")
    wanted = sum(bool(attempted(source)) for source in code_cells(notebook))
    if removed < wanted:
        raise ValueError(f"{wanted} cells with exercises, but {removed} folded texts called Solution; a hand-out already?")
    notebook["cells"] = [cell for cell in notebook["cells"] if source_of(cell).strip()]
    return notebook


def write_handout(source, target) -> list[Path]:
    """`handout` of every notebook in the folder `source`, written to the folder `target`; returns the new files.

    Raises ValueError when there are no notebooks, when one cannot be handed out, or when both folders are the same.
    Nothing is written then.
    """
    source, target = Path(source), Path(target)
    if source.resolve() == target.resolve():
        raise ValueError(f"{target} holds the lessons themselves; name another folder for the copies")
    copies = {}
    for path in sorted(source.glob("*.ipynb")):
        try:
            copies[target / path.name] = handout(read_notebook(path))
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error
    if not copies:
        raise ValueError(f"no notebooks in {source}")
    target.mkdir(parents=True, exist_ok=True)
    for path, notebook in copies.items():
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return list(copies)
