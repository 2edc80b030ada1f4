"""Batch: a plain dictionary of tensors whose keys come from one table."""

from typing import Any, NamedTuple

from torch import Tensor

Batch = dict[str, Tensor]


class Entry(NamedTuple):
    """What one key of a batch holds: its axes and its unit."""

    shape: str
    unit: str


VOCABULARY: dict[str, Entry] = {
    "image": Entry("b c h w", "standardised intensity: (value - mean) / std of the data card"),
    "image_valid": Entry("b h w", "True where a pixel is real, False in padding and missing data"),
    "whole": Entry("b c h w", "the whole picture resized, for masks that are made once per image"),
    "crop": Entry("b 5", "top, left, height, width of the crop in fractions of the picture; 1 if flipped"),
    "video": Entry("b c t h w", "standardised intensity of the frames of a clip, by the data card"),
    "spectrogram": Entry("b 1 t f", "log energy by frame and band, standardised by the data card"),
    "spectrogram_valid": Entry("b t f", "True where a frame is sound, False in padding"),
    "series": Entry("b t c", "standardised per channel by the data card"),
    "future": Entry("b h c", "the rows that follow `series`, in its units"),
    "points": Entry("b n 3", "coordinates, the cloud centred and scaled into the unit sphere"),
    "centres": Entry("b n 3", "where the patches of `points` lie, for masks that ask"),
    "volume": Entry("b c d h w", "intensity, every volume standardised by itself; axes to the right, front and top"),
    "volume_valid": Entry("b d h w", "True where a voxel is real, False in padding and missing data"),
    "volume_segmentation": Entry("b d h w", "class number per voxel, -1 where ignored"),
    "ids": Entry("b t", "numbers of tokens in the vocabulary of the data card"),
    "ids_valid": Entry("b t", "True where a token is real, False in padding"),
    "word": Entry("b t", "which word of the passage a token is part of, -1 for none: padding and frame"),
    "vector": Entry("b d", "as its equations give it, in their units"),
    "partner": Entry("b e", "the vector that goes with `vector`, in its own units"),
    "node": Entry("b v f", "features of the nodes of every graph, scaled as the data card says"),
    "node_valid": Entry("b v", "False where a graph has fewer nodes than the largest of the batch"),
    "edge": Entry("b 2 e", "from which node of its graph to which, without loops"),
    "edge_valid": Entry("b e", "False where a graph has fewer edges than the largest of the batch"),
    "node_label": Entry("b v", "class number per node, -1 where unknown"),
    "node_part": Entry("b v", "published part per node: 0 training, 1 validation, 2 test, -1 none"),
    "state": Entry("b t s", "standardised per number by the data card"),
    "action": Entry("b t a", "what followed each state, from -1 to 1 over the range of the data card"),
    "raster": Entry("b t c h w", "bands of every date, standardised by the data card"),
    "raster_valid": Entry("b t h w", "True where a date has data in every band"),
    "moment": Entry("b t 3", "year, month from 1 and hour of every date"),
    "activation": Entry("b d", "what another network gave, in its units"),
    "index": Entry("b", "place of the sample in its data set"),
    "label": Entry("b", "class number"),
    "segmentation": Entry("b h w", "class number per pixel, -1 where ignored"),
}


def check_batch(batch: Batch) -> None:
    """Raises ValueError for a key outside the vocabulary or a tensor with another number of axes."""
    for key, value in batch.items():
        if key not in VOCABULARY:
            raise ValueError(f"batch key {key!r} is not in the vocabulary; known keys: {', '.join(VOCABULARY)}")
        axes = VOCABULARY[key].shape.split()
        if value.ndim != len(axes):
            raise ValueError(f"{key!r} has shape {tuple(value.shape)}; expected the axes [{' '.join(axes)}]")


def key_of(network: Any) -> str:
    """What a network reads of a batch: the entry that its `key` names, a picture where it names none."""
    return getattr(network, "key", "image")


def to_device(batch: Batch, device) -> Batch:
    """The same batch with every tensor on `device`."""
    return {key: value.to(device, non_blocking=True) for key, value in batch.items()}


def only_known(batch: Batch, key: str = "image") -> Batch:
    """The same batch with 0, the mean after standardisation, where `image_valid` says that nothing is known.

    key: of another entry with channels, as `key_of` gives it.
    """
    valid = batch.get(f"{key}_valid")
    return batch if valid is None else batch | {key: batch[key].masked_fill(~valid.unsqueeze(1), 0.0)}
