"""How much counts what: each loss over time, each layer, each reference. One object instead of ten arguments."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real

import torch


@dataclass(frozen=True)
class Schedule:
    """A weight, or a learning rate, that changes on the way from noise (0) to the picture (1): linear from `first` to `last`.

    Diffusion time t = 1000 is noise and t = 0 the picture, so the way is 1 − t / 1000, whatever the number of
    steps. `last` is `first` unless given. Outside `start` … `end` the weight is 0.
    Raises ValueError for negative weights, and for anything but 0 ≤ start < end ≤ 1.

    >>> fading, early = Schedule(0.4, 0.1), Schedule(0.25, end=0.5)
    >>> fading.at(0.5), early.at(0.4), early.at(0.6)
    (0.25, 0.25, 0.0)
    """

    first: float
    last: float | None = None
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self):
        check_weight("first", self.first)
        check_weight("last", self.first if self.last is None else self.last)
        if not 0 <= self.start < self.end <= 1:
            raise ValueError(f"a Schedule needs 0 <= start < end <= 1, not start={self.start}, end={self.end}")

    def at(self, way):
        """The weight at `way`, from 0 for noise to 1 for the picture."""
        if not self.start <= way <= self.end:
            return 0.0
        last = self.first if self.last is None else self.last
        return self.first + (last - self.first) * (way - self.start) / (self.end - self.start)


@dataclass(frozen=True)
class Weights:
    """L_total = Σ over layers of w_layer (a(t) L_AD + λ(t) L_content), with references of unequal weight.

    `ad`, `content`: a and λ, a number or a `Schedule`. `layers`: {layer: weight}, by name or index; layers
    that it does not name count 1. `references`: a weight for each picture of `style`; only their
    ratios matter, and 0 is as if the picture were not there.

    A reference's weight w multiplies the attention that its tokens get before the softmax is normalised,
    which is the same as adding log w to their logits. So there is still one ideal output, a mixture
    that attention could have produced, and equal weights are the plain union. (Weighting one loss for each
    reference would not mix: the L1 distances to two targets, summed, are least at the heavier target, whatever
    the lighter one weighs.)

    Raises ValueError for negative or infinite weights, and where nothing would be left to optimise.

    >>> Weights(ad=1.0, content=Schedule(0.4, 0.2), layers={-1: 2.0}, references=(3, 1)).at(1.0)
    (1.0, 0.2)
    """

    ad: float | Schedule = 1.0
    content: float | Schedule | None = None
    layers: Mapping | None = None
    references: tuple | None = None

    def __post_init__(self):
        for name in ("ad", "content"):
            weight = getattr(self, name)
            if isinstance(weight, Mapping):  # as settings.json holds it
                object.__setattr__(self, name, Schedule(**weight))
            elif not (isinstance(weight, Schedule) or (name == "content" and weight is None)):
                check_weight(name, weight)
        if not ever(self.ad) and not ever(self.content):
            raise ValueError(f"ad={self.ad} and content={self.content} leave nothing to optimise")
        for kind in ("layers", "references"):
            given = getattr(self, kind)
            if given is None:
                continue
            if isinstance(given, Mapping) != (kind == "layers") or not isinstance(given, Iterable):
                raise TypeError(f"{kind} is {given!r}; write layers={{-1: 2.0}}, references=(3, 1)")
            values = given.values() if kind == "layers" else given
            for value in values:
                check_weight(f"every one of {kind}", value)
            if kind == "references" and not any(values):
                raise ValueError(f"references={tuple(values)}: at least one must count")
        if self.references is not None:
            object.__setattr__(self, "references", tuple(self.references))

    def at(self, way):
        """(a, λ) on the way from noise (0) to the picture (1)."""
        return value_at(self.ad, way), value_at(self.content, way)

    def total(self, ad, content, way):
        """L_total (5) of the losses by layer, {layer: scalar}; `content` may be empty."""
        a, weight = self.at(way)
        total = a * self._sum(ad)
        return total + weight * self._sum(content) if content else total

    def _sum(self, losses):
        layers = self.layers or {}
        return sum(layers.get(name, 1.0) * loss for name, loss in losses.items())

    def logits(self, tokens):
        """log w for every token of the references, (1, all tokens); None where all count alike.

        `tokens`: how many each reference has, in one layer.
        """
        if self.references is None or len(set(self.references)) == 1:
            return None
        return torch.tensor([self.references]).float().log().repeat_interleave(torch.tensor(tokens), dim=1)


def check_weight(name, value):
    """Raise ValueError unless `value` is a finite number of at least 0."""
    if not is_number(value) or value < 0:
        raise ValueError(f"{name} must be a number of at least 0, not {value!r}")


def is_number(value):
    """Whether a value is a finite number, of Python or NumPy; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def value_at(value, way):
    """A number, or what a `Schedule` says at `way`; None is 0."""
    if value is None:
        return 0.0
    return value.at(way) if isinstance(value, Schedule) else value


def ever(weight):
    """Whether a weight is ever above 0."""
    return bool(weight.first or weight.last) if isinstance(weight, Schedule) else bool(weight)
