"""How varied the tokens of one picture are, and how varied their likeness is."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def feature_variance(tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b"]:
    """sigma_F: mean squared distance of the unit-length tokens to their mean; 0 when all point one way, at most 1.

    Equal to 1 - mean(M), M being the cosine relations with their diagonal.
    """
    unit = F.normalize(tokens, dim=-1)
    return (unit - unit.mean(1, keepdim=True)).square().sum(-1).mean(-1)


def similarity_variance(relations: Float[Tensor, "b n n"]) -> Float[Tensor, "b"]:
    """sigma_S: variance of the relations between different tokens; large where some are alike and others not."""
    different = ~torch.eye(relations.shape[-1], dtype=torch.bool, device=relations.device)
    return relations[:, different].var(-1, correction=0)


def hidden_variance(
    tokens: Float[Tensor, "b n d"], hidden: Bool[Tensor, "b n"], unit: bool = False
) -> Float[Tensor, "b"]:
    """Variance over the hidden places of one picture, averaged over channels; 0 when all mask tokens are equal.

    unit: scale every token to unit length first and sum over channels, so that layers of different scale compare.
    """
    if not hidden.any(-1).all():
        raise ValueError("a row hides nothing, so it has no mask tokens; mask every row")
    chosen = F.normalize(tokens, dim=-1) if unit else tokens
    weight = hidden.unsqueeze(-1).to(chosen.dtype) / hidden.sum(-1).view(-1, 1, 1)
    mean = (chosen * weight).sum(1, keepdim=True)
    spread = ((chosen - mean).square() * weight).sum(1)
    return spread.sum(-1) if unit else spread.mean(-1)
