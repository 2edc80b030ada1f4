"""MixedAE: patches of several pictures are mixed into one, which is encoded, divided again and completed.

New here: nothing is dropped. Each place of a mixed picture comes from one picture of a group; the encoder sees all of
it, and an embedding says which patches come from the same picture. So that mixing does not make the task easier, every
token has to find those of its own picture: by attending to its best keys alone, as many as its picture has patches,
and by a contrastive loss. Then every picture is completed from its own tokens as in MAE.
Paper: K. Chen et al., "Mixed Autoencoder for Self-supervised Visual Representation Learning", CVPR 2023,
https://arxiv.org/abs/2303.17152
Reference: none released. (Natyren/MixedAE is not by the authors and computes another attention.)
Differs: a class token is one key more for every query. Features, and predictions under other masks than those of
mixing, are those of the encoder on a picture alone, with attention to all and without the embedding of the picture.
Width and depth of the projector are ours.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from unmask.core import Batch, Card, Context, Mask, Recipe, only_known
from unmask.families import MaskedAutoencoder
from unmask.parts.losses.masked import masked_mse
from unmask.parts.losses.supervised_contrast import supervised_contrast
from unmask.parts.masks.mixing import MixingMask
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.top_attention import transform_by_top
from unmask.parts.nets.transformer import Record, initialise
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.patches import patchify
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="MixedAE",
    paper="https://arxiv.org/abs/2303.17152",
    year=2023,
    data="image",
    hides="what other pictures of the mixture cover",
    predicts="normalised pixels, and which tokens belong together",
    family="masked autoencoder",
    id=28,
    claim="mixing pictures and recognising their parts beats dropping patches; mixing alone does not",
    usual="as MAE or a little higher; the gain is largest for detection and segmentation",
)


class MixedAE(MaskedAutoencoder):
    """group: pictures that are mixed into one; of each, 1 / group of the patches is seen.

    strength: weight of the contrast between tokens of the same and of other pictures; 0 leaves it out.
    temperature: of that contrast. projector: its hidden and output width.
    selective: attend only to as many best keys as a picture has patches. segments: say which patches belong together.
    Without these three it is naive mixing, the paper's baseline. normalise: predict pixels normalised per patch.
    """

    def __init__(
        self,
        encoder: ViT,
        decoder: TokenDecoder | None = None,
        mask: MixingMask | None = None,
        strength: float = 0.1,
        temperature: float = 0.25,
        projector: int = 256,
        selective: bool = True,
        segments: bool = True,
        normalise: bool = True,
    ):
        mask = mask or MixingMask()
        super().__init__(encoder, decoder or TokenDecoder(encoder), mask, Pixels(encoder.patch_size, normalise))
        self.group = mask.group
        self.strength = strength
        self.temperature = temperature
        self.selective = selective
        self.segment = nn.Parameter(torch.empty(mask.group, encoder.width)) if segments else None
        if self.segment is not None:
            nn.init.normal_(self.segment, std=0.02)
        wide = (Linear(encoder.width, projector), nn.GELU(), Linear(projector, projector))
        self.projector = nn.Sequential(*wide).apply(initialise) if strength else None

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        batch = only_known(batch)
        mask = self.sampler(self, batch, context) if mask is None else mask
        owner, filled = self.owners(batch, mask)
        tokens = self.encode(batch, mask)
        prediction = self.decoder(
            self.divide(tokens, mask), mask, self.encoder.grid_of(batch["image"]), None, self.places(batch)
        )
        target = self.target(batch)
        terms = {"reconstruction": masked_mse(prediction, target.values, mask.hidden, target.real)}
        if self.projector is not None:
            vectors = self.projector(tokens[:, self.encoder.prefix :])
            terms["contrast"] = self.strength * supervised_contrast(vectors, owner, self.temperature, filled)
        return terms

    def check_sampler(self, sampler) -> None:
        """Raises ValueError for masks that do not mix: each place of a group must be shown by one picture."""
        if not isinstance(sampler, MixingMask):
            raise ValueError("MixedAE mixes pictures by masks of its own that belong together, and takes no other mask")

    def owners(self, batch: Batch, mask: Mask) -> tuple[Int64[Tensor, "m n"], Bool[Tensor, "m n"]]:
        """Which picture of its group shows each place, and whether one does: none where its picture is padding.

        Raises ValueError where groups are incomplete or a place is shown by more than one picture.
        """
        if len(mask.hidden) % self.group:
            raise ValueError(
                f"a batch of {len(mask.hidden)} pictures cannot be divided into groups of {self.group}; choose a"
                " batch that divides, on every process and in every accumulation"
            )
        shown = self._shown(batch, mask).unflatten(0, (-1, self.group))
        if (shown.sum(1) > 1).any():
            raise ValueError("the mask shows a place of several pictures of a group; pictures cannot be mixed by it")
        return shown.to(torch.uint8).argmax(1), shown.any(1)

    def mix(self, batch: Batch, mask: Mask) -> Float[Tensor, "m n k"]:
        """The patches of the mixed pictures, one for each group."""
        patches = patchify(batch["image"], self.encoder.patch_size) * self._shown(batch, mask).unsqueeze(-1)
        return patches.unflatten(0, (-1, self.group)).sum(1)

    def encode(self, batch: Batch, mask: Mask, record: Record | None = None) -> Float[Tensor, "m s d"]:
        """Class token, if any, and all tokens of the mixed pictures. record: follows the blocks."""
        encoder, (owner, filled) = self.encoder, self.owners(batch, mask)
        x = encoder.embed(self.mix(batch, mask)) + encoder.positions(encoder.grid_of(batch["image"]))
        if self.segment is not None:
            x = x + self.segment[owner]
        top = -(-x.shape[1] // self.group) + encoder.prefix
        if encoder.class_token is not None:
            x = torch.cat([encoder.class_token.expand(len(x), -1, -1).to(x.dtype), x], dim=1)
            filled = torch.cat([torch.ones_like(filled[:, :1]), filled], dim=1)
        valid = None if filled.all() else filled
        if self.selective:
            return transform_by_top(encoder.trunk, x, top, valid, record)
        return encoder.trunk(x, valid, record)

    def divide(self, tokens: Float[Tensor, "m s d"], mask: Mask) -> Float[Tensor, "b t d"]:
        """For every picture the class token of its mixture and its own tokens."""
        tokens = tokens.repeat_interleave(self.group, 0)
        before, own = tokens[:, : self.encoder.prefix], tokens[:, self.encoder.prefix :]
        return torch.cat([before, mask.visible(own)], dim=1)

    def _shown(self, batch: Batch, mask: Mask) -> Bool[Tensor, "b n"]:
        places = self.places(batch)
        return ~mask.hidden if places is None else ~mask.hidden & places


RECIPE = Recipe(optimizer="adamw", lr=1.5e-4, batch=4096, epochs=800, warmup=40, weight_decay=0.05, betas=(0.9, 0.95))


def tiny() -> tuple[MixedAE, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return MixedAE(encoder, TokenDecoder(encoder, width=16, depth=1, heads=2), projector=16), {"image": image}
