"""What a file's configuration states of the network: ours, transformers', timm's or MAE's training arguments."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from unmask.interop.architecture import Grid
from unmask.interop.header import read_json

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
            config[key] = content if isinstance(content, dict) else {}
    return config


def stated(config: Mapping) -> Stated:
    """The same few facts from whichever configuration it is; {} states nothing."""
    if isinstance(config.get("unmask"), dict):
        return _ours(config["unmask"])
    if "hidden_size" in config:
        return Stated(
            _grid(config.get("image_size"), config.get("patch_size")),
            _whole(config.get("patch_size")),
            _whole(config.get("num_attention_heads")),
            _whole(config.get("decoder_num_attention_heads")),
            config.get("mask_ratio"),
            config.get("norm_pix_loss"),
        )
    if "architecture" in config:
        return _timm(config)
    arguments = config.get("arguments", {})
    patch = re.search(r"patch(\d+)", str(arguments.get("model", "")))
    grid = _grid(arguments.get("input_size"), int(patch[1])) if patch else None
    return Stated(grid, normalise=arguments.get("norm_pix_loss"), ratio=arguments.get("mask_ratio"))


def _ours(config: Mapping) -> Stated:
    sizes = config.get("architecture") or {}
    masking, normalisation = config.get("masking") or {}, config.get("normalisation") or {}
    rows, columns = map(_whole, sizes.get("grid") or (None, None))
    return Stated(
        None if rows is None or columns is None else (rows, columns),
        _whole(sizes.get("patch_size")),
        _whole(sizes.get("heads")),
        _whole(sizes.get("decoder_heads")),
        masking.get("ratio"),
        masking.get("normalised_targets"),
        tuple(map(str, normalisation["channels"])) if "channels" in normalisation else None,
    )


def _timm(config: Mapping) -> Stated:
    arguments, pretrained = config.get("model_args") or {}, config.get("pretrained_cfg") or {}
    named = re.search(r"patch(\d+)_(\d+)", str(config["architecture"]))
    patch = _whole(arguments.get("patch_size")) or (int(named[1]) if named else None)
    size = arguments.get("img_size") or (pretrained.get("input_size") or [None])[1:] or (named and int(named[2]))
    return Stated(_grid(size, patch), patch, _whole(arguments.get("num_heads")))


def _grid(image_size, patch_size) -> Grid | None:
    """Rows and columns of patches, for sizes given as a number or as (height, width)."""
    sides = tuple(image_size) if isinstance(image_size, list | tuple) else (image_size, image_size)
    patch = patch_size[0] if isinstance(patch_size, list | tuple) and patch_size else patch_size
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in (*sides, patch)):
        return None
    return sides[0] // patch, sides[1] // patch


def _whole(value) -> int | None:
    return value if type(value) is int and 0 < value < 1 << 20 else None
