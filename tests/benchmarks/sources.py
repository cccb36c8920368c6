"""What each source of speed brings: seconds of a verb without it, or with it where the verbs do without, over those as it is.

    python tests/benchmarks/sources.py                   # data/mini

Above 1 the verb is slower that way, so what it does pays; below 1 something would be gained by changing it. Variants take turns,
and the least of `--rounds` runs counts. Ratios within a few per cent of 1 are noise.
"""

import argparse
import contextlib
from timeit import timeit
from unittest.mock import patch

import torch
from tqdm.auto import tqdm

from attnd_nb import distillation, encode_prompt, guided_sample, load_pipeline, models, optimize, record, result
from attnd_nb.distillation import Distiller
from attnd_nb.samples import sample


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help="as load_pipeline takes it (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each variant (%(default)s)")
    arguments = parser.parse_args()
    pipe, style, content = load_pipeline(arguments.model), sample("style"), sample("content")
    verbs = {
        "optimize": lambda: optimize(pipe, style, content, num_steps=10, progress=False),
        "guided_sample": lambda: guided_sample(pipe, style, num_inference_steps=5, generator=seeded(), progress=False),
    }
    seconds = {}
    runs = [(name, verb) for name in VARIANTS for verb in verbs]
    for name, verb in tqdm(runs * (arguments.rounds + 1), unit="run"):
        with VARIANTS[name](pipe):
            seconds.setdefault((name, verb), []).append(timeit(verbs[verb], number=1))
    least = {run: min(found[1:]) for run, found in seconds.items()}  # the first ones warm up
    print("| | optimize | guided_sample, 2 inner steps |\n|---|---|---|")
    for name in VARIANTS:
        print(f"| {name} | " + " | ".join(f"{least[name, verb] / least['as it is', verb]:.2f}" for verb in verbs) + " |")


def seeded():
    return torch.Generator().manual_seed(0)


def no_early_end(pipe):
    """The forward pass goes on behind the last layer that is read."""
    return patch.object(distillation, "record", lambda model, layers, stop: record(model, layers))


def one_by_one(pipe):
    """Style and content are read one after the other."""
    target = Distiller.target
    return patch.object(Distiller, "target", lambda self, *args, **options: target(self, *args, **{**options, "together": False}))


@contextlib.contextmanager
def read_again(pipe):
    """The references' features are read at every inner step, as Algorithm 2 has it, and in `optimize` twice a step."""
    target, update, last = Distiller.target, Distiller.update, []

    def remembered(self, *args, **options):
        last[:] = [(args, options)]
        return target(self, *args, **options)

    def updated(self, run, adam, z, t, aim, inner=0):
        args, options = last[0]
        update(self, run, adam, z, t, target(self, *args, **options), inner)

    with patch.object(Distiller, "target", remembered), patch.object(Distiller, "update", updated):
        yield


@contextlib.contextmanager
def wanting_weights(pipe):
    """Weights ask for gradients, too, as those of a freshly loaded model do."""

    @contextlib.contextmanager
    def thawed(pipe):
        weights = [weight for module in models._networks(pipe) for weight in module.parameters()]
        for weight in weights:
            weight.requires_grad_(True)
        yield pipe
        for weight in weights:
            weight.requires_grad_(False)

    with patch.object(result, "frozen", thawed):
        yield


@contextlib.contextmanager
def prompt_once(pipe):
    """Keys and values of the empty prompt are computed once, and not in every forward pass."""
    text = encode_prompt(pipe, "").encoder_hidden_states
    with contextlib.ExitStack() as stack, torch.no_grad():
        for name, module in pipe.unet.named_modules():
            if name.endswith(("attn2.to_k", "attn2.to_v")):
                known = module(text)
                stack.enter_context(patch.object(module, "forward", lambda x, known=known: known.expand(len(x), -1, -1)))
        with torch.enable_grad():
            yield


@contextlib.contextmanager
def channels_last(pipe):
    """Convolutions see pixels with their channels side by side in memory."""
    pipe.unet.to(memory_format=torch.channels_last)
    yield
    pipe.unet.to(memory_format=torch.contiguous_format)


VARIANTS = {
    "as it is": lambda pipe: contextlib.nullcontext(),
    "the forward pass does not end early": no_early_end,
    "style and content read one by one": one_by_one,
    "references read at every inner step": read_again,
    "weights want gradients": wanting_weights,
    "keys and values of the empty prompt known": prompt_once,
    "channels last": channels_last,
}

if __name__ == "__main__":
    main()
