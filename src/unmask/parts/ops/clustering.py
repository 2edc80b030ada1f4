"""Normalised cut of token graphs, in batches: two-way exact or fast, and K-way by recursion.

Source: Shi and Malik 2000, "Normalized cuts and image segmentation"; thresholds and seed rule of TokenCut
(Wang et al. 2022).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unmask.core import check_choice

FLOOR = 1e-5  # TokenCut's affinity floor: keeps the graph connected
LANCZOS_STEPS = 32  # Krylov dimension of the fast path: agrees with eigh even on the tokens of pure noise
NOTHING = 1e-6  # a shorter rest of a unit vector is rounding error in float32

AFFINITIES = ("clamp", "shift", "binary")
THRESHOLDS = ("mean", "zero", "sweep")
SOLVERS = ("fast", "exact")


class Bipartition(NamedTuple):
    """A two-way cut: which side a place is on, the vector that was split, and how clear the cut is.

    gap: second minus third largest eigenvalue of the normalised affinity; near 0 the cut is arbitrary.
    """

    side: Bool[Tensor, "b n"]
    vector: Float[Tensor, "b n"]
    gap: Float[Tensor, "b"]


def affinity(relations: Float[Tensor, "b n n"], kind: str = "clamp", tau: float = 0.2) -> Float[Tensor, "b n n"]:
    """Cosines as non-negative edge weights.

    "clamp": negative cosines become the floor; "shift": (1 + cosine) / 2; "binary": 1 above `tau`, else the floor.
    """
    if kind == "clamp":
        return relations.clamp(min=FLOOR)
    if kind == "shift":
        return (1 + relations) / 2
    check_choice("affinity", kind, AFFINITIES)
    return torch.where(relations > tau, 1.0, FLOOR).to(relations.dtype)


def normalised(
    weights: Float[Tensor, "b n n"], places: Bool[Tensor, "b n"] | None = None
) -> tuple[Float[Tensor, "b n n"], Float[Tensor, "b n"]]:
    """D^-1/2 W D^-1/2 and D^1/2; places that do not exist are cut off from the graph."""
    if places is not None:
        weights = weights * (places.unsqueeze(-1) & places.unsqueeze(-2))
    root = weights.sum(-1).clamp(min=FLOOR).sqrt()
    return weights / (root.unsqueeze(-1) * root.unsqueeze(-2)), root


def second_exact(
    graph: Float[Tensor, "b n n"], root: Float[Tensor, "b n"]
) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b"]]:
    """The second largest eigenvector of the normalised affinity, and its eigenvalue minus the third's."""
    values, vectors = torch.linalg.eigh(graph)
    third = values[:, -3] if values.shape[-1] > 2 else torch.full_like(values[:, -2], -1.0)
    return vectors[..., -2], values[:, -2] - third


def second_fast(
    graph: Float[Tensor, "b n n"], root: Float[Tensor, "b n"], steps: int = LANCZOS_STEPS
) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b"]]:
    """As `second_exact` by Lanczos iteration in the space orthogonal to the known first eigenvector D^1/2 1.

    The start is the graph's rows seen from a fixed place-dependent direction, so that equal inputs give equal
    cuts. The basis is kept orthogonal explicitly.
    """
    b, n, _ = graph.shape
    steps = min(steps, n - 1)
    basis = graph.new_zeros(b, steps + 1, n)
    basis[:, 0] = F.normalize(root, dim=-1)
    start = (graph.square().sum(-1) * root).add(torch.cos(torch.arange(n, device=graph.device) * 2.4), alpha=1e-3)
    vector, _, _ = _residual(F.normalize(start, dim=-1).unsqueeze(1), basis[:, :1])
    diagonal, below = [], []
    for step in range(1, steps + 1):
        basis[:, step : step + 1] = vector
        image = torch.bmm(vector, graph)  # the graph is symmetric, and its rows lie together
        vector, share, length = _residual(image, basis[:, : step + 1])
        diagonal.append(share)
        below.append(length)
    off = torch.cat(below, -1)[:, :-1]
    off = torch.where(off.isinf(), 0.0, off)
    small = torch.diag_embed(torch.cat(diagonal, -1)) + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    values, vectors = torch.linalg.eigh(small)
    ritz = torch.einsum("bsn,bs->bn", basis[:, 1:], vectors[..., -1])
    gap = values[:, -1] - values[:, -2] if steps > 1 else torch.ones_like(values[:, -1])
    return ritz, gap


def _residual(
    vector: Float[Tensor, "b 1 n"], basis: Float[Tensor, "b s n"]
) -> tuple[Float[Tensor, "b 1 n"], Float[Tensor, "b 1"], Float[Tensor, "b 1"]]:
    """The unit vector along what `basis` does not span, the last basis vector's share, and the length of the rest.

    Where nothing is left the length is infinite and the vector 0.
    """
    columns = basis.transpose(1, 2)
    shares = torch.bmm(vector, columns)
    vector = torch.baddbmm(vector, shares, basis, alpha=-1)
    vector = torch.baddbmm(vector, torch.bmm(vector, columns), basis, alpha=-1)  # once leaves errors that grow
    length = F.threshold(torch.linalg.vector_norm(vector, dim=-1), NOTHING, torch.inf)
    return vector / length.unsqueeze(-1), shares[:, 0, -1:], length


