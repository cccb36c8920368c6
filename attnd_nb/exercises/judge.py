"""The answers in one learner's notebooks, judged. `collect` starts this in a process of its own.

    python -m attnd_nb.exercises.judge verdicts.jsonl 05_ad_loss.ipynb ...

THIS RUNS FOREIGN CODE, with the rights of whoever runs it. Of each notebook only what an answer needs is executed: the
cells that attempt an exercise, and from the cells before them imports, definitions and plain constants. So no model is
loaded and no picture made, unless a check does it; an answer that reads another of the lesson's variables stops with
a NameError.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import linecache
import re
import sys

import attnd_nb.exercises as course

from .notebook import attempted, code_cells, read_notebook

_MAGIC = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)
_DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def judge(notebook: dict, record) -> None:
    """Calls `record(exercise, line)` for each attempted exercise, with the line that `attempt` printed."""
    seen, attempt = set(), course.attempt

    def recorded(name, answer):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            goes_on_with = attempt(name, answer)
        seen.add(name)
        record(name, printed.getvalue().strip().rpartition(f"Exercise {name}: ")[2])
        return goes_on_with

    namespace = {"__name__": "__main__", "attempt": recorded}
    course.attempt = recorded  # what the notebook's own import finds
    try:
        for number, source in enumerate(code_cells(notebook)):
            names = attempted(source)
            error = run(source, namespace, f"<cell {number}>", everything=bool(names))
            for name in names:
                if name not in seen:
                    record(name, f"stopped with {error}" if error else "stopped: the call of attempt was not reached")
    finally:
        course.attempt = attempt


def run(source: str, namespace: dict, name: str, everything: bool) -> str:
    """Executes a cell statement by statement, going on after errors; returns the first error, or nothing."""
    try:
        statements = ast.parse(without_magics(source)).body
    except SyntaxError as error:
        return f"SyntaxError: {error.msg}, at `{(error.text or '').strip()}`"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)  # for messages that quote a line
    first = ""
    for statement in statements if everything else flat(statements):
        try:
            exec(compile(ast.Module([statement], []), name, "exec"), namespace)
        except (Exception, SystemExit) as error:
            first = first or f"{type(error).__name__}: {error}"
    return first


def without_magics(source: str) -> str:
    """Lines for IPython only, such as `%pip install`, become `pass`, so that Python can read the cell.

    >>> without_magics("if colab:\\n    %pip install course")
    'if colab:\\n    pass'
    """
    try:
        ast.parse(source)
    except SyntaxError:
        return _MAGIC.sub(r"\1pass", source)
    return source


def flat(statements: list) -> list:
    """Those statements that need no other: imports, functions, classes, and names bound to plain constants."""
    return [one for one in statements if isinstance(one, _DEFINITIONS) or isinstance(one, ast.Assign) and _plain(one.value)]


def _plain(value) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def main(verdicts: str, *notebooks: str) -> None:
    with open(verdicts, "a", encoding="utf-8") as file:
        for path in notebooks:
            # At once, so that what was judged before a time limit is kept.
            judge(read_notebook(path), lambda name, line: print(json.dumps([name, line]), file=file, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
