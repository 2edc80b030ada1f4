"""Tar archives and shards, read in place: one pass over the headers, then every member by its offset.

Nothing is ever extracted. The headers are parsed here and not by `tarfile`, whose extraction filters are not needed
and which takes twenty times as long. Members that are not plain files inside the archive are refused by name.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unmask.data.decode import Decoder
from unmask.data.names import described, is_picture
from unmask.data.picture import Unreadable
from unmask.data.source import Listing, Source, Strings

BLOCK = 512
LONGEST_HEADER = 1 << 16  # bytes of one extended header: names and a few numbers
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"(\xb5": "zstd"}
LINKS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a pipe"}
DAMAGED = "the archive is damaged here; the rest is not read"
UNFINISHED = "the archive ends without its closing block; it may be truncated"
KNOWN = b"\0" + b"01234567gxLKS"


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive. refused: why it must not be read, "" if it may."""

    name: str
    start: int
    size: int
    refused: str = ""


def members(path: Path) -> Iterator[Member]:
    """Every entry but folders, in the order of the archive; raises ValueError when the file is no plain tar."""
    with open(path, "rb") as file:
        end = os.fstat(file.fileno()).st_size
        _check_begin(path, file.read(BLOCK), end)
        place, extra = 0, {}
        while place + BLOCK <= end:
            file.seek(place)
            block = file.read(BLOCK)
            if block.count(0) == BLOCK:
                return
            name, size, kind = _header(block)
            if kind is None:
                yield Member(f"{path.name} at byte {place}", place, 0, DAMAGED)
                return
            start = place + BLOCK
            place = start + -(-size // BLOCK) * BLOCK
            if kind in b"xgLK":
                if size > LONGEST_HEADER or start + size > end:
                    yield Member(name, start, size, "has an extended header that is too long")
                    return
                if kind in b"xL":
                    extra.update(_extended(kind, file.read(size)))
                continue
            name = extra.get("path", name)
            if "size" in extra and kind in b"0\x007":
                size = int(extra["size"])
                place = start + -(-size // BLOCK) * BLOCK
            reason = _refusal(name, kind, extra, start + size > end)
            extra = {}
            if kind != b"5" or reason:
                yield Member(name.removeprefix("./"), start, size, reason)
        yield Member(f"{path.name} at byte {place}", place, 0, UNFINISHED)


def _check_begin(path: Path, block: bytes, size: int) -> None:
    for magic, kind in COMPRESSED.items():
        if block.startswith(magic):
            raise ValueError(f"{path} is compressed with {kind}; decompress it once, a plain .tar is read in place")
    if len(block) < BLOCK or (block.count(0) < BLOCK and _header(block)[2] is None):
        raise ValueError(f"{path} is not a tar archive ({size:,} bytes)")


def _header(block: bytes) -> tuple[str, int, bytes | None]:
    """Name, size and kind of one header block; kind is None when the block is not a header."""
    try:
        checksum = int(block[148:156].strip(b"\0 ") or b"-1", 8)
        size = int.from_bytes(block[125:136]) if block[124] == 0x80 else int(block[124:136].strip(b"\0 ") or b"0", 8)
    except ValueError:
        return "", 0, None
    kind = block[156:157]
    if checksum != sum(block) - sum(block[148:156]) + 256 or size < 0 or kind not in KNOWN:
        return "", 0, None
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and block[345]:
        name = block[345:500].partition(b"\0")[0] + b"/" + name
    return os.fsdecode(name), 0 if kind in b"123456" else size, kind


def _extended(kind: bytes, data: bytes) -> dict[str, str]:
    """The name and size that an extended header gives to the next member."""
    if kind == b"L":
        return {"path": os.fsdecode(data.partition(b"\0")[0])}
    found = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not 0 < int(length) <= len(data):
            break
        key, _, value = data[len(length) + 1 : int(length)].partition(b"=")
        word = key.decode("ascii", "replace")
        if word in ("path", "size") or word.startswith("GNU.sparse"):
            found[word] = os.fsdecode(value.removesuffix(b"\n"))
        data = data[int(length) :]
    if not found.get("size", "0").isdigit():
        found["GNU.sparse"] = "size"
    return found


def _refusal(name: str, kind: bytes, extra: Mapping[str, str], beyond: bool) -> str:
    if kind in LINKS:
        return f"is {LINKS[kind]}, which is not followed"
    if kind == b"S" or any(key.startswith("GNU.sparse") for key in extra):
        return "is a sparse member, which is not supported"
    if name.startswith(("/", "\\")) or name[1:2] == ":" or ".." in name.replace("\\", "/").split("/"):
        return "has a path that leaves the archive"
    if "\0" in name or not name:
        return "has no usable name"
    return "goes on after the end of the archive: the file is truncated" if beyond else ""


class TarSource(Source):
    """Pictures in one archive or in several shards. WebDataset's `.cls` members give labels.

    accepts: which members count, by their name.
    """

    def __init__(
        self, origin: str, shards: Sequence[Path], decoder: Decoder, accepts: Callable[[str], bool] = is_picture
    ):
        root = shards[0].parent if len(shards) == 1 else Path(os.path.commonpath([shard.parent for shard in shards]))
        self.shards = list(shards)
        self._files: dict[int, int] = {}
        self._process = -1
        found: dict[str, tuple[int, int, int]] = {}
        classes: dict[str, tuple[int, int, int]] = {}
        refused: dict[str, str] = {}
        for number, shard in enumerate(self.shards):
            prefix = "" if len(shards) == 1 else f"{shard.relative_to(root).as_posix()}/"
            for member in members(shard):
                name = prefix + member.name
                if member.refused:
                    refused[name] = member.refused
                elif name in found:
                    refused[name] = "stands twice in the archive; the first is used"
                elif accepts(name):
                    found[name] = (number, member.start, member.size)
                elif name.endswith(".cls"):
                    classes[name] = (number, member.start, member.size)
        labels = self._labels(found, classes)
        items = described({name: size for name, (_, _, size) in found.items()}, labels or None)
        super().__init__(origin, Listing(items), decoder, refused=refused)
        self._places = np.array([found[item.name] for item in items], dtype=np.int64).reshape(-1, 3)
        masks = sorted({item.target for item in items if item.target})
        self._masks = Strings(masks)
        self._mask_places = np.array([found[name] for name in masks], dtype=np.int64).reshape(-1, 3)

    def data(self, i: int) -> bytes:
        return self._bytes(*self._places[i].tolist())

    def target_data(self, i: int) -> bytes:
        return self._bytes(*self._mask_places[bisect_left(self._masks, self.items[i].target or "")].tolist())

    def _labels(self, found, classes) -> dict[str, str]:
        """The class in the `.cls` member that shares its name, up to the first dot, with a picture."""
        stems = {_key(name): place for name, place in classes.items()}
        return {
            name: self._bytes(*stems[_key(name)])[:200].decode("utf-8", "replace").strip()
            for name in found
            if _key(name) in stems
        }

    def _bytes(self, shard: int, start: int, size: int) -> bytes:
        if self._process != os.getpid():  # a worker opens its own files
            self._files, self._process = {}, os.getpid()
        try:
            if shard not in self._files:
                self._files[shard] = os.open(self.shards[shard], os.O_RDONLY)
            data = os.pread(self._files[shard], size, start)
        except OSError as error:
            raise Unreadable(f"archive cannot be read: {error.strerror}") from None
        if len(data) < size:
            raise Unreadable("goes on after the end of the archive")
        return data

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_files": {}, "_process": -1}


def _key(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]
