"""A transformer some of whose feed-forward networks are several experts, one for each sample."""

import copy
from collections.abc import Iterable
from typing import cast

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from unmask.parts.nets.transformer import Block, Record, Transformer


class Experts(nn.Module):
    """The feed-forward network of a block, which is expert 0, and copies of it, which are the others."""

    def __init__(self, block: Block, count: int):
        super().__init__()
        self.others = nn.ModuleList(copy.deepcopy(block.mlp) for _ in range(count - 1))

    @torch.no_grad()
    def copy_from(self, block: Block) -> None:
        """Makes all experts alike again."""
        for other in self.others:
            other.load_state_dict(block.mlp.state_dict())

    def forward(
        self, block: Block, x: Float[Tensor, "b n d"], expert: Int64[Tensor, "b"], weight: Float[Tensor, "b"]
    ) -> Float[Tensor, "b n d"]:
        """weight * expert(x), for every sample its own expert."""
        result = torch.zeros_like(x)
        for number, network in enumerate([block.mlp, *self.others]):
            rows = (expert == number).nonzero().flatten()
            result = result.index_add(0, rows, network(x[rows]).to(x.dtype))  # an idle expert's gradient is 0, not none
        return result * weight[:, None, None].to(x.dtype)


def transform_by_experts(
    trunk: Transformer,
    x: Float[Tensor, "b n d"],
    experts: dict[int, Experts],
    routes: dict[int, tuple[Int64[Tensor, "b"], Float[Tensor, "b"]]],
    valid: Bool[Tensor, "b n"] | None = None,
    record: Record | None = None,
) -> Float[Tensor, "b n d"]:
    """The blocks of `trunk` and its norm, with experts where there are some. routes: by block, expert and weight."""
    for place, block in enumerate(cast(Iterable[Block], trunk.blocks)):
        if place in experts:
            x = x + block.drop(block.scale1(block.attention(x, block.norm1, valid, record)))
            x = x + block.drop(block.scale2(experts[place](block, block.norm2(x), *routes[place])))
        else:
            x = block(x, valid, record)
        if record is not None:
            record.tokens.append(x)
    return trunk.norm(x)
