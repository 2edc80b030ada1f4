"""From discrete data, partly hidden, to the logits of what is hidden: a transformer for text, a U-Net for pictures."""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from unmask.parts.nets.adaptive import AdaptiveTransformer, dense
from unmask.parts.nets.flat_unet import FlatUNet
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.vit import transformer_shape

SCALE = 1000.0  # of times, before they become waves
PERIOD = 10_000.0


def waves(t: Float[Tensor, "b"], width: int) -> Float[Tensor, "b k"]:
    """Sines, then cosines, of t at frequencies from 1 down to 1 / 10000."""
    half = width // 2
    frequencies = torch.exp(-math.log(PERIOD) / max(half - 1, 1) * torch.arange(half, device=t.device))
    angles = t[:, None].float() * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


class Denoiser(nn.Module):
    """Logits over `vocabulary` values at every place of data whose hidden places hold the number `vocabulary`.

    Without `image_size` data is a passage of at most `length` tokens [b t] and goes through a transformer; with it, a
    picture [b c h w] of that size, whose places are pixels' channels, and goes through a U-Net.

    model: WIDTHxDEPTHxHEADS, or vit_base. features: numbers of a value's embedding and of the time's;
    None: 64 for text, the width for pictures. timed: whether
    the time is told. tokenizer: what the numbers of text mean, for those who read the data; see `parts.nets.bert`.
    Source: Shi et al. 2024 (MD4), the released backward.py.
    """

    def __init__(
        self,
        model: str = "vit_base",
        vocabulary: int = 27,
        length: int = 256,
        image_size: int | tuple[int, int] | None = None,
        channels: int = 3,
        features: int | None = None,
        dropout: float = 0.0,
        timed: bool = True,
        tokenizer: str = "characters",
    ):
        super().__init__()
        shape = transformer_shape(model)
        features = features or (64 if image_size is None else shape.width)
        if min(vocabulary, length) < 2 or features < 4 or features % 2 or not 0 <= dropout < 1:
            raise ValueError(
                f"vocabulary {vocabulary} and length {length} must be at least 2, features {features} even and at least"
                f" 4, dropout {dropout} in [0, 1)"
            )
        self.vocabulary, self.length, self.channels = vocabulary, length, channels
        self.features, self.timed, self.tokenizer = features, timed, tokenizer
        self.picture = None
        self.embed = nn.Embedding(vocabulary + 1, features)
        nn.init.normal_(self.embed.weight, std=features**-0.5)
        self.time = nn.Sequential(
            dense(features, 4 * features, bias=True), nn.SiLU(), dense(4 * features, features, bias=True)
        )
        self.trunk: AdaptiveTransformer | FlatUNet
        if image_size is None:
            self.trunk = AdaptiveTransformer(features, shape, features, vocabulary, dropout)
        else:
            self.picture = (channels, *((image_size, image_size) if isinstance(image_size, int) else image_size))
            self.trunk = FlatUNet(
                channels * features, shape.width, shape.depth, features, channels * vocabulary, dropout
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """The places of one sample."""
        return self.picture or (self.length,)

    def forward(
        self,
        z: Int64[Tensor, "b *n"],
        t: Float[Tensor, "b"],
        valid: Bool[Tensor, "b n"] | None = None,
        record: Record | None = None,
    ) -> Float[Tensor, "b *n v"]:
        """t: how late it is, from 0 to 1. Raises ValueError for data of another form."""
        if z.shape[1:] != self.shape and (self.picture or z.ndim != 2 or z.shape[1] > self.length):
            raise ValueError(f"data has the places {list(z.shape[1:])}, this network {list(self.shape)}")
        condition = self.time(waves(t * SCALE if self.timed else torch.zeros_like(t), self.features))
        x = self.embed(z)
        if isinstance(self.trunk, AdaptiveTransformer):
            return self.trunk(x, condition, valid, record)
        x = x.movedim(-1, 2).flatten(1, 2)  # the features of red, then those of green, ...
        return self.trunk(x, condition, record).unflatten(1, (self.channels, self.vocabulary)).movedim(2, -1)
