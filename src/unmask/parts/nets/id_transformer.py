"""A bidirectional transformer over ids, with its norms after the residuals, and a head tied to its embeddings."""

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unmask.parts.nets.bert import EPS, SPREAD, PostNormBlock, TokenHead
from unmask.parts.nets.vit import transformer_shape

GELU = "tanh"  # flax's


class BertTrunk(nn.Module):
    """The blocks. model: "WIDTHxDEPTHxHEADS" or a preset such as "vit_base".

    Source: Devlin et al. 2019 (BERT), as in maskgit_transformer.py of Chang et al. 2022's released code.
    """

    def __init__(self, model: str = "768x24x16", dropout: float = 0.1):
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout} must be at least 0 and below 1")
        shape = transformer_shape(model)
        self.width, self.dropout = shape.width, dropout
        self.blocks = nn.ModuleList(PostNormBlock(shape.width, shape.heads, dropout, GELU) for _ in range(shape.depth))
        self.apply(started)

    def layers(self, x: Float[Tensor, "b n d"], causal: bool = False) -> list[Float[Tensor, "b n d"]]:
        """What every block gives."""
        found = []
        for block in self.blocks:
            x = block(x, causal=causal)
            found.append(x)
        return found

    def forward(self, x: Float[Tensor, "b n d"], causal: bool = False) -> Float[Tensor, "b n d"]:
        return self.layers(x, causal)[-1]


class IdEmbeddings(nn.Module):
    """A vector for every id and for every place, added and normalised."""

    def __init__(self, vocabulary: int, places: int, width: int, dropout: float = 0.1):
        super().__init__()
        self.words, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(places, width)
        self.norm, self.dropout = nn.LayerNorm(width, eps=EPS), dropout
        self.apply(started)

    def forward(self, ids: Int64[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        x = self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]])
        return F.dropout(x, self.dropout if self.training else 0.0)


class TiedHead(TokenHead):
    """A score for every id: a dense layer, a norm, and the product with the embeddings of the ids."""

    def __init__(self, vocabulary: int, width: int):
        super().__init__(width, vocabulary, GELU)
        self.apply(started)


def started(module: nn.Module) -> None:
    """Truncated normal weights, no biases."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=SPREAD, a=-2 * SPREAD, b=2 * SPREAD)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
