"""Seconds, memory and final losses of the verbs beside `plain.py`: a table of ratios, each verb measured in one run.

    python tests/benchmarks/speed.py                     # data/mini, the sizes of the paper's settings
    python tests/benchmarks/speed.py --steps 20          # a quick look

Every measurement is a process of its own, so that peak memory is its own too; the two sides take turns.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
VERBS = ("optimize", "guided_sample", "expand")
WIDE = (256, 768)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help="as load_pipeline takes it (%(default)s)")
    parser.add_argument("--steps", type=int, help="steps of each verb (200 of optimize, 50 of the others)")
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=VERBS, help="which to measure (all)")
    parser.add_argument("--rounds", type=int, default=2, help="how often each side is measured (%(default)s)")
    parser.add_argument("--half", action="store_true", help="here and fast inside attnd_nb.stored_in_half()")
    parser.add_argument("--one", nargs=2, metavar=("VERB", "SIDE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(*arguments.one, arguments.model, arguments.steps, arguments.half)))
        return
    print("| verb | seconds, plain | here | ratio | memory, ratio | AD loss, plain | here | content loss, plain | here |")
    print("|---|---|---|---|---|---|---|---|---|")
    for verb in arguments.verbs:
        sides = {side: [] for side in ("plain", "here", "fast")}
        for _ in range(arguments.rounds):
            for side, found in sides.items():
                found.append(_in_a_process(verb, side, arguments))
        plain, *ours = ({key: min(one[key] for one in found) for key in found[0]} for found in sides.values())
        for name, here in zip((verb, f"{verb}, fast"), ours):
            content = f"{plain['content']:.2f} | {here['content']:.2f}" if verb == "optimize" else "|"
            print(f"| {name} | {plain['seconds']:.1f} | {here['seconds']:.1f} | {plain['seconds'] / here['seconds']:.2f} "
                  f"| {here['memory'] / plain['memory']:.2f} | {plain['ad']:.3f} | {here['ad']:.3f} | {content} |", flush=True)


def _in_a_process(verb, side, arguments):
    command = [sys.executable, __file__, "--one", verb, side, "--model", arguments.model]
    if arguments.steps:
        command += ["--steps", str(arguments.steps)]
    if arguments.half:
        command += ["--half"]
    environment = {**os.environ, "TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error",
                   "MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed is given back, and the peak is what was needed
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return json.loads(out.splitlines()[-1])


def measure(verb, side, model, steps, half=False):
    """Seconds without loading, MiB above what was taken before, and the result's losses, summed over t = 1 … 801."""
    import torch

    import attnd_nb
    from attnd_nb.latents import native_resolution
    from attnd_nb.samples import sample

    pipe = attnd_nb.load_pipeline(model)
    edge = native_resolution(pipe)
    style, content = (attnd_nb.open_image(sample(name), (edge, edge)) for name in ("style", "content"))
    z_s, z_c = attnd_nb.encode(pipe, style), attnd_nb.encode(pipe, content)
    size = [side * edge // 256 for side in WIDE] if verb == "expand" else [edge, edge]
    steps = steps or (200 if verb == "optimize" else 50)
    generator = torch.Generator().manual_seed(0)
    before, start = new_peak(pipe.device.type), time.perf_counter()
    if side == "plain":
        z = _plain(verb, pipe, z_s, z_c, size, steps, generator)
    else:
        with attnd_nb.stored_in_half() if half else nullcontext():
            z = _here(verb, side, pipe, style, content, size, steps, generator)
    seconds = time.perf_counter() - start
    memory = peak(pipe.device.type) - before
    return {"seconds": seconds, "memory": memory, **_losses(pipe, z[..., : z_s.shape[-1]], z_s, z_c)}  # of the first window


def new_peak(kind):
    """Forgets the peak so far, which loading has set; returns MiB in use now, on the card or (Linux) in memory."""
    if kind == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    Path("/proc/self/clear_refs").write_text("5")
    return process_memory("VmRSS")


def peak(kind):
    """MiB of the largest use since `new_peak`."""
    if kind == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 2**20
    return process_memory("VmHWM")


def process_memory(field):
    """MiB of this process, from Linux: VmRSS in use, VmHWM its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def _here(verb, side, pipe, style, content, size, steps, generator):
    import attnd_nb

    fast = side == "fast"  # the same share of `steps` as of the paper's number of them
    if verb == "optimize":
        fewer = math.ceil(steps * attnd_nb.FAST["num_steps"] / 200)
        settings = {**attnd_nb.FAST, "num_steps": fewer} if fast else {"num_steps": steps}
        made = attnd_nb.optimize(pipe, style=style, content=content, **settings, generator=generator)
    else:
        settings = attnd_nb.FAST_SAMPLING if fast else {}
        settings = {**settings, "num_inference_steps": max(1, steps // 5) if fast else steps}
        run = attnd_nb.guided_sample if verb == "guided_sample" else attnd_nb.expand
        made = run(pipe, style=style, size=size, **settings, generator=generator)
    return made.latents.to(pipe.unet.device)


def _plain(verb, pipe, z_s, z_c, size, steps, generator):
    import plain
    import torch

    import attnd_nb

    if verb == "optimize":
        z = plain.optimize(pipe, z_s, z_c, 0.25, steps)
    else:
        noise = attnd_nb.draw_noise(pipe, 1, size, generator)
        if verb == "guided_sample":
            z = plain.guided_sample(pipe, z_s, noise, steps, 2, generator)
        else:
            side = z_s.shape[-1]
            starts = range(0, noise.shape[-1] - side + 1, side // 4)
            z = plain.expand(pipe, z_s, noise, starts, side, steps, 2, generator)
    with torch.no_grad():
        attnd_nb.decode(pipe, z)  # the verbs return pictures, too
    return z


def _losses(pipe, z, z_s, z_c):
    """AD and content loss of the clean latents, the same for all sides."""
    import torch

    from attnd_nb import ad_loss, content_loss, encode_prompt, predict_noise, record

    def read(latents, t):
        with record(pipe, "last6") as features:
            predict_noise(pipe, latents, torch.tensor(t), condition)
        return features

    condition, ad, content = encode_prompt(pipe, ""), 0.0, 0.0
    with torch.no_grad():
        for t in (1, 201, 401, 601, 801):
            own = read(z, t)
            ad += float(ad_loss(own, read(z_s, t)))
            content += float(content_loss(own, read(z_c, t)))
    return {"ad": ad, "content": content}


if __name__ == "__main__":
    main()
