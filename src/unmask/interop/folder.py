"""Folders that exports are written to, whole or not at all, and what every export says of itself."""

import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from torch import Tensor, nn

from unmask.data.card import DataCard
from unmask.interop.architecture import architecture_of, encoder_of, plain


@dataclass(frozen=True)
class Exported:
    """What was written and how it is used: `usage` is a few lines of Python for the other library."""

    folder: Path
    files: tuple[str, ...]
    usage: str
    notes: tuple[str, ...] = ()


@contextmanager
def new_folder(folder: str | Path) -> Iterator[Path]:
    """A folder to write into that takes the name `folder` when all is written, and vanishes on an error."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} already holds something; choose another folder or remove it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        for path in partial.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def exported(folder: str | Path, usage: str, card: DataCard | None) -> Exported:
    """The record of a finished export."""
    folder = Path(folder)
    notes = () if card else ("no data card was given: nothing is said of how pictures must be standardised",)
    return Exported(folder, tuple(sorted(path.name for path in folder.iterdir())), usage, notes)


def write_json(path: Path, content: Mapping) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping) -> None:
    """A safetensors file in float32 whose metadata repeats what the configuration beside it says.

    Equal weights give equal bytes: the safetensors package writes its metadata in an order that changes.
    """
    header: dict = {"__metadata__": {"format": "pt", "unmask": json.dumps(about)}}
    end = 0
    for name in sorted(tensors):
        start, end = end, end + 4 * tensors[name].numel()
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            file.write(tensors[name].detach().float().cpu().contiguous().numpy().astype("<f4", copy=False).tobytes())


def about(method: nn.Module, card: DataCard | None, encoder_only: bool, information: Mapping | None) -> dict:
    """What every export says: sizes, standardisation, masking, and whatever the caller adds."""
    content = {
        "software": f"unmask {version('unmask')}",
        "architecture": architecture_of(method, encoder_only).to_json(),
        "normalisation": None if card is None else normalisation(card),
    }
    ratio = getattr(getattr(method, "sampler", None), "ratio", None)
    if ratio is not None and not encoder_only:
        normalise = bool(getattr(getattr(method, "target", None), "normalise", False))
        content["masking"] = {"ratio": ratio, "normalised_targets": normalise}
    return content | dict(information or {})


def normalisation(card: DataCard) -> dict:
    """How pictures become what the encoder was trained on, in the units of the files."""
    return {
        "rule": "(value - mean) / std, per channel, values as stored in the files",
        "channels": list(card.channels),
        "dtype": card.dtype,
        "mean": list(card.mean),
        "std": deviations(card),
    }


def deviations(card: DataCard) -> list[float]:
    """Standard deviations to divide by: 1 for a constant channel, as in training."""
    return [value if value > 0 else 1.0 for value in card.std]


def weights(method: nn.Module, encoder_only: bool = False) -> dict[str, Tensor]:
    """The method's encoder and decoder, of whatever kind, under our names without the prefixes of wrappers."""
    networks: dict[str, nn.Module] = {"encoder": encoder_of(method)}
    decoder = getattr(plain(method), "decoder", None)
    if isinstance(decoder, nn.Module) and not encoder_only:
        networks["decoder"] = plain(decoder)
    return {
        f"{part}.{name.replace('_orig_mod.', '')}": value.detach().float().cpu()
        for part, network in networks.items()
        for name, value in network.state_dict().items()
    }
