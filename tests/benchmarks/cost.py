"""How cost grows, and how far each verb is from what the machine's arithmetic allows: one figure, one table.

    python tests/benchmarks/cost.py                      # data/mini; writes notebooks/pictures/cost.png

Left to right: `optimize` over image size, over images made at once and over references, and `expand` over windows. Each point is
the least of `--rounds` runs of `--steps` steps; points take turns, so that a busy minute of the machine hits all alike. The table
divides the multiply-adds of a verb (counted by torch) by the rate at which this machine multiplies two large matrices. torch has
no formula for attention on a CPU, whose products are then left out: the share of the limit is a lower bound.
"""

import argparse
from pathlib import Path
from timeit import timeit

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from tqdm.auto import tqdm

from attnd_nb import expand, guided_sample, load_pipeline, optimize
from attnd_nb.latents import native_resolution
from attnd_nb.samples import sample


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help="as load_pipeline takes it (%(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="steps of each run (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each point (%(default)s)")
    parser.add_argument("--to", type=Path, default=Path("notebooks/pictures/cost.png"), help="%(default)s")
    arguments = parser.parse_args()
    pipe = load_pipeline(arguments.model)
    edge, steps = native_resolution(pipe), arguments.steps
    limit(pipe, edge, steps)
    panels = growth(pipe, edge, steps)
    points = [(panel, x, run) for panel, runs in panels.items() for x, run in runs.items()]
    seconds = {}
    for panel, x, run in tqdm(points * (arguments.rounds + 1), unit="run"):
        seconds.setdefault((panel, x), []).append(timeit(run, number=1))
    least = {panel: {x: min(seconds[panel, x][1:]) / steps for x in runs} for panel, runs in panels.items()}
    for panel, found in least.items():
        print(f"{panel}: " + ", ".join(f"{x}: {value:.3f} s a step" for x, value in found.items()))
    draw(least, arguments.to)


def growth(pipe, edge, steps):
    """{panel: {x: a run}}."""
    style, content = sample("style"), sample("content")
    common = {"num_steps": steps, "progress": False}
    return {
        "edge of the image, px": {
            side: (lambda side=side: optimize(pipe, style, size=(side, side), generator=_seeded(), **common))
            for side in (edge // 2, edge * 3 // 4, edge, edge * 3 // 2, edge * 2)
        },
        "images at once": {
            count: (lambda count=count: optimize(pipe, style, num_images=count, generator=_seeded(), **common))
            for count in (1, 2, 3, 4)
        },
        "references": {
            count: (lambda count=count: optimize(pipe, [style] * count, content, **common)) for count in (1, 2, 3, 4)
        },
        "windows of expand": {
            count: (lambda count=count: expand(pipe, style, size=(edge, edge * (3 + count) // 4), num_inference_steps=steps,
                                               generator=_seeded(), progress=False))
            for count in (1, 3, 5, 9)
        },
    }  # fmt: skip


def limit(pipe, edge, steps):
    """Prints for each verb: billions of multiply-adds a step, seconds they need at the matrix rate, and seconds taken."""
    rate = matrix_rate()
    print(f"two matrices of 2048 x 2048: {rate / 1e9:.0f} billion multiply-adds a second")
    print("| verb | billion multiply-adds a step | seconds at that rate | seconds | share of the limit |")
    print("|---|---|---|---|---|")
    style, content = sample("style"), sample("content")
    common = {"generator": _seeded(), "progress": False}
    runs = {
        "optimize": lambda: optimize(pipe, style, content, num_steps=steps, progress=False),
        "guided_sample": lambda: guided_sample(pipe, style, num_inference_steps=steps, **common),
        "expand, three windows": lambda: expand(pipe, style, size=(edge, edge * 3 // 2), num_inference_steps=steps, **common),
    }
    for name, run in runs.items():
        with Counter() as counter:
            run()
        seconds = min(timeit(run, number=1) for _ in range(3))
        count = counter.operations / 2
        print(f"| {name} | {count / steps / 1e9:.1f} | {count / rate / steps:.3f} | {seconds / steps:.3f} "
              f"| {count / rate / seconds:.0%} |", flush=True)  # fmt: skip


class Counter(TorchDispatchMode):
    """Counts additions and multiplications by torch's own formulas (its `FlopCounterMode` refuses `autograd.grad` on a leaf)."""

    operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if (formula := flop_registry.get(function._overloadpacket)) is not None:
            self.operations += formula(*args, **(kwargs or {}), out_val=out)
        return out


def matrix_rate(side=2048):
    a, b = torch.randn(2, side, side)
    return side**3 / min(timeit(lambda: a @ b, number=1) for _ in range(5))


def draw(least, path):
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(least), figsize=(12, 2.8), constrained_layout=True)
    for axis, (panel, found) in zip(axes, least.items()):
        axis.plot(found.keys(), found.values(), "o-")
        axis.set(xlabel=panel, ylim=(0, 1.1 * max(found.values())), xticks=list(found))
    axes[0].set_ylabel("seconds a step")
    figure.savefig(path, dpi=110)


def _seeded():
    return torch.Generator().manual_seed(0)


if __name__ == "__main__":
    main()
