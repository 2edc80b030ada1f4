"""The encoder as a function of pictures alone, which can be traced."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unmask.interop.architecture import architecture_of, encoder_of


class FeatureGraph(nn.Module):
    """Pictures of the encoder's own size to its tokens, without the class token, and their mean."""

    def __init__(self, method: nn.Module):
        super().__init__()
        self.encoder = copy.deepcopy(encoder_of(method)).cpu().float().eval().requires_grad_(False)

    def forward(self, image: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b d"]]:
        tokens = self.encoder(image)[:, self.encoder.prefix :]
        return tokens, tokens.mean(1)

    def example(self, samples: int = 2) -> Float[Tensor, "b c h w"]:
        """Pictures of the right shape, the same every time."""
        size = architecture_of(self.encoder, encoder_only=True).image_size
        return torch.randn(samples, self.encoder.channels, *size, generator=torch.Generator().manual_seed(0))
