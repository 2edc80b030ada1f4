"""Losses that count hidden places only."""

from jaxtyping import Bool, Float
from torch import Tensor


def masked_mean(values: Float[Tensor, "*shape"], chosen: Bool[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """The mean over the chosen entries of the whole batch; 0, with gradient 0, when none is chosen."""
    chosen = chosen.to(values.dtype)
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def masked_mse(
    prediction: Float[Tensor, "b n k"],
    target: Float[Tensor, "b n k"],
    hidden: Bool[Tensor, "b n"],
    real: Bool[Tensor, "b n k"] | None = None,
) -> Float[Tensor, ""]:
    """Squared error averaged over each hidden place, then over all hidden places of the batch, in float32.

    real: False for values that are padding or missing; they do not count in the mean of their place.
    Source: He et al. 2022 (MAE), forward_loss of the released code.
    """
    error = (prediction.float() - target.float()).square()
    if real is None:
        return masked_mean(error.mean(-1), hidden)
    real = real.to(error.dtype)
    return masked_mean((error * real).sum(-1) / real.sum(-1).clamp(min=1), hidden)
