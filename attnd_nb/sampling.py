"""Call a Stable Diffusion pipeline's parts: prompt, UNet, noise, DDIM.

No size, channel count, token count or scaling is assumed; the model's own configuration is read.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch

from .images import to_tensor
from .models import ddim_scheduler, device_of


@dataclass(frozen=True)
class Condition:
    """Prompts as the UNet takes them: (n, tokens, width), and SDXL's pooled (n, width) or None."""

    encoder_hidden_states: torch.Tensor
    pooled: torch.Tensor | None = None

    def __len__(self):
        return len(self.encoder_hidden_states)

    def __getitem__(self, rows):
        return Condition(self.encoder_hidden_states[rows], None if self.pooled is None else self.pooled[rows])


@torch.no_grad()
def encode_prompt(pipe, prompt="", negative_prompt=None, num_images=1, guidance=False):
    """Text to `Condition`, through the pipeline's own encoder (one for SD, two for SDXL).

    `prompt`: a string or a list; each is repeated `num_images` times. With `guidance` a second
    condition, of the negative (or empty) prompt, is returned: `(condition, negative)`.
    """
    answer = pipe.encode_prompt(
        prompt=prompt,
        device=device_of(pipe),
        num_images_per_prompt=num_images,
        do_classifier_free_guidance=guidance,
        negative_prompt=negative_prompt,
    )
    if len(answer) == 2:  # SD: embeddings, negative embeddings
        positive, negative = Condition(answer[0]), Condition(answer[1])
    else:  # SDXL: both, then both pooled
        positive, negative = Condition(answer[0], answer[2]), Condition(answer[1], answer[3])
    return (positive, negative) if guidance else positive


class Control(NamedTuple):
    """A ControlNet's picture, (1, 3, h, w) in [0, 1], and how much its advice counts."""

    image: torch.Tensor
    scale: float


def predict_noise(pipe, latents, timestep, condition, control=None):
    """The noise ε_θ(z_t, t, y) that the model sees in `latents` (batch, channels, h, w), float32 and of their shape.

    The UNet's own output, if it was trained to say the noise (SD 1.5, SDXL). Models like SD 2.1 and `data/mini` say
    v = √ᾱ ε − √(1 − ᾱ) z_0 (Salimans & Ho, 2022), from which ε = √ᾱ v + √(1 − ᾱ) z_t. Arguments: see `predict`.
    """
    output, kind = predict(pipe, latents, timestep, condition, control), pipe.scheduler.config.prediction_type
    if kind == "epsilon":
        return output
    if kind != "v_prediction":
        raise ValueError(f"the noise is read from models that predict epsilon or v_prediction, not {kind!r}")
    alpha = pipe.scheduler.alphas_cumprod[torch.as_tensor(timestep).cpu()].reshape(-1, 1, 1, 1).to(latents.device)
    return alpha.sqrt() * output + (1 - alpha).sqrt() * latents


def predict(pipe, latents, timestep, condition, control=None):
    """The UNet's output for `latents` z_t (batch, channels, h, w), float32 and of their shape: what its scheduler steps with.

    `condition` has one row for all latents or one for each. The latents keep their precision
    outside; the UNet sees them in its own. With `control`, the pipeline's ControlNet sees them too, and adds
    to what the UNet's down and mid blocks hand on.
    """
    batch, (height, width) = len(latents), latents.shape[-2:]
    text, pooled = condition.encoder_hidden_states, condition.pooled
    if len(condition) not in (1, batch):
        raise ValueError(f"condition has {len(condition)} rows for {batch} latents; give one, or as many")
    added = None
    if pooled is not None:  # SDXL is also told the picture's original size, crop corner and target size
        height, width = height * pipe.vae_scale_factor, width * pipe.vae_scale_factor
        ids = torch.tensor([[height, width, 0, 0, height, width]], dtype=text.dtype, device=text.device)
        added = {"text_embeds": pooled.expand(batch, -1), "time_ids": ids.expand(batch, -1)}
    told = {"encoder_hidden_states": text.expand(batch, -1, -1), "added_cond_kwargs": added, "return_dict": False}
    latents, residuals = latents.to(pipe.unet.dtype), {}
    if control is not None:
        image = control.image.to(latents).expand(batch, -1, -1, -1)
        down, mid = pipe.controlnet(
            latents, timestep, controlnet_cond=image, conditioning_scale=control.scale, **told
        )
        residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}
    return pipe.unet(latents, timestep, **told, **residuals)[0].float()


