"""Lesson 08: one step of guided sampling, each part at its own timestep."""

from __future__ import annotations

import torch

from . import Exercise, Wrong, given, require

T, T_PREV = 7, 4
ALPHAS = torch.linspace(0.95, 0.05, 10)  # of the toy schedule that the check runs on


def guided_step(z, t, t_prev, alphas, style, noise, denoise, nudge):
    """Reference: DDIM to t_prev, then the nudge there, towards the style noised to the same level (Algorithm 2)."""
    z = denoise(z, t)
    alpha = float(alphas[t_prev])
    noised_style = alpha**0.5 * style + (1 - alpha) ** 0.5 * noise
    return nudge(z, t_prev, noised_style)


def check_guided_step(answer) -> None:
    generator = torch.Generator().manual_seed(0)
    z, style, noise, stepped, nudged = (torch.randn(1, 4, 8, 8, generator=generator) for _ in range(5))
    calls = []

    def denoise(z, t):
        calls.append(("denoise", z, int(t), None))
        return stepped

    def nudge(z, t, noised_style):
        calls.append(("nudge", z, int(t), noised_style))
        return nudged

    kept = [x.clone() for x in (z, style, noise)]
    try:
        result = answer(z, T, T_PREV, ALPHAS, style, noise, denoise, nudge)
    except IndexError as error:
        raise Wrong(f"A timestep leads out of the table of alphas ({error}): use t_prev as it is given.") from error
    if not calls:
        result = given(result)
    names = [name for name, *_ in calls]
    require(names.count("denoise") == 1 and names.count("nudge") == 1,
            f"denoise was called {names.count('denoise')} times and nudge {names.count('nudge')} times; a step of "
            "Algorithm 2 calls each once (the inner steps are the nudge's own affair).")
    require(names == ["denoise", "nudge"],
            "The nudge comes before the denoising. The sampler's step would then repaint what the nudge did: denoise "
            "first, nudge where you arrive.")
    (_, denoised, t, _), (_, pushed, t_nudge, reference) = calls
    require(denoised is z or torch.equal(denoised, z), "denoise takes z_t, the latent that came in.")
    require(t == T, f"denoise was told {t}: the latent that comes in is at t, and the UNet has to be told so.")
    require(torch.equal(pushed, stepped),
            "The nudge was given another latent than the one denoise returned: the sampler's step is lost.")
    require(t_nudge == T_PREV,
            f"nudge was told {t_nudge}, but after denoise the latent is at t_prev: features have to be read at the "
            "level where the latent is.")
    _check_reference(reference, *kept[1:])
    require(result is not None and torch.equal(result, nudged),
            "Return what nudge returns: its result is thrown away, and the sampler goes on without guidance.")
    require(all(torch.equal(a, b) for a, b in zip(kept, (z, style, noise))),
            "An input was changed in place; the style is needed again at the next step.")


def _check_reference(reference, style, noise) -> None:
    def noised(t, power=0.5):
        return ALPHAS[t] ** power * style + (1 - ALPHAS[t]) ** power * noise

    likely = {
        "The reference is the clean style. The latent is noisy, so the loss would measure noise: noise the style to "
        "the level of t_prev.": style,
        "The style is noised to the level of t, where the latent no longer is: use alphas[t_prev].": noised(T),
        "The roots are missing: √ᾱ of the style and √(1 − ᾱ) of the noise keep the variance at 1.": noised(T_PREV, 1),
        "The roots are swapped: √ᾱ belongs to the style, √(1 − ᾱ) to the noise.": (
            ALPHAS[T_PREV] ** 0.5 * noise + (1 - ALPHAS[T_PREV]) ** 0.5 * style),
    }
    for mistake, value in likely.items():
        require(not torch.allclose(reference, value, atol=1e-5), mistake)
    require(torch.allclose(reference, noised(T_PREV), atol=1e-5),
            "The reference is not √ᾱ · style + √(1 − ᾱ) · noise with ᾱ = alphas[t_prev] and the noise that was given.")


def _variant(at=lambda t, t_prev: (t, t_prev), mix=None):
    """A wrong answer: timesteps (told to denoise, told to nudge), and the reference."""
    def answer(z, t, t_prev, alphas, style, noise, denoise, nudge):
        first, second = at(t, t_prev)
        reference = (mix or _noised)(alphas, t, t_prev, style, noise)
        return nudge(denoise(z, first), second, reference)

    return answer


def _noised(alphas, t, t_prev, style, noise):
    return alphas[t_prev] ** 0.5 * style + (1 - alphas[t_prev]) ** 0.5 * noise


def _nudge_first(z, t, t_prev, alphas, style, noise, denoise, nudge):
    return denoise(nudge(z, t, _noised(alphas, t, t, style, noise)), t)


def _forget_the_step(z, t, t_prev, alphas, style, noise, denoise, nudge):
    denoise(z, t)
    return nudge(z, t_prev, _noised(alphas, t, t_prev, style, noise))


def _forget_the_nudge(z, t, t_prev, alphas, style, noise, denoise, nudge):
    z = denoise(z, t)
    nudge(z, t_prev, _noised(alphas, t, t_prev, style, noise))
    return z


def _in_place(z, t, t_prev, alphas, style, noise, denoise, nudge):
    z = denoise(z, t)
    reference = style.mul_(alphas[t_prev] ** 0.5).add_((1 - alphas[t_prev]) ** 0.5 * noise).clone()
    return nudge(z, t_prev, reference)


EXERCISES = (
    Exercise(
        name="08.guided_step",
        reference=guided_step,
        check=check_guided_step,
        wrong={
            "after denoise the latent is at t_prev": _variant(at=lambda t, t_prev: (t, t)),
            "denoise was told": _variant(at=lambda t, t_prev: (t_prev, t_prev)),
            "the clean style": _variant(mix=lambda alphas, t, t_prev, style, noise: style),
            "noised to the level of t, where": _variant(
                mix=lambda alphas, t, t_prev, style, noise: _noised(alphas, t, t, style, noise)),
            "roots are missing": _variant(
                mix=lambda alphas, t, t_prev, style, noise: alphas[t_prev] * style + (1 - alphas[t_prev]) * noise),
            "roots are swapped": _variant(
                mix=lambda alphas, t, t_prev, style, noise: _noised(alphas, t, t_prev, noise, style)),
            "the noise that was given": _variant(
                mix=lambda alphas, t, t_prev, style, noise: _noised(alphas, t, t_prev, style, torch.zeros_like(noise))),
            "comes before the denoising": _nudge_first,
            "the sampler's step is lost": _forget_the_step,
            "thrown away": _forget_the_nudge,
            "changed in place": _in_place,
            "called 0 times and nudge 1": lambda z, t, t_prev, alphas, style, noise, denoise, nudge: nudge(
                z, t_prev, _noised(alphas, t, t_prev, style, noise)),
        },
    ),
)
