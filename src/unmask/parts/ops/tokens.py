"""What stands in the place of hidden tokens."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

MASKED, SWAPPED = 0.8, 0.1  # shares of the hidden tokens; the rest stays (Devlin et al. 2019, section 3.1)


def corrupted(
    ids: Int64[Tensor, "b t"],
    hidden: Bool[Tensor, "b t"],
    choice: Float[Tensor, "b t"],
    other: Float[Tensor, "b t"],
    mask_token: int,
    vocabulary: int,
) -> Int64[Tensor, "b t"]:
    """Of the hidden tokens 80 % become the mask token, 10 % any token, 10 % stay.

    choice, other: noise in [0, 1) that decides which of these, and which token.
    """
    swapped = hidden & (choice >= MASKED) & (choice < MASKED + SWAPPED)
    found = torch.where(hidden & (choice < MASKED), mask_token, ids)
    return torch.where(swapped, (other * vocabulary).long().clamp(max=vocabulary - 1), found)
