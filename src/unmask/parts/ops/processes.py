"""What a system needs to know of the other processes that train with it."""

import torch
from jaxtyping import Shaped
from torch import Tensor


def gathered(x: Shaped[Tensor, "b *rest"]) -> Shaped[Tensor, "n *rest"]:
    """The rows of all processes, in their order; just these rows where there is only one process.

    Every process must call it, with equally many rows.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return x
    parts = [torch.empty_like(x) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, x.contiguous())
    return torch.cat(parts)