def cut_cost(weights: Float[Tensor, "b n n"], side: Bool[Tensor, "b n"]) -> Float[Tensor, "b"]:
    """Normalised cut: cut(A, B) / assoc(A, V) + cut(A, B) / assoc(B, V); 2 where a side is empty."""
    chosen = side.to(weights.dtype)
    degrees = weights.sum(-1)
    cut = torch.einsum("bn,bnm,bm->b", chosen, weights, 1 - chosen)
    inside, outside = (degrees * chosen).sum(-1), (degrees * (1 - chosen)).sum(-1)
    empty = (inside <= 0) | (outside <= 0)
    cost = cut / inside.clamp(min=FLOOR) + cut / outside.clamp(min=FLOOR)
    return torch.where(empty, torch.full_like(cost, 2.0), cost)


def split(
    vector: Float[Tensor, "b n"],
    threshold: str,
    weights: Float[Tensor, "b n n"],
    places: Bool[Tensor, "b n"] | None = None,
) -> Bool[Tensor, "b n"]:
    """Which places lie above the threshold: the "mean" of the vector, "zero", or the "sweep"'s lowest cut cost."""
    exists = torch.ones_like(vector, dtype=torch.bool) if places is None else places
    if threshold == "mean":
        mean = (vector * exists).sum(-1, keepdim=True) / exists.sum(-1, keepdim=True).clamp(min=1)
        return (vector > mean) & exists
    if threshold == "zero":
        return (vector > 0) & exists
    check_choice("threshold", threshold, THRESHOLDS)
    costs = [cut_cost(weights, (vector > vector[:, i : i + 1]) & exists) for i in range(vector.shape[-1])]
    best = torch.stack(costs, -1).argmin(-1, keepdim=True)
    return (vector > vector.gather(-1, best)) & exists


def bipartition(
    weights: Float[Tensor, "b n n"],
    solver: str = "exact",
    threshold: str = "mean",
    places: Bool[Tensor, "b n"] | None = None,
) -> Bipartition:
    """Two-way normalised cut: solves (D - W) y = lambda D y for the second smallest lambda and splits y.

    solver: "exact" by a full eigendecomposition, "fast" by Lanczos iteration.
    """
    check_choice("solver", solver, SOLVERS)
    weights = weights.float()
    graph, root = normalised(weights, places)
    eigenvector, gap = (second_fast if solver == "fast" else second_exact)(graph, root)
    vector = F.normalize(eigenvector / root, dim=-1)
    return Bipartition(split(vector, threshold, weights, places), vector, gap)


def recursive_clusters(
    weights: Float[Tensor, "b n n"], limit: int = 9, cost: float = 0.5, smallest: int = 2, solver: str = "exact"
) -> Int64[Tensor, "b n"]:
    """K-way normalised cut: splits the cheapest cluster in two while a split costs less than `cost`.

    limit: most clusters per graph. smallest: fewest places in a cluster. Returns cluster numbers from 0.
    """
    return torch.stack([_recursive(graph, limit, cost, smallest, solver) for graph in weights.float()])


def _recursive(
    weights: Float[Tensor, "n n"], limit: int, cost: float, smallest: int, solver: str
) -> Int64[Tensor, "n"]:
    clusters = [torch.arange(weights.shape[0], device=weights.device)]
    proposals: list[tuple[float, Tensor] | None] = [_proposal(weights, clusters[0], smallest, solver)]
    while len(clusters) < limit:
        affordable = [(p[0], i) for i, p in enumerate(proposals) if p is not None and p[0] < cost]
        if not affordable:
            break
        i = min(affordable)[1]
        members, side = clusters[i], proposals[i][1]  # type: ignore[index]
        clusters[i : i + 1] = [members[side], members[~side]]
        proposals[i : i + 1] = [_proposal(weights, part, smallest, solver) for part in clusters[i : i + 2]]
    labels = torch.empty(weights.shape[0], dtype=torch.long, device=weights.device)
    for number, members in enumerate(clusters):
        labels[members] = number
    return labels


def _proposal(
    weights: Float[Tensor, "n n"], members: Int64[Tensor, "m"], smallest: int, solver: str
) -> tuple[float, Bool[Tensor, "m"]] | None:
    """The cheapest way to split these members, or None when a part would be too small."""
    if len(members) < max(2 * smallest, 3):
        return None
    part = weights[members][:, members].unsqueeze(0)
    side = bipartition(part, solver, "sweep").side
    if min(int(side.sum()), int((~side).sum())) < smallest:
        return None
    return float(cut_cost(part, side)), side[0]
