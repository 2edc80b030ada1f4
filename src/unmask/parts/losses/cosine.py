"""Cosine as an error: only the direction of a prediction counts."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def scaled_cosine(
    prediction: Float[Tensor, "*n k"], target: Float[Tensor, "*n k"], power: float = 3.0
) -> Float[Tensor, "*n"]:
    """(1 - cosine) ** power of every row, in float32: 0 where they agree, 2 ** power where they are opposite.

    A row of zeros has the cosine 0 with anything. Source: Hou et al. 2022 (GraphMAE), scaled cosine error.
    """
    cosine = (F.normalize(prediction.float(), dim=-1) * F.normalize(target.float(), dim=-1)).sum(-1)
    return (1 - cosine).clamp(min=0).pow(power)
