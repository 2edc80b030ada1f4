"""Pictures as grids of ids of a codebook, and back."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unmask.core import check_choice
from unmask.parts.ops.patches import patch_grid

GROUPS, EPS = 32, 1e-6  # of the norms
SHORTCUTS = ("input", "output")


class Quantised(NamedTuple):
    """What a codebook makes of vectors: the nearest entries, their numbers, and squared distances to all."""

    values: Float[Tensor, "b d h w"]
    ids: Int64[Tensor, "b n"]
    distances: Float[Tensor, "p k"]


class Codebook(nn.Module):
    """Vectors, of which the nearest stands for what is given. size: how many. Its number is its id."""

    def __init__(self, size: int, width: int):
        super().__init__()
        bound = math.sqrt(3 / size)
        self.vectors = nn.Parameter(torch.empty(size, width).uniform_(-bound, bound))

    def forward(self, x: Float[Tensor, "b d h w"]) -> Quantised:
        with torch.autocast(x.device.type, enabled=False):  # which entry is nearest is decided in full precision
            flat, vectors = x.float().movedim(1, -1).flatten(0, 2), self.vectors.float()
            distances = flat.square().sum(-1, keepdim=True) - 2 * flat @ vectors.T + vectors.square().sum(-1)
        ids = distances.argmin(-1).unflatten(0, (len(x), -1))
        return Quantised(self.of(ids, (x.shape[-2], x.shape[-1])), ids, distances)

    def of(self, ids: Int64[Tensor, "b n"], grid: tuple[int, int]) -> Float[Tensor, "b d h w"]:
        """The vectors of ids in reading order."""
        return self.vectors[ids].unflatten(1, grid).movedim(-1, 1)


class ResidualBlock(nn.Module):
    """Twice norm, swish and convolution, added to the input.

    shortcut: where the width changes, the 1x1 convolution of the other branch reads the "input", or, as MaskGIT's
    released code has it, the "output" of the block's own convolutions.
    """

    def __init__(self, inputs: int, outputs: int, shortcut: str = "input"):
        super().__init__()
        self.norm1, self.norm2 = norm(inputs), norm(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = shortcut
        read = inputs if shortcut == "input" else outputs
        self.project = None if inputs == outputs else nn.Conv2d(read, outputs, 1, bias=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        own = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        if self.project is None:
            return x + own
        return own + self.project(x if self.shortcut == "input" else own)


class Tokenizer(nn.Module):
    """An encoder to vectors on a coarse grid, a codebook, and a decoder to pixels; it works on pixels from 0 to 1.

    codebook_size: entries. latent: numbers of each. width, multipliers: of the stages, finest first; each but the last
    halves the sides. blocks: of every stage. shortcut: see `ResidualBlock`.
    Source: Esser et al. 2021 (VQGAN) without attention, as in vqgan_tokenizer.py of Chang et al. 2022's released code.
    """

    def __init__(
        self,
        channels: int = 3,
        codebook_size: int = 1024,
        latent: int = 256,
        width: int = 128,
        multipliers: tuple[int, ...] = (1, 1, 2, 2, 4),
        blocks: int = 2,
        shortcut: str = "input",
    ):
        super().__init__()
        check_choice("shortcut", shortcut, SHORTCUTS)
        if codebook_size < 2 or min(channels, latent, width, blocks, *multipliers) < 1:
            raise ValueError(
                f"codebook_size {codebook_size} must be at least 2; channels {channels}, latent {latent}, width"
                f" {width}, multipliers {multipliers} and blocks {blocks} positive"
            )
        widths = [width * factor for factor in multipliers]
        self.channels, self.codebook_size, self.latent = channels, codebook_size, latent
        self.patch_size = 2 ** (len(widths) - 1)
        self.encoder = TokenizerEncoder(channels, widths, latent, blocks, shortcut)
        self.codebook = Codebook(codebook_size, latent)
        self.decoder = TokenizerDecoder(channels, widths, latent, blocks, shortcut)

    def grid_of(self, image: Float[Tensor, "b c h w"]) -> tuple[int, int]:
        """Rows and columns of ids."""
        return patch_grid(image.shape[-2], image.shape[-1], self.patch_size)

    def check(self, size: tuple[int, int]) -> None:
        """Raises ValueError for pictures that do not divide into ids."""
        if any(side % self.patch_size for side in size):
            raise ValueError(
                f"pictures of {size[0]}x{size[1]} do not divide into ids of {self.patch_size}x{self.patch_size} pixels;"
                " set another image_size, or a tokenizer of fewer stages"
            )

    def quantised(self, image: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b d i j"], Quantised]:
        """What the encoder gives, and what the codebook makes of it."""
        if image.shape[1] != self.channels:
            raise ValueError(f"image has {image.shape[1]} channels, this tokenizer {self.channels}; map them by name")
        raw = self.encoder(image)
        return raw, self.codebook(raw)

    @torch.no_grad()
    def ids(self, image: Float[Tensor, "b c h w"]) -> Int64[Tensor, "b n"]:
        """The picture's ids in reading order."""
        with torch.autocast(image.device.type, enabled=False):
            return self.quantised(image.float())[1].ids

    @torch.no_grad()
    def picture(self, ids: Int64[Tensor, "b n"], grid: tuple[int, int]) -> Float[Tensor, "b c h w"]:
        """The picture of ids, cut off at 0 and 1."""
        return self.decoder(self.codebook.of(ids, grid)).float().clamp(0, 1)


