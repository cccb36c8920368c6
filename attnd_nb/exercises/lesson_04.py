"""Lesson 04: keys and values of another picture, put into one attention layer."""

from __future__ import annotations

import contextlib

import torch

from . import Exercise, Wrong, given, require

HEADS, WIDTH, TOKENS, OTHERS = 2, 3, 6, 4  # of the small layer that the check runs on, and the other picture's tokens


def inject_layer(module, key, value):
    """Reference: from now on `module` attends to this key and value; returns the handles that end it.

    key, value: (1, heads, tokens, head_dim), as they were recorded; the module's own are (batch, tokens, heads · head_dim).
    """
    def replace(tensor):
        joined = tensor.transpose(1, 2).flatten(2)  # (1, tokens, heads · head_dim)
        return lambda module, args, output: joined.expand(len(output), -1, -1)

    return [module.to_k.register_forward_hook(replace(key)), module.to_v.register_forward_hook(replace(value))]


def _layer():
    """A real self-attention layer with random weights, and somebody else's hook, which has to stay."""
    from diffusers.models.attention_processor import Attention

    layer = Attention(query_dim=HEADS * WIDTH, heads=HEADS, dim_head=WIDTH).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for weight in layer.parameters():
        weight.copy_(torch.randn(weight.shape, generator=generator))
    layer.to_k.register_forward_hook(lambda module, args, output: None)
    return layer


def _split(x):
    return x.unflatten(-1, (HEADS, WIDTH)).transpose(1, 2)


def _key_value(layer, x):
    """The layer's own keys and values of x, as `record` gives them."""
    return _split(layer.to_k(x)), _split(layer.to_v(x))


def _expected(layer, x, key, value):
    """What the layer has to answer, written out: (2) with the other key and value, then the output projection."""
    query = _split(layer.to_q(x))
    weights = (query @ key.transpose(-1, -2) / WIDTH**0.5).softmax(-1)
    return layer.to_out[0]((weights @ value).transpose(1, 2).flatten(2))


def _hooks(layer):
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in layer.modules())


@contextlib.contextmanager
def _during(answer, layer, key, value):
    """The answer's hooks, then none of them."""
    handles = given(answer(layer, key, value))
    handles = list(handles) if isinstance(handles, (list, tuple)) else [handles]
    require(all(hasattr(handle, "remove") for handle in handles),
            "Return the handles that register_forward_hook gives: whoever calls you needs them to end the injection.")
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _run(layer, x, why):
    try:
        return layer(x)
    except RuntimeError as error:
        raise Wrong(f"{why} ({error})") from error


def check_inject_layer(answer) -> None:
    generator = torch.Generator().manual_seed(1)
    x, own = (torch.randn(1, TOKENS, HEADS * WIDTH, generator=generator) for _ in range(2))
    other = torch.randn(1, OTHERS, HEADS * WIDTH, generator=generator)
    layer = _layer()
    before, elsewhere, hooks = layer(x), layer(own), _hooks(layer)

    with _during(answer, layer, *_key_value(layer, x)):
        same = _run(layer, x, "The layer cannot work with what your hooks return; (batch, tokens, heads · head_dim) is wanted.")
    swapped = _expected(layer, x, *reversed(_key_value(layer, x)))
    require(same.shape != before.shape or not torch.allclose(same, swapped, atol=1e-5),
            "Keys and values are swapped: keys go to to_k, values to to_v.")
    require(same.shape == before.shape and torch.allclose(same, before, atol=1e-5),
            "A picture injected with its *own* keys and values must answer as before, and yours does not. A right shape is no "
            "proof: from (1, heads, tokens, head_dim), first transpose(1, 2), then flatten(2); a reshape alone mixes heads and "
            "tokens.")
    require(_hooks(layer) == hooks,
            f"{_hooks(layer) - hooks} hooks are still there after the handles that you returned were removed: return both.")
    require(torch.equal(layer(x), before) and torch.equal(layer(own), elsewhere),
            "Without your hooks the layer still answers otherwise than before: hooks only, leave its weights and methods alone.")

    _check_values(answer, layer, x, own, before)
    key, value = _key_value(layer, other)
    with _during(answer, layer, key, value):
        found = _run(layer, x, f"A reference may have another number of tokens ({OTHERS} here, the picture has {TOKENS}): take "
                     "the shape from key and value.")
    require(torch.allclose(found, _expected(layer, x, key, value), atol=1e-5),
            f"With a reference of {OTHERS} tokens the answer is not the one of softmax(q k_sᵀ / √d) v_s.")
    both = torch.cat([x, x.flip(1)])
    with _during(answer, layer, key, value):
        found = _run(layer, both, "A batch of two pictures stops the layer: expand the reference to len(output) rows.")
    require(torch.allclose(found, _expected(layer, both, key, value), atol=1e-5),
            "With two pictures in the batch each of them looks at a part of the reference only: the layer cut your one row in "
            "two, in silence. Expand it to len(output) rows.")


