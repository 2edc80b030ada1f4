"""Lower bounds on the log-likelihood from log importance weights log p(x, z) - log q(z | x)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def importance_bound(log_weights: Float[Tensor, "*b k"]) -> Float[Tensor, "*b"]:
    """Log of the mean weight of k samples: it grows with k, up to the log-likelihood itself.

    Source: Burda et al. 2016 (IWAE), equation 8.
    """
    return torch.logsumexp(log_weights, -1) - math.log(log_weights.shape[-1])


def average_bound(log_weights: Float[Tensor, "*b k"]) -> Float[Tensor, "*b"]:
    """The mean of the log weights: the bound of the variational autoencoder, for any k.

    Source: Kingma and Welling 2014.
    """
    return log_weights.mean(-1)
