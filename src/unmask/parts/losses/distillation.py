"""Self-distillation: the student's scores against the teacher's sharpened and centred ones."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

STUDENT_TEMPERATURE = 0.1  # Caron et al. 2021 (DINO)


def assignments(scores: Float[Tensor, "*b k"], center: Float[Tensor, "k"], temperature: float) -> Float[Tensor, "*b k"]:
    """The teacher's probabilities."""
    return ((scores.float() - center) / temperature).softmax(-1)


def cross_entropy(wanted: Float[Tensor, "*b k"], scores: Float[Tensor, "*b k"]) -> Float[Tensor, "*b"]:
    """-sum of wanted * log softmax of the student's scores, sharpened by its temperature."""
    return -(wanted * (scores.float() / STUDENT_TEMPERATURE).log_softmax(-1)).sum(-1)


def between_views(wanted: Sequence[Float[Tensor, "b k"]], scores: Sequence[Float[Tensor, "b k"]]) -> Float[Tensor, ""]:
    """Each view's scores against the teacher's probabilities of every other view; the first views are the same."""
    pairs = [(w, s) for i, w in enumerate(wanted) for j, s in enumerate(scores) if i != j]
    return torch.stack([cross_entropy(w, s).mean() for w, s in pairs]).mean()


def at_hidden_places(
    wanted: Float[Tensor, "m k"], scores: Float[Tensor, "m k"], hidden: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Averaged over the hidden places of every sample, then over samples; one with nothing hidden counts as 0.

    wanted, scores: at the m hidden places alone, sample by sample.
    """
    share = hidden / hidden.sum(-1, keepdim=True).clamp(min=1)
    return (cross_entropy(wanted, scores) * share[hidden]).sum() / len(hidden)
