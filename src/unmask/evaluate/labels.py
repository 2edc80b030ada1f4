"""Class numbers of batches: which samples have one, and one clear sentence when none has."""

from collections.abc import Iterable

import torch
from jaxtyping import Int64
from torch import Tensor

from unmask.core import Batch


def labelled(labels: Tensor | None, part: str) -> Int64[Tensor, "m"]:
    """The rows with a class number. Raises ValueError where there is none, or where labels are something else."""
    if labels is not None and (labels.ndim != 1 or labels.is_floating_point()):
        raise ValueError(
            f"labels of shape {tuple(labels.shape)} and type {labels.dtype} are not class numbers; "
            "fine-tune with task='multilabel' or task='regression' instead"
        )
    rows = torch.empty(0, dtype=torch.long) if labels is None else (labels >= 0).nonzero().squeeze(-1)
    if not len(rows):
        raise ValueError(
            f"the data has no labels: the {part} part names no class; put the files into one folder per class, "
            "or look at it with `unmask view` and `unmask analyse`, which need none"
        )
    return rows


def accuracy_of_commonest(train: Int64[Tensor, "n"], test: Int64[Tensor, "m"]) -> float:
    """The accuracy of always naming the class that is most common in training: chance level."""
    return int((test == train.mode().values).sum()) / len(test)


def with_label(batch: Batch) -> Batch:
    """The batch without the samples whose class number is -1, which stands for unknown."""
    label = batch["label"]
    if label.ndim != 1 or label.is_floating_point() or bool((label >= 0).all()):
        return batch
    return {key: value[(label >= 0).to(value.device)] for key, value in batch.items()}


def gather_labels(batches: Iterable[Batch], part: str) -> Tensor:
    """All labels of a part, without unknown classes. Raises ValueError where there is none."""
    found = [with_label(batch)["label"].cpu() for batch in batches if "label" in batch]
    if not sum(map(len, found)):
        labelled(None, part)
    return torch.cat(found)
