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
PIECE = 1 << 20  # numbers of a table, or of scores, handled at once: no copy of a whole table is ever made

Targets = Int64[Tensor, "n"] | Float[Tensor, "n c"]


@dataclass(frozen=True, eq=False)
class Standard:
    """Mean and deviation per feature, measured on the training part: BatchNorm without affine, once trained."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, x: Float[Tensor, "n d"]) -> "Standard":
        parts = x.split(_rows(x.shape[1]))
        mean = torch.stack([part.double().sum(0) for part in parts]).sum(0) / len(x)
        squares = torch.stack([(part.double() - mean).square().sum(0) for part in parts])
        return cls.from_moments(mean, squares.sum(0) / len(x))

    @classmethod
    def from_moments(cls, mean: Float[Tensor, "d"], variance: Float[Tensor, "d"]) -> "Standard":
        return cls(mean.float(), (variance + EPS).sqrt().float())

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
        return torch.cat([self.standard(part) @ self.weight + self.bias for part in x.split(_rows(*self.weight.shape))])


@dataclass(frozen=True, eq=False)
class Moments:
    """Means of features and targets, and the covariances of features with each other and with the targets."""

    mean: Float[Tensor, "d"]
    middle: Float[Tensor, "c"]
    square: Float[Tensor, "d d"]
    cross: Float[Tensor, "d c"]

    @classmethod
    def of(cls, x: Float[Tensor, "n d"], targets: Targets, classes: int) -> "Moments":
        """In float64 by one pass over pieces, seen from the mean of the first: large offsets cost no digits."""
        n, width = x.shape
        rows = _rows(width, classes)
        origin = x[:rows].double().mean(0)
        mean, square = origin.new_zeros(width), origin.new_zeros(width, width)
        middle, cross = origin.new_zeros(classes), origin.new_zeros(width, classes)
        room = origin.new_empty(min(rows, n), width)  # filled anew by every piece
        for part, goals in zip(x.split(rows), targets.split(rows), strict=True):
            part = torch.sub(part.to(origin), origin, out=room[: len(part)])
            goals = _shares(goals, classes).to(origin)
            mean += part.sum(0)
            middle += goals.sum(0)
            square.addmm_(part.T, part)
            cross.addmm_(part.T, goals)
        mean, middle = mean / n, middle / n
        return cls(origin + mean, middle, square / n - mean.outer(mean), cross / n - mean.outer(middle))


def principal_axes(
    x: Float[Tensor, "n d"], standard: Standard | None = None
) -> tuple[Standard, Float[Tensor, "r"], Float[Tensor, "d r"]]:
    """The standard, and the mean squares of standardised features along their principal axes, and the axes.

    As many axes as there are numbers or, if fewer, samples.
    """
    n, width = x.shape
    if width <= n:
        moments = Moments.of(x, x[:, :0], 0)
        standard = standard or Standard.from_moments(moments.mean, moments.square.diagonal())
        offset = moments.mean - standard.mean
        scale = standard.deviation.double()
        values, axes = torch.linalg.eigh((moments.square + offset.outer(offset)) / scale.outer(scale))
        return standard, values.clamp(min=0).float(), axes.float()
    standard = standard or Standard.of(x)
    z = standard(x).double()
    values, left = torch.linalg.eigh(z @ z.T / n)
    used = values > values[-1] * RANK
    return standard, values[used].float(), (z.T @ left[:, used] / (n * values[used]).sqrt()).float()


def ridge(
    x: Float[Tensor, "n d"],
    targets: Targets,
    strengths: Sequence[float] = STRENGTHS,
    standard: Standard | None = None,
    classes: int | None = None,
) -> list[LinearMap]:
    """Minimises mean |y - z W - b|^2 + strength |W|^2 over standardised features z, for every strength.

    targets: class numbers, which stand for rows of 0 and 1, or rows of any numbers.
    W = (Z^T Z / n + strength I)^-1 Z^T (Y - mean Y) / n, all from one pass and one eigendecomposition in float64.
    """
    _check_strengths(strengths)
    moments = Moments.of(x, targets, _width(targets, classes))
    standard = standard or Standard.from_moments(moments.mean, moments.square.diagonal())
    scale = standard.deviation.double()
    values, vectors = torch.linalg.eigh(moments.square / scale.outer(scale))
    turned = vectors.T @ (moments.cross / scale.unsqueeze(-1))
    centre = (moments.mean - standard.mean) / scale
    maps = []
    for strength in strengths:
        weight = vectors @ (turned / (values.clamp(min=0) + strength).unsqueeze(-1))
        maps.append(LinearMap(standard, weight.float(), (moments.middle - centre @ weight).float(), strength))
    return maps


def logistic(
    x: Float[Tensor, "n d"],
    targets: Targets,
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
    classes = _width(targets, classes)
    standard, values, axes = principal_axes(x, standard)
    weight, bias = axes.new_zeros(axes.shape[1], classes), axes.new_zeros(classes)
    loss, maps = _Loss(x, targets, standard, axes), []
    for strength in sorted(map(float, strengths), reverse=True):
        scale = (values / classes + strength).rsqrt().unsqueeze(-1)
        weight, bias = _descend(loss, weight / scale, bias, scale, strength, tolerance)
        maps.append(LinearMap(standard, axes @ weight, bias, strength))
    return maps


def _descend(
    loss: "_Loss", weight: Tensor, bias: Tensor, scale: Tensor, strength: float, tolerance: float
) -> tuple[Tensor, Tensor]:
    """L-BFGS from the scaled weight; returns the weight and bias of the minimum."""
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=STEPS, tolerance_grad=0, tolerance_change=tolerance, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        solver.zero_grad()
        penalty = strength / 2 * (weight * scale).square().sum()
        penalty.backward()
        return penalty.detach() + loss.backward(weight * scale, bias)

    solver.step(objective)
    return (weight * scale).detach(), bias.detach()


@dataclass(frozen=True, eq=False)
class _Loss:
    """The mean cross entropy of a map of the standardised features, turned to `axes`, by pieces of the table.

    Deviations and axes go into the weight, so that a piece is only centred.
    """

    x: Tensor
    targets: Tensor
    standard: Standard
    axes: Tensor

    def backward(self, weight: Float[Tensor, "r c"], bias: Float[Tensor, "c"]) -> Float[Tensor, ""]:
        """The loss; its gradient is added to what `weight` and `bias` were computed from."""
        folded = self.axes @ weight / self.standard.deviation.unsqueeze(-1)
        (width, classes), n = folded.shape, len(self.x)
        rows = _rows(width, classes)
        room = torch.empty(min(rows, n), width, device=folded.device)  # filled anew by every piece
        total, slope, gradient = (folded.new_zeros(shape) for shape in ((), (classes,), (classes, width)))
        with torch.no_grad():
            for part, goals in zip(self.x.split(rows), self.targets.split(rows), strict=True):
                part = torch.sub(part.to(room), self.standard.mean, out=room[: len(part)])
                shares = _shares(goals, classes).to(room)
                logarithms = torch.addmm(bias, part, folded).log_softmax(-1)
                total -= (logarithms * shares).sum()
                errors = logarithms.exp_().sub_(shares)
                slope += errors.sum(0)
                gradient += errors.T @ part
        torch.autograd.backward([folded, bias], [(gradient.T / n).float(), (slope / n).float()])
        return (total / n).float()


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
        return ridge(train, labels, self.strengths, classes=classes)


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


def _width(targets: Targets, classes: int | None) -> int:
    return classes or (targets.shape[1] if targets.ndim == 2 else int(targets.max()) + 1)


def _shares(targets: Targets, classes: int) -> Float[Tensor, "n c"]:
    return targets if targets.ndim == 2 else F.one_hot(targets, classes).float()


def _rows(*widths: int) -> int:
    """How many rows of tables this wide are handled at once."""
    return max(1, PIECE // max(widths))
