"""Pictures as files: a folder at any depth, a glob, or a list of paths."""

import glob
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from unmask.data.decode import Decoder
from unmask.data.names import described, is_picture
from unmask.data.picture import Unreadable
from unmask.data.source import Listing, Source

LONGEST_LINE = 4096  # bytes; no path of a common system is longer
LARGEST_FILE = 1 << 31


class FileSource(Source):
    """Files below `root`, read when they are asked for."""

    def __init__(self, origin: str, root: Path, sizes: Mapping[str, int], decoder: Decoder, refused: Mapping[str, str]):
        super().__init__(origin, Listing(described(sizes)), decoder, refused=refused)
        self.root = root

    def data(self, i: int) -> bytes:
        return self._bytes(self.items[i].name)

    def target_data(self, i: int) -> bytes:
        return self._bytes(self.items[i].target or "")

    def path(self, i: int) -> Path:
        """Where one sample lies."""
        return self.root / self.items[i].name

    def _bytes(self, name: str) -> bytes:
        try:
            with open(os.path.join(self.root, name), "rb", buffering=0, opener=_without_waiting) as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise Unreadable("is not a regular file")
                if found.st_size > LARGEST_FILE:
                    raise Unreadable(f"has {found.st_size:,} bytes, too many for one picture")
                return file.read()
        except OSError as error:
            raise Unreadable(f"cannot be opened: {error.strerror}") from None


def _without_waiting(path, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # opening a pipe must not hang


def walk(root: Path, refused: dict[str, str]) -> Iterator[tuple[str, int]]:
    """(name, bytes) of every file below `root`. Links are followed, every folder is entered once."""
    waiting = [""]
    entered = set()
    while waiting:
        folder = waiting.pop()
        try:
            place = os.stat(root / folder)
            if (place.st_dev, place.st_ino) in entered:
                continue
            entered.add((place.st_dev, place.st_ino))
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            refused[folder or "."] = f"folder cannot be opened: {error.strerror}"
            continue
        folders = []
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(name)
            elif entry.is_file():
                yield name, entry.stat().st_size
            elif is_picture(name):
                refused[name] = "is a broken link" if entry.is_symlink() else "is not a regular file"
        waiting.extend(reversed(folders))


def folder_files(root: Path, refused: dict[str, str]) -> dict[str, int]:
    """Name and size of every file below a folder."""
    return dict(walk(root, refused))


def glob_files(pattern: str, refused: dict[str, str]) -> tuple[Path, dict[str, int]]:
    """The folder before the first wildcard, and the files that match; matching folders are walked."""
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed]) if fixed else Path(".")
    found: dict[str, int] = {}
    for match in sorted(glob.glob(pattern, recursive=True)):
        name = Path(match).relative_to(root).as_posix() if fixed else Path(match).as_posix()
        if os.path.isdir(match):
            found.update({f"{name}/{below}": size for below, size in walk(Path(match), refused)})
        elif os.path.isfile(match):
            found[name] = os.stat(match).st_size
    return root, found


def listed_files(path: Path) -> dict[str, int]:
    """The paths in a list file, one a line, absolute or relative to its folder; files that are gone have size 0."""
    found: dict[str, int] = {}
    with open(path, "rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            name = _listed_name(path, number, line)
            if name:
                place = path.parent / name
                found[name] = place.stat().st_size if place.is_file() else 0
    return found


def _listed_name(path: Path, number: int, line: bytes) -> str:
    where = f"line {number} of {path}"
    if len(line) > LONGEST_LINE:
        raise ValueError(f"{where} is longer than {LONGEST_LINE} bytes; a list file holds one path a line")
    name = os.fsdecode(line).rstrip("\r\n").strip(" \t")
    if "\0" in name:
        raise ValueError(f"{where} holds a zero byte; a list file holds one path a line")
    if "://" in name or name.lower().startswith("file:"):
        raise ValueError(f"{where} is an address ({name[:80]!r}); a list file holds paths of local files only")
    if ".." in Path(name).parts:
        raise ValueError(f"{where} leaves the folder with '..' ({name[:80]!r}); write the absolute path instead")
    return name
