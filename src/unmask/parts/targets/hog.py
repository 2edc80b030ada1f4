"""Histograms of oriented gradients as targets."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.patches import pad_to_patches, patchify
from unmask.parts.targets.pixels import Target

LEVELS = 58.0  # levels of 8-bit photographs per standard deviation; the reference's images are not standardised
EPS = 1e-5  # of the layer norm over the bins


def gradients(
    image: Float[Tensor, "b c h w"], valid: Bool[Tensor, "b 1 h w"]
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
    """Central differences down and to the right; 0 at borders and beside what is not valid."""
    wide, known = F.pad(image, (1, 1, 1, 1)), F.pad(valid, (1, 1, 1, 1))  # nothing is known beyond the border
    above, below = known[..., :-2, 1:-1], known[..., 2:, 1:-1]
    left, right = known[..., 1:-1, :-2], known[..., 1:-1, 2:]
    rows = (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) * (above & below & valid)
    columns = (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) * (left & right & valid)
    return rows, columns


def oriented_histograms(
    rows: Float[Tensor, "b c h w"], columns: Float[Tensor, "b c h w"], cell: int, orientations: int
) -> Float[Tensor, "b k H W"]:
    """Mean gradient size in every cell by direction modulo 180 degrees; of the channels, bins vary slower than c.

    Source: hog_tensor.py of DMJD's released code: hard bins, no block normalisation.
    """
    size = torch.hypot(columns, rows)
    angle = torch.rad2deg(torch.atan2(rows, columns)) % 180
    wanted = torch.div(angle, 180 / orientations, rounding_mode="floor")
    bins = torch.arange(orientations, device=rows.device).view(1, -1, 1, 1, 1)
    return F.avg_pool2d((size.unsqueeze(1) * (wanted.unsqueeze(1) == bins)).flatten(1, 2), cell)


class Hog:
    """The histograms of the cells of every patch, each normalised over its bins, in float32.

    cells: per side of a patch. orientations: bins over half a turn.
    Source: Wei et al. 2022 (MaskFeat), as in Ma et al. 2023 (DMJD).
    """

    def __init__(self, encoder: ViT, cells: int = 2, orientations: int = 9):
        if cells < 1 or encoder.patch_size % cells:
            raise ValueError(
                f"patches of {encoder.patch_size} pixels cannot be divided into {cells} cells a side;"
                " choose a divisor or another patch_size"
            )
        if orientations < 2:
            raise ValueError(f"{orientations} orientation(s) say nothing of a direction; choose at least 2")
        self.patch_size = encoder.patch_size
        self.cells = cells
        self.orientations = orientations
        self.outputs = cells * cells * orientations * encoder.channels

    def __call__(self, batch: Batch) -> Target:
        image = batch["image"].float() * LEVELS
        valid = batch.get("image_valid", torch.ones_like(image[:, 0], dtype=torch.bool)).unsqueeze(1)
        rows, columns = gradients(image, valid)
        cell = self.patch_size // self.cells
        rows, columns = (pad_to_patches(x, self.patch_size) for x in (rows, columns))
        histograms = oriented_histograms(rows, columns, cell, self.orientations)
        bins = histograms.unflatten(1, (self.orientations, -1)).movedim(1, -1)
        normal = F.layer_norm(bins, bins.shape[-1:], eps=EPS).movedim(-1, 1).flatten(1, 2)
        real = F.max_pool2d(pad_to_patches(valid.float(), self.patch_size), cell)
        known = None if real.all() else patchify(real.expand_as(normal), self.cells).bool()
        return Target(patchify(normal, self.cells), known)
