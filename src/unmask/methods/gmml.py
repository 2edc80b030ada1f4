"""GMML: replaces groups of connected pixels by noise, or by another picture, and restores them.

New here: the corruption and the light head. Rectangles are drawn until half to three quarters of the picture are
covered with noise; every second picture instead gets, on 0.3 of it, what another of the batch shows there. The encoder
sees all patches, corrupted or not. The mean of four of its blocks is restored by a perceptron and a transposed
convolution; the absolute error counts at corrupted pixels only. No teacher, no decoder, no contrast.
Paper: S. Atito et al., "GMML is All You Need", 2022, https://arxiv.org/abs/2205.14986
Reference: Sara-Ahmed/GMML, main.py, datasets/datasets_utils.py, vision_transformer.py (GPL: facts were read, no code)
Differs: one view of every picture instead of two, without jitter of colours; the other picture is one of those in
memory, so it depends on how a step is divided. Weight decay stays at 0.04, there it grows to 0.4. The released code
drops paths at a rate of 0.1 (`drop_path`), learns positions (`positions`), one for the class token too, and can copy
from elsewhere in the same picture. Rectangles are aligned to pixels, as its script has them; `groups_align` aligns them
to patches.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, check_choice, only_known
from unmask.parts.losses.masked import masked_mean
from unmask.parts.masks.groups import Groups
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.reading import read_tokens, real_places
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.vit import ViT

CARD = Card(
    title="GMML",
    paper="https://arxiv.org/abs/2205.14986",
    year=2022,
    data="image",
    hides="groups of connected pixels, behind noise or another picture",
    predicts="pixels",
    family="corrupted whole pictures",
    id=132,
    claim="restoring corrupted groups pretrains transformers on small data sets far above training from scratch",
    usual="small target sets: fine-tuned far above from scratch",
)

LEAST = 0.5  # of the picture is covered at least, if `share` allows it
DEPTHS = (1 / 2, 2 / 3, 5 / 6, 1)  # blocks 6, 8, 10 and 12 of 12


class GMML(Method):
    """share: of the pixels that noise covers at most.

    alien: share of the pixels that another picture covers instead. alien_rate: how often it does.
    fill: "noise" or "zeros". blocks: those whose mean is restored, counted from 1; None: the 6th, 8th, 10th and last of
    12, or as deep.
    """

    def __init__(
        self,
        encoder: ViT,
        groups: Groups | None = None,
        share: float = 0.75,
        alien: float = 0.3,
        alien_rate: float = 0.5,
        fill: str = "noise",
        blocks: tuple[int, ...] | None = None,
    ):
        super().__init__()
        check_choice("fill", fill, ("noise", "zeros"))
        if not (0 < share < 1 and 0 < alien < 1 and 0 <= alien_rate <= 1):
            raise ValueError(f"share {share} and alien {alien} must lie in (0, 1), alien_rate {alien_rate} in [0, 1]")
        depth = len(encoder.trunk.blocks)
        self.blocks = blocks or tuple(sorted({max(1, round(depth * part)) for part in DEPTHS}))
        if not all(1 <= block <= depth for block in self.blocks):
            raise ValueError(
                f"blocks {self.blocks} do not all exist in an encoder of {depth}; choose from 1 to {depth}"
            )
        self.encoder = encoder
        self.groups = groups or Groups()
        self.share = share
        self.alien = alien
        self.alien_rate = alien_rate
        self.fill = fill
        self.head = RestoringHead(encoder)

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        """mask: patches to corrupt, instead of groups of pixels."""
        batch = only_known(batch)
        corrupted, hidden = self.corrupted(batch, context, mask)
        if "image_valid" in batch:
            hidden = hidden & batch["image_valid"]
        error = (self.restored(batch | {"image": corrupted}) - batch["image"].float()).abs()
        return {"restoration": masked_mean(error, hidden.unsqueeze(1).expand_as(error))}

    def corrupted(
        self, batch: Batch, context: Context, mask: Mask | None = None
    ) -> tuple[Float[Tensor, "b c h w"], Bool[Tensor, "b h w"]]:
        """Pictures with groups replaced, and where."""
        image = batch["image"]
        draw = context.uniform(len(image), 3, device=image.device)
        alien, other = draw[:, 0] < self.alien_rate, image[(draw[:, 1] * len(image)).long()]
        least = min(LEAST, self.share)
        shares = torch.where(alien, self.alien, least + (self.share - least) * draw[:, 2])
        if mask is None:
            hidden = self.groups(shares, (image.shape[-2], image.shape[-1]), context)
        else:
            cells = mask.hidden.unflatten(-1, self.encoder.grid_of(image))
            cells = cells.repeat_interleave(self.encoder.patch_size, 1).repeat_interleave(self.encoder.patch_size, 2)
            hidden = cells[:, : image.shape[-2], : image.shape[-1]]
        noise = context.normal(*image.shape, device=image.device) if self.fill == "noise" else torch.zeros_like(image)
        filling = torch.where(alien.view(-1, 1, 1, 1), other, noise.to(image.dtype))
        corrupted = torch.where(hidden.unsqueeze(1), filling, image)
        return only_known(batch | {"image": corrupted})["image"], hidden

    def restored(self, batch: Batch) -> Float[Tensor, "b c h w"]:
        """What the network makes of pictures."""
        image, record = batch["image"], Record()
        places = real_places(self.encoder, batch)
        self.encoder(image, None, record, layers=max(self.blocks), places=places)
        mean = torch.stack([record.tokens[block - 1] for block in self.blocks]).mean(0)
        tokens = self.encoder.trunk.norm(mean)[:, self.encoder.prefix :]
        return self.head(tokens, self.encoder.grid_of(image))[..., : image.shape[-2], : image.shape[-1]].float()

    def pictures(self, batch: Batch, context: Context) -> dict[str, Float[Tensor, "b c h w"]]:
        batch = only_known(batch)
        corrupted, hidden = self.corrupted(batch, context)
        restored = self.restored(batch | {"image": corrupted})
        pasted = torch.where(hidden.unsqueeze(1), restored, batch["image"].float())
        return {"corrupted": corrupted, "prediction": restored, "visible + prediction": pasted}

    def features(self, batch: Batch) -> Features:
        return read_tokens(self.encoder, batch)


class RestoringHead(nn.Module):
    """From tokens to pixels: three linear layers with GELU, then a transposed convolution as large as a patch."""

    def __init__(self, encoder: ViT):
        super().__init__()
        width, patch = encoder.width, encoder.patch_size
        self.layers = nn.Sequential(*(part for _ in range(3) for part in (Linear(width, width), nn.GELU())))
        self.pixels = nn.ConvTranspose2d(width, encoder.channels, patch, patch)
        for layer in self.layers:
            if isinstance(layer, Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, tokens: Float[Tensor, "b n d"], grid: tuple[int, int]) -> Float[Tensor, "b c h w"]:
        return self.pixels(self.layers(tokens).transpose(1, 2).unflatten(-1, grid))


RECIPE = Recipe(
    optimizer="adamw",
    lr=5e-4,
    batch=64,
    epochs=800,
    warmup=10,
    weight_decay=0.04,
    betas=(0.9, 0.999),
    clip=3.0,
    crop=(0.05, 1.0),
)


def tiny() -> tuple[GMML, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return GMML(encoder), {"image": image}
