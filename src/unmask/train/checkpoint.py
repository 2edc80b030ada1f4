"""Checkpoints: folders of safetensors and JSON that are either whole and verified, or not there.

RUN/checkpoints/step-00001234/ holds one `<section>.safetensors` per section, `state.json` and `manifest.json`.

Writing: step-N.tmp is filled, every file and folder fsynced, and one rename makes it step-N; a version of the same
step that it replaces waits as step-N.old, still readable, until then. What is to be deleted is first renamed to
step-N.gone, so that nothing half-deleted looks like a checkpoint. Reading: every byte is compared with the
manifest's sha256, and the manifest with its own, before a tensor is used. Nothing that is read can execute code.
"""

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from errno import EDQUOT, EFBIG, EINVAL, ENOSPC, ENOTSUP
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

FOLDER, STATE, MANIFEST = "checkpoints", "state.json", "manifest.json"
NAME = re.compile(r"step-(\d{8,18})(\.old)?")
SECTION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")
MARGIN = 1.2  # free space asked for, as a multiple of what will be written
TENSORS, HEADER = 50_000, 16 << 20  # the largest header that is written or read: entries and bytes
FILES, JSON_BYTES = 64, 256 << 20  # the same for the manifest's files and for state.json
KINDS = (  # torch=safetensors
    "float64=F64 float32=F32 float16=F16 bfloat16=BF16 float8_e4m3fn=F8_E4M3 float8_e5m2=F8_E5M2 complex64=C64"
    " int64=I64 int32=I32 int16=I16 int8=I8 uint64=U64 uint32=U32 uint16=U16 uint8=U8 bool=BOOL"
)
DTYPES = {getattr(torch, kind): code for kind, code in (pair.split("=") for pair in KINDS.split())}

Tensors = Mapping[str, Tensor]


class BadCheckpoint(ValueError):
    """A checkpoint or a tensor file that is damaged, or that was never one."""


class DiskFull(OSError):
    """There is no room for the next checkpoint; those that exist are untouched."""


@dataclass(frozen=True)
class Checkpoint:
    """One verified checkpoint. `warnings` says which newer ones were passed over, and why."""

    path: Path
    step: int
    state: dict
    sections: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def tensors(self, section: str) -> dict[str, Tensor]:
        """The tensors of one section, on the CPU, in memory of their own."""
        if section not in self.sections:
            raise BadCheckpoint(f"{self.path} has no section {section!r}; it holds {', '.join(self.sections)}")
        return read_tensors(self.path / f"{section}.safetensors")


def save(
    folder: Path, step: int, tensors: Mapping[str, Tensors], state: Mapping, keep: int = 2, pinned: Iterable[int] = ()
) -> Path:
    """Writes the checkpoint of `step` under the run folder `folder` and returns where it is.

    tensors: section -> name -> tensor, one file a section. state: anything that JSON holds (tuples return as lists).
    keep: so many of the newest stay, and those of the steps in `pinned`. Checkpoints of later steps, which a run
    that went back to an older one leaves behind, are set aside as step-N.abandoned; nothing reads them any more.
    Raises DiskFull when there is no room, and other OSErrors as they come: what was there before stays.
    """
    contents = {f"{section}.safetensors": _encode(section, values) for section, values in tensors.items()}
    text = _encode_state(state)
    need = len(text) + sum(value.nbytes for values in tensors.values() for value in values.values())
    home = Path(folder) / FOLDER
    if not home.is_dir():
        home.mkdir(parents=True)
        _sync_folder(home.parent)
    _tidy(home)
    if shutil.disk_usage(home).free < need * MARGIN:
        raise _disk_full(home, need, ENOSPC)
    final = home / f"step-{step:08d}"
    temporary = final.with_name(final.name + ".tmp")
    try:
        os.mkdir(temporary)
        files = {name: _write(temporary / name, chunks) for name, chunks in contents.items()}
        files[STATE] = _write(temporary / STATE, [text])
        _write(temporary / MANIFEST, [_render({"step": step, "files": files})])
        _sync_folder(temporary)
        if final.exists():
            os.rename(final, final.with_name(final.name + ".old"))
        os.rename(temporary, final)
        _sync_folder(home)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if error.errno in (ENOSPC, EDQUOT, EFBIG):
            raise _disk_full(home, need, error.errno) from error
        raise
    _retire(home, step, max(keep, 1), set(pinned))
    return final


