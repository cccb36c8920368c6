"""Attention Distillation (Zhou et al., CVPR 2025, arXiv 2502.20235) as a small toolkit.

Names are imported when first used, so that `import attnd_nb` costs nothing and torch and
diffusers are loaded only by what needs them.

>>> import attnd_nb
>>> "optimize" in dir(attnd_nb)
True
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "models": ["load_pipeline", "ddim_scheduler", "frozen"],
    "sampling": ["encode_prompt", "predict", "predict_noise", "draw_noise", "noise_to"],
    "images": ["open_image", "to_pil"],
    "latents": ["encode", "decode", "fit_size"],
    "layers": ["self_attention_layers", "select_layers", "token_grid"],
    "attention": [
        "record",
        "inject",
        "Features",
        "attention_map",
        "union",
    ],
    "losses": ["ad_loss", "content_loss"],
    "masks": ["open_labels", "Regions"],
    "weights": ["Weights", "Schedule"],
    "distillation": ["match_statistics"],
    "synthesis": ["optimize", "guided_sample", "injected_sample", "FAST", "FAST_SAMPLING"],
    "expansion": ["expand"],
    "tiling": ["Windows", "window_starts", "circular_padding", "decode_tiled", "encode_tiled", "repeat_image"],
    "decoder": ["tune_decoder", "tuned_decoder"],
    "result": ["Result", "Step", "replay"],
    "planning": ["estimate", "Estimate", "stored_in_half"],
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name):
    if name in _MODULE_OF:
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return sorted([*globals(), *__all__])
