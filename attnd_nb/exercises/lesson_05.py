"""Lesson 05: the loss of Attention Distillation, for one layer."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ..attention import Features
from . import Exercise, given, require

HEADS, WIDTH, TOKENS, OTHERS = 2, 4, 6, 9


def layer_loss(own, style):
    """Reference: (3) for one layer. `own`, `style`: `Features`; the result is one number, with a gradient towards `own` only."""
    ideal = F.scaled_dot_product_attention(own.query, style.key, style.value).detach()
    return (own.output - ideal).abs().mean()


def _features(seed, tokens=TOKENS):
    """One layer of a picture, as `record` gives it: every tensor is (1, heads, tokens, head_dim), with gradients."""
    generator = torch.Generator().manual_seed(seed)
    query, key, value = (
        torch.randn(1, HEADS, tokens, WIDTH, generator=generator).requires_grad_() for _ in range(3))
    return Features(query, key, value, F.scaled_dot_product_attention(query, key, value))


def _attend(query, key, value):
    return F.scaled_dot_product_attention(query, key, value)


def check_layer_loss(answer) -> None:
    own, style = _features(0), _features(1)
    loss = given(answer(own, style))
    require(isinstance(loss, torch.Tensor),
            f"A tensor is asked for, which can carry a gradient; this is a {type(loss).__name__}.")
    require(loss.numel() == 1, f"The loss is one number, and this has the shape {tuple(loss.shape)}: average over everything.")
    zero = answer(own, own).detach()
    for mistake, value in _mistakes(own, own).items():
        require(value < 1e-6 or not torch.allclose(zero, value, atol=1e-5), mistake)
    require(abs(zero) < 1e-6,
            "An image whose reference is itself already has what attention should produce: the loss is 0, and yours "
            f"{zero:.3f}. Is the ideal softmax(q k_sᵀ / √d) v_s, with the image's q?")
    value = loss.detach()
    require(value >= 0, "A distance is never negative: take the absolute value before you average.")
    require(value > 1e-6, "Two different images, and the loss is 0: it does not look at the style.")
    for mistake, wrong in _mistakes(own, style).items():
        require(not torch.allclose(value, wrong, atol=1e-5), mistake)
    expected = layer_loss(own, style).detach()
    require(torch.allclose(value, expected, atol=1e-5),
            f"The value is {value:.4f}, and the mean of |own.output − softmax(q k_sᵀ / √d) v_s| is {expected:.4f}.")
    _check_gradients(own, style, loss)


def _mistakes(own, style):
    """Each likely mistake has a value of its own."""
    ideal = _attend(own.query, style.key, style.value)
    logits = own.query @ style.key.mT
    difference = own.output - ideal
    values = {
        "Keys and values of the style are swapped.": (own.output - _attend(own.query, style.value, style.key)).abs().mean(),
        "This compares with what the *style's* queries read in the style, place by place. The question has to come from the "
        "image: own.query.": (own.output - style.output).abs().mean(),
        "The image's keys with the style's values: the search has to go through the style, too.":
            (own.output - _attend(own.query, own.key, style.value)).abs().mean(),
        "The style's keys with the image's values: what is read has to be the style's, too.":
            (own.output - _attend(own.query, style.key, own.value)).abs().mean(),
        "This is a mean of squares. (3) has an L1 norm: absolute values.": difference.square().mean(),
        "This is a sum within the layer. Take the mean: a layer with four times the tokens must not count four times.":
            difference.abs().sum(),
        "The √d of (2) is missing.": (own.output - logits.softmax(-1) @ style.value).abs().mean(),
        "The softmax runs over the queries. Each query shares out its attention among the keys: dim=-1.":
            (own.output - (logits / WIDTH**0.5).softmax(-2) @ style.value).abs().mean(),
        "Average after the absolute value, not before: pluses and minuses cancel.": difference.mean().abs(),
    }
    return {mistake: value.detach() for mistake, value in values.items()}


def _check_gradients(own, style, loss) -> None:
    require(loss.requires_grad, "The loss carries no gradient, so nothing can be learned from it. Detach the ideal only.")
    tensors = [own.query, own.key, own.value, style.key, style.value]
    gradients = torch.autograd.grad(loss, tensors, allow_unused=True, retain_graph=True)
    require(gradients[3] is None and gradients[4] is None,
            "The gradient reaches the style's keys and values: the target would move to the image. detach() the ideal.")
    require(gradients[2] is not None,
            "The gradient does not reach the image's values: you detached the wrong one. The ideal stands still, own.output "
            "moves.")
    expected = torch.autograd.grad(layer_loss(own, style), tensors[:3])
    require(all(one is not None and torch.allclose(one, other, atol=1e-6) for one, other in zip(gradients, expected)),
            "The value is right and the gradient is not: through the image's query it also runs into the ideal. detach() the "
            "whole ideal, not only the style's keys and values.")


# --- known wrong answers

def _mean_distance(ideal):
    return lambda own, style: (own.output - ideal(own, style).detach()).abs().mean()


EXERCISES = (
    Exercise(
        name="05.layer_loss",
        reference=layer_loss,
        check=check_layer_loss,
        wrong={
            "this is a float": lambda own, style: float(layer_loss(own, style).detach()),
            "average over everything": lambda own, style: (
                own.output - _attend(own.query, style.key, style.value).detach()).abs().mean(-1),
            "√d of (2) is missing": _mean_distance(
                lambda own, style: (own.query @ style.key.mT).softmax(-1) @ style.value),
            "softmax runs over the queries": _mean_distance(
                lambda own, style: (own.query @ style.key.mT / WIDTH**0.5).softmax(-2) @ style.value),
            "Is the ideal softmax": _mean_distance(
                lambda own, style: _attend(own.query, style.key, style.value) + 0.1),
            "it does not look at the style": lambda own, style: (
                own.output - _attend(own.query, own.key, own.value).detach()).abs().mean(),
            "never negative": lambda own, style: -layer_loss(own, style),
            "are swapped": _mean_distance(lambda own, style: _attend(own.query, style.value, style.key)),
            "come from the image: own.query": _mean_distance(lambda own, style: style.output),
            "the search has to go through the style": _mean_distance(
                lambda own, style: _attend(own.query, own.key, style.value)),
            "what is read has to be the style's": _mean_distance(
                lambda own, style: _attend(own.query, style.key, own.value)),
            "mean of squares": lambda own, style: F.mse_loss(
                own.output, _attend(own.query, style.key, style.value).detach()),
            "sum within the layer": lambda own, style: (
                own.output - _attend(own.query, style.key, style.value).detach()).abs().sum(),
            "pluses and minuses cancel": lambda own, style: (
                own.output - _attend(own.query, style.key, style.value).detach()).mean().abs(),
            "carries no gradient": lambda own, style: layer_loss(own, style).detach(),
            "The gradient reaches the style's": lambda own, style: (
                own.output - _attend(own.query, style.key, style.value)).abs().mean(),
            "you detached the wrong one": lambda own, style: (
                own.output.detach() - _attend(own.query, style.key.detach(), style.value.detach())).abs().mean(),
            "detach() the whole ideal": lambda own, style: (
                own.output - _attend(own.query, style.key.detach(), style.value.detach())).abs().mean(),
        },
    ),
)
