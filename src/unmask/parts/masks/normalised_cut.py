"""The cluster of the main object, by a normalised cut of its tokens' similarities."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import check_choice
from unmask.parts.ops.clustering import AFFINITIES, SOLVERS, THRESHOLDS, affinity, bipartition
from unmask.parts.ops.relations import cosine_relations

SIDES = ("seed", "attention", "contrast", "small", "interior")
SALIENCE = ("attention", "interior")  # the sides that are chosen by a number given for every place
NO_GAP = 1e-4  # eigenvalues closer than this leave the cut arbitrary
EPS = 1e-12  # the shortest length to divide by
CACHED = 1 << 19  # numbers of similarity matrices handled at a time on a CPU: 13 images of 14 x 14 patches, 2 MB


class NormalisedCut:
    """How tokens are cut in two and which side holds the object.

    affinity: "clamp" (negative cosines become a floor), "shift" ((1 + cosine) / 2) or "binary" (cosine > tau).
    threshold: the eigenvector is split at its "mean", at "zero" or at the best cut of a "sweep".
    side: the side of the "seed" (largest entry of the eigenvector, TokenCut), of the higher class-token
        "attention", of the higher similarity "contrast", the "small" one, or the "interior" one, which has less of the
        border of the picture.
    solver: "fast" (Lanczos) or "exact" (eigh).
    """

    def __init__(
        self,
        affinity: str = "clamp",
        threshold: str = "mean",
        side: str = "seed",
        solver: str = "fast",
        tau: float = 0.2,
    ):
        for value, known, name in (
            (affinity, AFFINITIES, "affinity"),
            (threshold, THRESHOLDS, "threshold"),
            (side, SIDES, "side"),
            (solver, SOLVERS, "solver"),
        ):
            check_choice(name, value, known)
        self.affinity = affinity
        self.threshold = threshold
        self.side = side
        self.solver = solver
        self.tau = tau

    def __call__(
        self,
        tokens: Float[Tensor, "b n d"],
        salience: Float[Tensor, "b n"] | None = None,
        places: Bool[Tensor, "b n"] | None = None,
    ) -> tuple[Bool[Tensor, "b n"], Bool[Tensor, "b"]]:
        """The object's side and, per row, whether the cut is usable: two places a side and a clear gap.

        salience: higher where the object is likely to be, for the sides in SALIENCE.
        """
        found = [
            self._cut(tokens[rows], *(x if x is None else x[rows] for x in (salience, places)))
            for rows in _pieces(tokens)
        ]
        sides, usable = zip(*found, strict=True)
        return torch.cat(sides), torch.cat(usable)

    def _cut(
        self, tokens: Float[Tensor, "b n d"], salience: Float[Tensor, "b n"] | None, places: Bool[Tensor, "b n"] | None
    ) -> tuple[Bool[Tensor, "b n"], Bool[Tensor, "b"]]:
        relations = cosine_relations(tokens.float())
        weights = affinity(relations, self.affinity, self.tau)
        cut = bipartition(weights, self.solver, self.threshold, places)
        exists = torch.ones_like(cut.side) if places is None else places
        other = exists & ~cut.side
        side = torch.where(self._first(cut.side, other, cut.vector, relations, salience).unsqueeze(-1), cut.side, other)
        enough = (side.sum(-1) >= 2) & ((exists & ~side).sum(-1) >= 2)
        return side, enough & (cut.gap > NO_GAP)

    def _first(self, side, other, vector, relations, salience) -> Bool[Tensor, "b"]:
        """Per row, whether `side` rather than `other` holds the object."""
        if self.side == "small":
            return side.sum(-1) <= other.sum(-1)
        if self.side == "seed":
            seed = (vector.abs() * (side | other)).argmax(-1, keepdim=True)
            return side.gather(-1, seed).squeeze(-1)
        if self.side in SALIENCE:
            return _mean(salience, side) >= _mean(salience, other)
        return _contrast(relations, side, other) >= _contrast(relations, other, side)


def interior(grid: tuple[int, int], exists: Bool[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """1 where a place has a neighbour on every side, 0 at the border of the picture."""
    inside = F.pad(exists.unflatten(-1, grid), (1, 1, 1, 1))
    up, down = inside[:, :-2, 1:-1], inside[:, 2:, 1:-1]
    left, right = inside[:, 1:-1, :-2], inside[:, 1:-1, 2:]
    return (up & down & left & right & exists.unflatten(-1, grid)).flatten(1).float()


def _mean(values: Float[Tensor, "b n"], side: Bool[Tensor, "b n"]) -> Float[Tensor, "b"]:
    return (values * side).sum(-1) / side.sum(-1).clamp(min=1)


def _contrast(
    relations: Float[Tensor, "b n n"], side: Bool[Tensor, "b n"], other: Bool[Tensor, "b n"]
) -> Float[Tensor, "b"]:
    """Mean similarity inside a side minus its mean similarity to the other."""
    inside, outside = side.to(relations.dtype), other.to(relations.dtype)
    own = torch.einsum("bn,bnm,bm->b", inside, relations, inside) / inside.sum(-1).square().clamp(min=1)
    across = torch.einsum("bn,bnm,bm->b", inside, relations, outside)
    return own - across / (inside.sum(-1) * outside.sum(-1)).clamp(min=1)


def relevance_to(tokens: Float[Tensor, "b n d"], side: Bool[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """Cosine of every place with the mean direction of the cluster."""
    return torch.cat([_relevance(tokens[rows].float(), side[rows]) for rows in _pieces(tokens)])


def _relevance(tokens: Float[Tensor, "b n d"], side: Bool[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    shrink = 1 / tokens.norm(dim=-1).clamp(min=EPS)
    centre = F.normalize(torch.bmm((side * shrink).unsqueeze(1), tokens), dim=-1)
    return torch.bmm(tokens, centre.transpose(1, 2)).squeeze(-1) * shrink


def _pieces(tokens: Float[Tensor, "b n d"]) -> Iterator[slice]:
    """Rows that are handled together: all on a GPU; on a CPU so few that what is computed of them stays cached."""
    b, n, _ = tokens.shape
    count = max(1, CACHED // n**2) if tokens.device.type == "cpu" else max(1, b)
    for first in range(0, max(1, b), count):
        yield slice(first, first + count)
