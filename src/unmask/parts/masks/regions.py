"""Regions of pixels: the middle of the picture, or blobs of no particular shape."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Context, check_choice

KINDS = ("centre", "random", "none")
CELL = 16.7 / 128  # of the shorter side: from one draw of noise to the next, as in Pathak et al. 2016's released code
DENSITY = 0.25  # noise below this is hidden
TRIES = 32  # patterns drawn for a picture until one covers a share within the limits; one in five does
SHARPNESS = -0.5  # of the cubic between the draws


def cubic_weights(places: Float[Tensor, "*b n"], count: int) -> Float[Tensor, "*b n k"]:
    """How much each of `count` draws at the whole numbers counts at the places between them.

    Source: Keys 1981, cubic convolution.
    """
    a = SHARPNESS
    distance = (places.unsqueeze(-1) - torch.arange(count, device=places.device)).abs()
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))


def low_frequencies(
    noise: Float[Tensor, "b k k"], shift: Float[Tensor, "b 2"], size: tuple[int, int], cell: float
) -> Float[Tensor, "b h w"]:
    """Noise made smooth: a window, shifted within one cell, of a picture that was enlarged `cell` times."""
    count = noise.shape[-1]
    rows, columns = (
        cubic_weights(torch.arange(side, device=noise.device) / cell + 1 + shift[:, axis, None], count)
        for axis, side in enumerate(size)
    )
    return rows @ noise @ columns.mT


class Region:
    """Hides pixels: True where the encoder does not see.

    kind: "centre", half of every side; "random" blobs; "none", for an autoencoder to compare with.
    overlap: pixels on each side by which the hidden centre is smaller than the predicted one; None: 4 of 128.
    least, most: share of the (real) pixels that blobs cover. cell: pixels from one draw of their noise to the next;
        None: 16.7 of 128. Where no draw covers such a share, the threshold is moved until one does (`measures`).
    Source: Pathak et al. 2016 (Context Encoders), train.lua and train_random.lua of the released code.
    """

    def __init__(
        self,
        kind: str = "centre",
        overlap: int | None = None,
        least: float = 0.2,
        most: float = 0.3,
        cell: float | None = None,
    ):
        check_choice("region", kind, KINDS)
        if not 0 < least < most < 1:
            raise ValueError(f"least {least} and most {most} must be shares of the pixels, 0 < least < most < 1")
        if (overlap is not None and overlap < 0) or (cell is not None and cell < 1):
            raise ValueError(f"overlap {overlap} may not be negative, cell {cell} must be at least 1 pixel")
        self.kind, self.overlap, self.least, self.most, self.cell = kind, overlap, least, most, cell
        self.drawn = self.moved = 0

    def __call__(self, batch: Batch, context: Context) -> Bool[Tensor, "b h w"]:
        image = batch["image"]
        size, valid = (image.shape[-2], image.shape[-1]), batch.get("image_valid")
        if self.kind == "random":
            hidden = self.blobs(len(image), size, context, image.device, valid)
        else:
            hidden = torch.zeros(len(image), *size, dtype=torch.bool, device=image.device)
            if self.kind == "centre":
                hidden[(slice(None), *middle(size, self.band(size)))] = True
        return hidden if valid is None else hidden & valid

    def band(self, size: tuple[int, int]) -> int:
        """How much smaller on each side the hidden centre is than the predicted one."""
        band = round(min(size) / 32) if self.overlap is None else self.overlap
        if band >= min(size) // 4:
            raise ValueError(
                f"an overlap of {band} leaves nothing of the centre of {size[0]}x{size[1]}; set it smaller"
            )
        return band

    def blobs(
        self,
        count: int,
        size: tuple[int, int],
        context: Context,
        device: torch.device,
        valid: Bool[Tensor, "b h w"] | None = None,
    ) -> Bool[Tensor, "b h w"]:
        """For every picture the first of many patterns that covers a share within the limits."""
        cell = self.cell or max(CELL * min(size), 1.0)
        draws = int(max(size) / cell) + 4
        noise = context.uniform(count, TRIES, draws * draws + 2, device=device)
        real = torch.ones(count, *size, device=device) if valid is None else valid.float()
        found = torch.zeros(count, *size, dtype=torch.bool, device=device)
        left = torch.arange(count, device=device)
        for one in noise.unbind(1):
            pattern = low_frequencies(one[left, 2:].unflatten(-1, (draws, draws)), one[left, :2], size, cell)
            found[left] = pattern < DENSITY
            share = (found[left] * real[left]).sum((1, 2)) / real[left].sum((1, 2)).clamp(min=1)
            fits = (share > self.least) & (share < self.most)
            left, pattern = left[~fits], pattern[~fits]
            if not len(left):
                break
        else:
            middle_share = (self.least + self.most) / 2
            found[left] = pattern < pattern.flatten(1).quantile(middle_share, dim=1)[:, None, None]
        self.drawn, self.moved = self.drawn + count, self.moved + len(left)
        return found

    def measures(self) -> dict[str, float]:
        """The share of the pictures whose threshold had to be moved since the last call."""
        share = self.moved / max(self.drawn, 1)
        self.drawn = self.moved = 0
        return {"moved_thresholds": share} if self.kind == "random" else {}


def middle(size: tuple[int, int], margin: int = 0) -> tuple[slice, slice]:
    """The middle half of both sides, less a margin all around."""
    rows, columns = (slice(side // 4 + margin, side // 4 + side // 2 - margin) for side in size)
    return rows, columns
