"""The point transformer as a masked encoder: a token for every patch of a cloud, and only visible ones enter."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.core import Batch, Features, Mask
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.positioned import CoordinatePositions, PositionedTransformer, truncated
from unmask.parts.nets.transformer import Record, initialise
from unmask.parts.nets.vit import transformer_shape
from unmask.parts.ops.points import Groups, grouped

SHARE = 16  # points of a cloud for every patch: 64 patches of 1,024 points


class PatchPointNet(nn.Module):
    """One vector for every patch, whatever the order of its points.

    Every point alone, the largest values over the patch joined to each, every point again, the largest values.
    hidden: width of the first layer; the others have two and four times as much.
    Source: Qi et al. 2017 (PointNet); Encoder of Point-MAE's released code, whose 1x1 convolutions are linear layers.
    """

    def __init__(self, width: int, hidden: int = 128):
        super().__init__()
        self.first = nn.Sequential(Linear(3, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), Linear(hidden, 2 * hidden))
        self.joined = Linear(4 * hidden, 4 * hidden)
        self.second = nn.Sequential(nn.BatchNorm1d(4 * hidden), nn.ReLU(), Linear(4 * hidden, width))

    def forward(self, patches: Float[Tensor, "b n k 3"]) -> Float[Tensor, "b n d"]:
        b, n, k, _ = patches.shape
        x = self.first(patches.reshape(b * n * k, 3)).reshape(b * n, k, -1)
        whole, each = self.joined.weight.split(x.shape[-1], dim=1)  # so that what a patch shares is computed once
        shared = F.linear(x.amax(1), whole, self.joined.bias)
        x = F.linear(x, each) + shared.unsqueeze(1)
        return self.second(x.flatten(0, 1)).reshape(b, n, k, -1).amax(2)


class PointTransformer(nn.Module):
    """Farthest points as centres, their neighbours as patches, a token for each, positions before every block.

    model: a preset ("vit_small" is 384x12x6) or "WIDTHxDEPTHxHEADS". points: of a cloud, as views draw them; clouds of
    other sizes are accepted at any time. groups: patches of a cloud; default: one for 16 points. group_size: points of
    a patch. embed_width: of the first layer of the network that makes tokens. drop_path: rate of the last block.
    skip_centre: points near the origin are no centres, as the released sampler has it.
    Source: Pang et al. 2022 (Point-MAE), section 3; initialisation of its released code.
    """

    key = "points"

    def __init__(
        self,
        model: str = "vit_small",
        points: int = 1024,
        groups: int | None = None,
        group_size: int = 32,
        embed_width: int = 128,
        drop_path: float = 0.1,
        skip_centre: bool = False,
    ):
        super().__init__()
        groups = points // SHARE if groups is None else groups
        if min(groups, group_size, embed_width) < 1:
            raise ValueError(f"groups {groups}, group_size {group_size} and embed_width {embed_width} must be positive")
        if groups < 2 or max(groups, group_size) > points:
            raise ValueError(
                f"{groups} groups of {group_size} points cannot be made of {points} points; at least 2 groups are"
                " needed, and neither number may be above that of the points"
            )
        self.shape = transformer_shape(model)
        self.width = self.shape.width
        self.points, self.groups, self.group_size, self.skip_centre = points, groups, group_size, skip_centre
        self.embed = PatchPointNet(self.width, embed_width)
        self.positions = CoordinatePositions(self.width)
        self.trunk = PositionedTransformer(*self.shape, drop_path=drop_path)
        self.apply(truncated)

    def grid_of(self, points: Float[Tensor, "b n 3"]) -> tuple[int]:
        """The patches of a cloud, which lie on no grid."""
        return (self.groups,)

    def grouped(self, points: Float[Tensor, "b n 3"]) -> Groups:
        """The clouds as patches."""
        return grouped(points.float(), self.groups, self.group_size, self.skip_centre)

    def forward(
        self,
        groups: Groups,
        mask: Mask | None = None,
        record: Record | None = None,
        fill: Float[Tensor, "*fill d"] | None = None,
    ) -> Float[Tensor, "b s d"]:
        """The seen patches; with `fill` all, hidden ones as this vector at their place."""
        tokens, centres, valid = self.embed(groups.patches), groups.centres, None
        if mask is not None and fill is not None:
            tokens = mask.cover(tokens, fill)
        elif mask is not None:
            tokens, centres, valid = mask.visible(tokens), mask.visible(centres), mask.valid
        return self.trunk(tokens, self.positions(centres).to(tokens.dtype), valid, record)


def read_points(encoder: PointTransformer, batch: Batch) -> Features:
    """tokens: every patch. pooled and blocks: the largest value over patches, after every block at unit scale."""
    record = Record()
    tokens = encoder(encoder.grouped(batch[encoder.key]), record=record).float()
    blocks = [F.layer_norm(x.float(), x.shape[-1:]).amax(1) for x in record.tokens[:-1]]
    pooled = tokens.amax(1)
    return Features(pooled, tokens, (encoder.groups,), (*blocks, pooled))


class PointDecoder(nn.Module):
    """A transformer over all patches, from the encoder's tokens to the points of each, relative to its centre.

    heads: default: as many as the encoder has.
    Source: Pang et al. 2022 (Point-MAE), section 3.3; initialisation of its released code.
    """

    def __init__(self, encoder: PointTransformer, depth: int = 4, heads: int | None = None, drop_path: float = 0.1):
        super().__init__()
        self.group_size = encoder.group_size
        self.mask_token = nn.Parameter(torch.empty(encoder.width))
        self.positions = CoordinatePositions(encoder.width)
        self.trunk = PositionedTransformer(encoder.width, depth, heads or encoder.shape.heads, drop_path)
        self.head = Linear(encoder.width, 3 * encoder.group_size)
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        self.trunk.apply(initialise)

    def forward(
        self,
        tokens: Float[Tensor, "b s d"],
        mask: Mask,
        centres: Float[Tensor, "b n 3"],
        record: Record | None = None,
    ) -> Float[Tensor, "b n k 3"]:
        x = mask.complete(tokens, self.mask_token)
        x = self.trunk(x, self.positions(centres).to(x.dtype), None, record)
        return self.head(x).unflatten(-1, (self.group_size, 3))
