"""A training loop with a time budget: it stops on the minute, saves, and goes on where it stopped.

`torchrun --nproc-per-node 2 -m attnd_nb.training unet …` shares a batch between processes: on a CPU, two processes of one
thread each do more than one process of two threads.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist

CHECKPOINT_SECONDS, SHEET_SECONDS = 180, 1200
GPU_BATCH = 8  # times a CPU's


def device() -> torch.device:
    """The GPU where there is one, the CPU where not."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed_precision():
    """bf16 on a GPU and on a CPU that multiplies matrices in it (AMX); full precision on other CPUs, where bf16 is slower."""
    fast = device().type == "cuda" or torch.cpu._is_amx_tile_supported()
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=fast)


def join_processes() -> bool:
    """Meets the other processes that torchrun started, if it did; True in the one that saves and logs."""
    if "WORLD_SIZE" in os.environ and not dist.is_initialized():
        dist.init_process_group("gloo")
    return rank() == 0


def meet() -> None:
    """Waits until all processes have come here."""
    if dist.is_initialized():
        dist.barrier()


def processes() -> int:
    """How many processes share a batch."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share(batch: int) -> int:
    """How many pictures of a CPU's `batch` this process takes: a part of it, or on a GPU eight times as many.

    >>> share(32) // share(4)
    8
    """
    return max(1, batch * (GPU_BATCH if device().type == "cuda" else 1) // processes())


def rank() -> int:
    """Which of the processes this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def _agreed(seconds: float) -> float:
    """The first process's clock, so that all stop at the same step."""
    if dist.is_initialized():
        clock = torch.tensor(seconds, dtype=torch.float64, device=device())
        dist.broadcast(clock, 0)
        return clock.item()
    return seconds


def _flat_gradients(parameters: list[torch.Tensor]) -> torch.Tensor:
    """One vector, of which every parameter's `grad` becomes a view: processes share it without a copy.

    >>> weight = torch.ones(2, 3, requires_grad=True)
    >>> gradients = _flat_gradients([weight])
    >>> weight.sum().backward(); gradients
    tensor([1., 1., 1., 1., 1., 1.])
    """
    flat = torch.zeros(sum(p.numel() for p in parameters), device=parameters[0].device)
    for p, part in zip(parameters, flat.split([p.numel() for p in parameters])):
        p.grad = part.as_strided(p.shape, p.stride())  # as the parameter lies in memory: channels-last, too
    return flat


class Ema:
    """An exponential moving average of a module's parameters (Karras et al. 2024: the samples come from the average).

    >>> layer = torch.nn.Linear(1, 1); ema = Ema(layer, decay=0.5)
    >>> _ = layer.weight.data.add_(1.0); ema.update(layer, step=1)
    >>> bool(layer.weight.data - ema.module.weight.data > 0)
    True
    """

    def __init__(self, module: torch.nn.Module, decay: float):
        import copy

        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, module: torch.nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))  # a short memory while there is little to remember
        torch._foreach_lerp_(list(self.module.parameters()), list(module.parameters()), 1 - decay)


def learning_rate(peak: float, step: int, progress: float, warmup: int = 100, decay_from: float = 0.8) -> float:
    """Linear warm-up over `warmup` steps, flat, then linear to 2 % over the rest of the budget (`progress` in [0, 1]).

    >>> learning_rate(1.0, 0, 0.0), learning_rate(1.0, 500, 0.3), round(learning_rate(1.0, 900, 1.0), 3)
    (0.01, 1.0, 0.02)
    """
    rise = min(1.0, (step + 1) / warmup)
    fall = 1.0 - 0.98 * max(0.0, progress - decay_from) / (1.0 - decay_from)
    return peak * rise * max(fall, 0.02)


def train(name: str, run: Path, state: dict, loss_of, peak: float, minutes: float, sheet=None, after_step=None) -> None:
    """Minimises `loss_of(progress)` until the budget is spent; `progress` is the share of it that is.

    state: objects with `state_dict`, one of them the optimizer under "optimizer"; all are saved to `run/name.pt` every few
        minutes and at the end, and loaded from there at the start. `minutes` counts what earlier runs have used.
    loss_of: returns a dict of scalars whose "loss" is minimised.
    after_step: called with the number of steps made, earlier runs included, after each.
    sheet: called with the step every twenty minutes and at the end, to save samples to look at.
    """
    path, optimizer = run / f"{name}.pt", state["optimizer"]
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    first = join_processes()
    gradients = _flat_gradients(parameters)
    step, used = _restore(path, state)
    torch.seed()  # noise that differs between processes and after every resumption
    start = time.monotonic() - used
    shown = saved = drawn = used
    log: dict = {}
    while (elapsed := _agreed(time.monotonic() - start)) < 60 * minutes:
        progress = elapsed / (60 * minutes)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(peak, step, progress)
        values = loss_of(progress)
        values["loss"].backward()
        if dist.is_initialized():
            dist.all_reduce(gradients)
            gradients /= processes()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        gradients.zero_()
        step += 1
        if after_step:
            after_step(step)
        log = {k: log.get(k, v.detach()).lerp(v.detach(), 0.02) for k, v in values.items()}  # not read: a GPU would wait
        if first and elapsed - shown > 30:
            shown = elapsed
            _log(run / f"{name}.log", step, elapsed, log)
        if first and elapsed - saved > CHECKPOINT_SECONDS:
            saved = elapsed
            _check(name, step, log)
            _save(path, state, step, elapsed)
        if first and sheet and elapsed - drawn > SHEET_SECONDS:
            drawn = elapsed
            sheet(step)
    if first:
        _check(name, step, log)
        _save(path, state, step, time.monotonic() - start)
        if sheet:
            sheet(step)


def _log(path: Path, step: int, elapsed: float, values: dict) -> None:
    _check(path.stem, step, values)
    line = f"{step:7d} {elapsed / 60:7.1f} min  " + "  ".join(f"{k} {float(v):.4f}" for k, v in values.items())
    print(line, flush=True)
    with path.open("a") as file:
        file.write(line + "\n")


def _check(name: str, step: int, values: dict) -> None:
    if wrong := {k: float(v) for k, v in values.items() if not math.isfinite(v)}:
        raise FloatingPointError(f"{name}: {wrong} by step {step}; the last checkpoint is from before, go on from there")


def _save(path: Path, state: dict, step: int, elapsed: float) -> None:
    data = {k: v.state_dict() for k, v in state.items()}
    torch.save({"step": step, "seconds": elapsed, **data}, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


def _restore(path: Path, state: dict) -> tuple[int, float]:
    if not path.exists():
        return 0, 0.0
    data = torch.load(path, map_location="cpu", weights_only=True)
    for key, value in state.items():
        value.load_state_dict(data[key])
    return data["step"], data["seconds"]
