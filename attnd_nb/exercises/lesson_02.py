"""Lesson 02: a recorder that leaves nothing behind."""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch import nn

from . import Exercise, given, require


@contextmanager
def recorder(model, names):
    """Reference: inside the block a dict {name: output} of the named submodules fills; afterwards no hook is left."""
    modules, outputs, handles = dict(model.named_modules()), {}, []

    def keep(name):
        def hook(module, args, output):
            outputs[name] = output

        return hook

    try:
        for name in names:
            handles.append(modules[name].register_forward_hook(keep(name)))
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


class Interrupted(Exception):
    """What happens to everybody, in the middle of everything."""


def _model():
    """Three layers and somebody else's hook on the first, which the answer has to leave alone."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    for weight in model.parameters():
        weight.data = torch.randn(weight.shape, generator=generator)
    model[0].register_forward_hook(lambda module, args, output: None)
    return model


def _hooks(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def check_recorder(answer) -> None:
    model, x = _model(), torch.ones(1, 3)
    expected = {"0": model[0](x), "1": model[:2](x), "2": model(x)}
    block = given(answer(model, ["0", "2"]))
    require(hasattr(block, "__enter__"),
            "`with` needs a context manager, and this is a " + type(block).__name__ + ". Put @contextmanager above the function.")
    with block as outputs:
        require(isinstance(outputs, dict), f"The block is given a {type(outputs).__name__}; yield the dict that the hooks fill.")
        out = model(x)
        first = dict(outputs)
        model(2 * x)
        second = dict(outputs)
    require(set(first) == {"0", "2"} or not set(first) <= {"0", "2"},
            f"Recorded was {sorted(first)}, asked for were ['0', '2']. If one name swallowed the others: a hook that is made in "
            "a loop sees the loop's *last* name when it runs. Make each hook in a function of its own.")
    require(set(first) == {"0", "2"}, f"Recorded more than asked for: {sorted(first)} instead of ['0', '2'].")
    require(torch.equal(out, expected["2"]), "The model's output has changed: a hook that returns a tensor replaces the output.")
    _check_values(first, second, expected, model(2 * x))
    require(set(outputs) == {"0", "2"},
            "After the block the dict is empty: the caller wants to read it then. Clear the hooks only.")
    left = _hooks(model) - 1
    require(left >= 0, "Somebody else's hook on the first layer is gone. Remove your own hooks only: keep the handles.")
    require(left == 0, f"{left} of your hooks are still there after the block. Call remove() on every handle.")
    _check_accidents(answer)


def _check_values(first, second, expected, again) -> None:
    for name, value in first.items():
        require(isinstance(value, torch.Tensor),
                f"A second pass has to overwrite the first, and the value of a name is the output itself, not a "
                f"{type(value).__name__}.")
        require(value.shape == expected[name].shape and torch.allclose(value, expected[name]),
                f"Under {name!r} stands something else than the layer's output. A forward hook is called with (module, args, "
                "output): args is what came in.")
        require(value.requires_grad, f"The recorded {name!r} carries no gradient. Do not detach: lesson 05 needs the way back.")
    require(torch.allclose(second["2"], again), "After a second pass the first one is still recorded: overwrite it.")


def _check_accidents(answer) -> None:
    model, raised = _model(), False
    try:
        with answer(model, ["0", "2"]):
            raise Interrupted
    except Interrupted:
        raised = True
    require(_hooks(model) == 1,
            f"After an exception in the block {_hooks(model) - 1} hooks are still there. What must happen in any case goes into "
            "`finally`.")
    require(raised, "An exception inside the block was swallowed: whoever uses your recorder would never hear of it.")
    try:
        with answer(model, ["0", "no such layer"]):
            pass
    except Exception:
        pass
    require(_hooks(model) == 1,
            "With a second name that does not exist, the hook on the first stays: the hooks are set before `try`. Set them "
            "inside.")


def _variant(keep=None, names=None, before=True, cleanup="finally"):
    """A recorder with one thing wrong."""

    @contextmanager
    def wrong(model, wanted):
        modules, outputs, handles = dict(model.named_modules()), {}, []

        def set_hooks():
            for name in (names or (lambda m, w: w))(modules, wanted):
                handles.append(modules[name].register_forward_hook((keep or _keep)(outputs, name)))

        if not before:
            set_hooks()
        try:
            if before:
                set_hooks()
            yield outputs
        except Interrupted:
            if cleanup != "swallow":
                raise
        else:
            if cleanup == "else":
                [handle.remove() for handle in handles]
        finally:
            if cleanup in ("finally", "swallow"):
                [handle.remove() for handle in handles]
            elif cleanup == "everything":
                [module._forward_hooks.clear() for module in modules.values()]

    return wrong


def _keep(outputs, name, value=lambda args, output: output):
    return lambda module, args, output: outputs.update({name: value(args, output)})


def _replacing(outputs, name):
    def hook(module, args, output):
        outputs[name] = output
        return output * 2

    return hook


def _first_only(outputs, name):
    return lambda module, args, output: outputs.update({name: outputs.get(name, output)})


def _appending(outputs, name):
    return lambda module, args, output: outputs.setdefault(name, []).append(output)


def _generator(model, names):
    yield {}


EXERCISES = (
    Exercise(
        name="02.recorder",
        reference=recorder,
        check=check_recorder,
        wrong={
            "Put @contextmanager above": _generator,
            "sees the loop's *last* name": _variant(lambda outputs, name: _keep(outputs, "2")),
            "Recorded more than asked for": _variant(names=lambda modules, wanted: modules),
            "replaces the output": _variant(_replacing),
            "not a list": _variant(_appending),
            "overwrite it": _variant(_first_only),
            "args is what came in": _variant(lambda outputs, name: _keep(outputs, name, lambda args, output: args[0])),
            "carries no gradient": _variant(lambda outputs, name: _keep(outputs, name, lambda args, output: output.detach())),
            "still there after the block": _variant(cleanup="never"),
            "Somebody else's hook": _variant(cleanup="everything"),
            "goes into `finally`": _variant(cleanup="else"),
            "was swallowed": _variant(cleanup="swallow"),
            "set before `try`": _variant(before=False),
        },
    ),
)
