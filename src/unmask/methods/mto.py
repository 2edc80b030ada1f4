"""MTO: keeps mask tokens unlike any token of data in early layers, on top of the loss of MAE or SimMIM.

New here: three terms on how alike mask tokens and visible ones are. `sparsity`: of a mask token's likeness to all
tokens after the first block, the share that falls on visible ones. `singularity`: the squared cosine of the mask token
with embedded visible patches; only the mask token learns from it. `smoothness`: heterogeneity, one minus the entropy
of that likeness over its greatest value, may fall from block to block, but not rise, nor fall by leaps.
Paper: "Emerging Property of Masked Token for Effective Pre-training", ECCV 2024, https://arxiv.org/abs/2404.08330
Reference: none released, and the paper's formulas could not be had: its abstract names the property, that mask tokens
should be unlike data and merge gradually, and an entropy. All formulas here are a reading of that, NOT VERIFIED.
Differs: in whatever the paper does otherwise. `host="simmim"` has the mask tokens in the encoder and a linear head,
with MAE's error and target. The recalibration of attention to mask tokens is left out.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Card, Context, Mask, Recipe, check_choice, only_known
from unmask.families import MaskedAutoencoder
from unmask.parts.losses.masked import masked_mean, masked_mse
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.patch_head import PatchHead
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.patches import patchify
from unmask.parts.ops.relations import cosine_relations
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="MTO (exploratory)",
    paper="https://arxiv.org/abs/2404.08330",
    year=2024,
    data="image",
    hides="random patches",
    predicts="normalised pixels",
    family="masked autoencoder",
    id=48,
    claim="mask tokens unlike any data in early layers make pretraining converge in half of the epochs",
    usual="as MAE",
)


HOSTS = ("mae", "simmim")


class MTO(MaskedAutoencoder):
    """sparsity, singularity, smoothness: weights of the terms. temperature: of the likeness.

    host: "mae" has mask tokens in the decoder, "simmim" in the encoder, where a linear head takes the decoder's place.
    ratio: share of the patches that is hidden. normalise: predict pixels normalised per patch.
    """

    def __init__(
        self,
        encoder: ViT,
        decoder: TokenDecoder | None = None,
        ratio: float = 0.75,
        normalise: bool = True,
        sparsity: float = 0.1,
        singularity: float = 0.1,
        smoothness: float = 0.1,
        temperature: float = 0.1,
        host: str = "mae",
    ):
        check_choice("host", host, HOSTS)
        head = PatchHead(encoder) if host == "simmim" else decoder or TokenDecoder(encoder)
        super().__init__(encoder, head, RandomMask(ratio), Pixels(encoder.patch_size, normalise))
        if temperature <= 0 or min(sparsity, singularity, smoothness) < 0:
            raise ValueError(f"temperature {temperature} must lie above 0, and no weight of a term below")
        self.sparsity = sparsity
        self.singularity = singularity
        self.smoothness = smoothness
        self.temperature = temperature
        self.host = host

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        batch, record = only_known(batch), Record()
        mask = self.sampler(self, batch, context) if mask is None else mask
        target, places = self.target(batch), self.places(batch)
        prediction, visible = self._predicted(batch, mask, record)
        terms = {"reconstruction": masked_mse(prediction, target.values, mask.hidden, target.real)}
        if self.singularity:
            cosines = F.cosine_similarity(visible.detach().float(), self.decoder.mask_token.float(), dim=-1)
            valid = torch.ones_like(cosines, dtype=torch.bool) if mask.valid is None else mask.valid
            terms["singularity"] = self.singularity * masked_mean(cosines.square(), valid)
        if self.sparsity or self.smoothness:
            tokens = [x[:, self.encoder.prefix :] for x in record.tokens]
            likeness = [self.likeness(x, places) for x in (tokens if self.smoothness else tokens[:1])]
            if self.sparsity:
                terms["sparsity"] = self.sparsity * on_visible(likeness[0], mask.hidden)
            if self.smoothness:
                course = torch.stack([heterogeneity(p, mask.hidden, places) for p in likeness])
                terms["smoothness"] = self.smoothness * roughness(course)
        return terms

    def predict(self, batch: Batch, mask: Mask, record: Record | None = None) -> Float[Tensor, "b n k"]:
        return self._predicted(only_known(batch), mask, record)[0]

    def _predicted(
        self, batch: Batch, mask: Mask, record: Record | None
    ) -> tuple[Float[Tensor, "b n k"], Float[Tensor, "b s d"]]:
        """What is predicted of every place, and the visible patches where they meet the mask tokens."""
        image, places = batch["image"], self.places(batch)
        grid = self.encoder.grid_of(image)
        if self.host == "simmim":
            tokens = self.encoder(image, mask, record, places=places, fill=self.decoder.mask_token)
            visible = self.encoder.embed(mask.visible(patchify(image, self.encoder.patch_size)))
            return self.decoder(tokens, mask, grid), visible
        seen = self.encoder(image, mask)
        return self.decoder(seen, mask, grid, record, places), self.decoder.embed(seen[:, self.encoder.prefix :])

    def likeness(self, tokens: Float[Tensor, "b n d"], places: Bool[Tensor, "b n"] | None) -> Float[Tensor, "b n n"]:
        """How alike every token is to every other one that exists, as shares that sum to one."""
        scores = cosine_relations(tokens.float()) / self.temperature
        own = torch.eye(scores.shape[-1], dtype=torch.bool, device=scores.device)
        hidden = own if places is None else own | ~places.unsqueeze(1)
        return scores.masked_fill(hidden, torch.finfo(scores.dtype).min).softmax(-1)


def on_visible(likeness: Float[Tensor, "b n n"], hidden: Bool[Tensor, "b n"]) -> Float[Tensor, ""]:
    """The share of a hidden place's likeness that falls on others than hidden ones, on average."""
    return masked_mean((likeness * ~hidden.unsqueeze(1)).sum(-1), hidden)


def heterogeneity(
    likeness: Float[Tensor, "b n n"], hidden: Bool[Tensor, "b n"], places: Bool[Tensor, "b n"] | None = None
) -> Float[Tensor, ""]:
    """1 where a hidden place is like one other only, 0 where it is like all alike; the mean over hidden places."""
    entropy = -torch.xlogy(likeness, likeness.clamp(min=torch.finfo(likeness.dtype).tiny)).sum(-1)
    n = torch.as_tensor(hidden.shape[-1], device=hidden.device) if places is None else places.sum(-1, keepdim=True)
    return masked_mean(1 - entropy / (n - 1).clamp(min=2).log(), hidden)


def roughness(course: Float[Tensor, "l"]) -> Float[Tensor, ""]:
    """Squared rises from step to step, and squared changes of the steps."""
    steps = course.diff()
    return steps.clamp(min=0).square().sum() + steps.diff().square().sum()


RECIPE = Recipe(optimizer="adamw", lr=1.5e-4, batch=4096, epochs=800, warmup=40, weight_decay=0.05, betas=(0.9, 0.95))


def tiny() -> tuple[MTO, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return MTO(encoder, TokenDecoder(encoder, width=16, depth=2, heads=2)), {"image": image}
