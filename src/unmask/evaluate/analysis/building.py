"""What the decoder builds its outputs from, layer after layer."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.parts.ops.relations import attention_rollout, exploitation


def exploitation_by_layer(
    maps: list[Float[Tensor, "b heads N N"]], hidden: Bool[Tensor, "b n"], prefix: int = 1
) -> tuple[Float[Tensor, "layers b"], Float[Tensor, "layers b"], Float[Tensor, "layers b"]]:
    """Shares of visible places, mask tokens and class token in the outputs at hidden places after each layer.

    Row i is R after i + 1 layers; the three add to 1. Shares are sums over tokens, so that with three quarters
    hidden, uniform attention gives mask tokens three quarters.
    """
    shares = [exploitation(attention_rollout(maps[: i + 1]), hidden, prefix) for i in range(len(maps))]
    visible, masked, before = (torch.stack(share) for share in zip(*shares, strict=True))
    return visible, masked, before
