"""Volumes as a data set: one a file, with its segmentation mask beside it if there is one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from unmask.data.names import MASK_FOLDERS, SPLITS, label_of
from unmask.data.parts import parted
from unmask.data.source import Item, Listing, Source, class_names
from unmask.data.stored import open_stored
from unmask.data.volume import Volume
from unmask.data.volume_files import SUFFIXES, read_classes, read_volume, stored_affine

NOUN = "volumes"
OF_MASKS = (*MASK_FOLDERS, "label", "labels", "labelstr", "labelsts")
OF_VOLUMES = {  # folders in which the volumes of the masks in such a folder lie
    **dict.fromkeys((*MASK_FOLDERS, "label", "labels"), ("image", "images")),
    "labelstr": ("imagestr",),
    "labelsts": ("imagests",),
}
DECATHLON = {"imagestr": "train", "imagests": "test"}  # folders of the Medical Segmentation Decathlon and nnU-Net


class VolumeSource(Source):
    """Files of one volume each. Those with masks or classes, none of which is in a named part, are parted by name."""

    noun = NOUN

    def __init__(self, files: Source):
        names = [item.name for item in files.items]
        pairs = paired(names)
        masks = {name: place for place, name in enumerate(names) if is_mask(name)}
        items = [_described(item, pairs.get(item.name)) for item in files.items if item.name not in masks]
        classes = class_names(items)
        items = parted(items) if classes or pairs else items
        super().__init__(files.origin, Listing(items), files.decoder, classes, files.refused)
        places = {name: place for place, name in enumerate(names)}
        self.files = files
        self._places = np.array([places[item.name] for item in items], dtype=np.int64)
        self._masks = np.array([masks.get(item.target or "", -1) for item in items], dtype=np.int64)

    def data(self, i: int) -> bytes:
        return self.files.data(int(self._places[i]))

    def target_data(self, i: int) -> bytes:
        return self.files.data(int(self._masks[i]))

    def read(self, i: int) -> Volume:
        """Raises Unreadable with the reason."""
        return read_volume(self.data(i))

    def read_target(self, i: int) -> Int64[np.ndarray, "i j k"] | None:
        """Class number per voxel; None when the volume has no mask."""
        if self._masks[i] < 0:
            return None
        data = self.data(i)
        return read_classes(self.target_data(i), read_volume(data), stored_affine(data))


def is_mask(name: str) -> bool:
    """Whether the path says that a file is a segmentation mask."""
    *folders, last = name.lower().split("/")
    return any(folder in OF_MASKS for folder in folders) or _stem(last).endswith(("_mask", "_seg", "_label"))


def paired(names: Sequence[str]) -> dict[str, str]:
    """The mask of every volume that has one: images/X beside labels/X or masks/X, imagesTr/X_0000 beside labelsTr/X, or
    X beside X_mask, X_seg or X_label."""
    known = {name.lower(): name for name in names}
    stems = {_stem(name): name for name in known if not is_mask(name)}
    pairs = {}
    for mask in (name for name in known if is_mask(name)):
        for stem in _volume_stems(mask):
            if stem in stems:
                pairs[known[stems[stem]]] = known[mask]
                break
    return pairs


def _volume_stems(mask: str) -> list[str]:
    """Where the volume of a mask may be, without suffix."""
    parts = _stem(mask).split("/")
    for place, part in enumerate(parts[:-1]):
        if part in OF_VOLUMES:
            moved = ["/".join([*parts[:place], folder, *parts[place + 1 :]]) for folder in OF_VOLUMES[part]]
            return [*moved, *(f"{stem}_0000" for stem in moved)]
    return ["/".join(parts).rpartition("_")[0]]


def _stem(name: str) -> str:
    for suffix in (".nii.gz", ".nii", ".npy"):
        name = name.removesuffix(suffix)
    return name


def _described(item: Item, mask: str | None) -> Item:
    """The volume with its mask, and with what the folders tell of its class and part."""
    folder = item.name.rpartition("/")[0]
    words = folder.lower().split("/")
    split = next((DECATHLON[word] for word in words if word in DECATHLON), item.split)
    named = any(word in DECATHLON or word in SPLITS for word in words[-1:])
    label = None if mask is not None or named else label_of(folder)
    return replace(item, label=label, split=split, target=mask)


def open_volumes(spec: str | Path) -> VolumeSource:
    """The volumes that `spec` names: a file, a folder, a glob, a list of paths or .tar archives of .nii, .nii.gz or
    .npy files. Raises ValueError with one sentence for what cannot be read."""
    return VolumeSource(open_stored(spec, SUFFIXES, NOUN))
