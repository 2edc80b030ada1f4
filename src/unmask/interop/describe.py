"""What a file of weights is, without loading it."""

import hashlib
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from unmask.interop import archive
from unmask.interop.configuration import table
from unmask.interop.header import read_header, weight_files
from unmask.interop.published import PROGRAMS, opened

CHUNK = 1 << 20


@dataclass(frozen=True)
class Description:
    """A file of weights. `tensors` and `parameters` are None where the file is not opened."""

    path: str
    kind: str
    bytes: int
    sha256: str
    tensors: int | None = None
    parameters: int | None = None
    architecture: dict | None = None
    config: dict = field(default_factory=dict)
    licence: str | None = None
    note: str = ""

    def to_json(self) -> dict:
        return asdict(self)

    def to_text(self) -> str:
        sizes = {name: value for name, value in (self.architecture or {}).items() if value is not None}
        rows = {
            "kind": self.kind,
            "tensors": self.tensors,
            "parameters": None if self.parameters is None else f"{self.parameters:,}",
            "architecture": ", ".join(f"{name} {value}" for name, value in sizes.items()),
            "normalisation": table(self.config.get("unmask")).get("normalisation"),
            "bytes": f"{self.bytes:,}",
            "sha256": self.sha256,
            "licence": self.licence or "not stated",
            "note": self.note,
        }
        return "\n".join(
            [self.path, *(f"  {name:<14}{value}" for name, value in rows.items() if value not in (None, ""))]
        )


def describe(path: str | Path) -> Description:
    """Kind, sizes, configuration, hash and licence of a file, or of a folder that holds one. Runs nothing of it."""
    path = Path(path)
    if path.is_file() and (archive.is_archive(path) or path.suffix in PROGRAMS):
        kind = "ONNX graph" if path.suffix == ".onnx" else "program" if path.suffix == ".pt2" else "torch archive"
        note = "not opened: only safetensors files are read without being asked to"
        return Description(str(path), kind, path.stat().st_size, sha256([path]), licence=licence(path), note=note)
    files = weight_files(path)
    kind, architecture, config, note = "safetensors", None, {}, ""
    try:
        with opened(path) as file:
            kind, architecture, config = file.kind, file.architecture().to_json(), file.config
    except ValueError as error:
        note = str(error)
    headers = [read_header(file).tensors for file in files]
    return Description(
        str(path),
        kind,
        sum(file.stat().st_size for file in files),
        sha256(files),
        sum(len(header) for header in headers),
        sum(tensor.numel() for header in headers for tensor in header.values()),
        architecture,
        config,
        licence(path, config),
        note,
    )


def sha256(files: list[Path]) -> str:
    """One hash over the files, in the order of their names."""
    total = hashlib.sha256()
    for path in sorted(files):
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                total.update(chunk)
    return total.hexdigest()


def licence(path: Path, config: dict | None = None) -> str | None:
    """What the configuration, or the README or LICENSE of a folder, says of the licence."""
    config = config or {}
    for place in (config, table(config.get("pretrained_cfg")), table(config.get("unmask"))):
        for name in ("license", "licence"):
            if isinstance(place.get(name), str):
                return place[name]
    if not path.is_dir():
        return None
    for name, pattern in (("README.md", r"(?m)^license: *(\S+)"), ("LICENSE", r"\A\s*(\S[^\n]*)")):
        file = path / name
        if file.is_file():
            with file.open(encoding="utf-8", errors="replace") as text:
                found = re.search(pattern, text.read(4096))
            if found:
                return found[1].strip()
    return None
