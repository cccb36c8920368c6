"""`python -m attnd_nb.training STAGE`: see the package's docstring for the stages in order."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m attnd_nb.training", description=__doc__)
    parser.add_argument("stage", choices=["data", "vae", "latents", "unet", "export", "recogniser", "evaluate"])
    parser.add_argument("--run", type=Path, default=Path("runs/mini"), help="folder of shards, checkpoints and logs")
    parser.add_argument("--minutes", type=float, help="time budget of a training stage, earlier runs included")
    parser.add_argument("--images", type=int, default=8000, help="how many images the data stage renders")
    parser.add_argument("--workers", type=int, help="processes of the data stage (default: one a core)")
    parser.add_argument("--to", type=Path, default=Path("data/mini"), help="the folder that export writes and evaluate reads")
    parser.add_argument("--photos", type=Path, help="a folder of real pictures that evaluate measures as well")
    parser.add_argument("--machine", default=platform.processor() or platform.machine(), help="what the model card names")
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    if args.stage in ("vae", "unet", "recogniser") and not args.minutes:
        parser.error(f"the stage {args.stage} needs --minutes")
    if args.stage == "data":
        from . import data

        data.render(args.run / "data", args.images, workers=args.workers)
    elif args.stage == "vae":
        from . import vae

        vae.run(args.run, args.minutes)
    elif args.stage == "latents":
        from . import latents

        latents.run(args.run)
    elif args.stage == "unet":
        from . import unet

        unet.run(args.run, args.minutes)
    elif args.stage == "export":
        from . import export

        export.run(args.run, args.to)
    elif args.stage == "recogniser":
        from . import recogniser

        recogniser.run(args.run, args.minutes)
    else:
        from . import evaluate

        evaluate.run(args.run, args.to, args.photos, args.machine)


if __name__ == "__main__":
    main()