def draw_noise(pipe, batch, size, generator):
    """Unit noise (batch, channels, h / f, w / f), float32, for `size` (h, w) in pixels, on the device where the UNet runs.

    It is drawn on the CPU, so a seed gives the same noise on every machine.
    """
    height, width = (side // pipe.vae_scale_factor for side in size)
    shape = (batch, pipe.unet.config.in_channels, height, width)
    return torch.randn(shape, generator=generator).to(device_of(pipe))


def noise_to(latents, alpha, generator):
    """z_t = √ᾱ z_0 + √(1 − ᾱ) ε with a fresh ε from the CPU generator. `alpha` is ᾱ at the level wanted.

    >>> z = torch.ones(1, 1, 2, 2)
    >>> torch.equal(noise_to(z, torch.tensor(1.0), torch.Generator()), z)
    True
    """
    return mix(latents, torch.randn(latents.shape, generator=generator).to(latents.device), alpha)


def mix(latents, noise, alpha):
    """√ᾱ z_0 + √(1 − ᾱ) ε."""
    alpha = float(alpha)
    return alpha**0.5 * latents + (1 - alpha) ** 0.5 * noise


class Denoiser:
    """DDIM sampling of some prompts, with classifier-free guidance if `guidance_scale` is above 1.

    `timesteps` are the scheduler's, largest first, on the CPU; `rows` is how many latents it denoises:
    one for each prompt and each of `num_images`. `control`: a PIL image for the pipeline's ControlNet.
    """

    def __init__(self, pipe, num_inference_steps, prompt="", negative_prompt=None, guidance_scale=1.0,
                 num_images=1, control=None, control_scale=1.0):
        self.pipe, self.guidance_scale = pipe, guidance_scale
        self.control = None if control is None else Control(to_tensor([control]), control_scale)
        self.scheduler = ddim_scheduler(pipe)
        self.scheduler.set_timesteps(num_inference_steps)
        self.timesteps = self.scheduler.timesteps
        self.stride = self.scheduler.config.num_train_timesteps // num_inference_steps
        if isinstance(prompt, list) and isinstance(negative_prompt, str):
            negative_prompt = [negative_prompt] * len(prompt)  # diffusers does not broadcast it
        elif isinstance(negative_prompt, list) and isinstance(prompt, str):
            (negative_prompt,) = negative_prompt
        found = encode_prompt(pipe, prompt, negative_prompt, num_images, guidance_scale > 1)
        self.positive, self.negative = found if guidance_scale > 1 else (found, None)
        self.rows = len(self.positive)

    def start(self, noise, content=None, strength=None):
        """Where sampling begins, and the timesteps from there: (latents, timesteps).

        In pure noise; or, with `strength` in (0, 1], at the content (1 or n, channels, h, w) noised to that share of
        the steps (SDEdit: Meng et al., 2022).
        """
        if strength is None:
            return noise, self.timesteps
        count = max(1, math.ceil(round(len(self.timesteps) * strength, 6)))  # .07 · 100 is 7.000000000000001
        timesteps = self.timesteps[-count:]
        return mix(content, noise, self.alpha(timesteps[0])), timesteps

    @torch.no_grad()
    def step(self, latents, t, rows=slice(None)):
        """z_{t-1} from z_t, both (n, channels, h, w), float32: (7) and (8) without the guidance term.

        `rows`: whose prompts the latents have, by index; all, in order, by default.
        """
        if self.negative is not None:
            both = predict(self.pipe, torch.cat([latents] * 2), t, join(self.negative[rows], self.positive[rows]), self.control)
            without, with_prompt = both.chunk(2)
            output = without + self.guidance_scale * (with_prompt - without)
        else:
            output = predict(self.pipe, latents, t, self.positive[rows], self.control)
        return self.scheduler.step(output, t, latents, return_dict=False)[0]

    def alpha(self, t):
        """ᾱ_t, the share of the signal's variance in z_t."""
        return self.scheduler.alphas_cumprod[t]

    def previous(self, t):
        """The timestep of z_{t-1}, which the UNet is told, and its ᾱ; the last one is t = 0."""
        t_prev = t - self.stride
        if t_prev < 0:
            return torch.zeros_like(t), self.scheduler.final_alpha_cumprod
        return t_prev, self.alpha(t_prev)


def join(*conditions):
    """Conditions one after the other, as one."""
    pooled = None if conditions[0].pooled is None else torch.cat([c.pooled for c in conditions])
    return Condition(torch.cat([c.encoder_hidden_states for c in conditions]), pooled)
