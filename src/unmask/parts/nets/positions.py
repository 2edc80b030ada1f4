"""Positions of a grid as a module, fixed or learned."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.core import check_choice
from unmask.parts.ops.positions import sincos_grid, sinusoid

KINDS = ("sincos", "learned")


class Positions(nn.Module):
    """One vector per place of a grid; another grid than the constructor's is computed or interpolated.

    kind: "sincos" is fixed and exact on any grid; "learned" is trained on `grid` and resized bicubically.
    """

    def __init__(self, grid: tuple[int, int], width: int, kind: str = "sincos"):
        super().__init__()
        check_choice("positions", kind, KINDS)
        self.grid = grid
        self.width = width
        self.kind = kind
        if kind == "learned":
            self.table = nn.Parameter(torch.empty(grid[0] * grid[1], width))
            nn.init.trunc_normal_(self.table, std=0.02)
        else:
            self.register_buffer("table", sincos_grid(grid, width), persistent=False)

    def forward(self, grid: tuple[int, int]) -> Float[Tensor, "n d"]:
        if tuple(grid) == tuple(self.grid):
            return self.table
        if self.kind == "sincos":
            return sincos_grid(grid, self.width).to(self.table)
        table = self.table.reshape(1, *self.grid, self.width).permute(0, 3, 1, 2)
        resized = F.interpolate(table.float(), size=grid, mode="bicubic", antialias=True, align_corners=False)
        return resized.permute(0, 2, 3, 1).reshape(-1, self.width).to(self.table.dtype)


class LinePositions(nn.Module):
    """One fixed vector per place of a line, whatever the grid that was flattened to it."""

    table: Tensor

    def __init__(self, count: int, width: int):
        super().__init__()
        self.width = width
        self.register_buffer("table", self._made(count), persistent=False)

    def forward(self, count: int) -> Float[Tensor, "n d"]:
        return self.table if count == len(self.table) else self._made(count).to(self.table)

    def _made(self, count: int) -> Float[Tensor, "n d"]:
        return sinusoid(torch.arange(count, dtype=torch.float64), self.width).float()
