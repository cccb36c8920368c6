"""Read and change the self-attention of a UNet.

Plain forward hooks on the submodules `to_q`, `to_k`, `to_v` and a pre-hook on `to_out[0]` see exactly the
tensors that attention works with, whatever processor is set: a hook that looks, records; a hook that
returns a tensor, injects. This was chosen over a `TorchFunctionMode` around
`scaled_dot_product_attention`, which also works, because it needs no processor to end in that function
(sliced and memory-efficient processors do not), and because it is the few lines that a reader would
write himself. Where a norm follows the projection (SD 3.5), its output is what attention works with. The price: layers
whose projections are fused, or turned after all that (Flux's rotary embedding), are refused.

Names: query, key, value are the q, k, v of the formulas; each is (batch, heads, tokens, head_dim).
"""

import contextlib
import math
from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import torch
from torch.nn import functional as F

from .layers import select_layers


@dataclass(frozen=True)
class Features:
    """What one self-attention layer computed; every tensor is (batch, heads, tokens, head_dim)."""

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    output: torch.Tensor  # softmax(q kᵀ / √d) v, before the output projection; of joint attention: over the image's tokens

    def __getitem__(self, rows):
        """The same features of some rows of the batch: `features[:1]`."""
        return Features(self.query[rows], self.key[rows], self.value[rows], self.output[rows])


class KeyValue(NamedTuple):
    """Keys and values of one or several references side by side: (1, heads, all tokens, head_dim)."""

    key: torch.Tensor
    value: torch.Tensor


class _Stop(Exception):
    """Ends a forward pass once every wanted layer has been seen."""

    def __init__(self, owner):
        self.owner = owner


@contextlib.contextmanager
def record(model, layers="all", stop=False):
    """Record what self-attention layers compute, by name; gradients stay attached.

        with record(pipe, "last6") as features:
            predict_noise(pipe, latents, timestep, condition)
        features["up_blocks.3.attentions.2.transformer_blocks.0.attn1"].query.shape

    A second forward pass overwrites the first. With `stop` the forward pass ends, and the block is left,
    as soon as all layers were seen: what follows the call inside the block is then not run.
    Raises RuntimeError at the end of the block if a layer recorded nothing. The hooks are gone
    afterwards, whatever happened inside.
    """
    chosen, features, parts, handles = select_layers(model, layers), {}, {}, []

    def keep(name, part):
        def hook(module, args, output):
            parts[name, part] = output

        return hook

    def finish(name, heads):
        def hook(module, args):
            tensors = [parts.pop((name, part)) for part in ("to_q", "to_k", "to_v")]
            query, key, value, output = (_split_heads(x, heads) for x in (*tensors, args[0]))
            if getattr(chosen[name], "add_k_proj", None) is not None:
                # Joint attention (SD 3) also saw the prompt's tokens; without them an image is its own ideal in `ad_loss`.
                output = F.scaled_dot_product_attention(query, key, value)
            features[name] = Features(query, key, value, output)
            if stop and len(features) == len(chosen):
                raise _Stop(features)

        return hook

    try:
        for name, module in chosen.items():
            for part in ("to_q", "to_k", "to_v"):
                handles.append(_last(module, part).register_forward_hook(keep(name, part)))
            handles.append(module.to_out[0].register_forward_pre_hook(finish(name, module.heads)))
        yield features
    except _Stop as signal:
        if signal.owner is not features:  # another record(stop=True) around this one
            raise
    finally:
        for handle in handles:
            handle.remove()
    missing = [name for name in chosen if name not in features]
    if missing:
        raise RuntimeError(
            f"nothing was recorded by {', '.join(missing)}: was the model run inside the "
            "block, and is it the same, uncompiled model?"
        )


def _last(module, part):
    """The module whose output attention takes: the projection, or the norm behind it."""
    return getattr(module, part.replace("to_", "norm_"), None) or getattr(module, part)


