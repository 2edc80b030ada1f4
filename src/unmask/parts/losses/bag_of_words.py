"""The bag of words of a passage as one distribution over the vocabulary, and how badly logits tell it."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


def bag_of_words(ids: Int64[Tensor, "b t"], counted: Bool[Tensor, "b t"], vocabulary: int) -> Float[Tensor, "b v"]:
    """1 / n for each of the n different tokens among those that count, 0 for all others."""
    bag = torch.zeros(ids.shape[0], vocabulary, device=ids.device)
    bag.scatter_reduce_(1, ids, counted.float(), "amax")
    return bag / bag.sum(1, keepdim=True).clamp(min=1)


def bag_cross_entropy(logits: Float[Tensor, "b v"], bag: Float[Tensor, "b v"]) -> Float[Tensor, ""]:
    """- sum_v bag_v log softmax(logits)_v, averaged over passages; at best log n. An empty bag gives 0."""
    return -(bag * logits.float().log_softmax(-1)).sum(-1).mean()
