"""Losses that bring vectors and the entries of a codebook together, and keep the entries in use."""

from jaxtyping import Float
from torch import Tensor

LEAST = 1e-5  # added to a share before its logarithm


def codebook_terms(
    raw: Float[Tensor, "b d h w"], chosen: Float[Tensor, "b d h w"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """How far vectors are from the entries chosen for them: for the vectors to learn, and for the entries to.

    Source: van den Oord et al. 2017 (VQ-VAE), equation 3, as means over all numbers.
    """
    return (chosen.detach() - raw).square().mean(), (chosen - raw.detach()).square().mean()


def usage_entropy(distances: Float[Tensor, "p k"], temperature: float = 0.01) -> Float[Tensor, ""]:
    """The mean entropy of every choice among the entries, less the entropy of all choices together: low where each
    choice is clear and all entries are used.

    distances: squared, of every place to every entry; choices are soft, by -distance / temperature.
    Source: Chang et al. 2022 (MaskGIT), losses.py of the released code.
    """
    scores = -distances / temperature
    share = scores.softmax(-1)
    each = -(share * scores.log_softmax(-1)).sum(-1).mean()
    together = share.mean(0)
    return each + (together * (together + LEAST).log()).sum()


def straight_through(raw: Float[Tensor, "*b"], chosen: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """The chosen values, with the gradient of the raw ones."""
    return raw + (chosen - raw).detach()
