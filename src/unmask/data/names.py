"""What the path of a file tells: its split, its class, and which file is its segmentation mask."""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache

from unmask.data.decode import SUFFIXES
from unmask.data.source import Item

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
IMAGE_FOLDERS = ("image", "images")
MASK_FOLDERS = ("mask", "masks")
CONTAINERS = (".tar", ".parquet")


def is_picture(name: str) -> bool:
    """Whether a file of this name is taken for a picture; hidden files are not."""
    last = name.rpartition("/")[2]
    return not last.startswith(".") and last[last.rfind(".") :].lower() in SUFFIXES


@lru_cache(maxsize=4096)
def split_of(folder: str) -> str | None:
    """The split that a part of the path names, or a word in the name of a shard ("set-train-0003.tar")."""
    for part in folder.lower().split("/"):
        words = re.split(r"[-_.]", part) if part.endswith(CONTAINERS) else [part]
        for word in words:
            if word in SPLITS:
                return SPLITS[word]
    return None


@lru_cache(maxsize=4096)
def label_of(folder: str) -> str | None:
    """The last part of the path, unless it names a split, a shard or just "images"."""
    for part in reversed(folder.split("/")):
        if part.lower() not in IMAGE_FOLDERS:
            return None if part.lower() in SPLITS or part.lower().endswith(CONTAINERS) else part or None
    return None


def pair_masks(names: Collection[str]) -> dict[str, str]:
    """Mask of every picture that has one: image(s)/X beside mask(s)/X, X_image or X beside X_mask."""
    masks = {name: stems for name in names if (stems := image_stems(name))}
    if not masks:
        return {}
    pictures = {name.rpartition(".")[0]: name for name in names if name not in masks}
    pairs: dict[str, str] = {}
    for mask, stems in masks.items():
        picture = next((pictures[stem] for stem in stems if stem in pictures), None)
        if picture:
            pairs.setdefault(picture, mask)
    return pairs


def image_stems(mask: str) -> list[str]:
    """Where the picture of a segmentation mask may be, without suffix; nothing if this is not called a mask."""
    if "mask" not in mask.lower():
        return []
    stem = mask.rpartition(".")[0]
    if stem.endswith("_mask"):
        base = stem.removesuffix("_mask")
        return [base + "_image", base]
    parts = stem.split("/")
    for i, part in enumerate(parts[:-1]):
        if part.lower() in MASK_FOLDERS:
            return ["/".join([*parts[:i], image, *parts[i + 1 :]]) for image in IMAGE_FOLDERS]
    return []


def described(sizes: Mapping[str, int], labels: Mapping[str, str] | None = None) -> list[Item]:
    """Items for these names and sizes, sorted by name, masks joined to their pictures.

    labels: given classes, which count more than folders. Folders are classes only if there are at least two.
    """
    targets = pair_masks(sizes)
    masks = set(targets.values())
    names = sorted(name for name in sizes if name not in masks)
    folders = {name: name.rpartition("/")[0] for name in names}
    if labels is None:
        labels = {name: label for name in names if (label := label_of(folders[name]))}
        labels = labels if len(set(labels.values())) > 1 else {}
    return [Item(name, labels.get(name), split_of(folders[name]), sizes[name], targets.get(name)) for name in names]
