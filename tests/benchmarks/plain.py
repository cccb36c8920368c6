"""The paper's algorithms as they stand there, with the authors' settings and nothing clever: what the verbs are timed against.

Features are read where the algorithm reads them, once a timestep as in the released code (and once a window of `expand`), each
picture in a forward pass of its own, to the end of the UNet.
"""

import torch
from torch.nn import functional as F

from attnd_nb.attention import record
from attnd_nb.models import ddim_scheduler
from attnd_nb.sampling import encode_prompt, mix, predict, predict_noise

LAYERS = "last6"


def features(pipe, latents, t, condition):
    with record(pipe, LAYERS) as found:
        predict_noise(pipe, latents, t, condition)
    return found


def losses(found, style, content=None):
    """L_AD (3) and L_content (4), each a mean over a layer and a sum over layers."""
    ad = sum(
        F.l1_loss(f.output, F.scaled_dot_product_attention(f.query, style[name].key, style[name].value).detach())
        for name, f in found.items()
    )
    if content is None:
        return ad, 0.0
    return ad, sum(F.l1_loss(f.query, content[name].query.detach()) for name, f in found.items())


def optimize(pipe, z_s, z_c, weight, steps, learning_rate=0.05):
    """Algorithm 1: clean features of style and content at every t, one Adam step, one Adam state."""
    condition, scheduler = encode_prompt(pipe, ""), ddim_scheduler(pipe)
    scheduler.set_timesteps(steps)
    z = z_c.clone().requires_grad_()
    adam = torch.optim.Adam([z], lr=learning_rate)
    for t in scheduler.timesteps:
        with torch.no_grad():
            content, style = features(pipe, z_c, t, condition), features(pipe, z_s, t, condition)
        ad, held = losses(features(pipe, z, t, condition), style, content)
        adam.zero_grad()
        (ad + weight * held).backward()
        adam.step()
    return z.detach()


def guided_sample(pipe, z_s, z, steps, inner_steps, generator, learning_rate=0.05):
    """Algorithm 2 with the empty prompt: DDIM, then Adam, new at each t, on features of the equally noised style."""
    condition, scheduler = encode_prompt(pipe, ""), ddim_scheduler(pipe)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        with torch.no_grad():
            z = scheduler.step(predict(pipe, z, t, condition), t, z, return_dict=False)[0]
        t_prev, noised = _previous(scheduler, t, z_s, generator, steps)
        with torch.no_grad():
            style = features(pipe, noised, t_prev, condition)
        z = z.detach().requires_grad_()
        adam = torch.optim.Adam([z], lr=learning_rate)
        for _ in range(inner_steps):
            ad, _ = losses(features(pipe, z, t_prev, condition), style)
            adam.zero_grad()
            ad.backward()
            adam.step()
        z = z.detach()
    return z


def expand(pipe, z_s, z, starts, side, steps, inner_steps, generator, learning_rate=0.05):
    """Algorithm 2 in windows that begin at columns `starts`: each moves alone, and overlaps are averaged."""
    condition, scheduler = encode_prompt(pipe, ""), ddim_scheduler(pipe)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        total, count = torch.zeros_like(z), torch.zeros_like(z)
        for start in starts:
            crop = z[..., start : start + side]
            with torch.no_grad():
                crop = scheduler.step(predict(pipe, crop, t, condition), t, crop, return_dict=False)[0]
            t_prev, noised = _previous(scheduler, t, z_s, generator, steps)
            with torch.no_grad():
                style = features(pipe, noised, t_prev, condition)
            crop = crop.detach().requires_grad_()
            adam = torch.optim.Adam([crop], lr=learning_rate)
            for _ in range(inner_steps):
                ad, _ = losses(features(pipe, crop, t_prev, condition), style)
                adam.zero_grad()
                ad.backward()
                adam.step()
            total[..., start : start + side] += crop.detach()
            count[..., start : start + side] += 1
        z = total / count
    return z


def _previous(scheduler, t, z_s, generator, steps):
    """t - 1 in DDIM's steps, and the style noised to it."""
    t_prev = max(int(t) - scheduler.config.num_train_timesteps // steps, 0)
    alpha = scheduler.alphas_cumprod[t_prev]
    return torch.tensor(t_prev), mix(z_s, torch.randn(z_s.shape, generator=generator).to(z_s), alpha)
