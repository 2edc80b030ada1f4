"""How much stronger the edges within clusters are than those between clusters."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def edge_means(
    edges: Float[Tensor, "b n n"], labels: Int64[Tensor, "b n"]
) -> tuple[Float[Tensor, "b"], Float[Tensor, "b"]]:
    """Mean weight within clusters (mu_intra) and between clusters (mu_inter), over pairs of different places.

    NaN where there is no such pair, as when one cluster holds everything.
    """
    different = ~torch.eye(edges.shape[-1], dtype=torch.bool, device=edges.device)
    together = labels.unsqueeze(-1) == labels.unsqueeze(-2)
    within, between = together & different, ~together
    means = [(edges * pairs).sum((-2, -1)) / pairs.sum((-2, -1)) for pairs in (within, between)]
    return means[0], means[1]


def cluster_gap(edges: Float[Tensor, "b n n"], labels: Int64[Tensor, "b n"]) -> Float[Tensor, "b"]:
    """mu_intra - mu_inter: positive when the clusters are real in these edges, 0 when all edges are equal.

    edges: cosine relations, or attention between places.
    """
    intra, inter = edge_means(edges, labels)
    return intra - inter
