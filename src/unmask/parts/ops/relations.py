"""How the tokens of one sample relate: by likeness, by attention, and by what built what."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def cosine_relations(tokens: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n n"]:
    """The cosine of every pair of tokens."""
    unit = F.normalize(tokens, dim=-1)
    return unit @ unit.transpose(-2, -1)


def attention_rollout(maps: list[Float[Tensor, "b heads n n"]]) -> Float[Tensor, "b n n"]:
    """How much each input (column) contributed to each output (row) after all layers; rows sum to 1.

    Per layer a = (mean over heads + I) / 2, the identity standing for the residual path; the result is a_L ... a_1.
    Source: Abnar and Zuidema 2020, attention rollout.
    """
    if not maps:
        raise ValueError("no attention maps were given; run the network with Record(attention=True)")
    n = maps[0].shape[-1]
    total = torch.eye(n, dtype=maps[0].dtype, device=maps[0].device).expand(maps[0].shape[0], n, n)
    for attention in maps:
        total = (attention.mean(1) @ total + total) / 2
    return total


def exploitation(
    rollout: Float[Tensor, "b N N"], hidden: Bool[Tensor, "b n"], prefix: int = 1
) -> tuple[Float[Tensor, "b"], Float[Tensor, "b"], Float[Tensor, "b"]]:
    """What builds the outputs at hidden places: shares of the visible places, the mask tokens, the class token.

    The three add to 1 in every row. prefix: how many tokens stand before the places.
    """
    if rollout.shape[-1] != prefix + hidden.shape[-1]:
        raise ValueError(
            f"{rollout.shape[-1]} tokens are not {prefix} before {hidden.shape[-1]} places; pass the decoder's prefix"
        )
    if not hidden.any(-1).all():
        raise ValueError("a row hides nothing, so no output is built from mask tokens; mask every row")
    weight = hidden.to(rollout.dtype)
    sources = (weight.unsqueeze(1) @ rollout[:, prefix:]).squeeze(1) / weight.sum(-1, keepdim=True)
    before, places = sources[:, :prefix].sum(-1), sources[:, prefix:]
    masked = (places * weight).sum(-1)
    return places.sum(-1) - masked, masked, before
