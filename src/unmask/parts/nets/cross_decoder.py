"""The decoder whose queries look at what the encoder saw, and never at each other."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Mask
from unmask.parts.nets.linear import Linear, of_gelu, of_norm
from unmask.parts.nets.positions import Positions
from unmask.parts.nets.transformer import EPS, Attention, initialise
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.attention import attend


class CrossAttention(nn.Module):
    """Multi-head attention of queries to other tokens, which may be of another width."""

    def __init__(self, width: int, heads: int, source: int):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} cannot be divided into {heads} heads; choose a divisor")
        self.heads = heads
        self.q = Linear(width, width)
        self.kv = Linear(source, 2 * width)
        self.out = Linear(width, width)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        norm: nn.LayerNorm,
        source: Float[Tensor, "b m k"],
        valid: Bool[Tensor, "b m"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """norm: applied to x, not to the source. valid: False where a source token is not attended to."""
        q = of_norm(self.q, norm, x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.kv(source).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = attend(q, k, v, None if valid is None else valid[:, None, None, :])
        return self.out(mixed.transpose(1, 2).flatten(2))


class CrossBlock(nn.Module):
    """x + attention(norm(x) to the source), then x + mlp(norm(x)); before both, if asked for, self-attention."""

    def __init__(self, width: int, heads: int, source: int, self_attention: bool = False):
        super().__init__()
        self.norm0 = nn.LayerNorm(width, eps=EPS) if self_attention else None
        self.attention = Attention(width, heads) if self_attention else None
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.cross_attention = CrossAttention(width, heads, source)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.wide, self.narrow = Linear(width, 4 * width), Linear(4 * width, width)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        source: Float[Tensor, "b m k"],
        valid: Bool[Tensor, "b m"] | None = None,
        asked: Bool[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """asked: False where a query stands for nothing, for the self-attention."""
        if self.attention is not None and self.norm0 is not None:
            x = x + self.attention(x, self.norm0, asked)
        x = x + self.cross_attention(x, self.norm1, source, valid)
        return x + of_gelu(self.narrow, of_norm(self.wide, self.norm2, x))


class LayerMix(nn.Module):
    """Several learned sums of the same layers, each normalised.

    Source: Fu et al. 2025 (CrossMAE), inter-block attention.
    """

    def __init__(self, layers: int, sums: int, width: int):
        super().__init__()
        self.weights = nn.Parameter(torch.empty(sums, layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=EPS) for _ in range(sums))
        nn.init.normal_(self.weights, std=layers**-0.5)

    def forward(self, layers: list[Float[Tensor, "b n d"]]) -> list[Float[Tensor, "b n d"]]:
        mixed = torch.einsum("jk,kbnd->jbnd", self.weights.to(layers[0].dtype), torch.stack(layers))
        return [norm(x) for norm, x in zip(self.norms, mixed, strict=True)]


class CrossDecoder(nn.Module):
    """A narrow transformer over the hidden places alone, every block of which looks at the encoder's tokens.

    mix: every block looks at a learned sum of its own of all layers of the encoder; else all look at its output.
    self_attention: queries also look at each other, as in a usual decoder.
    Source: Fu et al. 2025 (CrossMAE), section 3.
    """

    def __init__(
        self,
        encoder: ViT,
        width: int = 512,
        depth: int = 12,
        heads: int = 16,
        mix: bool = True,
        self_attention: bool = False,
    ):
        super().__init__()
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = Positions(encoder.grid, width)
        self.mix = LayerMix(len(encoder.trunk.blocks) + 1, depth, encoder.width) if mix else None
        self.blocks = nn.ModuleList(CrossBlock(width, heads, encoder.width, self_attention) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.head = Linear(width, encoder.patch_size**2 * encoder.channels)
        self.apply(initialise)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(
        self, layers: list[Float[Tensor, "b s d"]], mask: Mask, grid: tuple[int, int]
    ) -> Float[Tensor, "b n k"]:
        """Predictions at the hidden places, 0 elsewhere.

        layers: the encoder's input and the output of every block where they are mixed, else the last output alone.
        """
        valid = mask.valid
        if valid is not None:
            prefix = layers[0].shape[1] - mask.count
            valid = torch.cat([valid.new_ones(len(valid), prefix), valid], dim=1)
        sources = [layers[-1]] * len(self.blocks) if self.mix is None else self.mix(layers)
        asked = Mask.of(~mask.hidden)  # the hidden places take the part of the seen ones
        x = asked.visible(self.positions(grid).expand(len(mask.hidden), -1, -1)) + self.mask_token
        for block, source in zip(self.blocks, sources, strict=True):
            x = block(x, source, valid, asked.valid)
        x = self.head(self.norm(x))
        return asked.complete(x, x.new_zeros(x.shape[-1]))
