"""Safetensors files, checked by their header before anything is allocated."""

import json
import math
import re
import struct
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

MOST_BYTES = 1 << 20  # of the header; a ViT-Huge with a decoder needs about 0.1 MB
MOST_TENSORS = 5_000
LONGEST_NAME = 512
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class Header(NamedTuple):
    """What a safetensors file says of itself: tensors without data, and its free text."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """The checked header of one safetensors file, its tensors on the meta device.

    Raises ValueError where the header is too large or disagrees with itself or with the size of the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MOST_BYTES, size - 8):
            raise ValueError(_refusal(path, f"its header claims {length} bytes of a file of {size}"))
        text = file.read(length)
    try:
        entries = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(_refusal(path, f"its header is not readable ({str(error)[:80]})")) from error
    if not isinstance(entries, dict):
        raise ValueError(_refusal(path, "its header is not a table"))
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(_refusal(path, "its metadata is not text"))
    if len(entries) > MOST_TENSORS:
        raise ValueError(_refusal(path, f"it lists {len(entries)} tensors; at most {MOST_TENSORS} are read"))
    spans, tensors = [], {}
    for name, entry in entries.items():
        problem = _problem(name, entry)
        if problem:
            raise ValueError(_refusal(path, problem))
        spans.append(tuple(entry["data_offsets"]))
        tensors[name] = torch.empty(entry["shape"], dtype=DTYPES[entry["dtype"]], device="meta")
    end = 0
    for span in sorted(spans):
        if span[0] != end:
            raise ValueError(_refusal(path, f"its tensors overlap or leave a gap at byte {end}"))
        end = span[1]
    if end != size - 8 - length:
        raise ValueError(_refusal(path, f"its tensors need {end} bytes, {size - 8 - length} are there (cut off?)"))
    return Header(tensors, metadata)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of one safetensors file whose header passes."""
    from safetensors.torch import load_file

    read_header(path)
    return load_file(path)


def weight_files(path: Path) -> list[Path]:
    """The safetensors files of a path: itself, or those of a folder, which may be in several parts."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; give a safetensors file or a folder that holds one")
    if path.is_file():
        return [path]
    index, single = path / "model.safetensors.index.json", path / "model.safetensors"
    if single.is_file():
        return [single]
    if index.is_file():
        parts = sorted(set(read_json(index).get("weight_map", {}).values()))
        if all(isinstance(part, str) and re.fullmatch(r"[\w.-]+\.safetensors", part) for part in parts) and parts:
            return [path / part for part in parts]
        raise ValueError(f"{index} names files outside its folder; it is not read")
    found = sorted(path.glob("*.safetensors"))
    if len(found) == 1:
        return found
    raise FileNotFoundError(f"{path} holds {len(found)} safetensors files and no model.safetensors; name the file")


def read_json(path: Path) -> dict:
    """The table in a JSON file of at most a megabyte; {} if there is no such file."""
    if not path.is_file():
        return {}
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, too many for a configuration; it is not read")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not readable JSON ({str(error)[:80]})") from error
    return content if isinstance(content, dict) else {}


def _problem(name: str, entry) -> str | None:
    """What is wrong with one entry of a header."""
    if len(name) > LONGEST_NAME:
        return f"a tensor's name has {len(name)} letters; at most {LONGEST_NAME} are read"
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        return f"tensor {name!r} lacks its kind, shape or place"
    if entry["dtype"] not in DTYPES:
        return f"tensor {name!r} is of the unknown kind {str(entry['dtype'])[:40]!r}"
    shape, span = entry["shape"], entry["data_offsets"]
    if not all(isinstance(part, list) and all(type(n) is int and n >= 0 for n in part) for part in (shape, span)):
        return f"tensor {name!r} has a shape or place that is not made of whole numbers"
    if len(span) != 2 or len(shape) > 8 or math.prod(shape) * DTYPES[entry["dtype"]].itemsize != span[1] - span[0]:
        return f"tensor {name!r} has shape {shape[:8]}, which does not fill its place {span[:2]}"
    return None


def _unique(pairs: list[tuple]) -> dict:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice")
    return table


def _refusal(path: Path, why: str) -> str:
    return f"{path} is not a sound safetensors file: {why}; fetch or write it again"
