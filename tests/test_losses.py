"""The losses are zero where they must be, pull where they must, and say so when given the wrong thing."""

import pytest
import torch
from torch.nn import functional as F

from attnd_nb import Schedule, Weights, ad_loss, content_loss
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


def weighted(x, references, weights):
    logits = Weights(references=weights).logits([one.key.shape[2] for one in references])
    return ad_loss({"a": x}, [{"a": one} for one in references], mask={"a": logits})


def test_a_references_weight_is_how_often_it_is_there():
    x, s, r = layer(0), layer(1, tokens=5), layer(2, tokens=8)
    for weights, repeated in (((2, 1), [s, s, r]), ((0, 1), [r]), ((4, 0), [s]), ((0.5, 0.5), [s, r])):
        expected = ad_loss({"a": x}, [{"a": one} for one in repeated])
        assert torch.allclose(weighted(x, [s, r], weights), expected, atol=1e-6)
    assert torch.equal(weighted(x, [s, r], (3, 3)), ad_loss({"a": x}, [{"a": s}, {"a": r}]))
    assert not torch.allclose(weighted(x, [s, r], (2, 1)), weighted(x, [s, r], (1, 2)))


def test_schedules_are_linear_between_their_ends_and_zero_outside():
    fading = Schedule(0.4, 0.1, start=0.2, end=0.8)
    assert [fading.at(way) for way in (0.1, 0.2, 0.5, 0.8, 0.9)] == pytest.approx([0, 0.4, 0.25, 0.1, 0])
    assert [Schedule(0.3).at(way) for way in (0, 0.5, 1)] == [0.3] * 3


def test_the_total_is_the_weighted_sum():
    ad, content = {"a": torch.tensor(1.0), "b": torch.tensor(10.0)}, {"a": torch.tensor(3.0), "b": torch.tensor(5.0)}
    assert Weights(content=0.5).total(ad, content, 0.3) == 11 + 0.5 * 8
    assert Weights(ad=2, content=Schedule(1, 0), layers={"b": 0.1}).total(ad, content, 0.25) == 2 * 2 + 0.75 * 3.5
    assert Weights(ad=Schedule(1, end=0.5)).total(ad, {}, 0.6) == 0


@pytest.mark.parametrize("make, words", [
    (lambda: Schedule(-1), "first"),
    (lambda: Schedule(1, float("nan")), "last"),
    (lambda: Schedule(1, start=0.5, end=0.5), "start < end"),
    (lambda: Weights(ad=-1), "ad"),
    (lambda: Weights(ad=0), "nothing to optimise"),
    (lambda: Weights(ad=Schedule(0), content=0), "nothing to optimise"),
    (lambda: Weights(content="0.2"), "content"),
    (lambda: Weights(layers={"a": -2}), "layers"),
    (lambda: Weights(references=(1, float("inf"))), "references"),
    (lambda: Weights(references=(0, 0)), "at least one"),
])
def test_weights_out_of_range_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("kinds", [dict(layers=[1, 2]), dict(layers=2.0), dict(references=2.0), dict(references={0: 1})])
def test_weights_of_the_wrong_kind_say_how_to_write_them(kinds):
    with pytest.raises(TypeError, match="references=\\(3, 1\\)"):
        Weights(**kinds)


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