class TokenizerEncoder(nn.Module):
    """Residual blocks, the mean of four pixels after every stage but the last, and a 1x1 convolution."""

    def __init__(self, channels: int, widths: list[int], latent: int, blocks: int, shortcut: str):
        super().__init__()
        self.first = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        before = [widths[0], *widths[:-1]]
        self.stages = nn.ModuleList(
            stage(inputs, outputs, blocks, shortcut) for inputs, outputs in zip(before, widths, strict=True)
        )
        self.middle = stage(widths[-1], widths[-1], blocks, shortcut)
        self.norm, self.last = norm(widths[-1]), nn.Conv2d(widths[-1], latent, 1)
        self.apply(started)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        x = self.first(x)
        for number, blocks in enumerate(self.stages, start=1):
            x = blocks(x)
            if number < len(self.stages):
                x = F.avg_pool2d(x, 2)
        return self.last(F.silu(self.norm(self.middle(x))))


class TokenizerDecoder(nn.Module):
    """The stages in reverse; pixels are repeated and convolved before every stage but the coarsest."""

    def __init__(self, channels: int, widths: list[int], latent: int, blocks: int, shortcut: str):
        super().__init__()
        down = widths[::-1]
        self.first = nn.Conv2d(latent, down[0], 3, padding=1)
        self.middle = stage(down[0], down[0], blocks, shortcut)
        before = [down[0], *down[:-1]]
        self.stages = nn.ModuleList(
            stage(inputs, outputs, blocks, shortcut) for inputs, outputs in zip(before, down, strict=True)
        )
        self.doublings = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in down[:-1])
        self.norm, self.last = norm(down[-1]), nn.Conv2d(down[-1], channels, 3, padding=1)
        self.apply(started)

    def forward(self, x: Float[Tensor, "b d i j"]) -> Float[Tensor, "b c h w"]:
        x = self.middle(self.first(x))
        for number, blocks in enumerate(self.stages):
            x = blocks(x)
            if number < len(self.doublings):
                x = self.doublings[number](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.last(F.silu(self.norm(x)))


def stage(inputs: int, outputs: int, blocks: int, shortcut: str) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(outputs if i else inputs, outputs, shortcut) for i in range(blocks)))


def norm(width: int) -> nn.GroupNorm:
    """Over as many groups as published, or the most that divide the width."""
    return nn.GroupNorm(math.gcd(GROUPS, width), width, eps=EPS)


def started(module: nn.Module) -> None:
    """Weights of a variance of 1 over their inputs, no biases, as flax has it."""
    if isinstance(module, nn.Conv2d):
        inputs = module.weight[0].numel()
        spread = inputs**-0.5 / 0.87962566103423978  # the deviation that cutting off at two leaves
        nn.init.trunc_normal_(module.weight, std=spread, a=-2 * spread, b=2 * spread)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
