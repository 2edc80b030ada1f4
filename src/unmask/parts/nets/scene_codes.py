"""Where a token of a scene stands: its place in the picture, its group of bands and its date, as fixed codes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unmask.parts.ops.positions import sincos, sincos_grid

FIRST_YEAR = 2002  # years are counted from here; the released code of SatMAE
GROUP_MOST, TIME_MOST = (256, 128), (384, 192)  # of the encoder and the decoder, in the released code of SatMAE


def code_widths(
    width: int, groups: int, dates: int, group_width: int | None, time_width: int | None, decoder: bool = False
) -> tuple[int, int]:
    """How much of a token's code tells its group and its date; nothing where there is only one.

    None: the published widths, or a third and a half of narrower tokens. Raises ValueError where they do not fit.
    """
    group = min(GROUP_MOST[decoder], width // 3 // 4 * 4) if group_width is None else group_width
    time = min(TIME_MOST[decoder], width // 2 // 12 * 12) if time_width is None else time_width
    group, time = group if groups > 1 else 0, time if dates > 1 else 0
    left = width - group - time
    if left < 4 or left % 4 or group % 2 or time % 6:
        raise ValueError(
            f"tokens of {width} numbers cannot hold a code of {group} for the group, {time} for the date (a multiple of"
            f" 6) and {left} for the place (a multiple of 4); set group_width or time_width"
        )
    return group, time


class SceneCodes(nn.Module):
    """Sines and cosines of place, group and date, one beside the other."""

    def __init__(self, width: int, groups: int, group_width: int, time_width: int):
        super().__init__()
        self.width, self.groups = width, groups
        self.group_width, self.time_width = group_width, time_width
        self.place_width = width - group_width - time_width

    def forward(
        self, grid: tuple[int, int], dates: int, moment: Float[Tensor, "b t 3"] | None, like: Tensor
    ) -> Float[Tensor, "a n d"]:
        """Dates first, then groups, then places. moment: year, month and hour; None will do without codes of dates.

        One row for all samples where these do not differ.
        """
        if self.time_width and moment is None:
            raise ValueError("the scenes have no dates, and the network reads them; give dates, or set dates=1")
        b = 1 if moment is None or not self.time_width else len(moment)
        place = sincos_grid(grid, self.place_width).to(like)
        shape = (b, dates, self.groups, len(place))
        parts = [place.expand(*shape, -1)]
        if self.group_width:
            group = sincos(torch.arange(float(self.groups), device=like.device), self.group_width).to(like)
            parts.append(group[:, None].expand(*shape, -1))
        if self.time_width and moment is not None:
            parts.append(self.of_dates(moment).to(like)[:, :, None, None].expand(*shape, -1))
        return torch.cat(parts, dim=-1).flatten(1, 3)

    def of_dates(self, moment: Float[Tensor, "b t 3"]) -> Float[Tensor, "b t k"]:
        """Year, month and hour, a third of the width each."""
        first = torch.tensor([FIRST_YEAR, 1, 0], dtype=torch.float64, device=moment.device)
        numbers = (moment.double() - first).flatten(0, 1)
        codes = [sincos(number, self.time_width // 3) for number in numbers.unbind(-1)]
        return torch.cat(codes, dim=-1).unflatten(0, moment.shape[:2])

    def of_class(self, like: Tensor) -> Float[Tensor, "d"]:
        """The code of a class token: that of the group after the last, at no place and no date."""
        code = like.new_zeros(self.width)
        if self.group_width:
            last = torch.tensor([float(self.groups)], device=like.device)
            code[self.place_width : self.place_width + self.group_width] = sincos(last, self.group_width)[0].to(like)
        return code
