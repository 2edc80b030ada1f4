"""What fine-tuning learns to say: one of many classes, several at once, or numbers."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unmask.evaluate.knn import accuracy


class OneClass:
    """One class per sample; labels [b] are class numbers. Scored by accuracy."""

    metric = "accuracy"

    def __init__(self, labels: Tensor, smoothing: float = 0.1):
        if labels.is_floating_point() or labels.ndim != 1:
            raise ValueError(f"labels of shape {tuple(labels.shape)} and type {labels.dtype} are not class numbers")
        self.outputs = int(labels.max()) + 1
        self.smoothing = smoothing

    def targets(self, labels: Tensor) -> Float[Tensor, "b k"]:
        """Shares per class: 1 - smoothing for the right one, the rest spread over all."""
        return F.one_hot(labels, self.outputs).float() * (1 - self.smoothing) + self.smoothing / self.outputs

    def loss(self, scores: Float[Tensor, "b k"], targets: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
        return F.cross_entropy(scores, targets)

    def read(self, scores: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Probabilities."""
        return scores.softmax(-1)

    def score(self, answers: Float[Tensor, "n k"], labels: Tensor) -> float:
        return accuracy(answers, labels)


class ManyClasses:
    """Any number of classes per sample; labels [b k] are 0 or 1. Scored by mean average precision."""

    metric = "mean average precision"

    def __init__(self, labels: Tensor, smoothing: float = 0.0):
        if labels.ndim != 2 or bool(((labels != 0) & (labels != 1)).any()):
            raise ValueError(f"labels of shape {tuple(labels.shape)} are not rows of 0 and 1, one column per class")
        self.outputs = labels.shape[1]
        self.smoothing = smoothing

    def targets(self, labels: Tensor) -> Float[Tensor, "b k"]:
        """Chances per class, drawn towards one half by the smoothing."""
        return labels.float() * (1 - self.smoothing) + self.smoothing / 2

    def loss(self, scores: Float[Tensor, "b k"], targets: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
        return F.binary_cross_entropy_with_logits(scores, targets)

    def read(self, scores: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """A probability for every class."""
        return scores.sigmoid()

    def score(self, answers: Float[Tensor, "n k"], labels: Tensor) -> float:
        """Average precision, averaged over the classes that occur."""
        from sklearn.metrics import average_precision_score

        present = labels.bool().any(0)
        return float(average_precision_score(labels[:, present].numpy(), answers[:, present].numpy(), average="macro"))


class Numbers:
    """Numbers; labels [b] or [b k] are real. Scored by R squared: 1 is exact, 0 is the mean."""

    metric = "R squared"

    def __init__(self, labels: Tensor, smoothing: float = 0.0):
        columns = self._columns(labels)
        if not bool(columns.isfinite().all()):
            raise ValueError("some labels are not finite numbers; leave these samples out")
        self.outputs = columns.shape[1]
        self.mean = columns.mean(0)
        self.deviation = columns.std(0, correction=0).clamp(min=torch.finfo(columns.dtype).eps)

    def targets(self, labels: Tensor) -> Float[Tensor, "b k"]:
        """The numbers in deviations from the training mean."""
        return (self._columns(labels) - self.mean.to(labels.device)) / self.deviation.to(labels.device)

    def loss(self, scores: Float[Tensor, "b k"], targets: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
        return F.mse_loss(scores, targets)

    def read(self, scores: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """The numbers in their own unit."""
        return scores * self.deviation.to(scores.device) + self.mean.to(scores.device)

    def score(self, answers: Float[Tensor, "n k"], labels: Tensor) -> float:
        columns = self._columns(labels)
        left, spread = (columns - answers).square().sum(0), (columns - columns.mean(0)).square().sum(0)
        return float((1 - left / spread.clamp(min=torch.finfo(left.dtype).tiny)).mean())

    @staticmethod
    def _columns(labels: Tensor) -> Tensor:
        return labels.reshape(len(labels), -1).float()


Task = OneClass | ManyClasses | Numbers
TASKS: dict[str, type[Task]] = {"classes": OneClass, "multilabel": ManyClasses, "regression": Numbers}
