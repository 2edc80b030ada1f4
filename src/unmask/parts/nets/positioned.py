"""A transformer to which positions are told anew before every block."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.parts.nets.linear import Linear
from unmask.parts.nets.transformer import Block, Record

EPS = 1e-5  # torch's own
HIDDEN = 128  # numbers between a coordinate and its position vector


class CoordinatePositions(nn.Sequential):
    """A vector for every point in space, by a perceptron of one hidden layer."""

    def __init__(self, width: int, axes: int = 3):
        super().__init__(Linear(axes, HIDDEN), nn.GELU(), Linear(HIDDEN, width))


class PositionedTransformer(nn.Module):
    """Blocks whose input is the last one's output plus the positions, and a final norm.

    Queries, keys and values have no biases. Drop path grows linearly from 0 to `drop_path` over the blocks.
    Source: Yu et al. 2022 (Point-BERT), as in Point-MAE.
    """

    def __init__(self, width: int, depth: int, heads: int, drop_path: float = 0.0):
        super().__init__()
        rates = [drop_path * i / max(depth - 1, 1) for i in range(depth)]
        self.blocks = nn.ModuleList(Block(width, heads, rate, bias=False, eps=EPS) for rate in rates)
        self.norm = nn.LayerNorm(width, eps=EPS)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        positions: Float[Tensor, "b n d"],
        valid: Bool[Tensor, "b n"] | None = None,
        record: Record | None = None,
    ) -> Float[Tensor, "b n d"]:
        for block in self.blocks:
            x = block(x + positions, valid, record)
            if record is not None:
                record.tokens.append(x)
        return self.norm(x)


def truncated(module: nn.Module) -> None:
    """Weights of linear layers normal with deviation 0.02, biases 0."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
