"""Files of any kind: a folder at any depth, a glob, a list of paths, archives and shards, listed as pictures are."""

import glob
from collections.abc import Sequence
from pathlib import Path

from unmask.data.decode import Decoder
from unmask.data.files import FileSource, folder_files, glob_files, listed_files
from unmask.data.tar import TarSource

LAYOUTS = "a file, a folder, a glob, a .txt list of paths, or .tar archives"


def open_stored(spec: str | Path, suffixes: Sequence[str], noun: str) -> FileSource | TarSource:
    """The files with one of the suffixes that `spec` names, with classes and splits as their paths tell.

    "PLACE::PART" takes those with a folder of that name on their path. Raises ValueError where there are none.
    """
    text, _, part = str(spec).partition("::")
    path, refused = Path(text), dict[str, str]()

    def accepts(name: str) -> bool:
        *folders, last = name.split("/")
        return last.lower().endswith(tuple(suffixes)) and not last.startswith(".") and (not part or part in folders)

    if path.is_dir():
        root, sizes = path, folder_files(path, refused)
    elif path.is_file() and path.suffix.lower() in (".txt", ".lst"):
        root, sizes = path.parent, listed_files(path)
    elif path.is_file():
        root, sizes = path.parent, {path.name: path.stat().st_size}
    elif glob.has_magic(text):
        root, sizes = glob_files(text, refused)
    else:
        raise FileNotFoundError(f"{text} does not exist; DATA is {LAYOUTS}")
    found = {name: size for name, size in sizes.items() if accepts(name)}
    shards = [root / name for name in sorted(sizes) if name.lower().endswith(".tar")]
    source: FileSource | TarSource
    if shards and not found:
        source = TarSource(text, shards, Decoder(), accepts)
    else:
        source = FileSource(text, root, found, Decoder(), refused)
    if not len(source):
        within = f" in a folder {part!r}" if part else ""
        raise ValueError(f"{text} holds no {noun}{within}; files that count are {' '.join(suffixes)}")
    return source
