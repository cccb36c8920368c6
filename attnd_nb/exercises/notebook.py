"""Notebooks as plain data: read them, and find the exercises in their cells."""

from __future__ import annotations

import json
import re
from pathlib import Path

__all__ = ["attempted", "code_cells", "read_notebook", "source_of"]

_ATTEMPT = re.compile(r"""\battempt\(\s*["'](\d\d\.\w+)["']""")


def read_notebook(path) -> dict:
    """A notebook file as a dict. Raises ValueError for a file that is no notebook of format 4."""
    try:
        notebook = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        if isinstance(notebook["cells"], list):
            return notebook
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no notebook: {type(error).__name__}: {error}") from error
    raise ValueError(f"{path} is no notebook: its cells are no list")


def source_of(cell: dict) -> str:
    """The text of a cell; files hold it as one string or as a list of lines.

    >>> source_of({"source": ["x = 1\\n", "y = 2"]})
    'x = 1\\ny = 2'
    """
    return "".join(cell.get("source", ""))


def code_cells(notebook: dict) -> list[str]:
    """The sources of the code cells, in order."""
    return [source_of(cell) for cell in notebook["cells"] if cell.get("cell_type") == "code"]


def attempted(source: str) -> list[str]:
    """The exercises that a cell attempts, each once.

    >>> attempted('draw_latents = attempt("00.latents", draw_latents)')
    ['00.latents']
    """
    return list(dict.fromkeys(_ATTEMPT.findall(source)))
