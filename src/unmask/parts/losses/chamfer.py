"""The Chamfer distance: how far two sets of points are from each other, whatever the order of their points."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unmask.core import check_choice

KINDS = ("squared", "plain")


def nearest_squares(
    first: Float[Tensor, "n p d"], second: Float[Tensor, "n q d"]
) -> tuple[Float[Tensor, "n p"], Float[Tensor, "n q"]]:
    """For every point the squared distance to the nearest point of the other set, in float32."""
    with torch.no_grad():
        distance = torch.cdist(first.float(), second.float(), compute_mode="donot_use_mm_for_euclid_dist")
        there, back = distance.argmin(2), distance.argmin(1)
    return _squares(first, second, there), _squares(second, first, back)


def _squares(
    points: Float[Tensor, "n p d"], others: Float[Tensor, "n q d"], places: Int64[Tensor, "n p"]
) -> Float[Tensor, "n p"]:
    found = others.gather(1, places.unsqueeze(-1).expand(-1, -1, others.shape[-1]))
    return (points.float() - found.float()).square().sum(-1)


def chamfer(
    prediction: Float[Tensor, "n p d"], target: Float[Tensor, "n q d"], kind: str = "squared"
) -> Float[Tensor, ""]:
    """The mean over all predicted points of the distance to the nearest target, and the same the other way round.

    kind: "squared" adds the two means of squared distances, "plain" averages the two means of distances.
    Source: Fan et al. 2017; ChamferDistanceL2 and ChamferDistanceL1 of PoinTr's and Point-MAE's extensions.
    """
    check_choice("kind", kind, KINDS)
    if not len(prediction):
        return (prediction.sum() + target.sum()) * 0.0
    there, back = nearest_squares(prediction, target)
    if kind == "squared":
        return there.mean() + back.mean()
    least = torch.finfo(torch.float32).tiny  # the root has no slope at 0
    return (there.clamp(min=least).sqrt().mean() + back.clamp(min=least).sqrt().mean()) / 2
