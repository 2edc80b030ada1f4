"""Point-MAE: hides most patches of a point cloud and predicts their points from a plain transformer.

New here: masked autoencoding of sets. Farthest points are centres, their neighbours patches; the encoder sees visible
patches alone, and mask tokens wait for the decoder, since a token's position would tell the encoder where hidden
patches are and so the shape. What is predicted are points, compared as sets by the Chamfer distance.
Paper: Y. Pang et al., "Masked Autoencoders for Point Cloud Self-supervised Learning", ECCV 2022,
https://arxiv.org/abs/2203.06604
Reference: Pang-Yatian/Point-MAE, models/Point_MAE.py, cfgs/pretrain.yaml (MIT). There as here, hidden patches take part
in the batch norm of the network that makes tokens. Its sampler passes over points near the origin (`skip_centre`).
Differs: decoder and head run over all patches, of which the hidden ones count; farthest points and neighbours are
plain torch. The rate warms up from 0 and falls to 0, not from and to 1e-6.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, check_choice
from unmask.parts.losses.chamfer import KINDS, chamfer
from unmask.parts.masks.centres import NearestCentres
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.point_transformer import PointDecoder, PointTransformer, read_points
from unmask.parts.ops.points import Groups, joined

CARD = Card(
    title="Point-MAE",
    paper="https://arxiv.org/abs/2203.06604",
    year=2022,
    data="points",
    hides="random patches of a point cloud",
    predicts="the points of hidden patches",
    family="masked autoencoder",
    id=6,
    claim="a standard transformer, pretrained with mask tokens in the decoder alone, classifies shapes better",
    usual="ModelNet40, fine-tuned: 93.8 with 1,024 points; ScanObjectNN PB-T50-RS: 85.2",
)

MASKS: dict[str, type] = {"random": RandomMask, "block": NearestCentres}


class PointMAE(Method):
    """ratio: share of the patches that is hidden. hides: "random" patches, or a "block" of neighbouring ones.

    distance: "squared" or "plain", of the Chamfer distance. shifted: False lets the encoder see a mask token at the
    place of every hidden patch, the paper's ablation.
    """

    def __init__(
        self,
        encoder: PointTransformer,
        decoder: PointDecoder | None = None,
        ratio: float = 0.6,
        hides: str = "random",
        distance: str = "squared",
        shifted: bool = True,
    ):
        super().__init__()
        check_choice("hides", hides, MASKS)
        check_choice("distance", distance, KINDS)
        self.encoder, self.decoder = encoder, decoder or PointDecoder(encoder)
        self.sampler = MASKS[hides](ratio, "floor_hidden")
        self.distance, self.shifted = distance, shifted

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        groups = self.encoder.grouped(batch["points"])
        mask = self.sampler(self, batch | {"centres": groups.centres}, context) if mask is None else mask
        found = self.patches(groups, mask)[mask.hidden]
        return {"reconstruction": chamfer(found, groups.patches[mask.hidden], self.distance)}

    def patches(self, groups: Groups, mask: Mask) -> Float[Tensor, "b n k 3"]:
        """The points of every patch that the decoder predicts, relative to its centre."""
        if self.shifted:
            return self.decoder(self.encoder(groups, mask), mask, groups.centres)
        tokens = self.encoder(groups, mask, fill=self.decoder.mask_token)
        return self.decoder(tokens, Mask.nothing(*mask.hidden.shape, device=tokens.device), groups.centres)

    def places(self, batch: Batch) -> None:
        """All patches of a cloud hold points."""

    def features(self, batch: Batch) -> Features:
        return read_points(self.encoder, batch)

    @torch.no_grad()
    def shown(self, batch: Batch, context: Context) -> tuple[Float[Tensor, "b n 3"], Bool[Tensor, "b n"]]:
        """The points of all patches, predicted ones where a patch is hidden, and which those are."""
        groups = self.encoder.grouped(batch["points"])
        mask = self.sampler(self, batch | {"centres": groups.centres}, context)
        patches = torch.where(mask.hidden[..., None, None], self.patches(groups, mask).float(), groups.patches)
        return joined(Groups(groups.centres, patches)), mask.hidden.repeat_interleave(self.encoder.group_size, 1)


RECIPE = Recipe(
    optimizer="adamw",
    lr=2e-3,  # the reference's 1e-3 at batches of 128
    batch=128,
    epochs=300,
    warmup=10,
    weight_decay=0.05,
    betas=(0.9, 0.999),
    crop=None,
    flip=False,
)


def tiny() -> tuple[PointMAE, Batch]:
    encoder = PointTransformer("16x2x2", points=64, groups=8, group_size=8, embed_width=8, drop_path=0.0)
    points = torch.randn(4, 64, 3, generator=torch.Generator().manual_seed(0))
    return PointMAE(encoder, PointDecoder(encoder, depth=1, heads=2, drop_path=0.0)), {"points": points}
