"""Linear probes that need no learning rate: logistic regression by L-BFGS and ridge regression in closed form."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from unmask.evaluate.knn import accuracy

EPS = 1e-6  # BatchNorm epsilon of MAE's probe
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
STEPS = 100  # of L-BFGS, at most, per strength
TOLERANCE = 1e-5  # a step of L-BFGS that lowers the loss by less is the last: accuracies no longer change
RANK = 1e-12  # axes with less than this share of the largest mean square are rounding error in float64
SCORES = 1 << 25  # numbers held at once


@dataclass(frozen=True, eq=False)
class Standard:
    """Mean and deviation per feature, measured on the training part: BatchNorm without affine, once trained."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, x: Float[Tensor, "n d"]) -> "Standard":
        variance, mean = torch.var_mean(x.float(), dim=0, correction=0)
        return cls(mean, (variance + EPS).sqrt())

    def __call__(self, x: Float[Tensor, "m d"]) -> Float[Tensor, "m d"]:
        return (x.to(self.mean.device).float() - self.mean) / self.deviation


@dataclass(frozen=True, eq=False)
class LinearMap:
    """Standardised features times a matrix, plus a bias. strength: of the L2 penalty that it was fitted with."""

    standard: Standard
    weight: Float[Tensor, "d c"]
    bias: Float[Tensor, "c"]
    strength: float

    def __call__(self, x: Float[Tensor, "m d"]) -> Float[Tensor, "m c"]:
        return self.standard(x) @ self.weight + self.bias


def covariance(z: Float[Tensor, "n d"], targets: Float[Tensor, "n c"]) -> tuple[Tensor, Tensor]:
    """Mean of z z^T and of z y^T in float64, summed in pieces."""
    square = torch.zeros(z.shape[1], z.shape[1], dtype=torch.float64, device=z.device)
    cross = torch.zeros(z.shape[1], targets.shape[1], dtype=torch.float64, device=z.device)
    for rows, goals in zip(z.split(1 << 14), targets.split(1 << 14), strict=True):
        rows = rows.double()
        square += rows.T @ rows
        cross += rows.T @ goals.double()
    return square / len(z), cross / len(z)


def principal_axes(z: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "r"], Float[Tensor, "d r"]]:
    """The mean squares along the principal axes, and the axes: as many as there are numbers or, if fewer, samples."""
    n, width = z.shape
    if width <= n:
        values, axes = torch.linalg.eigh(covariance(z, z[:, :0])[0])
        return values.clamp(min=0).float(), axes.float()
    values, left = torch.linalg.eigh(z.double() @ z.T.double() / n)
    used = values > values[-1] * RANK
    axes = z.T.double() @ left[:, used] / (n * values[used]).sqrt()
    return values[used].float(), axes.float()


def ridge(
    x: Float[Tensor, "n d"],
    targets: Float[Tensor, "n c"],
    strengths: Sequence[float] = STRENGTHS,
    standard: Standard | None = None,
) -> list[LinearMap]:
    """Minimises mean |y - z W - b|^2 + strength |W|^2 over standardised features z, for every strength.

    W = (Z^T Z / n + strength I)^-1 Z^T (Y - mean Y) / n, all from one eigendecomposition in float64.
    """
    _check_strengths(strengths)
    standard = standard or Standard.of(x)
    z = standard(x)
    targets = targets.to(z.device)
    centre, middle = z.mean(0), targets.mean(0)
    square, cross = covariance(z - centre, targets - middle)
    values, vectors = torch.linalg.eigh(square)
    turned = vectors.T @ cross
    maps = []
    for strength in strengths:
        weight = (vectors @ (turned / (values.clamp(min=0) + strength).unsqueeze(-1))).float()
        maps.append(LinearMap(standard, weight, middle - centre @ weight, strength))
    return maps


