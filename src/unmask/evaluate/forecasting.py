"""Forecasting with a frozen network: the next rows from its tokens, and what they are worth beside no network at all.

Every channel of a window is forecast alone, by one linear map that all channels share. The window is normalised by its
own mean and deviation and the forecast is put back, so that errors are on the scale of the standardised batch.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from unmask.core import Batch, Features, Method, to_device
from unmask.evaluate.features import frozen, represent
from unmask.parts.ops.series import instance_statistics, normalised

STRENGTHS = tuple(10.0**power for power in range(-5, 2))  # of the ridge, as shares of the mean square of a feature
TOKENS, RAW, REPEATED = "frozen tokens, ridge", "raw window, ridge", "last value repeated"

Represent = Callable[[Batch], Float[Tensor, "b c k"]]


@dataclass
class Errors:
    """Squared and absolute errors, summed up batch by batch."""

    square: float = 0.0
    absolute: float = 0.0
    count: int = 0

    def add(self, prediction: Float[Tensor, "b h c"], future: Float[Tensor, "b h c"]) -> None:
        error = (prediction - future).double()
        self.square += float(error.square().sum())
        self.absolute += float(error.abs().sum())
        self.count += error.numel()

    @property
    def scores(self) -> dict[str, float]:
        return {"mse": self.square / self.count, "mae": self.absolute / self.count}


@dataclass(frozen=True, eq=False)
class Head:
    """One linear map for all channels, from what is known of a window to the rows that follow."""

    weight: Float[Tensor, "k h"]
    represent: Represent = field(repr=False)

    def __call__(self, batch: Batch) -> Float[Tensor, "b h c"]:
        return unscaled(with_one(self.represent(batch)) @ self.weight, batch["series"])


def forecasting(
    method: Method,
    train: Iterable[Batch],
    validation: Iterable[Batch],
    test: Iterable[Batch],
    device: torch.device | str = "cpu",
) -> dict[str, dict[str, float]]:
    """Mean squared and absolute error on the test windows: of the network's tokens and of two rules without network.

    Batches hold "series" and "future" and can be gone through again. The ridge's strength is chosen on validation.
    """
    method.to(device)
    found = {}
    with frozen(method):
        for name, known in ((TOKENS, lambda batch: flat_tokens(method, batch, device)), (RAW, raw_window)):
            head, strength = fitted(known, train, validation, device)
            found[name] = {**errors(head, test, device).scores, "strength": strength}
    found[REPEATED] = errors(repeated, test, device).scores
    return found


def flat_tokens(method: Method, batch: Batch, device: torch.device | str) -> Float[Tensor, "b c k"]:
    """The tokens of every channel one after the other. Raises ValueError where they are not by channel."""
    return flattened(represent(method, batch, device), batch).float()


def flattened(features: Features, batch: Batch) -> Float[Tensor, "b c k"]:
    """As `flat_tokens`, of features."""
    c = batch["series"].shape[2]
    if features.tokens is None or len(features.grid) != 2 or features.grid[0] != c:
        raise ValueError("the network has no tokens for every channel; forecasting needs them")
    return features.tokens.unflatten(1, features.grid).flatten(2)


def raw_window(batch: Batch) -> Float[Tensor, "b c k"]:
    """The rows of every channel, normalised."""
    return normalised(batch["series"]).transpose(1, 2)


def repeated(batch: Batch) -> Float[Tensor, "b h c"]:
    """The last row, again and again."""
    return batch["series"][:, -1:].expand_as(batch["future"])


def unscaled(forecast: Float[Tensor, "b c h"], series: Float[Tensor, "b t c"]) -> Float[Tensor, "b h c"]:
    """A forecast of normalised windows in the units of the batch."""
    mean, deviation = instance_statistics(series)
    return forecast.transpose(1, 2) * deviation + mean


def with_one(x: Float[Tensor, "b c k"]) -> Float[Tensor, "b c k1"]:
    return torch.cat([x, torch.ones_like(x[..., :1])], -1)


def fitted(
    represent: Represent, train: Iterable[Batch], validation: Iterable[Batch], device: torch.device | str
) -> tuple[Head, float]:
    """The ridge with the least squared error in the units of the batch; its strength is the best on validation."""
    square, cross = sums(represent, train, device)
    heads = [Head(solved(square, cross, strength), represent) for strength in STRENGTHS]
    together = Head(torch.cat([head.weight for head in heads], 1), represent)
    scores = [Errors() for _ in heads]
    for batch in validation:
        batch = to_device(batch, device)
        h = batch["future"].shape[1]
        for score, forecast in zip(scores, together(batch).split(h, dim=1), strict=True):
            score.add(forecast, batch["future"])
    if not scores[0].count:
        raise ValueError("there are no validation windows to choose the ridge by; give longer series")
    best = min(range(len(heads)), key=lambda i: scores[i].square)
    return heads[best], STRENGTHS[best]


def sums(
    represent: Represent, train: Iterable[Batch], device: torch.device | str
) -> tuple[Float64[Tensor, "k k"], Float64[Tensor, "k h"]]:
    """Products of features with each other and with the normalised future, weighted by the window's variance.

    The weight makes the squared error that of the batch's own scale.
    """
    square: Tensor | None = None
    cross: Tensor | None = None
    for batch in train:
        batch = to_device(batch, device)
        mean, deviation = instance_statistics(batch["series"])
        x = (with_one(represent(batch)) * deviation.transpose(1, 2)).flatten(0, 1)
        y = (batch["future"] - mean).transpose(1, 2).flatten(0, 1)
        if square is None or cross is None:
            square, cross = (torch.zeros(x.shape[1], n, dtype=torch.float64) for n in (x.shape[1], y.shape[1]))
        square += (x.T @ x).double().cpu()
        cross += (x.T @ y).double().cpu()
    if square is None or cross is None:
        raise ValueError("there are no training windows to forecast from; give longer series")
    return square, cross


def solved(square: Float64[Tensor, "k k"], cross: Float64[Tensor, "k h"], strength: float) -> Float[Tensor, "k h"]:
    """The ridge's weights; the constant, which comes last, is not held back."""
    diagonal = square.diagonal()
    penalty = (strength * diagonal[:-1].mean()).expand_as(diagonal).clone()
    penalty[-1] = torch.finfo(torch.float32).eps * diagonal[-1]
    factor, failed = torch.linalg.cholesky_ex(square + penalty.diag())
    if failed:
        return torch.zeros_like(cross).float()  # float32 sums can be indefinite; such a strength is never the best
    return torch.cholesky_solve(cross, factor).float()


@torch.no_grad()
def errors(
    forecast: Callable[[Batch], Float[Tensor, "b h c"]], batches: Iterable[Batch], device: torch.device | str
) -> Errors:
    """The errors of a forecast over all windows."""
    found = Errors()
    for batch in batches:
        batch = to_device(batch, device)
        found.add(forecast(batch), batch["future"])
    if not found.count:
        raise ValueError("there are no windows to forecast; give longer series or a smaller horizon")
    return found
