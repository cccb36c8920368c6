"""For teachers: notebooks without their solutions, and a table of the answers that come back.

    python -m attnd_nb.exercises handout notebooks/ out/handout
    python -m attnd_nb.exercises collect handed_in/

`collect` runs the code in the collected notebooks; read about it in notebooks/TEACHING.md first.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .collect import collect, table, write_csv
from .handout import write_handout


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, or 2 when the input was at fault, with one line on stderr."""
    options = _options(arguments)
    try:
        options.run(options)
    except (OSError, ValueError) as error:
        print(f"attnd_nb.exercises: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _hand_out(options) -> None:
    files = write_handout(options.notebooks, options.folder)
    print(f"{len(files)} notebooks without solutions and outputs: {options.folder}")


def _collect(options) -> None:
    verdicts = collect(options.folder, options.seconds)
    print(table(verdicts))
    print(f"with the messages: {write_csv(verdicts, options.csv or options.folder / 'exercises.csv')}")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m attnd_nb.exercises", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="handout|collect")
    give = commands.add_parser("handout", help="write copies without folded solutions and outputs")
    give.add_argument("notebooks", type=Path, help="the folder of the lessons")
    give.add_argument("folder", type=Path, help="where the copies go")
    give.set_defaults(run=_hand_out)
    take = commands.add_parser("collect", help="run the collected answers against the checks, and print a table")
    take.add_argument("folder", type=Path, help="a folder for each learner, or loose files such as ada_05_ad_loss.ipynb")
    take.add_argument("--seconds", type=_seconds, default=120, help="time limit for each learner (%(default)s)")
    take.add_argument("--csv", metavar="FILE", type=Path, help="where the CSV goes (exercises.csv in the folder)")
    take.set_defaults(run=_collect)
    return parser.parse_args(arguments)


def _seconds(text: str) -> float:
    try:
        if float(text) > 0:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no time limit; give a number of seconds")


if __name__ == "__main__":
    sys.exit(main())
