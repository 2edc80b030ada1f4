"""How much of discrete data is still there at a time between 0, all of it, and 1, none of it."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

SHAPES = "linear, cosine, or polyN such as poly2"


class KeptShare:
    """One share for all values: alpha(t) = (1 - 2e) a(t) + e with a = 1 - t, 1 - cos(pi (1 - t) / 2) or 1 - t^N.

    Source: Shi et al. 2024 (MD4), table 4 and the released code, e = 1e-4.
    """

    EDGE = 1e-4

    def __init__(self, shape: str = "linear"):
        self.shape = shape
        self._kept, self._slope = _shape(shape)

    def __call__(self, t: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        return (1 - 2 * self.EDGE) * self._kept(t) + self.EDGE

    def slope(self, t: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """The derivative, which is negative."""
        return (1 - 2 * self.EDGE) * self._slope(t)

    def rate(self, t: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """-alpha' / (1 - alpha): what a hidden value's loss weighs at this time."""
        return -self.slope(t) / (1 - self(t))

    def kept(self, x: Int64[Tensor, "b *n"], t: Float[Tensor, "b"]) -> Float[Tensor, "b *#n"]:
        """The share at the time of every sample, in the form of the data."""
        return self(like(t, x))

    def between(self, t: float, s: float) -> Float[Tensor, ""]:
        """What becomes visible from t to s, of all that is hidden at t."""
        late, early = (self(torch.tensor(time)) for time in (t, s))
        return (early - late) / (1 - late)

    def left(self, x: Int64[Tensor, "b *n"], values: int) -> Float[Tensor, ""]:
        """Nats of a value that is hidden already at time 0, where nothing more is asked of the network."""
        return (1 - self(torch.zeros(()))) * math.log(values)

    def step_rate(self, t: Float[Tensor, "*b"], steps: int) -> Float[Tensor, "*b"]:
        """The same for a time that is cut into steps: (alpha(s) - alpha(t)) / (1 - alpha(t)) a step, s one step before.

        The released code writes it as -expm1(g(t) - g(s)) alpha(s) with g = log(alpha / (1 - alpha)), which is equal.
        """
        return steps * (self(t - 1 / steps) - self(t)) / (1 - self(t))


def _shape(shape: str) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """The share that is kept, and its derivative."""
    if shape == "linear":
        return lambda t: 1 - t, lambda t: -torch.ones_like(t)
    if shape == "cosine":
        half = math.pi / 2
        return lambda t: 1 - torch.cos(half * (1 - t)), lambda t: -half * torch.sin(half * (1 - t))
    power = shape.removeprefix("poly")
    if power != shape and power.replace(".", "", 1).isdigit() and float(power) > 0:
        n = float(power)
        return lambda t: 1 - t**n, lambda t: -n * t ** (n - 1)
    raise ValueError(f"schedule {shape!r} is unknown; choose {SHAPES}, or learned")


class LearnedShares(nn.Module):
    """A share for every value: alpha_v(t) = 1 - (1 - e) t^w_v, w_v = softplus of a parameter, 1 at first.

    Times lie in [FIRST, 1]. Source: Shi et al. 2024 (GenMD4), section 6 and the released code, e = 1e-4.
    """

    EDGE, FIRST = 1e-4, 1e-3

    def __init__(self, values: int, power: float = 1.0):
        super().__init__()
        self.raw = nn.Parameter(torch.full((values,), math.log(math.expm1(power))))

    @property
    def powers(self) -> Float[Tensor, "v"]:
        return F.softplus(self.raw)

    def kept(self, x: Int64[Tensor, "b *n"], t: Float[Tensor, "b"]) -> Float[Tensor, "b *n"]:
        """The share of every value of the data at the time of its sample."""
        return 1 - (1 - self.EDGE) * like(t, x) ** self.powers[x]

    def between(self, t: float, s: float) -> Float[Tensor, "v"]:
        """What becomes visible from t to s, of every value."""
        late, early = (1 - (1 - self.EDGE) * time**self.powers for time in (t, s))
        return (early - late) / (1 - late)

    def left(self, x: Int64[Tensor, "b *n"], values: int) -> Float[Tensor, "b *n"]:
        """Nats of what is hidden already at the first time, where values are guessed by how fast they disappear."""
        first = math.log(self.FIRST) * self.powers
        return -(1 - self.EDGE) * first[x].exp() * (first[x] - first.logsumexp(0))

    def error(
        self, x: Int64[Tensor, "b *n"], t: Float[Tensor, "b"], likely: Float[Tensor, "b *n v"]
    ) -> Float[Tensor, "b *n"]:
        """What every hidden value adds to the bound at time t. likely: logarithms of what is predicted."""
        own = likely.gather(-1, x.unsqueeze(-1)).squeeze(-1)
        return ((likely.exp() * self.powers).sum(-1) - self.powers[x] * (own + 1)) / like(t, x)

    def chance(
        self, x: Int64[Tensor, "b *n"], t: Float[Tensor, "b"], hidden: Bool[Tensor, "b *n"]
    ) -> Float[Tensor, "b *n"]:
        """The logarithm of the probability that just these values are hidden."""
        gone = math.log(1 - self.EDGE) + self.powers[x] * like(t, x).log()
        return torch.where(hidden, gone, self.kept(x, t).log())


def like(t: Float[Tensor, "b"], x: Shaped[Tensor, "b *n"]) -> Float[Tensor, "b *_"]:
    """Times in the form of the data, one for every sample."""
    return t.view(-1, *(1 for _ in x.shape[1:]))
