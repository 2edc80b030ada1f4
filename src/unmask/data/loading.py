"""From samples to batches: reading ahead, stacking, and the budget for what cannot be read."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unmask.core import Batch
from unmask.data.card import DataCard

WORKER_TIMEOUT = 600  # seconds without a batch before a hanging worker ends the run


class TooManyUnreadable(ValueError):
    """More samples had to be replaced than the budget allows."""

    def __init__(self, faults: dict[str, str], total: int, budget: float, noun: str = "pictures"):
        self.names = list(faults)
        shown = "; ".join(f"{name} {reason}" for name, reason in list(faults.items())[:5])
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        super().__init__(
            f"{len(faults)} of {total:,} {noun} cannot be used, more than the budget of {budget:.2%} "
            f"({int(budget * total)}): {shown}{more}. Repair or remove them, or raise --bad-budget"
        )


class Faults(dict[str, str]):
    """Name and reason of every sample that could not be used; raises TooManyUnreadable above the budget."""

    def __init__(self, total: int, budget: float, noun: str = "pictures"):
        super().__init__()
        self.total, self.budget, self.noun = total, budget, noun

    def add(self, found: dict[str, str]) -> None:
        """Counts these; a name counts once."""
        self.update(found)
        if len(self) > self.budget * self.total:
            raise self.too_many()

    def too_many(self) -> TooManyUnreadable:
        """The error that names them."""
        return TooManyUnreadable(self, self.total, self.budget, self.noun)


def collate(samples: Sequence[dict[str, Tensor]], card: DataCard | None = None) -> Batch:
    """Stacks every key; a sample without `image_valid` is valid everywhere.

    card: standardises "image", which is as drawn, on the way into the batch.
    """
    if any("image_valid" in sample for sample in samples):
        for sample in samples:
            sample.setdefault("image_valid", torch.ones(sample["image"].shape[-2:], dtype=torch.bool))
    drawn = {"image"} if card else set()
    batch = {key: stacked([sample[key] for sample in samples]) for key in samples[0] if key not in drawn}
    if card:
        images = room(len(samples), samples[0]["image"].shape, np.float32)
        for image, sample in zip(images, samples, strict=True):
            card.scaled(sample["image"], out=image)
        batch["image"] = blanked(images, batch.get("image_valid"))
    return batch


def blanked(
    image: Float[Tensor, "*batch c h w"], valid: Bool[Tensor, "*batch h w"] | None
) -> Float[Tensor, "*batch c h w"]:
    """The same tensor with 0 in every pixel that is not valid."""
    return image if valid is None else image.masked_fill_(~valid.unsqueeze(-3), 0.0)


def stacked(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors as rows of one."""
    first = tensors[0]
    return torch.stack(list(tensors), out=room(len(tensors), first.shape, first.numpy().dtype))


def room(count: int, shape: Sequence[int], kind: npt.DTypeLike) -> Tensor:
    """An empty tensor. Unlike torch, numpy asks the system for large pages, and a batch is filled twice as fast."""
    return torch.from_numpy(np.empty((count, *shape), kind))


def in_order(batches: Dataset, places: range, workers: int) -> Iterator:
    """batches[k] for every k, read ahead by worker processes if there are any."""
    if workers == 0:
        return (batches[k] for k in places)
    return iter(DataLoader(batches, batch_size=None, sampler=places, num_workers=workers, timeout=WORKER_TIMEOUT))
