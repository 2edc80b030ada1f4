"""Random masking of scenes: every date and group of bands for itself, or the same places in all."""

from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Context, Mask, check_choice, keep_count
from unmask.parts.masks.random import random_mask

SHARED = ("none", "place")


def same_places(
    noise: Float[Tensor, "b l"], ratio: float, layers: int, places: Bool[Tensor, "b n"] | None = None
) -> Mask:
    """The mask of one layer in all `layers` of them; `places` is False where a token is neither seen nor hidden."""
    return Mask.of(random_mask(noise, ratio).hidden.repeat(1, layers), places)


class SceneMask:
    """Hides the share `ratio` of the tokens of a scene, drawn anew for every sample and step.

    shared: "none" draws over all tokens of all dates and groups, "place" hides the same places in all of them.
    """

    def __init__(self, ratio: float = 0.75, shared: str = "none"):
        keep_count(1000, ratio)
        check_choice("shared", shared, SHARED)
        self.ratio, self.shared = ratio, shared

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        raster, encoder = batch["raster"], model.encoder
        rows, columns = encoder.grid_of(raster)
        layers = raster.shape[1] * len(encoder.groups)
        if self.shared == "place":
            noise = context.uniform(len(raster), rows * columns, device=raster.device)
            return same_places(noise, self.ratio, layers, model.places(batch))
        noise = context.uniform(len(raster), layers * rows * columns, device=raster.device)
        return random_mask(noise, self.ratio, places=model.places(batch))
