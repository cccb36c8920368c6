"""The losses are zero where they must be, pull where they must, and say so when given the wrong thing."""

import pytest
import torch
from torch.nn import functional as F

from attnd_nb import ad_loss, content_loss
from attnd_nb.attention import Features


def layer(seed, batch=1, heads=2, tokens=6, width=4, grad=False):
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (
        torch.randn(batch, heads, tokens, width, generator=generator).requires_grad_(grad) for _ in range(3)
    )
    return Features(q, k, v, F.scaled_dot_product_attention(q, k, v))


def slow_attention(q, k, v):
    """Equation (2) for one head, token by token."""
    rows = []
    for query in q:
        weight = torch.stack([(query * key).sum() / len(query) ** 0.5 for key in k])
        weight = weight.exp() / weight.exp().sum()
        rows.append(sum(w * value for w, value in zip(weight, v)))
    return torch.stack(rows)


def test_an_image_is_its_own_ideal():
    x = {"a": layer(0), "b": layer(1)}
    assert ad_loss(x, x).item() == 0
    assert content_loss(x, x).item() == 0


def test_ad_loss_is_equation_three():
    x, s = layer(0), layer(1, tokens=9)
    expected = (
        sum(
            (x.output[0, h] - slow_attention(x.query[0, h], s.key[0, h], s.value[0, h])).abs().sum()
            for h in range(2)
        )
        / x.output.numel()
    )
    assert torch.allclose(ad_loss({"a": x}, {"a": s}), expected, atol=1e-6)


def test_losses_are_means_within_and_sums_over_layers():
    x, s = {"a": layer(0), "b": layer(1)}, {"a": layer(2), "b": layer(3)}
    for loss in (ad_loss, content_loss):
        parts = loss(x, s, reduction="layers")
        assert list(parts) == ["a", "b"] and torch.equal(loss(x, s), parts["a"] + parts["b"])
        doubled = {
            name: Features(*(t.repeat(2, 1, 1, 1) for t in (f.query, f.key, f.value, f.output)))
            for name, f in x.items()
        }
        assert torch.allclose(loss(doubled, s), loss(x, s))


def test_the_ideal_carries_no_gradient():
    x, s = layer(0, grad=True), layer(1, grad=True)
    ad_loss({"a": x}, {"a": s}).backward()
    assert s.key.grad is None and s.value.grad is None
    # dL/dq must be that of |output - constant|: with the ideal attached it would be another.
    ideal = F.scaled_dot_product_attention(x.query, s.key, s.value).detach()
    expected = torch.autograd.grad(
        (F.scaled_dot_product_attention(x.query, x.key, x.value) - ideal).abs().mean(), x.query
    )[0]
    assert torch.allclose(x.query.grad, expected, atol=1e-7) and expected.abs().max() > 0


def test_content_carries_no_gradient_to_its_target():
    x, c = layer(0, grad=True), layer(1, grad=True)
    content_loss({"a": x}, {"a": c}).backward()
    assert c.query.grad is None and x.query.grad is not None


def test_several_references_share_one_softmax():
    x, s, r = layer(0), layer(1, tokens=5), layer(2, tokens=8)
    key, value = torch.cat([s.key, r.key], 2), torch.cat([s.value, r.value], 2)
    together = F.l1_loss(x.output, F.scaled_dot_product_attention(x.query, key, value))
    assert torch.allclose(ad_loss({"a": x}, [{"a": s}, {"a": r}]), together)
    # Order does not matter, and a reference given twice counts as once.
    assert torch.allclose(ad_loss({"a": x}, [{"a": r}, {"a": s}]), together)
    assert torch.allclose(ad_loss({"a": x}, [{"a": s}, {"a": s}]), ad_loss({"a": x}, {"a": s}))


def test_a_batch_of_references_is_a_list_of_them():
    x, pair = layer(0, batch=3), layer(1, batch=2)
    assert torch.allclose(
        ad_loss({"a": x}, {"a": pair}), ad_loss({"a": x}, [{"a": pair[:1]}, {"a": pair[1:]}])
    )


def test_half_precision_losses_are_float32():
    x = Features(*(t.half() for t in vars(layer(0)).values()))
    assert content_loss({"a": x}, {"a": layer(1)}).dtype == torch.float32


def test_wrong_input_is_named():
    x = layer(0)
    with pytest.raises(ValueError, match="different layers"):
        ad_loss({"a": x}, {"b": x})
    with pytest.raises(ValueError, match="different layers"):
        ad_loss({"a": x}, [{"a": x}, {"b": x}])
    with pytest.raises(ValueError, match="same model"):
        ad_loss({"a": x}, {"a": layer(1, heads=1)})
    with pytest.raises(ValueError, match="one size"):
        content_loss({"a": x}, {"a": layer(1, tokens=7)})
    with pytest.raises(ValueError, match="reduction"):
        content_loss({"a": x}, {"a": x}, reduction="mean")
    with pytest.raises(ValueError, match="no reference"):
        ad_loss({"a": x}, [])