def _check_values(answer, layer, x, own, before) -> None:
    """A reference of the picture's size, so that half an injection runs, too, and can be told by its result."""
    key, value = _key_value(layer, own)
    own_key, own_value = _key_value(layer, x)
    with _during(answer, layer, key, value):
        found = layer(x)
    likely = {
        "Nothing has changed: a hook has to *return* the new tensor.": before,
        "Only the keys were replaced. The picture then searches in the style and reads in itself: replace to_v too.":
            _expected(layer, x, key, own_value),
        "Only the values were replaced. The style is then read at places that were searched for in the picture: replace to_k "
        "too.": _expected(layer, x, own_key, value),
        "Queries, keys and values are all the reference's: that is the reference's own answer. The query stays the picture's.":
            _expected(layer, own, key, value),
    }
    for mistake, wrong in likely.items():
        require(not torch.allclose(found, wrong, atol=1e-5), mistake)
    require(torch.allclose(found, _expected(layer, x, key, value), atol=1e-5),
            "The answer is not the one of softmax(q k_sᵀ / √d) v_s with the key and value that were given.")


# --- known wrong answers

def _variant(join=lambda tensor, output: tensor.transpose(1, 2).flatten(2).expand(len(output), -1, -1),
             pairs=(("to_k", "key"), ("to_v", "value")), keep=lambda handles: handles):
    """A wrong answer: how heads are joined, which projection gets what, and which handles are returned."""
    def answer(module, key, value):
        given_tensors = {"key": key, "value": value}

        def replace(tensor):
            return lambda module, args, output: join(tensor, output)

        handles = [getattr(module, part).register_forward_hook(replace(given_tensors[what])) for part, what in pairs]
        return keep(handles)

    return answer


def _nothing_returned_by_the_hook(module, key, value):
    return [module.to_k.register_forward_hook(lambda module, args, output: None)]


def _queries_too(module, key, value):
    """Runs the layer on a picture whose own keys and values are those given, as far as that can be had."""
    handles = inject_layer(module, key, value)
    wanted = key.transpose(1, 2).flatten(2)
    hidden = torch.linalg.lstsq(module.to_k.weight, wanted.flatten(0, 1).T).solution.T  # to_k(hidden) = wanted
    query = (hidden @ module.to_q.weight.T)[None]
    return [*handles, module.to_q.register_forward_hook(lambda module, args, output: query.expand(len(output), -1, -1))]


def _weights_overwritten(module, key, value):
    joined = value.transpose(1, 2).flatten(2)
    module.to_v.forward = lambda x: joined.expand(len(x), -1, -1)
    return inject_layer(module, key, value)


EXERCISES = (
    Exercise(
        name="04.inject_layer",
        reference=inject_layer,
        check=check_inject_layer,
        wrong={
            "a reshape alone mixes heads and tokens": _variant(
                join=lambda tensor, output: tensor.reshape(1, tensor.shape[2], -1).expand(len(output), -1, -1)),
            "keys go to to_k, values to to_v": _variant(pairs=(("to_k", "value"), ("to_v", "key"))),
            "cannot work with what your hooks return": _variant(join=lambda tensor, output: tensor.transpose(1, 2)),
            "Only the keys were replaced": _variant(pairs=(("to_k", "key"),)),
            "Only the values were replaced": _variant(pairs=(("to_v", "value"),)),
            "The query stays the picture's": _queries_too,
            "Nothing has changed": _nothing_returned_by_the_hook,
            "removed: return both": _variant(keep=lambda handles: handles[:1]),
            "leave its weights and methods alone": _weights_overwritten,
            "Return the handles": _variant(keep=len),
            "take the shape from key and value": _variant(
                join=lambda tensor, output: tensor.transpose(1, 2).reshape(output.shape).expand(len(output), -1, -1)),
            "the layer cut your one row in two": _variant(join=lambda tensor, output: tensor.transpose(1, 2).flatten(2)),
        },
    ),
)