def _split_heads(x, heads):
    """(batch, tokens, heads · head_dim) to (batch, heads, tokens, head_dim), a view. Norms may have them split already."""
    return x if x.dim() == 4 else x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _join_heads(x):
    """(batch, heads, tokens, head_dim) to (batch, tokens, heads · head_dim)."""
    return x.transpose(1, 2).flatten(2)


def union(references):
    """Keys and values of all references side by side, one entry per layer.

    `references`: a recorded dict, or a list of them (pictures of different sizes are recorded one by one).
    Every row of every batch is one reference; tokens are concatenated, so that one softmax
    runs over the union. Returns {layer: KeyValue}, each (1, heads, all tokens, head_dim).
    """
    records = list(references) if isinstance(references, (list, tuple)) else [references]
    if not records:
        raise ValueError("no reference was given")
    for other in records[1:]:
        if other.keys() != records[0].keys():
            raise ValueError(
                "the references were recorded on different layers: "
                f"{sorted(other.keys() ^ records[0].keys())}"
            )
    return {
        name: KeyValue(
            _tokens_side_by_side([r[name].key for r in records]),
            _tokens_side_by_side([r[name].value for r in records]),
        )
        for name in records[0]
    }


def _tokens_side_by_side(tensors):
    rows = [row for tensor in tensors for row in tensor.split(1)]  # each (1, heads, tokens, head_dim)
    shapes = {(row.shape[1], row.shape[3]) for row in rows}
    if len(shapes) != 1:
        raise ValueError(f"references differ in (heads, head_dim): {sorted(shapes)}; are they of one model?")
    return rows[0] if len(rows) == 1 else torch.cat(rows, dim=2)


@contextlib.contextmanager
def inject(model, references):
    """KV injection: inside, layers attend with their own queries to the references' keys and values.

        with record(pipe, "last6") as reference:
            predict_noise(pipe, noised_style, timestep, condition)
        with inject(pipe, reference):
            noise = predict_noise(pipe, latents, timestep, condition)

    `references`: as in `union`; the layers are those that were recorded. Raises ValueError if a layer is not
    the model's or has another width. The hooks are gone afterwards, whatever happened inside.
    """
    merged = union(references)
    chosen, handles = select_layers(model, list(merged)), []

    def replace(tensor):
        joined = _join_heads(tensor)  # (1, all tokens, heads · head_dim)

        def hook(module, args, output):
            put = tensor if output.dim() == 4 else joined
            return put.to(output.dtype).expand(len(output), *put.shape[1:])

        return hook

    for name, module in chosen.items():
        width = merged[name].key.shape[1] * merged[name].key.shape[3]
        if width != module.inner_dim:
            raise ValueError(
                f"layer {name!r} is {module.inner_dim} wide and the reference {width}; "
                "record the reference with the same model"
            )
    try:
        for name, module in chosen.items():
            for part, tensor in (("to_k", merged[name].key), ("to_v", merged[name].value)):
                # Before the hooks of a `record` around this block, so that it sees what attention uses.
                handles.append(_last(module, part).register_forward_hook(replace(tensor), prepend=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def attention_map(features, queries=None, reference=None):
    """softmax(q kᵀ / √d) of one layer, for chosen query tokens: (batch, heads, queries, key tokens).

    `features`: one layer's `Features`. `queries`: token indices (row · width + column), all by default;
    a whole map has tokens² entries, so choose. `reference`: another layer record whose keys are looked
    at instead (cross-image attention); its rows side by side.

    >>> x = torch.zeros(1, 1, 4, 2)
    >>> attention_map(Features(x, x, x, x), queries=[0])[0, 0]
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """
    query, key = features.query.float(), features.key.float()  # float16 could not hold some models' products
    if queries is not None:
        queries = [queries] if isinstance(queries, Integral) else list(queries)
        tokens = query.shape[2]
        outside = [q for q in queries if not 0 <= q < tokens]
        if outside:
            raise ValueError(f"query tokens {outside} do not exist; this layer has {tokens}")
        query = query[:, :, queries]
    if reference is not None:
        key = _tokens_side_by_side([reference.key]).float().expand(len(query), -1, -1, -1)
    logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    return logits.softmax(dim=-1)
