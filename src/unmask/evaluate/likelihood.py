"""How likely held-out samples are to a method that can say."""

import math
from collections.abc import Iterable
from typing import Any

import torch

from unmask.core import Batch, to_device
from unmask.evaluate.features import frozen

SAMPLES = 5000  # of the code per picture; Burda et al. 2016


@torch.no_grad()
def likelihood(
    method: Any,
    batches: Iterable[Batch],
    samples: int = SAMPLES,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Nats and bits per dimension, the mean over everything in the batches.

    `log_likelihood` is what the method gives from that many samples, often a lower bound; `standard_error` is that of
    its mean. A dimension is a real value of a picture, or a real token. Raises ValueError where the method cannot say.
    """
    if not hasattr(method, "log_likelihood"):
        raise ValueError(f"{type(method).__name__} does not say how likely data is; choose another measure")
    if samples < 1:
        raise ValueError(f"samples {samples} must be at least 1")
    found, dimensions = [], 0
    with frozen(method.to(device)):
        for batch in batches:
            dimensions += dimensions_of(batch)
            found.append(method.log_likelihood(to_device(batch, device), samples, generator).double().cpu())
    if not found:
        raise ValueError("there is nothing to evaluate: the batches are empty; check the data and its split")
    values = torch.cat(found)
    return {
        "log_likelihood": float(values.mean()),
        "standard_error": float(values.std() / len(values) ** 0.5) if len(values) > 1 else 0.0,
        "bits_per_dim": float(-values.sum() / (dimensions * math.log(2))),
        "count": len(values),
        "samples": samples,
    }


def dimensions_of(batch: Batch) -> int:
    """Real values of pictures, or real tokens."""
    if "ids" in batch:
        return int(batch["ids_valid"].sum())
    valid = batch.get("image_valid")
    return batch["image"].numel() if valid is None else int(valid.sum()) * batch["image"].shape[1]
