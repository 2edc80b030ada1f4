"""Relevance made once per image and cropped along with it."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Batch
from unmask.parts.ops.processes import gathered


class RelevanceCache(nn.Module):
    """Keeps side and relevance of every whole image and reads them off at each crop. Part of the state, and the same
    on all processes.

    The batch needs "index"; with random crops also "whole" (the whole image) and "crop".
    """

    maps: Tensor
    known: Tensor

    def __init__(self):
        super().__init__()
        self.register_buffer("maps", torch.zeros(0, 2, 0, 0, dtype=torch.float16))
        self.register_buffer("known", torch.zeros(0, dtype=torch.bool))

    def __call__(self, compute, model, batch: Batch) -> tuple[Bool[Tensor, "b n"], Float[Tensor, "b n"]]:
        """compute(model, batch) -> (side, relevance) is called for whole images that were not seen before."""
        if "index" not in batch or ("crop" in batch and "whole" not in batch):
            raise ValueError("masks kept per image need `index` and, with random crops, `whole` in the batch")
        index = batch["index"]
        whole = batch.get("whole", batch["image"])
        grid = model.encoder.grid_of(whole)
        everyone = gathered(index)  # a map made by one process serves all
        self._reserve(int(everyone.max()) + 1, grid)
        new = ~self.known[index]
        if gathered(new).any():
            rows = torch.zeros(len(index), 2, *grid, device=index.device)
            if new.any():
                side, relevance = compute(model, {"image": whole[new]})
                rows[new] = torch.stack([side.float(), relevance.float()], 1).unflatten(-1, grid)
            fresh, rows = gathered(new), gathered(rows)
            self.maps[everyone[fresh]] = rows[fresh].half()
            self.known[everyone[fresh]] = True
        maps = self.maps[index].float()
        if "crop" in batch:
            maps = read_crop(maps, batch["crop"])
        side, relevance = maps.flatten(2).unbind(1)
        return side > 0.5, relevance

    def _reserve(self, images: int, grid: tuple[int, int]) -> None:
        missing = images - len(self.known)
        if missing > 0:
            longer = self.maps.new_zeros(images, 2, *grid)
            if len(self.maps):
                longer[: len(self.maps)] = self.maps
            self.maps = longer
            self.known = torch.cat([self.known, self.known.new_zeros(missing)])

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        for name in ("maps", "known"):  # their length is how many images were seen
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=self.known.device))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def read_crop(maps: Float[Tensor, "b k h w"], crop: Float[Tensor, "b 5"]) -> Float[Tensor, "b k h w"]:
    """The maps as seen in each crop: bilinear, at the centres of the crop's places.

    crop: top, left, height, width in fractions of the whole, and 1 if the crop was flipped left to right.
    """
    h, w = maps.shape[-2:]
    rows = (torch.arange(h, device=maps.device) + 0.5) / h
    columns = (torch.arange(w, device=maps.device) + 0.5) / w
    top, left, height, width, flipped = crop.unbind(-1)
    y = top[:, None] + rows * height[:, None]
    x = left[:, None] + torch.where(flipped[:, None] > 0.5, 1 - columns, columns) * width[:, None]
    places = torch.stack([x[:, None, :].expand(-1, h, -1) * 2 - 1, y[:, :, None].expand(-1, -1, w) * 2 - 1], dim=-1)
    return F.grid_sample(maps, places.to(maps.dtype), mode="bilinear", padding_mode="border", align_corners=False)
