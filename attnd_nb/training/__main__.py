"""`python -m attnd_nb.training STAGE`: see the package's docstring for the stages in order."""

from __future__ import annotations

import argparse
import platform
from importlib import import_module
from pathlib import Path

TRAINED = ("vae", "unet", "recogniser", "control")  # stages with a time budget
BEGUN = ("vae", "unet")  # of them, those that can begin with the weights of a pipeline folder
STAGES = ("data", *TRAINED, "latents", "export", "evaluate")


def main() -> None:
    args = _arguments()
    args.run.mkdir(parents=True, exist_ok=True)
    stage = import_module(f".{args.stage}", __package__)
    if args.stage in BEGUN:
        stage.run(args.run, args.minutes, begin=args.begin)
    elif args.stage in TRAINED:
        stage.run(args.run, args.minutes)
    elif args.stage == "data":
        stage.render(args.run / "data", args.images, workers=args.workers)
    elif args.stage == "latents":
        stage.run(args.run)
    elif args.stage == "export":
        stage.run(args.run, args.to)
        if (args.run / "control.pt").exists():
            import_module(".control", __package__).export(args.run, args.to.with_name("control"))
    else:
        stage.run(args.run, args.to, args.photos, args.machine)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m attnd_nb.training", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--folder", dest="run", type=Path, default=Path("runs/mini"), help="of shards, checkpoints and logs")
    parser.add_argument("--minutes", type=float, help="time budget of a training stage, earlier runs included")
    parser.add_argument("--begin", type=Path, help="pipeline folder whose weights vae and unet begin with, without a checkpoint")
    parser.add_argument("--images", type=int, default=12000, help="how many images the data stage renders")
    parser.add_argument("--workers", type=int, help="processes of the data stage (default: one a core)")
    parser.add_argument("--to", type=Path, default=Path("data/mini"), help="the folder that export writes and evaluate reads")
    parser.add_argument("--photos", type=Path, help="a folder of real pictures that evaluate measures as well")
    parser.add_argument("--machine", default=platform.processor() or platform.machine(), help="what the model card names")
    args = parser.parse_args()
    if args.stage in TRAINED and args.minutes is None:
        parser.error(f"the stage {args.stage} needs --minutes")
    if args.begin and args.stage not in BEGUN:
        parser.error(f"the stage {args.stage} cannot begin with weights; only {' and '.join(BEGUN)} can")
    return args


if __name__ == "__main__":
    main()
