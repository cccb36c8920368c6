"""Transformer models (SD 3, SD 3.5, Flux): what the hooks read of joint attention, and what they refuse, on random tiny ones."""

import pytest
import torch
from torch.nn import functional as F

from attnd_nb import ad_loss, content_loss, inject, record, self_attention_layers


@pytest.fixture(scope="module", params=["sd3", "sd3.5"])
def sd3(request):
    """SD 3.5 differs by norms behind the projections of queries and keys; in its medium size some blocks attend twice."""
    from diffusers import SD3Transformer2DModel

    torch.manual_seed(0)
    return SD3Transformer2DModel(
        sample_size=16, patch_size=2, in_channels=4, out_channels=4, num_layers=3, attention_head_dim=8, num_attention_heads=4,
        joint_attention_dim=16, caption_projection_dim=32, pooled_projection_dim=16, pos_embed_max_size=16,
        **({"qk_norm": "rms_norm", "dual_attention_layers": (1,)} if request.param == "sd3.5" else {}),
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def pictures():
    torch.manual_seed(1)
    return torch.randn(2, 1, 4, 16, 16)


def predict(model, latents):
    prompt = torch.Generator().manual_seed(2)
    return model(
        hidden_states=latents, encoder_hidden_states=torch.randn(1, 5, 16, generator=prompt),
        pooled_projections=torch.randn(1, 16, generator=prompt), timestep=torch.tensor([500.0]),
    ).sample  # fmt: skip


def read(model, latents):
    with record(model, "last2", stop=True) as features:
        predict(model, latents)
    return features


def test_joint_attention_is_read_for_the_image_tokens_only(sd3, pictures):
    assert len(self_attention_layers(sd3)) == 3 + len(sd3.config.dual_attention_layers)
    for layer in read(sd3, pictures[0]).values():
        assert layer.query.shape == layer.output.shape == (1, 4, 64, 8)  # 8 x 8 patches, no tokens of the prompt
        assert torch.equal(layer.output, F.scaled_dot_product_attention(layer.query, layer.key, layer.value))


def test_an_image_is_its_own_ideal_and_a_gradient_leads_to_another(sd3, pictures):
    z = pictures[0].clone().requires_grad_()
    own = read(sd3, pictures[0])
    assert ad_loss(own, own) == content_loss(own, own) == 0
    with torch.no_grad():
        style = read(sd3, pictures[1])
    before = ad_loss(read(sd3, z), style)
    (gradient,) = torch.autograd.grad(before, z)
    after = ad_loss(read(sd3, (z - 0.01 * gradient.sign()).detach()), style)
    assert after < before


@torch.no_grad()
def test_injection_reaches_the_prediction_and_leaves_the_prompt_in(sd3, pictures):
    plain = predict(sd3, pictures[0])
    with inject(sd3, read(sd3, pictures[0])):
        assert torch.allclose(predict(sd3, pictures[0]), plain, atol=1e-6)
    with inject(sd3, read(sd3, pictures[1])):
        assert not torch.allclose(predict(sd3, pictures[0]), plain, atol=1e-3)
    assert torch.equal(predict(sd3, pictures[0]), plain), "a hook was left behind"


def test_flux_is_refused_with_the_reason():
    from diffusers import FluxTransformer2DModel

    flux = FluxTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, pooled_projection_dim=16, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    with pytest.raises(ValueError, match="may turn queries and keys"), record(flux, 0):
        pass
