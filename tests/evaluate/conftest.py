"""Small data sets with a known answer, and a small method."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from unmask.methods import mae


def clusters(count, classes=4, width=8, spread=0.3, seed=0):
    """Points around one centre per class, the same centres for every seed, and their classes."""
    centres = torch.randn(classes, width, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    return centres[labels] + spread * torch.randn(count, width, generator=generator), labels


def pictures(count, batch=16, classes=3, seed=0):
    """Batches of noisy pictures whose class is their brightness; the lower half belongs to another segment."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    segment = (torch.arange(16) >= 8).long()[:, None].expand(count, 16, 16)
    image = 0.3 * torch.randn(count, 3, 16, 16, generator=generator)
    image = image + labels[:, None, None, None] - 1.0 + 2.0 * segment[:, None]
    whole = {"image": image, "label": labels, "index": torch.arange(count), "segmentation": segment}
    return [{key: value[first : first + batch] for key, value in whole.items()} for first in range(0, count, batch)]


class Largest(TorchDispatchMode):
    """The largest tensor that any operation makes, in bytes."""

    bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple) else (result,):
            if isinstance(tensor, torch.Tensor) and tensor._base is None:
                self.bytes = max(self.bytes, tensor.nbytes)
        return result


@pytest.fixture
def largest():
    return Largest


@pytest.fixture
def points():
    return clusters


@pytest.fixture
def batches():
    return pictures


@pytest.fixture
def method():
    torch.manual_seed(0)
    return mae.tiny()[0]
