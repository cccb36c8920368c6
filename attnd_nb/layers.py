"""The self-attention layers of a UNet: by name, in execution order, and how many tokens each has.

Layers that the hooks of `attention.py` could not read truly are refused here.
"""

import math
from numbers import Integral

from diffusers.models.attention_processor import AttnProcessor2_0, JointAttnProcessor2_0

NOTHING_AFTER_NORMS = AttnProcessor2_0, JointAttnProcessor2_0  # SD 3.5's; Flux's rotates queries and keys (RoPE)
STAGES = {"down_blocks": 0, "mid_block": 1, "up_blocks": 2}


def self_attention_layers(model):
    """Self-attention modules by name, in the order in which they run (down, mid, up).

    `model`: a pipeline or its UNet. `named_modules` and `attn_processors` list the mid block last, but
    it runs before the up blocks: index 15 of SD 1.5's sixteen is `up_blocks.3.attentions.2`, and the
    mid block is index 6.
    """
    model = getattr(model, "unet", None) or getattr(model, "transformer", None) or model
    found = {
        name: module
        for name, module in model.named_modules()
        if all(hasattr(module, part) for part in ("to_q", "to_k", "to_v"))
        and not getattr(module, "is_cross_attention", False)
    }
    if not found:
        raise ValueError(f"no self-attention layer in {type(model).__name__}; a diffusers UNet was expected")
    # A stable sort: within a block, the order of definition is the order of execution.
    return dict(sorted(found.items(), key=lambda item: STAGES.get(item[0].split(".")[0], 1)))


def select_layers(model, layers="last6"):
    """Some self-attention layers by name, in execution order.

    `layers`: "all", "last6" (the paper's choice) or any other "lastN", one name or index, or a list of
    names or of indices in execution order (negative ones count from the end). Raises ValueError if one does
    not exist or cannot be read.
    """
    known = self_attention_layers(model)
    names = list(known)
    if isinstance(layers, str) and layers == "all":
        chosen = names
    elif isinstance(layers, str) and layers.startswith("last") and layers[4:].isdigit():
        count = int(layers[4:])
        if not 1 <= count <= len(names):
            raise ValueError(f"layers={layers!r}: the model has {len(names)} self-attention layers")
        chosen = names[-count:]
    else:
        wanted = [layers] if isinstance(layers, (str, Integral)) else list(layers)
        chosen = [_one_name(names, layer) for layer in wanted]
    if not chosen:
        raise ValueError("layers is empty; name at least one layer")
    for name in chosen:
        _check_readable(name, known[name])
    return {name: known[name] for name in names if name in set(chosen)}


def _one_name(names, layer):
    if isinstance(layer, Integral) and not isinstance(layer, bool):
        if -len(names) <= layer < len(names):
            return names[layer]
        raise ValueError(
            f"layer {layer} does not exist; in execution order they run from 0 to {len(names) - 1}"
        )
    if layer in names:
        return layer
    raise ValueError(
        f"layer {layer!r} does not exist; use an index, 'lastN', 'all' or one of {', '.join(names)}"
    )


def _check_readable(name, module):
    """Raise if the hooks would not see what attention uses."""
    why = None
    if getattr(module, "fused_projections", False):
        why = "its projections are fused; call pipe.unfuse_qkv_projections() first"
    elif getattr(module, "norm_q", None) is not None and not isinstance(getattr(module, "processor", None), NOTHING_AFTER_NORMS):
        why = "its processor may turn queries and keys after norm_q and norm_k, unseen by the hooks"
    elif module.to_k is None or module.to_v is None or getattr(module, "to_out", None) is None:
        why = "it lacks to_k, to_v or to_out"
    elif getattr(module, "inner_kv_dim", module.inner_dim) != module.inner_dim:
        why = f"keys are {module.inner_kv_dim} wide and queries {module.inner_dim} (grouped-query attention)"
    elif not math.isclose(module.scale, (module.inner_dim // module.heads) ** -0.5):
        why = f"it scales its logits by {module.scale} and not by 1/√d"
    if why:
        raise ValueError(f"layer {name!r} cannot be read: {why}")


def token_grid(tokens, latents):
    """(rows, columns) of a layer's tokens, from the latents' shape (…, h, w); each level halves, rounding up.

    >>> import torch
    >>> token_grid(96, torch.zeros(1, 4, 16, 24))
    (8, 12)
    """
    size = latents.shape[-2:]
    return halved(size, token_level(tokens, size))


def token_level(tokens, size):
    """How often a layer with so many tokens halves latents of `size` (h, w).

    >>> token_level(96, (16, 24))
    1
    """
    level = 0
    while math.prod(halved(size, level)) > tokens and math.prod(halved(size, level)) > 1:
        level += 1
    if math.prod(halved(size, level)) != tokens:
        raise ValueError(f"{tokens} tokens do not come from latents of {tuple(size)}")
    return level


def halved(size, level):
    """(h, w), halved `level` times and rounded up, as the UNet does.

    >>> halved((16, 9), 2)
    (4, 3)
    """
    return tuple(math.ceil(side / 2**level) for side in size)
