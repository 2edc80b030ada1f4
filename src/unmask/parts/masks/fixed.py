"""Masks that were made beforehand: one for all samples, or a bank from which each sample gets its own."""

from jaxtyping import Bool
from torch import Tensor, nn

from unmask.core import Batch, Context, Mask


class FixedMask(nn.Module):
    """Hides what the given masks hide, on the grid of the patches.

    hidden: True where a place is hidden; of several masks, each sample draws one, anew at every step.
    Raises ValueError for masks that show or hide everything, and for pictures of another grid.
    """

    hidden: Tensor

    def __init__(self, hidden: Bool[Tensor, "k h w"]):
        super().__init__()
        shares = hidden.flatten(1).float().mean(-1)
        if hidden.numel() == 0 or bool(((shares == 0) | (shares == 1)).any()):
            raise ValueError(f"masks of shape {tuple(hidden.shape)} hide nothing or everything in a row; give others")
        self.register_buffer("hidden", hidden)

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        image = batch["image"]
        grid = model.encoder.grid_of(image)
        if tuple(self.hidden.shape[1:]) != tuple(grid):
            wanted, given = ("x".join(map(str, side)) for side in (grid, self.hidden.shape[1:]))
            raise ValueError(f"masks are on a grid of {given}, the pictures have {wanted} patches; make masks of that")
        count = len(self.hidden)
        rows = (context.uniform(len(image), device=image.device) * count).long().clamp(max=count - 1)
        return Mask.of(self.hidden[rows].flatten(1), model.places(batch))
