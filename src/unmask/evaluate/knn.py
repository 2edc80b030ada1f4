"""Weighted nearest neighbours by cosine, for tables of any length in bounded memory."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

K = 20  # Wu et al. 2018 take 200 on ImageNet; DINO (Caron et al. 2021) finds 20 best
TEMPERATURE = 0.07  # Wu et al. 2018
MEMORY = 1 << 28  # bytes


def nearest(
    train: Float[Tensor, "n d"], test: Float[Tensor, "m d"], k: int = K, memory: int = MEMORY
) -> tuple[Float[Tensor, "m k"], Int64[Tensor, "m k"]]:
    """Cosine and row of the k nearest training vectors, nearest first; of all of them where there are fewer.

    memory: bytes that may be held besides the two tables and the answer.
    """
    if k < 1:
        raise ValueError(f"k={k} neighbours cannot vote; choose 1 or more")
    n, width = train.shape
    columns = max(1, min(n, memory // (16 * width)))
    rows = max(1, min(len(test), memory // (8 * max(columns, width))))
    cosines = test.new_full((len(test), 0), 0, dtype=torch.float32)
    places = torch.empty(len(test), 0, dtype=torch.long, device=test.device)
    directions, products = (cosines.new_empty(size) for size in (columns * width, rows * columns))  # filled anew
    for first in range(0, n, columns):
        part = train[first : first + columns].to(test.device).float()
        part = F.normalize(part, dim=-1, out=directions[: part.numel()].view(part.shape))
        best = [_top(part, piece, min(k, len(part)), products) for piece in test.split(rows)]
        cosines = torch.cat([cosines, torch.cat([value for value, _ in best])], dim=-1)
        places = torch.cat([places, torch.cat([place for _, place in best]) + first], dim=-1)
        cosines, order = cosines.topk(min(k, cosines.shape[-1]), dim=-1)
        places = places.gather(-1, order)
    return cosines, places


def _top(train: Tensor, test: Tensor, k: int, room: Tensor) -> tuple[Tensor, Tensor]:
    cosines = room[: len(test) * len(train)].view(len(test), len(train))
    return torch.mm(F.normalize(test.float(), dim=-1), train.T, out=cosines).topk(k, dim=-1)


class KNN:
    """Classes by the votes of the k nearest training vectors, each weighing exp(cosine / temperature).

    Source: Wu et al. 2018, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", section 3.4.
    """

    name = "knn"

    def __init__(self, k: int = K, temperature: float = TEMPERATURE, memory: int = MEMORY):
        self.k = k
        self.temperature = temperature
        self.memory = memory

    def fit(
        self,
        train: Float[Tensor, "n d"],
        labels: Int64[Tensor, "n"],
        validation: Float[Tensor, "m d"],
        validation_labels: Int64[Tensor, "m"],
        classes: int,
    ) -> list:
        """One function from features to votes; the validation part is not used."""
        return [lambda test: self.votes(train, labels, test, classes)]

    def votes(
        self, train: Float[Tensor, "n d"], labels: Int64[Tensor, "n"], test: Float[Tensor, "m d"], classes: int
    ) -> Float[Tensor, "m c"]:
        """The sum of the weights for every class."""
        cosines, places = nearest(train, test, self.k, self.memory)
        votes = torch.zeros(len(test), classes, device=test.device)
        return votes.scatter_add(-1, labels.to(test.device)[places], (cosines / self.temperature).exp())


def knn_accuracy(
    train: Float[Tensor, "n d"],
    train_labels: Int64[Tensor, "n"],
    test: Float[Tensor, "m d"],
    test_labels: Int64[Tensor, "m"],
    k: int = K,
    temperature: float = TEMPERATURE,
    memory: int = MEMORY,
) -> float:
    """The share of the test samples whose class the weighted vote names, 0 to 1."""
    classes = int(max(train_labels.max(), test_labels.max())) + 1
    votes = KNN(k, temperature, memory).votes(train, train_labels, test, classes)
    return accuracy(votes, test_labels)


def accuracy(scores: Float[Tensor, "n c"], labels: Int64[Tensor, "n"]) -> float:
    """The share of the samples whose highest score is the right class."""
    return float((scores.argmax(-1) == labels.to(scores.device)).double().mean())
