"""Boosting of tokens: noise of a known kind is added, so that a network that removes it can remove the unknown too."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Context, check_choice
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.transformer import Record, initialise
from unmask.parts.nets.vit import ViT


@dataclass
class BoostRecord(Record):
    """Gives the modules of a training step their noise, and collects what each adds to the loss."""

    context: Context = field(default_factory=Context)
    terms: list[Tensor] = field(default_factory=list)


def boosted(noisy: Float[Tensor, "*b d"], recovered: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
    """2 recovered - noisy: the expected clean feature, where the added noise is distributed like the corruption.

    With F = R + U and I = F + Q, U and Q alike: E[U | I] = E[Q | I], so that E[R | I] = 2 E[F | I] - I.
    Source: Li et al. 2023 (TBM), equation 1.
    """
    return 2 * recovered - noisy


class Booster(nn.Module):
    """Adds noise of a learned size to features, recovers them by a small autoencoder, and boosts what it recovered.

    scale: first deviation of the noise, of every channel. draws: in evaluation, the mean over so many draws of the
    noise, the same for all pictures; 0 adds none. detach: features learn nothing from being recovered.
    """

    def __init__(self, width: int, scale: float = 0.1, draws: int = 0, detach: bool = False):
        super().__init__()
        self.scale = nn.Parameter(torch.full((width,), scale).expm1().log())  # softplus of it is `scale`
        half = max(width // 2, 1)
        self.recover = nn.Sequential(Linear(width, half), nn.GELU(), Linear(half, half), nn.GELU(), Linear(half, width))
        self.draws = draws
        self.detach = detach
        self.recover.apply(initialise)

    def forward(
        self, x: Float[Tensor, "b n d"], valid: Bool[Tensor, "b n"] | None = None, record: Record | None = None
    ) -> Float[Tensor, "b n d"]:
        if isinstance(record, BoostRecord):
            noisy, recovered = self.recovered(x, record.context.normal(*x.shape, device=x.device))
            error = ((x.detach() if self.detach else x) - recovered).float().square().mean(-1)
            weight = torch.ones_like(error) if valid is None else valid.to(error.dtype)
            record.terms.append((error * weight).sum() / weight.sum())
            return boosted(noisy, recovered)
        if not self.draws:
            return boosted(*self.recovered(x, torch.zeros_like(x)))
        noise = torch.randn(self.draws, *x.shape[1:], generator=torch.Generator().manual_seed(0)).to(x.device)
        return torch.stack([boosted(*self.recovered(x, one.expand_as(x))) for one in noise]).mean(0)

    def recovered(
        self, x: Float[Tensor, "b n d"], noise: Float[Tensor, "b n d"]
    ) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b n d"]]:
        """The features with noise, and what the autoencoder makes of those."""
        noisy = x + (F.softplus(self.scale) * noise).to(x.dtype)
        return noisy, self.recover(noisy)


class Residual(nn.Module):
    """The same autoencoder on a plain residual branch: as many weights, no noise, no loss of its own."""

    def __init__(self, width: int):
        super().__init__()
        self.recover = Booster(width).recover

    def forward(
        self, x: Float[Tensor, "b n d"], valid: Bool[Tensor, "b n"] | None = None, record: Record | None = None
    ) -> Float[Tensor, "b n d"]:
        return x + self.recover(x)


class Boosters:
    """Puts modules between the blocks of an encoder, at equal distances.

    kind: "boost", or "residual" for the control with as many weights. count: of modules; 0 leaves the encoder plain.
    Other arguments as in Booster.
    """

    def __init__(self, kind: str = "boost", count: int = 3, scale: float = 0.1, draws: int = 0, detach: bool = False):
        check_choice("kind", kind, ("boost", "residual"))
        if count < 0 or draws < 0 or scale <= 0:
            raise ValueError(f"count {count} and draws {draws} must be at least 0, and scale {scale} above 0")
        self.kind = kind
        self.count = count
        self.scale = scale
        self.draws = draws
        self.detach = detach

    def put_into(self, encoder: ViT) -> None:
        """Raises ValueError where there are more modules than blocks to stand after."""
        depth = len(encoder.trunk.blocks)
        if self.count > depth:
            raise ValueError(f"{self.count} modules cannot stand after {depth} blocks; choose at most {depth}")
        for i in range(1, self.count + 1):
            module = (
                Residual(encoder.width)
                if self.kind == "residual"
                else Booster(encoder.width, self.scale, self.draws, self.detach)
            )
            encoder.trunk.between[str(max(i, depth * i // (self.count + 1)))] = module
