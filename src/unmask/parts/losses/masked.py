"""Losses that count hidden places only."""

from jaxtyping import Bool, Float
from torch import Tensor


def masked_mean(values: Float[Tensor, "*shape"], chosen: Bool[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """The mean over the chosen entries of the whole batch; 0, with gradient 0, when none is chosen."""
    chosen = chosen.to(values.dtype)
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def place_mse(
    prediction: Float[Tensor, "b n k"], target: Float[Tensor, "b n k"], real: Bool[Tensor, "b n k"] | None = None
) -> Float[Tensor, "b n"]:
    """Squared error averaged over the numbers of every place, in float32.

    real: False for values that are padding or missing; they do not count in the mean of their place.
    """
    error = (prediction.float() - target.float()).square()
    if real is None:
        return error.mean(-1)
    real = real.to(error.dtype)
    return (error * real).sum(-1) / real.sum(-1).clamp(min=1)


def masked_mse(
    prediction: Float[Tensor, "b n k"],
    target: Float[Tensor, "b n k"],
    hidden: Bool[Tensor, "b n"],
    real: Bool[Tensor, "b n k"] | None = None,
) -> Float[Tensor, ""]:
    """Squared error averaged over each hidden place, then over all hidden places of the batch, in float32.

    real: as for `place_mse`.
    Source: He et al. 2022 (MAE), forward_loss of the released code.
    """
    return masked_mean(place_mse(prediction, target, real), hidden)