def logistic(
    x: Float[Tensor, "n d"],
    targets: Int64[Tensor, "n"] | Float[Tensor, "n c"],
    strengths: Sequence[float] = STRENGTHS,
    standard: Standard | None = None,
    classes: int | None = None,
    tolerance: float = TOLERANCE,
) -> list[LinearMap]:
    """Minimises mean cross entropy + strength / 2 |W|^2 over standardised features, for every strength.

    targets: class numbers, or rows of shares that sum to 1. Follows the path from the strongest penalty to the
    weakest, each solution being the next start. The features are turned to their principal axes, which leaves the
    penalty as it is, and scaled by the root of the inverse curvature there, so that few steps suffice.
    """
    _check_strengths(strengths)
    standard = standard or Standard.of(x)
    z = standard(x)
    targets = targets.to(z.device)
    classes = classes or (targets.shape[1] if targets.ndim == 2 else int(targets.max()) + 1)
    values, axes = principal_axes(z)
    z = z @ axes
    weight, bias = z.new_zeros(z.shape[1], classes), z.new_zeros(classes)
    maps = []
    for strength in sorted(map(float, strengths), reverse=True):
        scale = (values / classes + strength).rsqrt().unsqueeze(-1)
        weight, bias = _descend(z, targets, weight / scale, bias, scale, strength, tolerance)
        maps.append(LinearMap(standard, axes @ weight, bias, strength))
    return maps


def _descend(
    z: Tensor, targets: Tensor, weight: Tensor, bias: Tensor, scale: Tensor, strength: float, tolerance: float
) -> tuple[Tensor, Tensor]:
    """L-BFGS from the scaled weight; returns the weight and bias of the minimum."""
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=STEPS, tolerance_grad=0, tolerance_change=tolerance, line_search_fn="strong_wolfe"
    )
    rows = max(1, SCORES // len(bias))

    def objective() -> Tensor:
        solver.zero_grad()
        value = strength / 2 * (weight * scale).square().sum()
        value.backward()
        for part, goals in zip(z.split(rows), targets.split(rows), strict=True):
            loss = F.cross_entropy(part @ (weight * scale) + bias, goals, reduction="sum") / len(z)
            loss.backward()
            value = value + loss.detach()
        return value.detach()

    solver.step(objective)
    return (weight * scale).detach(), bias.detach()


def choose(maps: list[LinearMap], x: Float[Tensor, "m d"], labels: Int64[Tensor, "m"]) -> LinearMap:
    """The map with the highest accuracy; of equals the one with the strongest penalty."""
    return max(maps, key=lambda fitted: (accuracy(fitted(x), labels), fitted.strength))


class Linear:
    """Multinomial logistic regression; the strength of the penalty is chosen on the validation part."""

    name = "linear"

    def __init__(self, strengths: Sequence[float] = STRENGTHS):
        self.strengths = strengths

    def fit(
        self,
        train: Float[Tensor, "n d"],
        labels: Int64[Tensor, "n"],
        validation: Float[Tensor, "m d"],
        validation_labels: Int64[Tensor, "m"],
        classes: int,
    ) -> list[LinearMap]:
        """One function from features to scores of the classes."""
        return [choose(self.maps(train, labels, classes), validation, validation_labels)]

    def maps(self, train: Float[Tensor, "n d"], labels: Int64[Tensor, "n"], classes: int) -> list[LinearMap]:
        """One map for every strength."""
        return logistic(train, labels, self.strengths, classes=classes)


class Ridge(Linear):
    """Least squares on 0 and 1 per class; the strength of the penalty is chosen on the validation part."""

    name = "ridge"

    def maps(self, train: Float[Tensor, "n d"], labels: Int64[Tensor, "n"], classes: int) -> list[LinearMap]:
        """One map for every strength."""
        return ridge(train, F.one_hot(labels, classes).float(), self.strengths)


def linear_accuracy(
    train: Float[Tensor, "n d"],
    train_labels: Int64[Tensor, "n"],
    validation: Float[Tensor, "k d"],
    validation_labels: Int64[Tensor, "k"],
    test: Float[Tensor, "m d"],
    test_labels: Int64[Tensor, "m"],
    probe: Linear | None = None,
) -> float:
    """The share of the test samples that a linear probe, by default `Linear()`, names right, 0 to 1."""
    classes = 1 + max(int(labels.max()) for labels in (train_labels, validation_labels, test_labels))
    (fitted,) = (probe or Linear()).fit(train, train_labels, validation, validation_labels, classes)
    return accuracy(fitted(test), test_labels)


def _check_strengths(strengths: Sequence[float]) -> None:
    if not strengths or min(strengths) <= 0:
        raise ValueError(f"strengths {tuple(strengths)} must be positive numbers; for almost no penalty use 1e-8")
