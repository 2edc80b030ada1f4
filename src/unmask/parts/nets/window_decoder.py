"""A decoder whose places attend only to their neighbours in a window, which shifts along the rows between blocks."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from unmask.core import Mask
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.positions import Positions
from unmask.parts.nets.transformer import EPS, Record, initialise
from unmask.parts.nets.vit import ViT

SHARPEST = 0.01  # least temperature of the attention
BIAS_WIDTH = 384  # of the network that makes biases of distances
NEVER = -1e9  # score of a place that must not be attended to
Size = tuple[int, int]


class WindowAttention(nn.Module):
    """Cosine attention within a window, with a learned temperature per head and a bias of the signed log distances.

    Source: Liu et al. 2022 (Swin V2), sections 3.2 and 3.3, as in timm's swin_v2_cr.
    Differs: no dropout in the network of the biases.
    """

    distances: Tensor

    def __init__(self, width: int, heads: int, window: Size):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} cannot be divided into {heads} heads; choose a divisor")
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.out = Linear(width, width)
        self.bias = nn.Sequential(nn.Linear(2, BIAS_WIDTH), nn.ReLU(), nn.Linear(BIAS_WIDTH, heads))
        self.temperature = nn.Parameter(torch.ones(heads))
        self.register_buffer("distances", log_distances(window), persistent=False)

    def forward(
        self, x: Float[Tensor, "b w n d"], allowed: Bool[Tensor, "#b #w n n"] | None = None
    ) -> Float[Tensor, "b w n d"]:
        b, w, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, w, n, 3, self.heads, d // self.heads).permute(3, 0, 1, 4, 2, 5)
        scores = F.normalize(q.float(), dim=-1, eps=1e-6) @ F.normalize(k.float(), dim=-1, eps=1e-6).transpose(-2, -1)
        scores = scores / self.temperature.float().clamp(min=SHARPEST)[:, None, None]
        scores = scores + self.bias(self.distances).float().T.reshape(self.heads, n, n)
        if allowed is not None:
            scores = scores.masked_fill(~allowed.unsqueeze(2), NEVER)
        return self.out((scores.softmax(-1).to(v.dtype) @ v).transpose(2, 3).reshape(b, w, n, d))


def log_distances(window: Size) -> Float[Tensor, "m 2"]:
    """Sign and log(1 + size) of the distance in rows and columns between all pairs of places of a window."""
    axes = torch.meshgrid(*(torch.arange(size) for size in window), indexing="ij")
    places = torch.stack([axis.flatten() for axis in axes], -1).float()
    apart = (places[:, None] - places[None]).flatten(0, 1)
    return apart.sign() * apart.abs().log1p()


class WindowBlock(nn.Module):
    """x + norm(attention(x)) within windows, then x + norm(mlp(x)). shift: rows by which the windows are moved."""

    regions: Tensor

    def __init__(self, width: int, heads: int, grid: Size, window: Size, shift: int):
        super().__init__()
        self.window, self.shift = window, shift
        self.attention = WindowAttention(width, heads, window)
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.mlp = nn.Sequential(Linear(width, 4 * width), nn.GELU(), Linear(4 * width, width))
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.register_buffer("regions", self._regions(grid), persistent=False)

    def _regions(self, grid: Size) -> Int64[Tensor, "1 w n"]:
        """Places of a window that were neighbours before the shift have the same number."""
        rows = torch.zeros(grid[0], dtype=torch.long)
        if self.shift:
            rows[-self.window[0] :] = 1
            rows[-self.shift :] = 2
        return self._cut(rows[None, :, None, None].expand(1, *grid, 1)).squeeze(-1)

    def forward(
        self, x: Float[Tensor, "b h w d"], places: Bool[Tensor, "b h w"] | None = None
    ) -> Float[Tensor, "b h w d"]:
        """places: False where a place must not be attended to."""
        moved = x.roll(-self.shift, 1) if self.shift else x
        allowed = None
        if self.shift:
            allowed = self.regions.unsqueeze(-1) == self.regions.unsqueeze(-2)
        if places is not None:
            real = self._cut((places.roll(-self.shift, 1) if self.shift else places).unsqueeze(-1)).squeeze(-1)
            allowed = real.unsqueeze(-2).expand(*real.shape, real.shape[-1]) & (True if allowed is None else allowed)
        mixed = self._joined(self.attention(self._cut(moved), allowed), x.shape)
        x = x + self.norm1(mixed.roll(self.shift, 1) if self.shift else mixed)
        return x + self.norm2(self.mlp(x))

    def _cut(self, x: Tensor) -> Tensor:
        """[b h w d] to [b windows places d]."""
        b, h, w, d = x.shape
        p, q = self.window
        return x.reshape(b, h // p, p, w // q, q, d).transpose(2, 3).reshape(b, -1, p * q, d)

    def _joined(self, x: Tensor, shape: torch.Size) -> Tensor:
        """The inverse of `_cut`."""
        b, h, w, d = shape
        p, q = self.window
        return x.reshape(b, h // p, w // q, p, q, d).transpose(2, 3).reshape(shape)


class WindowDecoder(nn.Module):
    """Windowed blocks over all places of a grid, from the encoder's tokens to one prediction per place.

    The encoder's class token is not used. window: side of the windows in places; a shorter side of the grid is one
    window. shift: move every second block's windows along time, by half of their side. outputs: numbers predicted per
    place; None: the pixels of a patch.
    Source: Huang et al. 2022 (Audio-MAE), section 3.2 and models_mae.py.
    """

    def __init__(
        self,
        encoder: ViT,
        width: int = 512,
        depth: int = 16,
        heads: int = 16,
        window: int = 4,
        shift: bool = True,
        outputs: int | None = None,
    ):
        super().__init__()
        if window < 1:
            raise ValueError(f"window {window} must be at least 1")
        rows, columns = encoder.grid
        size = (min(window, rows), min(window, columns))
        if rows % size[0] or columns % size[1]:
            raise ValueError(
                f"a grid of {rows}x{columns} places cannot be divided into windows of {size[0]}x{size[1]}; change the"
                " size of the patches, the spectrogram or the window"
            )
        self.prefix, self.grid = encoder.prefix, encoder.grid
        moved = size[0] // 2 if shift and rows > size[0] else 0
        self.embed = Linear(encoder.width, width)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = Positions(encoder.grid, width)
        self.blocks = nn.ModuleList(
            WindowBlock(width, heads, encoder.grid, size, moved * (number % 2)) for number in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.head = Linear(width, outputs or encoder.patch_size**2 * encoder.channels)
        nn.init.normal_(self.mask_token, std=0.02)
        self.apply(initialise)

    def forward(
        self,
        tokens: Float[Tensor, "b s d"],
        mask: Mask,
        grid: Size,
        record: Record | None = None,
        places: Bool[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b n k"]:
        """places: False where a place is padding that must not be attended to."""
        if tuple(grid) != tuple(self.grid):
            raise ValueError(
                f"places lie on a grid of {grid}, the windows were made for {self.grid}; use the run's size"
            )
        seen = self.embed(tokens)[:, self.prefix :]
        x = (mask.complete(seen, self.mask_token) + self.positions(grid)).to(seen.dtype).unflatten(1, grid)
        real = None if places is None else places.unflatten(1, grid)
        for block in self.blocks:
            x = block(x, real)
            if record is not None:
                record.tokens.append(x.flatten(1, 2))
        return self.head(self.norm(x.flatten(1, 2)))
