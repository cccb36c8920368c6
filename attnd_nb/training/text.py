"""The tokenizer and the text encoder: CLIP's own kinds, made for the world's closed vocabulary."""

from __future__ import annotations

import json

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

MAX_TOKENS = 24
START, END = "<|startoftext|>", "<|endoftext|>"


def build_tokenizer(words: list[str]) -> CLIPTokenizer:
    """A CLIP tokenizer in which each of `words` is one token and anything else is spelled out in pieces.

    >>> tokenizer = build_tokenizer(["fish", "wooden", "a"])
    >>> tokenizer.tokenize("a wooden fish"), len(tokenizer.tokenize("dish")) > 1
    (['a</w>', 'wooden</w>', 'fish</w>'], True)
    """
    letters = [c for c in "abcdefghijklmnopqrstuvwxyz0123456789,.!?'-"]
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=20_000, min_frequency=1, end_of_word_suffix="</w>", initial_alphabet=letters, show_progress=False
    )
    bpe.train_from_iterator(sorted(set(words)), trainer)
    model = json.loads(bpe.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].get)
    tokens = dict.fromkeys([*letters, *(c + "</w>" for c in letters), *pieces, START, END])
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges = [tuple(merge) for merge in model["merges"]]
    return CLIPTokenizer(
        vocab=vocabulary, merges=merges, unk_token=END, bos_token=START, eos_token=END, pad_token=END, model_max_length=MAX_TOKENS
    )


def build_text_encoder(tokenizer: CLIPTokenizer, width: int = 128, layers: int = 2) -> CLIPTextModel:
    """An untrained CLIP text encoder; it learns together with the UNet, from the diffusion loss alone."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=4 * width, projection_dim=width,
        num_hidden_layers=layers, num_attention_heads=width // 32, max_position_embeddings=MAX_TOKENS,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return CLIPTextModel(config)


def token_ids(tokenizer: CLIPTokenizer, captions: list[str]):
    """Captions to ids (n, 24), padded and cut as the pipeline does it."""
    return tokenizer(captions, padding="max_length", max_length=MAX_TOKENS, truncation=True, return_tensors="pt").input_ids
