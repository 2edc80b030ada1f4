"""Random masking of the nodes of graphs of different sizes."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Context, Mask, check_choice, keep_count
from unmask.parts.masks.random import seen_counts

OVER = ("graph", "batch")


def node_mask(noise: Float[Tensor, "b v"], valid: Bool[Tensor, "b v"], ratio: float, over: str = "graph") -> Mask:
    """Hides int(ratio * nodes) nodes, those with the highest noise, of every graph or of the batch as a whole.

    A graph, or batch, of one node keeps it; others hide at least one.
    """
    shape = valid.shape if over == "graph" else (1, valid.numel())
    places = valid.reshape(shape)
    seen = seen_counts(shape[1], ratio, "floor_hidden", places)
    hidden = Mask.from_scores(noise.reshape(shape), seen, places).hidden
    return Mask.of(hidden.reshape(valid.shape), valid)


class NodeMask:
    """Hides the share `ratio` of the nodes, drawn anew for every step.

    over: the share is that of every "graph", or of all nodes of the "batch".
    """

    def __init__(self, ratio: float = 0.5, over: str = "graph"):
        keep_count(1000, ratio)
        check_choice("over", over, OVER)
        self.ratio, self.over = ratio, over

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        valid = batch["node_valid"]
        noise = torch.zeros(valid.shape, device=valid.device)
        noise[valid] = context.ragged(valid.sum(1).tolist(), device=valid.device)
        return node_mask(noise, valid, self.ratio, self.over)
