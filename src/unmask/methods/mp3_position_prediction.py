"""MP3: every patch is told nothing of its position, and has to say it.

New here: the encoder has no positions, and only a random part of the patches, the context, may be attended to. All
patches go through every block and ask the context; at the end each is classified into its own place of the grid.
Paper: S. Zhai et al., "Position Prediction as an Effective Pretraining Strategy", ICML 2022,
https://arxiv.org/abs/2207.07611
Reference: none released.
Differs: pictures only, not speech. The optimiser is MAE's, which the paper does not fix. Patches that are partly
padding would give their place away, so that pictures must divide into patches and padded ones do not count.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, check_choice, only_known
from unmask.parts.losses.masked import masked_mean
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.reading import read_tokens
from unmask.parts.nets.transformer import initialise
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.patches import patchify, unpatchify, valid_pixels

CARD = Card(
    title="MP3",
    paper="https://arxiv.org/abs/2207.07611",
    year=2022,
    data="image",
    hides="all positions, and most patches from attention",
    predicts="the place of every patch",
    family="position prediction",
    id=96,
    claim="predicting positions is a pretraining as good as other self-supervised ones, and better than none",
    usual="place accuracy tens of percent where objects are centred; chance is one by the number of patches",
)
COUNTED = ("all", "hidden")


class PlacelessViT(ViT):
    """A vision transformer that is not told where its patches lie: its positions are 0 and are not trained.

    Fine-tuning trains all of an encoder, and so learns positions afresh; the paper does so with and without.
    """

    def __init__(
        self,
        model: str = "vit_base",
        image_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        channels: int = 3,
        drop_path: float = 0.0,
        layer_scale: float | None = None,
    ):
        super().__init__(model, image_size, patch_size, channels, False, "learned", drop_path, layer_scale)
        nn.init.zeros_(self.positions.table).requires_grad_(False)


class MP3PositionPrediction(Method):
    """ratio: share of the patches that is kept out of the context; 0 lets all attend to all, a plain jigsaw.

    counted: patches whose place counts in the loss: "all", or the "hidden" ones outside the context.
    """

    def __init__(self, encoder: PlacelessViT, ratio: float = 0.75, counted: str = "all"):
        super().__init__()
        check_choice("counted", counted, COUNTED)
        if ratio == 0 and counted == "hidden":
            raise ValueError("ratio 0 hides no patch, so that no hidden one can be counted; count all of them")
        self.encoder = encoder
        self.sampler = RandomMask(ratio) if ratio else whole_context
        self.counted = counted
        self.head = Linear(encoder.width, encoder.grid[0] * encoder.grid[1])
        initialise(self.head)

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        batch = only_known(batch)
        mask = self.sampler(self, batch, context) if mask is None else mask
        logits = self.place_logits(batch, mask)
        own = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2])
        error = F.cross_entropy(logits.flatten(0, 1).float(), own.flatten(), reduction="none").view(own.shape)
        return {"position": masked_mean(error, self._asked(batch, mask))}

    def place_logits(self, batch: Batch, mask: Mask) -> Float[Tensor, "b n n"]:
        """For every patch a score of every place; patches that the mask hides are not attended to."""
        image = batch["image"]
        if (grid := self.encoder.grid_of(image)) != tuple(self.encoder.grid):
            raise ValueError(
                f"places on a grid of {grid[0]}x{grid[1]} cannot be told by a head for"
                f" {self.encoder.grid[0]}x{self.encoder.grid[1]}; give pictures of the size the network was made for"
            )
        side = self.encoder.patch_size
        if image.shape[-2] % side or image.shape[-1] % side:
            raise ValueError(
                f"image {image.shape[-2]}x{image.shape[-1]} does not divide into patches of {side}, and padded"
                " patches would give their place away; choose an image_size that divides"
            )
        places = self.places(batch)
        return self.head(self.encoder(image, places=~mask.hidden if places is None else ~mask.hidden & places))

    def places(self, batch: Batch) -> Bool[Tensor, "b n"] | None:
        """Patches without any padding, or None when all are."""
        valid = valid_pixels(batch["image"], batch.get("image_valid"), self.encoder.patch_size)
        return None if valid is None else valid.all(-1)

    @torch.no_grad()
    def accuracy(self, batch: Batch, mask: Mask) -> Float[Tensor, ""]:
        """Share of the counted patches whose place is told exactly."""
        batch = only_known(batch)
        told = self.place_logits(batch, mask).argmax(-1)
        right = told == torch.arange(told.shape[1], device=told.device)
        return masked_mean(right.float(), self._asked(batch, mask))

    @torch.no_grad()
    def reconstruct(self, batch: Batch) -> Float[Tensor, "b c h w"]:
        """The picture put together: every patch where the network says it belongs, with all patches as context.

        Where several patches are put at one place their mean is shown, where none is, 0, the mean of the data.
        """
        batch = only_known(batch)
        image, side = batch["image"], self.encoder.patch_size
        patches = patchify(image, side)
        told = self.place_logits(batch, whole_context(self, batch, Context())).argmax(-1)
        put = F.one_hot(told, told.shape[1]).to(patches.dtype).transpose(1, 2)
        together = put @ patches / put.sum(-1, keepdim=True).clamp(min=1)
        return unpatchify(together, self.encoder.grid_of(image), side)

    def features(self, batch: Batch) -> Features:
        """All patches attend to all, still without positions."""
        return read_tokens(self.encoder, batch)

    def _asked(self, batch: Batch, mask: Mask) -> Bool[Tensor, "b n"]:
        places = self.places(batch)
        asked = mask.hidden if self.counted == "hidden" else torch.ones_like(mask.hidden)
        return asked if places is None else asked & places


def whole_context(model, batch: Batch, context: Context) -> Mask:
    """The mask that keeps every patch in the context."""
    rows, columns = model.encoder.grid_of(batch["image"])
    return Mask.nothing(len(batch["image"]), rows * columns, device=batch["image"].device)


RECIPE = Recipe(optimizer="adamw", lr=1.5e-4, batch=4096, epochs=150, warmup=40, weight_decay=0.05, betas=(0.9, 0.95))


def tiny() -> tuple[MP3PositionPrediction, Batch]:
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return MP3PositionPrediction(PlacelessViT("16x2x2", image_size=16, patch_size=4)), {"image": image}
