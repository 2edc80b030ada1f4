"""What a file's configuration states of the network: ours, transformers', timm's or MAE's training arguments."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from unmask.interop.architecture import Grid
from unmask.interop.header import read_json

LARGEST = 1 << 20  # of any size that is believed
MOST_PLACES = 1 << 18
BESIDE = ("model.safetensors", "pytorch_model.bin")  # files that have their configuration in the same folder


class Stated(NamedTuple):
    """None where the configuration does not say."""

    grid: Grid | None = None
    patch_size: int | None = None
    heads: int | None = None
    decoder_heads: int | None = None
    ratio: float | None = None
    normalise: bool | None = None
    channels: tuple[str, ...] | None = None


def read_configuration(path: Path, metadata: Mapping[str, str]) -> dict:
    """config.json of a folder, or beside a file that has one by custom, and what the tensors' file itself carries."""
    config = {}
    if path.is_dir():
        config = read_json(path / "config.json")
    elif path.name in BESIDE:
        config = read_json(path.parent / "config.json")
    for key in ("unmask", "arguments"):
        if key in metadata:
            try:
                content = json.loads(metadata[key])
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path} carries unreadable metadata {key!r}") from error
            config[key] = table(content)
    return config


def stated(config: Mapping) -> Stated:
    """The same few facts from whichever configuration it is; {} states nothing, nor does what makes no sense."""
    if table(config.get("unmask")):
        return _ours(table(config["unmask"]))
    if "hidden_size" in config:
        return Stated(
            _grid(config.get("image_size"), config.get("patch_size")),
            _whole(config.get("patch_size")),
            _whole(config.get("num_attention_heads")),
            _whole(config.get("decoder_num_attention_heads")),
            _share(config.get("mask_ratio")),
            _truth(config.get("norm_pix_loss")),
        )
    if "architecture" in config:
        return _timm(config)
    arguments = table(config.get("arguments"))
    patch = re.search(r"patch(\d{1,4})", str(arguments.get("model", "")))
    grid = _grid(arguments.get("input_size"), int(patch[1])) if patch else None
    return Stated(grid, ratio=_share(arguments.get("mask_ratio")), normalise=_truth(arguments.get("norm_pix_loss")))


def table(value: Any) -> dict:
    """The value if it is a table, else an empty one."""
    return value if isinstance(value, dict) else {}


def _ours(config: Mapping) -> Stated:
    sizes, masking = table(config.get("architecture")), table(config.get("masking"))
    channels = table(config.get("normalisation")).get("channels")
    return Stated(
        _grid(sizes.get("grid"), 1),
        _whole(sizes.get("patch_size")),
        _whole(sizes.get("heads")),
        _whole(sizes.get("decoder_heads")),
        _share(masking.get("ratio")),
        _truth(masking.get("normalised_targets")),
        tuple(map(str, channels)) if isinstance(channels, list) else None,
    )


def _timm(config: Mapping) -> Stated:
    arguments, pretrained = table(config.get("model_args")), table(config.get("pretrained_cfg"))
    named = re.search(r"patch(\d{1,4})_(\d{1,4})", str(config["architecture"]))
    patch = _whole(arguments.get("patch_size")) or (int(named[1]) if named else None)
    size = arguments.get("img_size") or pretrained.get("input_size") or (named and int(named[2]))
    size = size[1:] if isinstance(size, list) and len(size) == 3 else size
    return Stated(_grid(size, patch), patch, _whole(arguments.get("num_heads")))


def _grid(image_size: Any, patch_size: Any) -> Grid | None:
    """Rows and columns of patches, for sizes given as a number or as (height, width)."""
    sides = image_size if isinstance(image_size, list) else [image_size, image_size]
    patch = patch_size[0] if isinstance(patch_size, list) and patch_size else patch_size
    if len(sides) != 2 or not all(map(_whole, (*sides, patch))):
        return None
    rows, columns = sides[0] // patch, sides[1] // patch
    return (rows, columns) if 0 < rows * columns <= MOST_PLACES else None


def _whole(value: Any) -> int | None:
    return value if type(value) is int and 0 < value < LARGEST else None


def _share(value: Any) -> float | None:
    return value if type(value) is float and 0 < value < 1 else None


def _truth(value: Any) -> bool | None:
    return value if type(value) is bool else None
