"""Learning to predict which places are hard: by order, or by value."""

from jaxtyping import Bool, Float
from torch import Tensor

from unmask.parts.losses.masked import masked_mean

FLOOR = 1e-6  # added to probabilities and variances, as in the released code of HPM


def pairwise_order(
    prediction: Float[Tensor, "b n"], target: Float[Tensor, "b n"], among: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Cross-entropy of guessing, for every two of the places, which has the larger target.

    The probability is the sigmoid of the difference of their predictions. Averaged over the pairs of the whole batch
    that are not tied; 0 when all are.
    Source: Wang et al. 2023 (HPM), relative loss.
    """
    prediction, target = prediction.float(), target.float()
    pairs = (target.unsqueeze(1) > target.unsqueeze(2)) & among.unsqueeze(1) & among.unsqueeze(2)
    probability = (prediction.unsqueeze(1) - prediction.unsqueeze(2)).sigmoid()
    return masked_mean(-(probability + FLOOR).log(), pairs)


def standardised_error(
    prediction: Float[Tensor, "b n"], target: Float[Tensor, "b n"], among: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Squared error to targets that have mean 0 and deviation 1 over the places of every sample.

    Source: Wang et al. 2023 (HPM), absolute loss; the variance is the unbiased one.
    """
    prediction, target = prediction.float(), target.float()
    weight = among.to(prediction.dtype)
    count = weight.sum(-1, keepdim=True)
    mean = (target * weight).sum(-1, keepdim=True) / count.clamp(min=1)
    square = ((target - mean) * weight).square().sum(-1, keepdim=True) / (count - 1).clamp(min=1)
    return masked_mean((prediction - (target - mean) / (square + FLOOR).sqrt()).square(), among)
