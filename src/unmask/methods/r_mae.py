"""R-MAE: besides the pixels, the regions of a picture are completed from their visible parts.

New here: a second task. Regions are found without labels; each of a few is read where patches are visible, becomes one
query, and is completed at the hidden patches with the help of a second light decoder over the encoder's tokens. The
encoder, and MAE's own decoder, target and loss, stay as they are.
Paper: D.-K. Nguyen et al., "R-MAE: Regions Meet Masked Autoencoders", ICLR 2024, https://arxiv.org/abs/2306.05411
Reference: facebookresearch/r-mae, pretrain/module/{rmae,layers}.py, pretrain/dataset/pretrain.py (CC-BY-NC 4.0).
Regions: scikit-image's felzenszwalb, as the reference calls it.
Differs: regions are found in the crop that is trained on, no finer than `finest` pixels along a side, instead of once
in the whole picture; both their parameters shrink with the area, so that the published ones, for pictures of about
224x224, suit other sizes. Pictures are standardised, and one deviation is taken for a quarter of the range.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unmask.core import Batch, Card, Context, Mask, Recipe, check_choice, only_known
from unmask.families import MaskedAutoencoder
from unmask.parts.losses.masked import masked_mean, masked_mse
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.region_decoder import RegionDecoder, region_loss
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.patches import patchify, valid_pixels
from unmask.parts.ops.regions import graph_regions
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="R-MAE",
    paper="https://arxiv.org/abs/2306.05411",
    year=2024,
    data="image",
    hides="random patches, of the picture and of its regions",
    predicts="normalised pixels and region masks",
    family="masked autoencoder",
    id=105,
    claim="completing regions beside pixels improves detection and segmentation at about one percent more compute",
    usual="as MAE; the gain is in dense tasks",
)
AREA = 224 * 224  # pixels of the pictures that the published parameters of regions are for
DEVIATION = 0.25  # of a picture's range, for one unit of standardised pixels
OF = ("own", "other")


class Regions:
    """Which regions a picture has, and which of them are completed.

    count: regions completed per picture; where it has fewer, some are taken more than once. 0: none, which is MAE.
    scales: one or several; each gives regions of its own, larger ones the larger it is. smallest: pixels of a region.
    finest: longest side, in pixels, at which they are found. touching: only regions that a visible patch touches.
    of: "own" regions, or those of the "other" picture before in the batch, a control.
    """

    def __init__(
        self,
        count: int = 8,
        scales: float | tuple[float, ...] = 1000.0,
        smallest: int = 1000,
        finest: int = 64,
        touching: bool = False,
        of: str = "own",
    ):
        check_choice("regions of", of, OF)
        scales = scales if isinstance(scales, tuple) else (scales,)
        if count < 0 or finest < 2 or not scales:
            raise ValueError(
                f"{count} regions at {len(scales)} scales in pictures of {finest} pixels cannot be found; count must"
                " not be negative, at least one scale is needed, and a picture has at least 2 pixels along a side"
            )
        self.count = count
        self.scales = scales
        self.smallest = smallest
        self.finest = finest
        self.touching = touching
        self.of = of

    def __call__(
        self, batch: Batch, seen: Bool[Tensor, "b n"], patch: int, context: Context
    ) -> Float[Tensor, "b r n p"]:
        """The chosen regions of every picture, cut into patches: 1 inside, 0 outside. seen: the visible patches."""
        image = batch["image"]
        noise = context.uniform(len(image), self.count)
        regions = [self.find(picture) for picture in image]
        if "image_valid" in batch:
            pairs = zip(regions, batch["image_valid"].cpu(), strict=True)
            regions = [some[(some & real).flatten(1).any(-1)] for some, real in pairs]
        found = [patchify(some.unsqueeze(1).float(), patch) for some in regions]
        if self.of == "other":
            found = [found[-1], *found[:-1]]
        if self.touching:
            found = [some[some.any(-1)[:, shown].any(-1)] for some, shown in zip(found, seen.cpu(), strict=True)]
        rows = [
            some[chosen(row, len(some))] if len(some) else some.new_zeros(self.count, *some.shape[1:])
            for some, row in zip(found, noise, strict=True)
        ]
        return torch.stack(rows).to(image.device)

    def find(self, image: Float[Tensor, "c h w"]) -> Bool[Tensor, "r h w"]:
        """All regions of a picture."""
        size = image.shape[-2:]
        fine = min(1.0, self.finest / max(size))
        small = [max(2, round(side * fine)) for side in size]
        picture = image.float().cpu() * DEVIATION
        if tuple(small) != tuple(size):
            picture = F.interpolate(picture.unsqueeze(0), small, mode="bilinear", antialias=True).squeeze(0)
        share = small[0] * small[1] / AREA
        masks = []
        for scale in self.scales:
            labels = graph_regions(picture, scale * share, round(self.smallest * share))
            wide = F.interpolate(labels[None, None].double(), size, mode="nearest").long()[0, 0]
            masks.append(wide == torch.unique(wide)[:, None, None])
        return torch.cat(masks)


def chosen(noise: Float[Tensor, "r"], n: int) -> Int64[Tensor, "r"]:
    """As many of n things as there is noise, in random order: none more than once more often than any other."""
    count = len(noise)
    pool = list(range(n)) * -(-count // n)
    for place, draw in enumerate(noise.tolist()):
        other = place + int(draw * (len(pool) - place))
        pool[place], pool[other] = pool[other], pool[place]
    return torch.tensor(pool[:count], dtype=torch.long)


class RMAE(MaskedAutoencoder):
    """ratio: share of the patches that is hidden, of picture and regions alike. weight: of the loss on regions.

    normalise: predict pixels normalised per patch.
    """

    def __init__(
        self,
        encoder: ViT,
        decoder: TokenDecoder | None = None,
        region_decoder: RegionDecoder | None = None,
        regions: Regions | None = None,
        ratio: float = 0.75,
        weight: float = 1.0,
        normalise: bool = True,
    ):
        super().__init__(
            encoder, decoder or TokenDecoder(encoder), RandomMask(ratio), Pixels(encoder.patch_size, normalise)
        )
        self.regions = regions or Regions()
        self.region_decoder = (region_decoder or RegionDecoder(encoder)) if self.regions.count else None
        self.weight = weight

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        batch = only_known(batch)
        mask = self.sampler(self, batch, context) if mask is None else mask
        grid, places = self.encoder.grid_of(batch["image"]), self.places(batch)
        tokens, target = self.encoder(batch["image"], mask), self.target(batch)
        prediction = self.decoder(tokens, mask, grid, None, places)
        terms = {"reconstruction": masked_mse(prediction, target.values, mask.hidden, target.real)}
        if self.region_decoder is not None:
            seen = ~mask.hidden if places is None else ~mask.hidden & places
            regions = self.regions(batch, seen, self.encoder.patch_size, context)
            logits = self.region_decoder(regions, tokens, mask, grid, places)
            real = valid_pixels(batch["image"], batch.get("image_valid"), self.encoder.patch_size)
            terms["regions"] = self.weight * masked_mean(region_loss(logits, regions, real), mask.hidden)
        return terms


RECIPE = Recipe(optimizer="adamw", lr=1.5e-4, batch=4096, epochs=800, warmup=40, weight_decay=0.05, betas=(0.9, 0.95))


def tiny() -> tuple[RMAE, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    decoders = TokenDecoder(encoder, width=16, depth=1, heads=2), RegionDecoder(encoder, width=16, depth=1, heads=2)
    return RMAE(encoder, *decoders, Regions(count=4)), {"image": image}
