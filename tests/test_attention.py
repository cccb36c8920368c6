"""The reader sees exactly what attention used, changes it only when asked, and leaves nothing behind."""

import numpy as np
import pytest
import torch
from conftest import unchanged
from torch.nn import functional as F

from attnd_nb import (
    attention_map,
    encode_prompt,
    inject,
    predict_noise,
    record,
    self_attention_layers,
    token_grid,
)
from attnd_nb.attention import Features, union
from attnd_nb.layers import select_layers

LAYER = "up_blocks.3.attentions.2.transformer_blocks.0.attn1"


def run(pipe, latents, timestep=501, prompt=""):
    return predict_noise(pipe, latents, torch.tensor(timestep), encode_prompt(pipe, prompt))


@pytest.fixture
def latents():
    return torch.randn(1, 8, 8, 8, generator=torch.Generator().manual_seed(3))


def test_names_are_in_execution_order(any_pipe, latents):
    ran, handles = [], []
    for name, module in any_pipe.unet.named_modules():
        if name.endswith("attn1"):
            handles.append(module.register_forward_hook(lambda *_, name=name: ran.append(name)))
    run(any_pipe, latents)
    [handle.remove() for handle in handles]
    assert list(self_attention_layers(any_pipe)) == ran


def test_sd15_layout_is_the_papers(tiny_sd):
    names = list(self_attention_layers(tiny_sd))
    assert len(names) == 16
    assert names.index("mid_block.attentions.0.transformer_blocks.0.attn1") == 6
    assert [n.split(".attentions")[0] for n in select_layers(tiny_sd, "last6")] == ["up_blocks.2"] * 3 + [
        "up_blocks.3"
    ] * 3


def test_sdxl_layout_is_the_papers(tiny_sdxl):
    names = list(self_attention_layers(tiny_sdxl))
    assert len(names) == 70 and list(select_layers(tiny_sdxl, "last6")) == names[64:]
    assert {n.split(".attentions")[0] for n in names[64:]} == {"up_blocks.1"}  # the last block of SDXL has no attention


def test_layers_by_name_index_and_count_agree(tiny_sd):
    last = list(self_attention_layers(tiny_sd))[-2:]
    assert last[1] == LAYER
    for layers in ("last2", last, last[::-1], [14, 15], [-1, -2], [14, last[1]]):
        assert list(select_layers(tiny_sd, layers)) == last
    assert len(select_layers(tiny_sd, "all")) == 16
    assert list(select_layers(tiny_sd, 15)) == [LAYER]


@pytest.mark.parametrize("layers", ["last0", "last17", "first3", 16, [-17], [], ["attn1"], [True]])
def test_layers_that_do_not_exist_are_refused(tiny_sd, layers):
    with pytest.raises(ValueError, match="layer"):
        select_layers(tiny_sd, layers)


def test_numpys_whole_numbers_are_indices_too(tiny_sd, latents):
    assert list(select_layers(tiny_sd, np.arange(10, 16))) == list(select_layers(tiny_sd, "last6"))
    assert list(select_layers(tiny_sd, np.int64(3))) == list(select_layers(tiny_sd, 3))
    with record(tiny_sd, 3) as features:
        run(tiny_sd, latents)
    (layer,) = features.values()
    assert torch.equal(attention_map(layer, np.int64(5)), attention_map(layer, 5))


def test_recorded_tensors_are_those_attention_used(any_pipe, latents, monkeypatch):
    calls, true = [], F.scaled_dot_product_attention

    def overheard(query, key, value, **options):
        calls.append((query, key, value, true(query, key, value, **options)))
        return calls[-1][-1]

    monkeypatch.setattr(F, "scaled_dot_product_attention", overheard)
    with unchanged(any_pipe), record(any_pipe) as features:
        run(any_pipe, latents)
    # In each transformer block self-attention runs first, cross-attention second.
    assert len(features) == len(self_attention_layers(any_pipe))
    calls = calls[-2 * len(features) :]  # before them come those of the text encoders
    for layer, used in zip(features.values(), calls[::2]):
        for seen, tensor in zip((layer.query, layer.key, layer.value, layer.output), used):
            assert torch.equal(seen, tensor)


def test_recording_does_not_change_the_prediction(tiny_sd, latents):
    plain = run(tiny_sd, latents)
    with record(tiny_sd):
        recorded = run(tiny_sd, latents)
    assert torch.equal(plain, recorded)


def test_early_stop_gives_the_same_features_and_gradients(any_pipe, latents):
    def gradient(stop):
        z = latents.clone().requires_grad_()
        with record(any_pipe, "last6", stop=stop) as features:
            run(any_pipe, z)
        total = sum(layer.output.square().mean() for layer in features.values())
        return features, torch.autograd.grad(total, z)[0]

    whole, expected = gradient(False)
    stopped, seen = gradient(True)
    assert list(whole) == list(stopped)
    assert torch.equal(expected, seen) and expected.abs().max() > 0


def test_early_stop_skips_what_follows(tiny_sd, latents):
    reached = []
    handle = tiny_sd.unet.conv_out.register_forward_hook(lambda *_: reached.append(1))
    with record(tiny_sd, [0], stop=True) as features:
        run(tiny_sd, latents)
        reached.append("not left")
    handle.remove()
    assert reached == [] and len(features) == 1


