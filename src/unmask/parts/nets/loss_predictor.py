"""A second decoder that says how large the first one's loss will be."""

from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.parts.nets.concat_decoder import ConcatDecoder
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.token_decoder import TokenDecoder, with_prefix
from unmask.parts.nets.transformer import Transformer, initialise


class LossPredictor(nn.Module):
    """Blocks of the decoder's shape that read the decoder's input; one number per place, the mean of several outputs.

    Source: Wang et al. 2023 (HPM): as many outputs as a patch has pixels.
    """

    def __init__(self, decoder: TokenDecoder | ConcatDecoder, outputs: int):
        super().__init__()
        self.prefix = decoder.prefix
        width, blocks = decoder.embed.out_features, decoder.trunk.blocks
        first: Any = blocks[0]
        self.trunk = Transformer(width, len(blocks), first.attention.heads)
        self.head = Linear(width, outputs)
        initialise(self.head)

    def forward(
        self, filled: Float[Tensor, "b m e"], places: Bool[Tensor, "b n"] | None = None
    ) -> Float[Tensor, "b n"]:
        """filled: what the decoder's `fill` gives. places: False where a place is padding."""
        x = self.trunk(filled, with_prefix(places, self.prefix))
        return self.head(x[:, self.prefix :]).mean(-1)
