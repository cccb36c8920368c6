"""Lesson 09: AdaIN on latents."""

from __future__ import annotations

import torch

from . import Exercise, Wrong, given, require


def adain(z, reference):
    """Reference: z with the reference's mean and deviation, by picture and channel (Huang and Belongie, 2017)."""
    def statistics(x):
        return x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True)

    (mean, deviation), (new_mean, new_deviation) = statistics(z), statistics(reference)
    return (z - mean) / deviation * new_deviation + new_mean


def check_adain(answer) -> None:
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([0.5, 1.0, 2.0, 3.0]).view(1, 4, 1, 1)
    z = torch.randn(2, 4, 8, 8, generator=generator) * torch.tensor([1.0, 4.0]).view(2, 1, 1, 1) + spread.flip(1)
    reference = torch.randn(1, 4, 8, 8, generator=generator) * spread + spread
    wide = torch.randn(1, 4, 6, 10, generator=generator) * spread - spread
    kept = z.clone(), reference.clone()
    result = given(answer(z, reference))
    require(isinstance(result, torch.Tensor) and result.shape == z.shape,
            f"The result has the shape {tuple(getattr(result, 'shape', ()))}; AdaIN keeps that of z, {tuple(z.shape)}.")
    require(torch.equal(z, kept[0]) and torch.equal(reference, kept[1]),
            "An input was changed in place; return a new tensor.")
    _check_statistics(result, z, reference)
    alone = answer(z[:1], reference)
    require(torch.allclose(result[:1], alone, atol=1e-4),
            "A picture comes out otherwise when another one is in the batch: each picture has statistics of its own.")
    try:
        other = answer(z, wide)
    except RuntimeError as error:
        raise Wrong("A reference of another size must do: only its mean and deviation are used.") from error
    require(torch.allclose(answer(reference, reference), reference, atol=1e-3),
            "AdaIN of the reference to itself has to change nothing.")
    require(torch.allclose(answer(3 * z + 1, reference), result, atol=1e-3),
            "z and 3 z + 1 have to give the same result: their own mean and deviation are taken out first.")
    near = dict(rtol=0.02, atol=0.02)  # dividing by n or by n − 1 is a matter of taste
    require(torch.allclose(result, adain(z, reference), **near) and torch.allclose(other, adain(z, wide), **near),
            "The statistics fit, the values do not: (z − mean) / deviation · new deviation + new mean.")


def _check_statistics(result, z, reference) -> None:
    def of(x, axes=(2, 3)):
        return x.mean(axes, keepdim=True), x.std(axes, keepdim=True)

    (mean, deviation), (wanted_mean, wanted_deviation) = of(result), of(reference)
    right_mean = torch.allclose(mean, wanted_mean.expand_as(mean), atol=1e-3)
    right_deviation = torch.allclose(deviation, wanted_deviation.expand_as(deviation), rtol=2e-2)
    if right_mean and right_deviation:
        return
    over_all, wanted = of(result, (1, 2, 3)), of(reference, (1, 2, 3))
    require(not all(torch.allclose(a, b.expand_as(a), atol=1e-3) for a, b in zip(over_all, wanted)),
            "Right over all channels together, wrong in each: the mean goes over the places (2, 3) and not over channels.")
    over_batch = of(result, (0, 2, 3))
    require(not all(torch.allclose(a, b, rtol=1e-2, atol=1e-2) for a, b in zip(over_batch, of(reference, (0, 2, 3)))),
            "Right over the batch, wrong in each picture: axis 0 holds the pictures, and each picture has statistics of "
            "its own.")
    require(not torch.allclose(mean, of(z)[0], atol=1e-3) or right_deviation,
            "The result has the statistics of z: reference and z have changed places, or nothing was done.")
    require(not right_mean, "The means fit and the deviations do not: multiply by the reference's deviation, which is the "
                            "root of its variance.")
    require(not right_deviation, "The deviations fit and the means do not: take the mean of z out before you divide, and "
                                 "add the reference's mean at the end.")
    raise Wrong("Neither means nor deviations are the reference's: take them by picture and channel, over the places "
                "(2, 3).")


def _over(*axes):
    def answer(z, reference):
        scaled = (z - z.mean(axes, keepdim=True)) / z.std(axes, keepdim=True)
        return scaled * reference.std(axes, keepdim=True) + reference.mean(axes, keepdim=True)

    return answer


def _parts(x):
    return x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True)


def _variance(z, reference):
    (mean, deviation), (new_mean, new_deviation) = _parts(z), _parts(reference)
    return (z - mean) / deviation**2 * new_deviation**2 + new_mean


def _mean_left_in(z, reference):
    (_, deviation), (new_mean, new_deviation) = _parts(z), _parts(reference)
    return z / deviation * new_deviation + new_mean


def _swapped(z, reference):
    return adain(reference, z)


def _in_place(z, reference):
    (mean, deviation), (new_mean, new_deviation) = _parts(z), _parts(reference)
    return z.sub_(mean).div_(deviation).mul_(new_deviation).add_(new_mean)


def _sorted(z, reference):
    """Exact histogram matching: more than AdaIN, and bound to one size."""
    places = z.flatten(2).argsort(2).argsort(2)
    return reference.flatten(2).sort(2)[0].expand_as(places).gather(2, places).view_as(z)


EXERCISES = (
    Exercise(
        name="09.adain",
        reference=adain,
        check=check_adain,
        wrong={
            "not over channels": _over(1, 2, 3),
            "axis 0 holds the pictures": _over(0, 2, 3),
            "Neither means nor deviations": lambda z, reference: (z - _parts(z)[0]) / _parts(z)[1],
            "the places (2, 3) and not over channels": _over(1),
            "reference and z have changed places": _swapped,
            "the root of its variance": _variance,
            "before you divide": _mean_left_in,
            "multiply by the reference's deviation": lambda z, reference: z - _parts(z)[0] + _parts(reference)[0],
            "in place": _in_place,
            "another size must do": _sorted,
            "keeps that of z": lambda z, reference: adain(z, reference)[:1],
        },
    ),
)
