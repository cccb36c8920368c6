"""Lesson 07: the content loss, which holds the queries."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..attention import Features
from . import Exercise, given, require


def content_loss(features, content):
    """Reference: ‖Q − Q_c‖₁, a mean within each layer and a sum over layers; no gradient for the content."""
    total = 0.0
    for name, layer in features.items():
        total = total + (layer.query - content[name].query.detach()).abs().mean()
    return total


def _random(seed, **sizes):
    """Features of layers {name: tokens}: one head, three numbers a token."""
    generator = torch.Generator().manual_seed(seed)
    return {name: Features(*torch.randn(4, 1, 1, tokens, 3, generator=generator)) for name, tokens in sizes.items()}


def _with_query(features, change):
    return {name: replace(layer, query=change(layer.query)) for name, layer in features.items()}


def check_content(answer) -> None:
    content = _random(0, coarse=4, fine=16)
    found = given(answer(content, content))
    require(isinstance(found, torch.Tensor) and found.ndim == 0,
            "One number comes back, as a tensor of no dimension: average within a layer, add over layers.")
    require(abs(found) < 1e-6, f"A picture compared with itself should lose 0, not {found:.2g}.")

    other = _random(1, coarse=4, fine=16)
    same_queries = {name: replace(other[name], query=content[name].query) for name in content}
    require(abs(answer(same_queries, content)) < 1e-6,
            "The queries agree, and the loss is not 0: it looks at keys, values or outputs. Those carry the look of the picture, "
            "which is meant to change. Compare the field query, and nothing else.")

    shifted = answer(_with_query(content, lambda query: query + 1), content)
    seen = f"Queries 1 apart everywhere, in two layers, should lose 2; yours lose {shifted:.3g}."
    require(shifted < 2.5, f"{seen} Take the mean over a layer's numbers, not the sum: λ = 0.25 is meant for means.")
    require(shifted > 0.01, f"{seen} Lengths and directions count, not the look of a pattern alone.")
    require(shifted > 1.5, f"{seen} Add the layers up: a mean over layers divides λ by their number.")
    up_and_down = torch.tensor([1.0, -2.0, 1.0])
    require(answer(_with_query(content, lambda query: query + up_and_down), content) > 0.01,
            "Differences of both signs cancel. Take absolute values before you average.")
    doubled = answer(_with_query(content, lambda query: query + 2), content)
    require(abs(doubled / shifted - 2) < 1e-3,
            f"Queries twice as far apart should lose twice as much, and yours lose {doubled / shifted:.3g} times as much. "
            "The paper's norm is L1, absolute values without squares.")
    one_layer = {name: layer if name == "fine" else replace(layer, query=layer.query + 1) for name, layer in content.items()}
    require(abs(answer(one_layer, content) - 1) < 1e-3,
            "A coarse layer with few tokens counts less than a fine one. Average each layer by itself, and then add.")

    image = {name: replace(layer, query=layer.query.clone().requires_grad_()) for name, layer in other.items()}
    target = {name: replace(layer, query=layer.query.clone().requires_grad_()) for name, layer in content.items()}
    loss = answer(image, target)
    require(loss.requires_grad, "No gradient reaches the picture that is made. Detach the content's queries, not the picture's.")
    loss.backward()
    require(all(layer.query.grad is not None for layer in image.values()),
            "No gradient reaches the picture that is made. Detach the content's queries, not the picture's.")
    require(all(layer.query.grad is None for layer in target.values()),
            "A gradient reaches the content. It is the fixed point of the comparison: detach its queries.")
    require(abs(answer(other, content) - content_loss(other, content)) < 1e-4,
            "Right in the simple cases, and then another number than the L1 mean of each layer, added up.")


def _mistaken(field="query", distance=lambda d: d.abs(), within=torch.mean, over=sum, detach=(False, True)):
    """The content loss with one thing changed."""

    def answer(features, content):
        losses = []
        for name, layer in features.items():
            ours, theirs = getattr(layer, field), getattr(content[name], field)
            ours, theirs = (x.detach() if off else x for x, off in zip((ours, theirs), detach))
            losses.append(within(distance(ours - theirs)))
        return over(losses)

    return answer


def _all_in_one(features, content):
    return torch.cat([(features[name].query - content[name].query.detach()).abs().flatten() for name in features]).mean() * 2


def _patterns_only(features, content):
    def centred(query):
        return query - query.mean((-2, -1), keepdim=True)

    return sum((centred(features[name].query) - centred(content[name].query.detach())).abs().mean() for name in features)


EXERCISES = (
    Exercise(
        name="07.content_loss",
        reference=content_loss,
        check=check_content,
        wrong={
            "One number comes back": _mistaken(over=lambda losses: losses),
            "compared with itself": _mistaken(distance=lambda d: (d + 1).abs()),
            "keys, values or outputs": _mistaken(field="output"),
            "not the sum": _mistaken(within=torch.sum),
            "a mean over layers": _mistaken(over=lambda losses: sum(losses) / len(losses)),
            "not the look of a pattern alone": _patterns_only,
            "cancel": _mistaken(distance=lambda d: d, over=lambda losses: sum(losses).abs()),
            "without squares": _mistaken(distance=lambda d: d**2),
            "counts less than a fine one": _all_in_one,
            "No gradient reaches the picture": _mistaken(detach=(True, True)),
            "A gradient reaches the content": _mistaken(detach=(False, False)),
        },
    ),
)
