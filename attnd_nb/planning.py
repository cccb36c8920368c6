"""What a verb will take, before a long run."""

import math
import sys
from dataclasses import dataclass
from inspect import signature
from timeit import timeit

import torch

from .models import device_of
from .result import LESS_MEMORY
from .synthesis import INJECTED_STRENGTH, injected_sample


@dataclass(frozen=True)
class Estimate:
    """Seconds of the whole run, and bytes at its peak: of the GPU, or on a CPU of the whole process."""

    seconds: float
    memory: int
    available: int  # bytes that the device has in all

    def __str__(self):
        text = f"about {_duration(self.seconds)}, {self.memory / 2**30:.1f} of {self.available / 2**30:.1f} GiB"
        return text if self.memory < 0.9 * self.available else f"{text}; {LESS_MEMORY}"


def estimate(verb, pipe, *args, **kwargs):
    """Seconds and memory that `verb(pipe, *args, **kwargs)` will take. Returns an `Estimate`.

    Runs one timestep of it to warm up, then one again and three, which decode pictures like the whole run; half of their
    difference is one timestep. Your generator and callback are left alone. Printed, the estimate says how to need less where
    the device would be nine tenths full. Raises ValueError for what has no timesteps, such as `tune_decoder`.

    >>> from attnd_nb import load_pipeline, optimize
    >>> from attnd_nb.samples import sample
    >>> found = estimate(optimize, load_pipeline("mini"), style=sample("style"), size=(64, 64), num_steps=50)
    >>> print(found)  # doctest: +ELLIPSIS
    about ... GiB
    """
    given = signature(verb).bind(pipe, *args, **kwargs)
    given.apply_defaults()
    steps = next((name for name in ("num_steps", "num_inference_steps") if name in given.arguments), None)
    if steps is None:
        raise ValueError(f"estimate knows the verbs with timesteps, optimize, guided_sample, …, not {verb.__name__}")
    wanted, share = given.arguments[steps], _share_of_timesteps(verb, given.arguments)
    given.arguments |= {"generator": None, "callback": None, "progress": False}

    def seconds(count):
        """Of a run of `count` timesteps."""
        given.arguments[steps] = math.floor(count / share)
        return timeit(lambda: verb(*given.args, **given.kwargs), number=1)

    seconds(1)
    device = device_of(pipe)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    one, three = seconds(1), seconds(3)
    timesteps = math.ceil(round(wanted * share, 6))
    return Estimate(one + (timesteps - 1) * max(0.0, three - one) / 2, *_memory(device))


def _share_of_timesteps(verb, arguments):
    """How many of its timesteps a verb runs: with `strength` it begins on the way."""
    if verb is injected_sample and arguments["content"] is not None and arguments["strength"] is None:
        return INJECTED_STRENGTH
    return arguments.get("strength") or 1.0


def stored_in_half():
    """Inside, what a float32 model keeps for the backward pass is kept in bfloat16.

        with stored_in_half():
            result = optimize(pipe, style="x.png", content="y.png")

    A gradient of SD 1.5 at 512 pixels on a CPU then takes 0.65 of the memory and no more time. The forward pass stays as
    it is, to the bit; gradients are rounded by about 0.5 %, so the result is another one that is as good. Without effect on
    models in half precision. (Not float16, which ends at 65,504; and weights are not copied, as they need no gradient.)

    >>> x = torch.tensor([1.001], requires_grad=True)
    >>> with stored_in_half():
    ...     y = x * x
    >>> y.backward()
    >>> x.grad
    tensor([2.])
    """

    def pack(kept):
        return (kept.bfloat16(),) if kept.requires_grad and kept.dtype == torch.float32 else kept

    return torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept[0].float() if isinstance(kept, tuple) else kept)


def _memory(device):
    """Bytes at the peak and in all."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device), torch.cuda.get_device_properties(device).total_memory
    import psutil

    process = psutil.Process().memory_info()
    if hasattr(process, "peak_wset"):  # Windows
        peak = process.peak_wset
    else:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return peak, psutil.virtual_memory().total


def _duration(seconds):
    """
    >>> _duration(48.2), _duration(600)
    ('48 s', '10.0 min')
    """
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
