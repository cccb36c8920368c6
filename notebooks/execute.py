"""Runs notebooks from top to bottom and stores what they show, ready for the strict comparison.

    python notebooks/execute.py notebooks/04_kv_injection_fails.ipynb ...
    python notebooks/execute.py --accept notebooks/*.ipynb      # after data/mini was trained anew

The picture at the top of a lesson is the last one that its cell tagged "top" shows; a small copy goes to `pictures/`, for the
README. With `--accept`, a number that lies further from the expected one than a twentieth of its tolerance
(`attnd_nb.exercises.report`) becomes the expected one: read the text around it again. Other lines that a lesson did not say
before are listed, too.
"""

import argparse
import base64
import io
import os
import re
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

THUMBNAIL = (640, 240)  # pixels at most
QUIET = {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error"}  # as in conftest.py
MOVED = re.compile(r"^(?P<label>.*): (?P<seen>\S+), not the expected (?P<old>\S+) \(±(?P<within>\S+)\)$", re.MULTILINE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--accept", action="store_true", help="let the measured numbers be the expected ones")
    arguments = parser.parse_args()
    os.environ.update(QUIET, ATTND_NB_TOLERANCE="0.05" if arguments.accept else "1")
    for path in arguments.notebooks:
        start = time.monotonic()
        moved = execute(path, arguments.accept)
        print(f"{path.name}: {time.monotonic() - start:.0f} s", *moved, sep="\n    ", flush=True)


def execute(path, accept=False):
    """Runs one notebook in place, from a clean state; returns the numbers that moved, and whatever else it says anew."""
    notebook = nbformat.read(path, as_version=4)
    said = _said(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}, skip_cells_with_tag="nbval-skip",
                   coalesce_streams=True).execute()  # fmt: skip
    moved = [match[0] for cell in notebook.cells for match in _moved(cell)]
    if accept:
        for cell in notebook.cells:
            _accept(cell)
    moved += [f"now says: {line}" for line in sorted(_said(notebook) - said) if "(±" not in line]
    _attach_top(notebook, path)
    notebook.metadata.pop("widgets", None)  # GitHub refuses notebooks with half of a widget's state
    notebook.metadata.get("language_info", {}).clear()
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    nbformat.write(notebook, path)
    return moved


def _said(notebook):
    return {line for cell in notebook.cells for text in _texts(cell) for line in text.splitlines()}


def _moved(cell):
    return [match for text in _texts(cell) for match in MOVED.finditer(text)]


def _texts(cell):
    return [output.text for output in cell.get("outputs", []) if output.output_type == "stream"]


def _accept(cell):
    """Writes the measured numbers into a cell's calls of `report`, and the lines they then print into its output.

    >>> output = {"output_type": "stream", "name": "stdout", "text": "loss: 0.7, not the expected 0.5 (±0.1)\\n"}
    >>> cell = nbformat.v4.new_code_cell("report('loss', x, expected=0.5, within=0.1)", outputs=[nbformat.from_dict(output)])
    >>> _accept(cell)
    >>> cell.source, cell.outputs[0].text
    ("report('loss', x, expected=0.7, within=0.1)", 'loss: 0.7 (±0.1)\\n')
    """
    for match in _moved(cell):
        seen = _rounded(float(match["seen"]), float(match["within"]))
        call = re.search(rf"report\([^\n]*{re.escape(match['label'].strip())}[\s\S]*?expected=([-\d.e]+)", cell.source)
        if call is None or float(call[1]) != float(match["old"]):
            raise ValueError(f"no call report({match['label']!r}, ..., expected={match['old']}, ...) in the cell:\n{cell.source}")
        cell.source = cell.source[: call.start(1)] + seen + cell.source[call.end(1) :]
        for output in cell.outputs:
            if output.output_type == "stream":
                output.text = output.text.replace(match[0], f"{match['label']}: {float(seen):g} (±{match['within']})")


def _rounded(number, within):
    """The number in two digits, or in three where rounding to two would use up more than a tenth of its tolerance.

    >>> _rounded(1.15, within=0.5), _rounded(1.15, within=0.05)
    ('1.1', '1.15')
    """
    short = f"{number:.2g}"
    return short if abs(float(short) - number) <= within / 10 else f"{number:.3g}"


def _attach_top(notebook, path):
    """The picture of the cell tagged "top" into the first cell, and a small copy beside the notebooks."""
    pictures = [
        (kind, data)
        for cell in notebook.cells if "top" in cell.metadata.get("tags", [])
        for output in cell.get("outputs", [])
        for kind, data in output.get("data", {}).items() if kind.startswith("image/")
    ]  # fmt: skip
    if pictures:
        kind, data = pictures[-1]
        notebook.cells[0]["attachments"] = {f"{path.name[:2]}_top.jpg": {kind: data}}
        small = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
        small.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
        (path.parent / "pictures").mkdir(exist_ok=True)
        small.save(path.parent / "pictures" / f"{path.name[:2]}.jpg", quality=88)


if __name__ == "__main__":
    main()