def test_gradient_checkpointing_changes_nothing(tiny_sd, latents):
    def gradient():
        z = latents.clone().requires_grad_()
        with record(tiny_sd, "last6", stop=True) as features:
            run(tiny_sd, z)
        return torch.autograd.grad(sum(layer.output.square().mean() for layer in features.values()), z)[0]

    plain = gradient()
    tiny_sd.unet.enable_gradient_checkpointing()
    try:
        checkpointed = gradient()
    finally:
        tiny_sd.unet.disable_gradient_checkpointing()
    assert torch.allclose(plain, checkpointed, rtol=1e-4, atol=1e-9)


def test_a_layer_that_recorded_nothing_is_an_error(tiny_sd):
    with unchanged(tiny_sd), pytest.raises(RuntimeError, match="nothing was recorded by up_blocks.2"):
        with record(tiny_sd, "last6"):
            pass


def test_errors_inside_the_block_get_out_and_hooks_go(tiny_sd, latents):
    for stop in (False, True):
        with unchanged(tiny_sd), pytest.raises(KeyboardInterrupt):
            with record(tiny_sd, stop=stop):
                raise KeyboardInterrupt
    with unchanged(tiny_sd), pytest.raises(ZeroDivisionError):
        with record(tiny_sd) as features:
            run(tiny_sd, latents)
            with inject(tiny_sd, {LAYER: features[LAYER]}):
                raise ZeroDivisionError


def test_unreadable_layers_are_refused(tiny_sd, monkeypatch):
    module = self_attention_layers(tiny_sd)[LAYER]
    for changes, why in [
        ({"fused_projections": True}, "fused"),
        ({"norm_q": torch.nn.Identity(), "processor": object()}, "norm_q"),
        ({"scale": 1.0}, "1/√d"),
        ({"inner_kv_dim": 4}, "wide"),
    ]:
        with monkeypatch.context() as patch:
            for name, value in changes.items():
                patch.setattr(module, name, value)
            with pytest.raises(ValueError, match=why):
                select_layers(tiny_sd, [LAYER])
            assert len(select_layers(tiny_sd, [0])) == 1
    with pytest.raises(ValueError, match="no self-attention"):
        self_attention_layers(torch.nn.Linear(2, 2))


def test_features_match_the_formula(tiny_sd, latents):
    with record(tiny_sd, [LAYER]) as features:
        run(tiny_sd, latents)
    layer = features[LAYER]
    attend = attention_map(layer)
    assert attend.shape == (1, 1, 64, 64) and torch.allclose(attend.sum(-1), torch.ones(1, 1, 64))
    assert torch.allclose(attend @ layer.value, layer.output, atol=1e-5)
    assert torch.allclose(attention_map(layer, [5, 9]), attend[:, :, [5, 9]], atol=1e-6)
    assert attention_map(layer, 0, reference=layer).shape == (1, 1, 1, 64)
    with pytest.raises(ValueError, match="64"):
        attention_map(layer, [64])


def test_injecting_ones_own_keys_changes_nothing(tiny_sd, latents):
    with record(tiny_sd) as own:
        plain = run(tiny_sd, latents)
    with unchanged(tiny_sd), inject(tiny_sd, own):
        assert torch.equal(run(tiny_sd, latents), plain)


def test_injection_is_what_attention_then_uses(tiny_sd, latents):
    other, several = torch.randn(2, 8, 8, 8), latents.repeat(3, 1, 1, 1)
    with record(tiny_sd, [LAYER]) as reference:
        plain = run(tiny_sd, other)
    with record(tiny_sd, [LAYER]) as outside, inject(tiny_sd, reference), record(tiny_sd, [LAYER]) as injected:
        changed = run(tiny_sd, several)
    both = union(reference)[LAYER]
    assert both.key.shape[2] == 128  # two references side by side
    for seen in (injected[LAYER], outside[LAYER]):  # whichever block is the outer one
        assert torch.equal(seen.key, both.key.expand(3, -1, -1, -1))
        assert torch.equal(seen.value, both.value.expand(3, -1, -1, -1))
    assert not torch.allclose(changed, run(tiny_sd, several)) and plain.shape == other.shape


def test_references_of_another_model_are_refused(tiny_sd, tiny_sdxl, latents):
    wide = torch.randn(1, 2, 64, 8)
    with pytest.raises(ValueError, match="8 wide and the reference 16"):
        with inject(tiny_sd, {LAYER: Features(wide, wide, wide, wide)}):
            pass
    with record(tiny_sdxl, [0]) as features:
        run(tiny_sdxl, latents)
    with pytest.raises(ValueError, match="does not exist"):
        with inject(tiny_sd, {"nowhere": features.popitem()[1]}):
            pass


def test_token_grid_follows_odd_sizes(tiny_sd):
    z = torch.randn(1, 8, 7, 9)
    with record(tiny_sd) as features:
        run(tiny_sd, z)
    assert {token_grid(f.query.shape[2], z) for f in features.values()} == {(7, 9), (4, 5), (2, 3), (1, 2)}
    with pytest.raises(ValueError, match="62 tokens"):
        token_grid(62, z)
