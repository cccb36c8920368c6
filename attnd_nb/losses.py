"""The two losses of Attention Distillation, on recorded features.

In the formulas q, k, v are the fields query, key, value of `attention.Features`.
"""

import torch
from torch.nn import functional as F

from .attention import union


def ad_loss(features, references, reduction="sum", mask=None):
    """L_AD = ‖Self-Attn(Q, K, V) − Self-Attn(Q, K_s, V_s)‖₁, equation (3); with `mask` L_MAD, equation (12).

    `features`: {layer: Features} of the image that is made, as `record` gives it, with gradients.
    `references`: the same of one or several references, or a list of such dicts; all their tokens share
    one softmax. The injected output is the *target* and carries no gradient: the image is to
    move towards it, not the target towards the image. L1 is a mean within a layer and a sum over
    layers (content weights mean something on that scale only), in float32.
    `reduction`: "sum" for a scalar, "layers" for {layer: scalar}.
    `mask`: {layer: tensor or None}, broadcastable to (batch, heads, tokens, all reference tokens): bool, true where
    a query may look (M of (11)), or floats that are added to the logits.
    Raises ValueError if the layers differ, or a mask leaves a query nothing to look at.

    >>> from attnd_nb.attention import Features
    >>> x = torch.randn(1, 2, 5, 4); attend = F.scaled_dot_product_attention
    >>> layer = {"attn1": Features(x, x, x, attend(x, x, x))}
    >>> ad_loss(layer, layer).item()   # an image is its own ideal
    0.0
    """
    merged = union(references)
    _same_layers(features, merged)
    mask = mask or dict.fromkeys(features)
    _same_layers(features, mask)
    losses = {
        name: _l1(layer.output, ideal_output(layer.query, *merged[name], mask[name]))
        for name, layer in features.items()
    }
    return _reduce(losses, reduction)


@torch.no_grad()
def ideal_output(query, key, value, mask=None):
    """Self-Attn(Q, K_s, V_s; M): what these queries would get from the references, without gradient.

    query (batch, heads, tokens, d); key, value (1, heads, reference tokens, d) for the whole batch; mask: see
    `ad_loss`, of one layer.
    """
    if key.shape[1] != query.shape[1] or key.shape[3] != query.shape[3]:
        raise ValueError(
            f"the image has (heads, head_dim) {tuple(query.shape[1::2])} and the reference "
            f"{tuple(key.shape[1::2])}; record both with the same model"
        )
    if mask is not None:
        mask = mask if mask.dtype == torch.bool else mask.to(query.dtype)  # before the check: float16 has no -1e9
        _check_mask(mask, query, key)
    batch = len(query)
    return F.scaled_dot_product_attention(
        query, key.expand(batch, -1, -1, -1), value.expand(batch, -1, -1, -1), attn_mask=mask
    )


def _check_mask(mask, query, key):
    if mask.shape[-1] != key.shape[2] or mask.shape[-2] not in (1, query.shape[2]):
        raise ValueError(
            f"the mask is {tuple(mask.shape)}, for {query.shape[2]} tokens that look at {key.shape[2]}"
        )
    allowed = mask if mask.dtype == torch.bool else mask > -torch.inf
    blind = int((~allowed.any(-1)).sum())
    if blind:  # attention would give zeros or NaN, in silence
        raise ValueError(f"the mask leaves {blind} query tokens no reference token to look at")


def content_loss(features, content, reduction="sum"):
    """L_content = ‖Q − Q_c‖₁, equation (4), on the same layers and the same scale as `ad_loss`.

    `content`: features of the content image, of the same size; one row, or one for each image.
    Raises ValueError if layers or token counts differ.
    """
    _same_layers(features, content)
    losses = {}
    for name, layer in features.items():
        target = content[name].query.detach()
        if target.shape[1:] != layer.query.shape[1:] or len(target) not in (1, len(layer.query)):
            raise ValueError(
                f"layer {name!r}: queries are {tuple(layer.query.shape)} and the content's "
                f"{tuple(target.shape)}; both images must have one size"
            )
        losses[name] = _l1(layer.query, target.expand_as(layer.query))
    return _reduce(losses, reduction)


def _same_layers(features, others):
    if not features or features.keys() != others.keys():
        raise ValueError(
            f"recorded on different layers: {sorted(features)} and {sorted(others)}; "
            "use the same `layers` for both"
        )


def _l1(x, target):
    return F.l1_loss(x.float(), target.float())


def _reduce(losses, reduction):
    if reduction == "layers":
        return losses
    if reduction == "sum":
        return sum(losses.values())
    raise ValueError(f"reduction must be 'sum' or 'layers', not {reduction!r}")