def newest(folder: Path) -> Checkpoint:
    """The newest checkpoint of the run folder that verifies; its `warnings` name the newer ones that do not.

    Raises FileNotFoundError when the run has no checkpoint at all and BadCheckpoint when none of them is whole.
    """
    home = Path(folder) / FOLDER
    warnings: list[str] = []
    for path in _found(home):
        try:
            return open_checkpoint(path, tuple(warnings))
        except (BadCheckpoint, OSError) as error:
            if not path.exists():
                return newest(folder)  # the run has gone on meanwhile and deleted it
            warnings.append(f"passed over checkpoint {path.name}: {error}")
    if not warnings:
        raise FileNotFoundError(f"no checkpoint in {home}; start the run, or check the path")
    raise BadCheckpoint(f"no checkpoint in {home} is whole; restore one from a copy. " + "; ".join(warnings))


def all_steps(folder: Path) -> list[int]:
    """The steps of which the run folder has a checkpoint, in rising order; not verified."""
    return sorted({_step(path) for path in _found(Path(folder) / FOLDER)})


def open_checkpoint(path: Path, warnings: tuple[str, ...] = ()) -> Checkpoint:
    """The checkpoint in the folder `path`, every byte of it verified; raises BadCheckpoint if one differs."""
    content = _quick_look(path)
    for name, entry in content["files"].items():
        with open(path / name, "rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != entry["sha256"]:
                raise BadCheckpoint(f"{name} differs from its sha256")
        if name != STATE:
            check_tensor_file(path / name)
    state = _parse((path / STATE).read_bytes(), STATE)
    sections = tuple(name.removesuffix(".safetensors") for name in content["files"] if name != STATE)
    return Checkpoint(path, content["step"], state, sections, warnings)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU, in memory of their own (the file may go)."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_tensor_file(path)
    try:
        return {name: value.clone() for name, value in load_file(path).items()}
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise BadCheckpoint(f"{path} is not a valid safetensors file: {error}") from error


def check_tensor_file(path: Path) -> None:
    """Raises BadCheckpoint unless the header of a safetensors file is of a credible size and form."""
    size = path.stat().st_size
    with open(path, "rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(HEADER, size - 8):
            if start[:2] == b"PK" or start[:1] == b"\x80":
                raise BadCheckpoint(f"{path.name} is a pickle, which can run code; convert it to safetensors first")
            raise BadCheckpoint(f"{path.name} is cut off or no safetensors file: {size} bytes, header of {length}")
        entries = len(_parse(stream.read(length), path.name))
    if entries > TENSORS:
        raise BadCheckpoint(f"{path.name} lists {entries} tensors; at most {TENSORS} are accepted")


def state_hash(tensors: Tensors) -> str:
    """sha256 over names, kinds, shapes and bytes: equal when, and only when, the tensors are the same bits."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(_bytes(value))
    return digest.hexdigest()


def write_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Replaces the file by the given bytes, or leaves it as it was: there is no state in between."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    _write(temporary, chunks)
    os.replace(temporary, path)
    _sync_folder(path.parent)


def _encode(section: str, tensors: Tensors) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file, one tensor at a time, so that a GPU's tensors never fill the memory twice.

    The header is made, and refused if need be, before anything is written.
    """
    if not SECTION.fullmatch(f"{section}.safetensors"):
        raise ValueError(f"section {section!r} cannot name a file; use letters, digits, '_', '-' and '.'")
    if len(tensors) > TENSORS:
        raise ValueError(f"section {section!r} has {len(tensors)} tensors; at most {TENSORS} fit, use more sections")
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))  # aligned without padding
    end = 0
    for name in order:
        value = tensors[name]
        if value.dtype not in DTYPES or value.layout is not torch.strided or value.is_meta:
            raise TypeError(f"tensor {name!r} of {section!r} is {value.dtype} {value.layout} and cannot be saved")
        start, end = end, end + value.numel() * value.element_size()
        header[name] = {"dtype": DTYPES[value.dtype], "shape": list(value.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > HEADER:
        raise ValueError(f"the names of section {section!r} take {len(text)} bytes; at most {HEADER} are accepted")

    def chunks() -> Iterator[bytes | memoryview]:
        yield len(text).to_bytes(8, "little") + text
        for name in order:
            yield _bytes(tensors[name])

    return chunks()


def _bytes(tensor: Shaped[Tensor, "..."]) -> memoryview:
    """The values in memory order, of any stride, storage and device."""
    flat = tensor.detach().cpu().contiguous().reshape(-1).resolve_conj().resolve_neg()
    array: Any = flat.view(torch.uint8).numpy()
    return memoryview(array)


def _encode_state(state: Mapping) -> bytes:
    try:
        text = json.dumps(state, indent=1).encode()
    except (TypeError, ValueError) as error:
        raise TypeError(f"the state of a checkpoint must be plain JSON values: {error}") from error
    if len(text) > JSON_BYTES:
        raise ValueError(f"the state of a checkpoint takes {len(text)} bytes; at most {JSON_BYTES} are accepted")
    return text


def _render(content: dict) -> bytes:
    """The one way to write a manifest; its last entry is the sha256 of all the others."""
    digest = hashlib.sha256(json.dumps(content, indent=1).encode()).hexdigest()
    return json.dumps({**content, "sha256": digest}, indent=1).encode()


def _quick_look(path: Path) -> dict:
    """The manifest, once it reads well and every file that it lists has its size."""
    if not (path / MANIFEST).is_file() or (path / MANIFEST).stat().st_size > HEADER:
        raise BadCheckpoint(f"{MANIFEST} is missing or far too large")
    text = (path / MANIFEST).read_bytes()
    content = _parse(text, MANIFEST)
    content.pop("sha256", None)
    if _render(content) != text:
        raise BadCheckpoint(f"{MANIFEST} differs from its own sha256")
    files = content.get("files")
    if not isinstance(files, dict) or STATE not in files or len(files) > FILES or content.get("step") != _step(path):
        raise BadCheckpoint(f"{MANIFEST} does not describe a checkpoint of step {_step(path)}")
    for name, entry in files.items():
        if name != STATE and not (name.endswith(".safetensors") and SECTION.fullmatch(name)):
            raise BadCheckpoint(f"{MANIFEST} lists {name!r}, which is no name of a section")
        if not isinstance(entry, dict) or not (path / name).is_file():
            raise BadCheckpoint(f"{name} is missing")
        size = (path / name).stat().st_size
        if size != entry.get("bytes") or (name == STATE and size > JSON_BYTES):
            raise BadCheckpoint(f"{name} has {size} bytes instead of {entry.get('bytes')}")
    return content


def _parse(text: bytes, name: str) -> dict:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{name} cannot be parsed: {error}") from error
    if not isinstance(content, dict):
        raise BadCheckpoint(f"{name} holds a {type(content).__name__} where an object is expected")
    return content


def _write(path: Path, chunks: Iterable[bytes | memoryview]) -> dict:
    """Writes a new file down to the disk; returns its size and sha256 for the manifest."""
    digest, size = hashlib.sha256(), 0
    with open(path, "xb") as stream:
        for chunk in chunks:
            stream.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    return {"bytes": size, "sha256": digest.hexdigest()}


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (EINVAL, ENOTSUP):  # some network file systems have no fsync of folders
            raise
    finally:
        os.close(descriptor)


def _disk_full(home: Path, need: int, code: int) -> DiskFull:
    free = shutil.disk_usage(home).free
    room = f"need {math.ceil(need * MARGIN):,} bytes, free {free:,} bytes, {os.strerror(code).lower()}"
    return DiskFull(f"no room for a checkpoint in {home} ({room}); make room or choose another disk, then resume")


def _step(path: Path) -> int:
    match = NAME.fullmatch(path.name)
    return int(match[1]) if match else -1


def _found(home: Path) -> list[Path]:
    """Every finished checkpoint, the newest first, and of one step the new version before the one it replaces."""
    paths = [path for path in home.iterdir() if NAME.fullmatch(path.name)] if home.is_dir() else []
    return sorted(paths, key=lambda path: (-_step(path), path.name))


def _tidy(home: Path) -> None:
    """Clears what a crash has left: unfinished writes and deletions go, a replaced version without successor stays."""
    for path in home.glob("step-*.old"):
        final = path.with_suffix("")
        if final.exists():
            _delete(path)
        else:
            os.rename(path, final)
    for path in [*home.glob("step-*.gone"), *home.glob("step-*.tmp")]:
        shutil.rmtree(path, ignore_errors=path.suffix == ".gone")


def _delete(path: Path) -> None:
    gone = path.with_name(path.name + ".gone")
    os.rename(path, gone)
    shutil.rmtree(gone, ignore_errors=True)  # what stays is no checkpoint, and the next save tries again


def _retire(home: Path, step: int, keep: int, pinned: set[int]) -> None:
    """Deletes what is neither pinned nor among the newest `keep`; a visibly damaged one does not count as kept."""
    kept = 0
    for path in _found(home):
        if _step(path) > step:
            aside = path.with_name(f"step-{_step(path):08d}.abandoned")
            if aside.exists():
                _delete(aside)
            os.rename(path, aside)
        elif path.suffix != ".old" and (kept < keep or _step(path) in pinned) and _looks_whole(path):
            kept += 1
        else:
            _delete(path)


def _looks_whole(path: Path) -> bool:
    try:
        return bool(_quick_look(path))
    except (BadCheckpoint, OSError):
        return False
