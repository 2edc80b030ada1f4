"""How far a handful of labels goes."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unmask.evaluate.linear import LinearMap, Standard, logistic
from unmask.evaluate.split import hold_out

DRAWS = 5


class FewLabels:
    """Logistic regression from few labels, drawn anew `draws` times.

    per_class: labels of every class, all of a class that has fewer. share: of every class instead, at least one.
    Every other training sample is used without its label, to standardise the features. The penalty is that of
    C = 1, |W|^2 / 2 against the summed loss: a validation part to choose it on would hold more labels than these.
    """

    def __init__(self, per_class: int | None = None, share: float | None = None, draws: int = DRAWS, seed: int = 0):
        if (per_class is None) == (share is None):
            raise ValueError("say either how many labels per class or which share of them, not both and not neither")
        if per_class is not None and per_class < 1:
            raise ValueError(f"{per_class} labels per class are too few; choose 1 or more")
        self.per_class = per_class
        self.share = share
        self.draws = draws
        self.seed = seed
        self.name = f"{per_class} per class" if share is None else f"{100 * share:g} % labels"

    def rows(self, labels: Int64[Tensor, "n"], draw: int) -> Int64[Tensor, "m"]:
        """Which samples have a label in this draw."""
        if self.share is not None:
            return hold_out(len(labels), labels, self.share, self.seed + draw)[1]
        generator = torch.Generator().manual_seed(self.seed + draw)
        order = torch.randperm(len(labels), generator=generator)
        mixed = labels[order]
        return torch.cat([order[mixed == group][: self.per_class] for group in labels.unique()]).sort().values

    def fit(
        self,
        train: Float[Tensor, "n d"],
        labels: Int64[Tensor, "n"],
        validation: Float[Tensor, "m d"],
        validation_labels: Int64[Tensor, "m"],
        classes: int,
    ) -> list[LinearMap]:
        """One function from features to scores for every draw; the validation part is not used."""
        standard, fitted = Standard.of(train), []
        for draw in range(self.draws):
            rows = self.rows(labels.cpu(), draw).to(train.device)
            fitted += logistic(train[rows], labels[rows], (1 / len(rows),), standard, classes)
        return fitted
