"""Named sets of torchvision. Their archives are checked against published hashes by torchvision itself."""

import os
import socket
from pathlib import Path

import numpy as np

from unmask.data.decode import CHANNELS, Decoder
from unmask.data.network import PATIENCE, Unreachable, require_host
from unmask.data.picture import Picture, finite
from unmask.data.source import Item, Listing, Source

TRAIN = {"train": {"train": True}, "test": {"train": False}}
SPLIT = {"train": {"split": "train"}, "test": {"split": "test"}}
THREE = {"train": {"split": "train"}, "validation": {"split": "val"}, "test": {"split": "test"}}
SETS: dict[str, tuple[str, dict[str, dict]]] = {  # host, and the arguments of every split
    "CIFAR10": ("www.cs.toronto.edu", TRAIN),
    "CIFAR100": ("www.cs.toronto.edu", TRAIN),
    "MNIST": ("ossci-datasets.s3.amazonaws.com", TRAIN),
    "FashionMNIST": ("fashion-mnist.s3-website.eu-central-1.amazonaws.com", TRAIN),
    "KMNIST": ("codh.rois.ac.jp", TRAIN),
    "SVHN": ("ufldl.stanford.edu", SPLIT),
    "STL10": ("ai.stanford.edu", {"unlabeled": {"split": "unlabeled"}, **SPLIT}),
    "Flowers102": ("thor.robots.ox.ac.uk", THREE),
    "DTD": ("www.robots.ox.ac.uk", THREE),
    "FGVCAircraft": ("www.robots.ox.ac.uk", THREE),
    "Food101": ("data.vision.ee.ethz.ch", SPLIT),
    "GTSRB": ("sid.erda.dk", SPLIT),
    "OxfordIIITPet": ("thor.robots.ox.ac.uk", {"train": {"split": "trainval"}, "test": {"split": "test"}}),
    "EuroSAT": ("huggingface.co", {"all": {}}),
}


class TorchvisionSource(Source):
    """The splits of one set after each other."""

    def __init__(self, name: str, parts: dict, decoder: Decoder):
        self._parts = list(parts.values())
        items, classes = [], None
        for split, part in parts.items():
            named = split if split in ("train", "validation", "test") else None
            classes = getattr(part, "classes", None) or classes
            labels = _labels(part)
            for i in range(len(part)):
                label = None if labels is None or labels[i] < 0 else str(labels[i])
                items.append(Item(f"{split}/{i:06d}", label, named))
        numbers = sorted({item.label for item in items if item.label}, key=int)
        super().__init__(f"torchvision:{name}", Listing(items), decoder, numbers)
        if classes and len(classes) == len(numbers):
            self.classes = tuple(str(c) for c in classes)

    def read(self, i: int) -> Picture:
        for part in self._parts:
            if i < len(part):
                image = part[i][0]
                values = np.array(image)
                values = values[..., None] if values.ndim == 2 else values
                return self.decoder.mapped(finite(values, CHANNELS[image.mode]))
            i -= len(part)
        raise IndexError(i)

    def read_for(self, i: int, size: tuple[int, int]) -> Picture:
        return self.read(i)


def _labels(part) -> list[int] | None:
    for name in ("targets", "labels", "_labels"):
        found = getattr(part, name, None)
        if found is not None and len(found) == len(part):
            return [int(label) for label in found]
    samples = getattr(part, "_samples", None) or getattr(part, "samples", None)
    return None if samples is None else [int(label) for _, label in samples]


def open_torchvision(name: str, decoder: Decoder, folder: Path | None = None) -> Source:
    """Every split, from `folder` (default: UNMASK_CACHE or ~/.cache/unmask), downloaded if it is not there."""
    import torchvision

    if name not in SETS:
        raise ValueError(f"torchvision:{name} is unknown; choose one of {', '.join(SETS)}")
    host, splits = SETS[name]
    root = folder or Path(os.environ.get("UNMASK_CACHE", Path.home() / ".cache" / "unmask")) / "torchvision"
    make = getattr(torchvision.datasets, name)
    try:
        parts = {split: make(root, download=False, **arguments) for split, arguments in splits.items()}
    except (RuntimeError, OSError):  # torchvision's way to say that nothing is there
        require_host(host, f"torchvision:{name}")
        parts = _download(name, make, root, splits)
    return TorchvisionSource(name, parts, decoder)


def _download(name: str, make, root: Path, splits: dict) -> dict:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(4 * PATIENCE)
    try:
        root.mkdir(parents=True, exist_ok=True)
        return {split: make(root, download=True, **arguments) for split, arguments in splits.items()}
    except Exception as error:  # urllib's, zipfile's and torchvision's own kinds
        raise Unreachable(f"torchvision:{name} cannot be downloaded: {error}") from None
    finally:
        socket.setdefaulttimeout(before)
