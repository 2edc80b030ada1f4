"""SatMAE: hides tokens of groups of bands, or of several dates, each for itself, and predicts what was hidden.

New here: what has a token. The bands of a multi-spectral picture are cut into patches group by group, or the dates of a
series one by one; a code of the group or the date stands beside that of the place, and a place may be hidden in one
group or date and seen in another. Encoder, decoder and error are MAE's.
Paper: Y. Cong et al., "SatMAE: Pre-training Transformers for Temporal and Multi-Spectral Satellite Imagery", NeurIPS
2022, https://arxiv.org/abs/2207.08051
Reference: sustainlab-group/SatMAE, models_mae_group_channels.py and models_mae_temporal.py (CC BY-NC 4.0)
Differs: its two networks are one here, with `groups` and `dates`, which may be combined; with one group and one date it
is MAE. The released error compares outputs in the order of the groups with bands in their own, so that some outputs of
a group are taught the bands of another; the paper's is our default, `crossed` does as the code. Values are clipped at
two deviations (`clip`), as there, but neither shifted to 0 to 1 nor rounded to 8 bits: the unit is four times as small,
and without `normalise` the error 16 times as large. Pixels without data do not count. Any number of dates, any size.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe
from unmask.parts.losses.masked import masked_mean, place_mse
from unmask.parts.masks.scene import SceneMask
from unmask.parts.nets.reading import pooled_tokens
from unmask.parts.nets.scene_decoder import SceneDecoder
from unmask.parts.nets.scene_vit import SceneViT
from unmask.parts.nets.transformer import Record
from unmask.parts.ops.patches import patchify, unpatchify, valid_pixels
from unmask.parts.targets.pixels import patch_statistics

CARD = Card(
    title="SatMAE",
    paper="https://arxiv.org/abs/2207.08051",
    year=2022,
    data="raster",
    hides="random tokens of groups of bands, or of dates",
    predicts="pixels of the hidden tokens",
    family="masked autoencoder",
    id=146,
    claim="groups of bands with codes, hidden independently, learn more than all bands in one patch",
    usual="fMoW, fine-tuned: temporal 80.0, Sentinel-2 62.7 (base) and 63.8 (large)",
)


@dataclass(frozen=True, eq=False)
class SceneView:
    """Which pixels are seen, and which are predicted, with the prediction in the units of the batch."""

    seen: Bool[Tensor, "b t c h w"]
    counted: Bool[Tensor, "b t c h w"]
    prediction: Float[Tensor, "b t c h w"]


class SatMAE(Method):
    """normalise: predict pixels normalised by all bands of their patch. clip: largest deviation, None for any.

    crossed: teach outputs the bands that the released code teaches them, where every band is in a group.
    """

    def __init__(
        self,
        encoder: SceneViT,
        decoder: SceneDecoder | None = None,
        mask: SceneMask | None = None,
        normalise: bool = False,
        clip: float | None = 2.0,
        crossed: bool = False,
    ):
        super().__init__()
        if clip is not None and clip <= 0:
            raise ValueError(f"clip {clip} leaves nothing of the values; give a number above 0, or none")
        self.encoder, self.decoder, self.mask = encoder, decoder or SceneDecoder(encoder), mask or SceneMask()
        if crossed and sorted(sum(encoder.groups, ())) != list(range(encoder.channels)):
            raise ValueError("crossed groups must name every channel; choose the channels, or leave crossed out")
        self.normalise, self.clip, self.crossed = normalise, clip, crossed

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        mask = self.mask(self, batch, context) if mask is None else mask
        targets, _, real = self.targets(batch)
        errors = []
        guesses = self.predict_groups(batch, mask)
        for guess, target in zip(self.recrossed(guesses) if self.crossed else guesses, targets, strict=True):
            known = None if real is None else real.repeat_interleave(target.shape[-1] // real.shape[-1], dim=-1)
            error = place_mse(guess.flatten(0, 1), target.flatten(0, 1), None if known is None else known.flatten(0, 1))
            errors.append(error.unflatten(0, guess.shape[:2]))
        return {"reconstruction": masked_mean(torch.stack(errors, dim=2).flatten(1), mask.hidden)}

    def scene(self, batch: Batch) -> Float[Tensor, "b t c h w"]:
        """The bands, clipped, and 0 where nothing is known."""
        raster = batch["raster"] if self.clip is None else batch["raster"].clamp(-self.clip, self.clip)
        valid = batch.get("raster_valid")
        return raster if valid is None else raster.masked_fill(~valid.unsqueeze(2), 0.0)

    def targets(
        self, batch: Batch
    ) -> tuple[list[Tensor], tuple[Tensor, Tensor] | None, Bool[Tensor, "b t l p"] | None]:
        """What to predict for every group, by which mean and deviation it was normalised, and which pixels are real."""
        scene = self.scene(batch).float()
        patches, valid = self.encoder.patches(scene), batch.get("raster_valid")
        real = valid_pixels(
            scene.flatten(0, 1), None if valid is None else valid.flatten(0, 1), self.encoder.patch_size
        )
        if real is not None:
            real = real.unflatten(0, scene.shape[:2])
        if not self.normalise:
            return patches, None, real
        values = torch.cat(patches, dim=-1).flatten(0, 1)
        known = None
        if real is not None:  # within a group the channels of a pixel stand together
            known = torch.cat(
                [real.flatten(0, 1).repeat_interleave(len(g), dim=-1) for g in self.encoder.groups], dim=-1
            )
        mean, deviation = (x.unflatten(0, scene.shape[:2]) for x in patch_statistics(values, known))
        return [(patch - mean) / deviation for patch in patches], (mean, deviation), real

    def predict_groups(self, batch: Batch, mask: Mask) -> list[Float[Tensor, "b t l k"]]:
        """What the decoder says of every group."""
        scene, moment = self.scene(batch), batch.get("moment")
        tokens = self.encoder(scene, moment, mask)
        return self.decoder(tokens, mask, self.encoder.grid_of(scene), scene.shape[1], moment, self.places(batch))

    def recrossed(self, guesses: list[Tensor]) -> list[Tensor]:
        """For every group the outputs at the numbers of its bands, counted through all groups."""
        pixels = self.encoder.patch_size**2
        through = torch.cat([guess.unflatten(-1, (pixels, -1)) for guess in guesses], dim=-1)
        return [through[..., list(group)].flatten(-2) for group in self.encoder.groups]

    def places(self, batch: Batch) -> Bool[Tensor, "b n"] | None:
        """Which tokens hold anything real, or None when all do."""
        valid = batch.get("raster_valid")
        if valid is None:
            return None
        some = patchify(valid.flatten(0, 1).unsqueeze(1).float(), self.encoder.patch_size).any(-1)
        some = some.unflatten(0, valid.shape[:2])
        return some.unsqueeze(2).expand(-1, -1, len(self.encoder.groups), -1).flatten(1)

    def features(self, batch: Batch) -> Features:
        """tokens: by date, group and place. blocks: means after every block, of unit scale but for the last."""
        scene, record, places = self.scene(batch), Record(), self.places(batch)
        last = self.encoder(scene, batch.get("moment"), record=record, places=places)
        blocks = [pooled_tokens(self.encoder, F.layer_norm(x, x.shape[-1:]), places) for x in record.tokens[:-1]]
        pooled = pooled_tokens(self.encoder, last, places)
        grid = (scene.shape[1], len(self.encoder.groups), *self.encoder.grid_of(scene))
        return Features(pooled, last[:, 1:], grid, (*blocks, pooled))

    @torch.no_grad()
    def views(self, batch: Batch, context: Context) -> list[SceneView]:
        """The one view that there is, for looking at; bands of no group are neither seen nor predicted."""
        mask = self.mask(self, batch, context)
        _, scales, _ = self.targets(batch)
        raster, encoder = batch["raster"], self.encoder
        b, t, _, h, w = raster.shape
        grid = encoder.grid_of(raster)
        hidden = mask.hidden.unflatten(1, (t, len(encoder.groups), -1))
        places = self.places(batch)
        exists = torch.ones_like(hidden) if places is None else places.unflatten(1, hidden.shape[1:])
        seen, counted = (torch.zeros(raster.shape, dtype=torch.bool, device=raster.device) for _ in range(2))
        prediction = torch.zeros_like(raster)
        for number, (group, patches) in enumerate(zip(encoder.groups, self.predict_groups(batch, mask), strict=True)):
            if scales is not None:
                patches = patches.float() * scales[1] + scales[0]
            picture = unpatchify(patches.flatten(0, 1).float(), grid, encoder.patch_size)[..., :h, :w]
            prediction[:, :, list(group)] = picture.unflatten(0, (b, t)).to(raster)
            for into, of in ((seen, exists & ~hidden), (counted, hidden)):
                cells = of[:, :, number].unflatten(-1, grid)
                pixels = cells.repeat_interleave(encoder.patch_size, -2).repeat_interleave(encoder.patch_size, -1)
                into[:, :, list(group)] = pixels[:, :, None, :h, :w].expand(-1, -1, len(group), -1, -1)
        return [SceneView(seen, counted, prediction)]


RECIPE = Recipe(
    optimizer="adamw",
    lr=1e-4,
    batch=4096,
    epochs=200,
    warmup=20,
    weight_decay=0.05,
    betas=(0.9, 0.95),
    crop=(0.2, 1.0),
)


def tiny() -> tuple[SatMAE, Batch]:
    encoder = SceneViT("48x2x2", image_size=8, patch_size=4, channels=4, groups="0,2/1,3", dates=2)
    generator = torch.Generator().manual_seed(0)
    moment = torch.tensor([[[2015.0, 7, 10], [2016, 1, 11]], [[2017, 3, 9], [2017, 4, 9]]]).repeat(2, 1, 1)
    batch = {"raster": torch.randn(4, 2, 4, 8, 8, generator=generator), "moment": moment}
    return SatMAE(encoder, SceneDecoder(encoder, width=48, depth=1, heads=2)), batch
