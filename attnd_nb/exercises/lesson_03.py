"""Lesson 03: from queries and keys to attention probabilities."""

from __future__ import annotations

import math

import torch

from . import Exercise, Wrong, given, require


def attention_probabilities(query, key):
    """Reference: softmax(q kᵀ / √d), (…, queries, keys) from (…, queries, d) and (…, keys, d)."""
    logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    return logits.softmax(dim=-1)


def _draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(shape[-2]))


QUERY, KEY = _draw(2, 3, 5, 16), _draw(2, 3, 7, 16)  # 2 pictures, 3 heads, 5 queries, 7 keys, 16 numbers each


def check_probabilities(answer) -> None:
    out = given(answer(QUERY, KEY))
    require(isinstance(out, torch.Tensor), f"A tensor is asked for, this is a {type(out).__name__}.")
    require(out.shape != (2, 3, 7, 5),
            "A row belongs to a query, a column to a key. Yours is the other way round: q kᵀ, not k qᵀ.")
    require(out.shape == (2, 3, 5, 7),
            f"5 queries and 7 keys give (2, 3, 5, 7); yours is {tuple(out.shape)}. Only the last two dimensions of the keys "
            "change places.")
    _check_sums(out)
    _check_scale(out)
    _check_other_shapes(answer)
    far = answer(100 * QUERY, KEY)
    require(torch.isfinite(far).all(),
            "With larger numbers your answer is NaN or infinite: exp overflows. softmax() takes the largest logit away first.")
    require(torch.allclose(far, attention_probabilities(100 * QUERY, KEY), atol=1e-4), "With larger numbers the values are off.")


def _check_other_shapes(answer) -> None:
    query, key = QUERY[0, 0, :, :9], KEY[0, 0, :, :9]  # no pictures, no heads, and 9 numbers each
    try:
        out = answer(query, key)
    except (RuntimeError, IndexError, ValueError) as error:
        raise Wrong(f"Queries (5, 9) and keys (7, 9), without pictures and heads, stop it: {error}. Count dimensions from the "
                    "end: -1 and -2.") from error
    require(torch.allclose(out, attention_probabilities(query, key), atol=1e-5),
            "Right for queries of 16 numbers, wrong for 9: take d from the query's last dimension.")


def _check_sums(out) -> None:
    def is_one(dim):
        return torch.allclose(out.sum(dim), torch.ones(()), atol=1e-4)

    require(not (out < 0).any(), "Probabilities are never negative. Did the softmax go missing?")
    require(is_one(-1) or not is_one(-2),
            "Your columns sum to 1, your rows do not: the softmax runs over the queries. Each query shares its attention among "
            "the keys, and keys are the last dimension.")
    require(not is_one((-1, -2)),
            "Each map sums to 1 as a whole: the softmax runs over queries and keys together. Each query has its own.")
    require(is_one(-1), "Each row has to sum to 1: a query's attention is all given away, once.")


def _check_scale(out) -> None:
    logits, (tokens, d) = QUERY @ KEY.transpose(-1, -2), KEY.shape[-2:]
    mistakes = {
        1.0: "The logits are not divided by √d. With d = 16 each is four times too large, and attention clings to a few tokens.",
        float(d): "The logits are divided by d; the formula says √d.",
        math.sqrt(tokens): "The logits are divided by the root of the number of tokens. d is the length of one query.",
        math.sqrt(3 * d): "The logits are divided by the root of the width of all heads together. d is the length of one query.",
        1 / math.sqrt(d): "The logits are multiplied by √d instead of divided.",
    }
    for divisor, mistake in mistakes.items():
        require(not torch.allclose(out, (logits / divisor).softmax(-1), atol=1e-5), mistake)
    require(torch.allclose(out, attention_probabilities(QUERY, KEY), atol=1e-5),
            "Rows sum to 1, and still the values are not softmax(q kᵀ / √d).")


def _logits(query, key, divisor=None):
    return query @ key.transpose(-1, -2) / (divisor or math.sqrt(query.shape[-1]))


EXERCISES = (
    Exercise(
        name="03.probabilities",
        reference=attention_probabilities,
        check=check_probabilities,
        wrong={
            "the other way round": lambda q, k: attention_probabilities(k, q),
            "last two dimensions": lambda q, k: attention_probabilities(q.transpose(1, 2), k.transpose(1, 2)[..., :5, :, :]),
            "softmax go missing": lambda q, k: _logits(q, k),
            "runs over the queries": lambda q, k: _logits(q, k).softmax(dim=-2),
            "queries and keys together": lambda q, k: _logits(q, k).flatten(-2).softmax(-1).view(*q.shape[:-1], k.shape[-2]),
            "Each row has to sum to 1": lambda q, k: _logits(q, k).sigmoid(),
            "not divided by √d": lambda q, k: _logits(q, k, 1).softmax(-1),
            "the formula says √d": lambda q, k: _logits(q, k, q.shape[-1]).softmax(-1),
            "number of tokens": lambda q, k: _logits(q, k, math.sqrt(k.shape[-2])).softmax(-1),
            "width of all heads": lambda q, k: _logits(q, k, math.sqrt(q.shape[1] * q.shape[-1])).softmax(-1),
            "instead of divided": lambda q, k: _logits(q, k, 1 / math.sqrt(q.shape[-1])).softmax(-1),
            "exp overflows": lambda q, k: _logits(q, k).exp() / _logits(q, k).exp().sum(-1, keepdim=True),
            "still the values": lambda q, k: _logits(q, k).abs().softmax(-1),
        },
    ),
)
