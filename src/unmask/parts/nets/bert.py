"""The encoder of BERT and its head over the vocabulary: blocks that are normalised after each sum."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from unmask.parts.nets.linear import Linear
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.vit import Shape, transformer_shape
from unmask.parts.ops.attention import attend

EPS = 1e-12  # of all norms of BERT
SPREAD = 0.02  # deviation of new weights
TYPES = 2  # rows of the table of sentence numbers, of which the first is used
SHAPES = {"bert_base": Shape(768, 12, 12), "bert_large": Shape(1024, 24, 16)}  # Devlin et al. 2019, section 3


class SelfAttention(nn.Module):
    """Multi-head self-attention; places that are not valid are never attended to."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} cannot be divided into {heads} heads; choose a divisor")
        self.heads, self.dropout = heads, dropout
        self.qkv = Linear(width, 3 * width)
        self.out = Linear(width, width)

    def forward(
        self, x: Float[Tensor, "b n d"], valid: Bool[Tensor, "b n"] | None = None, causal: bool = False
    ) -> Float[Tensor, "b n d"]:
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        allowed = None if valid is None else valid[:, None, None, :]
        rate = self.dropout if self.training else 0.0
        if causal or rate:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, dropout_p=rate, is_causal=causal)
        else:
            mixed = attend(q, k, v, allowed)
        return self.out(mixed.transpose(1, 2).reshape(b, n, d))


class PostNormBlock(nn.Module):
    """norm(x + attention(x)), then norm(x + mlp(x)), with dropout on both branches.

    gelu: "none" for the exact one, "tanh" for BERT's first approximation. causal: a place sees itself and what is
    before it; then all places are valid.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, gelu: str = "none"):
        super().__init__()
        self.attention = SelfAttention(width, heads, dropout)
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.mlp = nn.Sequential(Linear(width, 4 * width), nn.GELU(gelu), Linear(4 * width, width))
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.drop = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "b n d"], valid: Bool[Tensor, "b n"] | None = None, causal: bool = False
    ) -> Float[Tensor, "b n d"]:
        x = self.norm1(x + self.drop(self.attention(x, valid, causal)))
        return self.norm2(x + self.drop(self.mlp(x)))


class Bert(nn.Module):
    """Tokens and learned positions, normalised, and a post-norm transformer.

    model: "bert_base", "bert_large", or WIDTHxDEPTHxHEADS. length: most tokens of a passage.
    tokenizer: what the numbers mean, for those who read the data: "wordpiece", "characters", "bytes" or a
    tokenizer.json file. vocabulary: how many tokens there are; of pieces that are made anew, how many to make.
    Source: Devlin et al. 2019; initialisation of the released code, from a normal that is not truncated.
    """

    def __init__(
        self,
        model: str = "bert_base",
        vocabulary: int = 30522,
        length: int = 512,
        dropout: float = 0.1,
        tokenizer: str = "wordpiece",
    ):
        super().__init__()
        if vocabulary < 2 or length < 2 or not 0 <= dropout < 1:
            raise ValueError(
                f"vocabulary {vocabulary} and length {length} must be at least 2, dropout {dropout} in [0, 1)"
            )
        self.shape = SHAPES.get(model) or transformer_shape(model)
        self.width, self.vocabulary, self.length, self.dropout = self.shape.width, vocabulary, length, dropout
        self.tokenizer = tokenizer
        self.tokens = nn.Embedding(vocabulary, self.width)
        self.positions = nn.Embedding(length, self.width)
        self.types = nn.Embedding(TYPES, self.width)
        self.norm = nn.LayerNorm(self.width, eps=EPS)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            PostNormBlock(self.width, self.shape.heads, dropout) for _ in range(self.shape.depth)
        )
        self.apply(small_normal)

    def embed(self, ids: Int64[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        """Tokens at their places, before the blocks. Raises ValueError for too many."""
        t = ids.shape[1]
        if t > self.length:
            raise ValueError(f"passages of {t} tokens are longer than the {self.length} places of this encoder")
        places = self.positions.weight[:t] + self.types.weight[0]
        return self.drop(self.norm(self.tokens(ids) + places))

    def forward(
        self, ids: Int64[Tensor, "b t"], valid: Bool[Tensor, "b t"] | None = None, record: Record | None = None
    ) -> Float[Tensor, "b t d"]:
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, valid)
            if record is not None:
                record.tokens.append(x)
        return x


class TokenHead(nn.Module):
    """From a place's vector to the logits of all tokens: a layer of its own, and the table of the tokens."""

    def __init__(self, width: int, vocabulary: int, gelu: str = "none"):
        super().__init__()
        self.gelu = gelu
        self.transform = Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.apply(small_normal)

    def forward(self, x: Float[Tensor, "*b d"], table: Float[Tensor, "v d"]) -> Float[Tensor, "*b v"]:
        """table: the embedding of the tokens, which is not the head's own."""
        return F.linear(self.norm(F.gelu(self.transform(x), approximate=self.gelu)), table, self.bias)


def small_normal(module: nn.Module) -> None:
    """Normal weights of deviation 0.02 and zero biases for linear layers and tables."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=SPREAD)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
