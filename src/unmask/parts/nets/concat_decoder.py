"""The light decoder that receives the seen places and, behind them, one mask token for every place to predict."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Mask
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.positions import LinePositions
from unmask.parts.nets.transformer import Record, Transformer, initialise
from unmask.parts.nets.video_vit import VideoViT


class ConcatDecoder(nn.Module):
    """A narrow transformer over what is seen and what is hidden; places that are neither do not enter.

    Nothing is put back into order: fixed positions along the flattened grid say what lies where. outputs: numbers
    predicted per place; None: those of a cube.
    Source: Tong et al. 2022 (VideoMAE), PretrainVisionTransformer.
    """

    prefix = 0  # tokens before the places

    def __init__(
        self,
        encoder: VideoViT,
        width: int = 384,
        depth: int = 4,
        heads: int = 6,
        key_bias: bool = False,
        outputs: int | None = None,
    ):
        super().__init__()
        self.embed = Linear(encoder.width, width, bias=False)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = LinePositions(math.prod(encoder.grid), width)
        self.trunk = Transformer(width, depth, heads, key_bias=key_bias)
        self.head = Linear(width, outputs or encoder.numbers)
        nn.init.trunc_normal_(self.mask_token, std=0.02, a=-0.02, b=0.02)
        initialise(self.embed)
        initialise(self.head)

    def forward(
        self,
        tokens: Float[Tensor, "b s d"],
        mask: Mask,
        grid: tuple[int, ...],
        record: Record | None = None,
        places: Bool[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b n k"]:
        """The prediction of every hidden place, 0 elsewhere. places: is not needed, the mask leaves out the others."""
        b, n = mask.hidden.shape
        x = self.embed(tokens)
        positions = self.positions(n).to(x.dtype)
        counts = mask.hidden.sum(-1)
        most = int(counts.max())
        wanted = (~mask.hidden).to(torch.uint8).argsort(dim=-1, stable=True)[:, :most]  # ascending
        x = torch.cat([x + positions[mask.kept], self.mask_token.to(x.dtype) + positions[wanted]], dim=1)
        real = torch.arange(most, device=x.device) < counts.unsqueeze(-1)
        valid = None
        if mask.valid is not None or bool((counts < most).any()):
            seen = torch.ones_like(mask.kept, dtype=torch.bool) if mask.valid is None else mask.valid
            valid = torch.cat([seen, real], dim=1)
        predicted = self.head(self.trunk(x, valid, record)[:, mask.count :])
        predicted = predicted * real.unsqueeze(-1)
        return predicted.new_zeros(b, n, predicted.shape[-1]).scatter(
            1, wanted.unsqueeze(-1).expand_as(predicted), predicted
        )

    def rehead(self, outputs: int) -> None:
        """Predicts so many numbers per place instead, from a new last layer."""
        self.head = Linear(self.head.in_features, outputs)
        initialise(self.head)

    def fill(self, tokens: Float[Tensor, "b s d"], mask: Mask, grid: tuple[int, ...]) -> Float[Tensor, "b n e"]:
        """Every place in its order, mask tokens where nothing is seen, for what reads the input as a whole."""
        full = mask.complete(self.embed(tokens), self.mask_token)
        return full + self.positions(full.shape[1]).to(full.dtype)
