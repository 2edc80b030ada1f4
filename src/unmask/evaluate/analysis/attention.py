"""What attention maps look like: how much queries differ, and how far they look."""

import torch
from jaxtyping import Float
from torch import Tensor


def place_attention(maps: Float[Tensor, "b heads N N"], prefix: int = 1) -> Float[Tensor, "b heads n n"]:
    """Attention between places: the class token's row and column are left out and the rows sum to 1 again."""
    places = maps[..., prefix:, prefix:]
    return places / places.sum(-1, keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)


def class_attention(maps: Float[Tensor, "b heads N N"], prefix: int = 1) -> Float[Tensor, "b n"]:
    """How the class token spreads its attention over the places, averaged over heads; rows sum to 1."""
    if prefix < 1:
        raise ValueError("this network has no class token; build it with class_token=True or leave this map out")
    places = maps[..., 0, prefix:].mean(1)
    return places / places.sum(-1, keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)


def attention_information(attention: Float[Tensor, "b heads n n"]) -> Float[Tensor, "b heads"]:
    """Normalised mutual information of query and key: 0 when all queries attend alike, 1 for a permutation.

    With p(q) = 1 / n and p(k | q) = attention: I(q, k) / sqrt(H(q) H(k)).
    Source: Park et al. 2023, "What do self-supervised vision transformers learn?".
    """
    given = attention.double()
    marginal = given.mean(-2)
    entropy_query = torch.tensor(float(given.shape[-1]), dtype=torch.double, device=given.device).log()
    entropy_key = torch.special.entr(marginal).sum(-1).clamp(min=0)
    shared = (entropy_key - torch.special.entr(given).sum(-1).mean(-1)).clamp(min=0)
    scale = (entropy_query * entropy_key).sqrt().clamp(min=torch.finfo(torch.float32).tiny)
    return (shared / scale).to(attention.dtype)


def place_distances(grid: tuple[int, int], patch: int = 1) -> Float[Tensor, "n n"]:
    """Distances between the centres of all patches of a grid, in pixels."""
    centres = torch.cartesian_prod(torch.arange(grid[0]), torch.arange(grid[1])).float() * patch
    return (centres.unsqueeze(1) - centres.unsqueeze(0)).norm(dim=-1)


def attention_distance(
    attention: Float[Tensor, "b heads n n"], grid: tuple[int, int], patch: int = 1
) -> Float[Tensor, "b heads"]:
    """How far the queries of each head look, in pixels: distances of patch centres weighted by attention.

    Source: Dosovitskiy et al. 2021, figure 7.
    """
    if attention.shape[-1] != grid[0] * grid[1]:
        raise ValueError(
            f"{attention.shape[-1]} places do not fill a grid of {grid[0]}x{grid[1]}; leave the class token out"
        )
    distances = place_distances(grid, patch).to(attention)
    return (attention * distances).sum(-1).mean(-1)
