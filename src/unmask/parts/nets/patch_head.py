"""One linear layer that predicts every place from an encoder which has mask tokens itself."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Mask
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.transformer import Record, initialise
from unmask.parts.nets.vit import ViT


class PatchHead(nn.Module):
    """The mask token that stands for hidden patches in the encoder, and the pixels of a patch from what became of it.

    Source: Xie et al. 2022 (SimMIM), section 3.
    """

    def __init__(self, encoder: ViT):
        super().__init__()
        self.prefix = encoder.prefix
        self.mask_token = nn.Parameter(torch.empty(1, 1, encoder.width))
        self.head = Linear(encoder.width, encoder.patch_size**2 * encoder.channels)
        nn.init.normal_(self.mask_token, std=0.02)
        initialise(self.head)

    def forward(
        self,
        tokens: Float[Tensor, "b m d"],
        mask: Mask,
        grid: tuple[int, int],
        record: Record | None = None,
        places: Bool[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b n k"]:
        """Of every place, whatever was hidden; it has no blocks to follow and nothing to attend to."""
        return self.head(tokens[:, self.prefix :])
