"""How well and with how few latents a sparse autoencoder gives activations back."""

from collections.abc import Iterable
from typing import Any

import torch

from unmask.core import Batch, to_device
from unmask.evaluate.features import frozen


@torch.no_grad()
def sparsity(method: Any, batches: Iterable[Batch], device: torch.device | str = "cpu") -> dict[str, float]:
    """`error`: squared error as a share of the variance about the mean; `used`: latents above 0 per activation;
    `dead`: share of the latents that are above 0 for none of them; `activations`: how many.

    Both in the units of the activations. Raises ValueError where the method has no latents.
    """
    if not (hasattr(method, "latents") and hasattr(method, "restored")):
        raise ValueError(f"{type(method).__name__} has no latents that could be counted; choose another measure")
    count, used, error, power = 0, 0.0, 0.0, 0.0
    total = torch.zeros((), dtype=torch.float64)
    ever = torch.zeros((), dtype=torch.bool)
    with frozen(method.to(device)):
        for batch in batches:
            batch = to_device(batch, device)
            x, latents = batch["activation"].double(), method.latents(batch)
            error += float((method.restored(batch) - x).square().sum())
            power, total = power + float(x.square().sum()), total + x.sum(0).cpu()
            used += float((latents > 0).sum())
            ever = ever | (latents > 0).any(0).cpu()
            count += len(x)
    if not count:
        raise ValueError("there is nothing to evaluate: the batches are empty; check the data and its split")
    variance = power - float(total.square().sum()) / count
    return {
        "error": error / max(variance, 1e-12),
        "used": used / count,
        "dead": 1 - float(ever.float().mean()),
        "activations": float(count),
    }
