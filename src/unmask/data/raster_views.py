"""What the network gets of a window: the same crop of some of its dates, standardised by the card."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from unmask.core import Batch
from unmask.data.card import native
from unmask.data.loading import stacked
from unmask.data.raster import Window
from unmask.data.raster_card import RasterCard
from unmask.data.values import PlainView
from unmask.data.views import TRIES, random_box, resize, resize_nearest


class RasterView(PlainView):
    """Bands as "raster", with "raster_valid" and, where dates are known, "moment".

    dates: of a sample; fewer are repeated. crop: share of the area of a random crop, None for the whole window. flip:
    mirror half of the samples. Evaluation takes whole windows at dates that are spread evenly.
    """

    def __init__(self, image_size: int, dates: int = 1, crop: tuple[float, float] | None = None, flip: bool = False):
        self.size = (image_size, image_size)
        self.dates, self.crop, self.flip = dates, crop, flip

    def __call__(self, window: Window, card: RasterCard, target: None = None) -> dict[str, Tensor]:
        count = len(window.dates)
        chosen = torch.arange(self.dates) * count // max(self.dates, 1) if count > self.dates else self.all_of(count)
        return self.shown(window, card, chosen, window.box[2:], (0, 0), False)

    def draw(self, window: Window, card: RasterCard, generator: torch.Generator) -> dict[str, Tensor]:
        """Dates, crop and mirror are drawn, the dates without repetition where there are enough of them."""
        count = len(window.dates)
        order = torch.randperm(count, generator=generator)
        chosen = order[: self.dates].sort().values if count >= self.dates else self.all_of(count)
        noise = torch.rand(4 * TRIES + 1, generator=generator)
        height, width = window.box[2:]
        top, left, h, w = (
            (0, 0, height, width) if self.crop is None else random_box(height, width, self.crop, 1, noise[1:])
        )
        return self.shown(window, card, chosen, (h, w), (top, left), self.flip and bool(noise[0] < 0.5))

    def all_of(self, count: int) -> Int64[Tensor, "t"]:
        """All dates, repeated until they are enough."""
        return torch.arange(self.dates) % count

    def shown(
        self,
        window: Window,
        card: RasterCard,
        chosen: Int64[Tensor, "t"],
        size: tuple[int, int],
        corner: tuple[int, int],
        mirrored: bool,
    ) -> dict[str, Tensor]:
        """The crop of the chosen dates."""
        pictures = [window.read(date) for date in chosen.tolist()]
        for picture in pictures:
            card.check_picture(picture)
        part = (slice(corner[0], corner[0] + size[0]), slice(corner[1], corner[1] + size[1]))
        values = np.stack([picture.values[part] for picture in pictures])
        valid = torch.ones(len(pictures), *self.size, dtype=torch.bool)
        for i, picture in enumerate(pictures):
            if picture.missing is not None:
                lost = picture.missing[part]
                values[i][lost] = np.array(card.mean).astype(
                    values.dtype
                )  # does not bleed into neighbours when resized
                valid[i] = resize_nearest(torch.from_numpy(~lost), self.size)
        flat = native(values.reshape(-1, *values.shape[2:])).unflatten(0, values.shape[:2]).permute(0, 3, 1, 2)
        raster = card.scaled(resize(flat.flatten(0, 1), self.size).unflatten(0, flat.shape[:2]))
        if mirrored:
            raster, valid = raster.flip(-1), valid.flip(-1)
        sample = {"raster": raster.masked_fill(~valid.unsqueeze(1), 0.0), "raster_valid": valid}
        return sample | ({"moment": window.moments[chosen]} if card.first else {})

    def together(self, samples: Sequence[dict[str, Tensor]]) -> Batch:
        """Rows of one tensor for every key; what is known everywhere needs no mark."""
        batch = {key: stacked([sample[key] for sample in samples]) for key in samples[0]}
        if bool(batch["raster_valid"].all()):
            batch.pop("raster_valid")
        return batch

    def sentences(self, card: RasterCard) -> list[str]:
        """What training does with the windows of this card."""
        area = (
            "whole windows" if self.crop is None else f"crops of {self.crop[0]:.0%} to {self.crop[1]:.0%} of a window"
        )
        lines = [f"{area} as {self.size[0]}x{self.size[1]} pixels{', half of them mirrored' * self.flip}"]
        lines.append(f"{len(card.channels)} band(s), each (value - mean) / std with the statistics below")
        if self.dates > 1:
            drawn = "drawn from those of a place, the same crop of all" if card.dates[1] > self.dates else "of a place"
            lines.append(f"{self.dates} dates a sample, {drawn}")
        if card.missing:
            lines.append("pixels without data are neither predicted nor counted; a window without any is replaced")
        return lines
