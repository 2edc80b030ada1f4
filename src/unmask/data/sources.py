"""One door to every layout of pictures."""

import glob
from collections.abc import Sequence
from pathlib import Path

from unmask.data.arrays import digits, open_arrays, photos
from unmask.data.decode import LARGEST, SUFFIXES, Decoder
from unmask.data.files import FileSource, folder_files, glob_files, listed_files
from unmask.data.names import is_picture
from unmask.data.pages import PageSource
from unmask.data.picture import Picture, Unreadable
from unmask.data.source import Item, Source, Subset
from unmask.data.tar import TarSource

LAYOUTS = (
    "a folder, a glob, a .txt list of paths, .tar, .parquet, .npz or .npy, hf:NAME, torchvision:NAME, digits, photos"
)

__all__ = ["Item", "Picture", "Source", "Subset", "Unreadable", "open_source"]


def open_source(
    spec: str | Path,
    channels: Sequence[str] | None = None,
    largest: int = LARGEST,
    ignore: Sequence[int] = (255,),
    pages: str = "channels",
) -> Source:
    """The data set that `spec` names, in whatever layout it is.

    channels: map every picture to these channels; by default they keep their own and must agree.
    largest: most pixels of one picture. ignore: values of segmentation masks that belong to no class.
    pages: of a TIFF file are "channels" of one picture or "pictures" of their own.
    """
    if pages not in ("channels", "pictures"):
        raise ValueError(f"pages {pages!r} is unknown; choose channels or pictures")
    text = str(spec)
    decoder = Decoder(tuple(channels) if channels else None, largest, tuple(ignore))
    source = _named(text, decoder) or _stored(text, decoder)
    if len(source) == 0:
        first = next(iter(source.refused.items()), None)
        why = f"; refused {len(source.refused)}, e.g. {first[0]!r} {first[1]}" if first else ""
        raise ValueError(f"{text} holds no picture{why}; files that count are {' '.join(SUFFIXES)}")
    return PageSource(source) if pages == "pictures" else source


def _named(text: str, decoder: Decoder) -> Source | None:
    """Sets that are known by name; a file or folder of the same name counts more."""
    if Path(text).exists():
        return None
    if text == "digits":
        return digits(decoder)
    if text == "photos":
        return photos(decoder)
    if text.startswith("torchvision:"):
        from unmask.data.torchvision_sets import open_torchvision

        return open_torchvision(text.removeprefix("torchvision:"), decoder)
    if text.startswith("hf:"):
        from unmask.data.hub import open_hub

        return open_hub(text.removeprefix("hf:"), decoder)
    if "://" in text:
        raise ValueError(f"{text} is an address; download it first, or name a set by hf:NAME")
    return None


def _stored(text: str, decoder: Decoder) -> Source:
    """Files on this machine."""
    path = Path(text)
    base, _, key = text.partition("::")
    if path.is_dir():
        return _folder(text, path, decoder)
    if Path(base).suffix.lower() in (".npz", ".npy") and Path(base).is_file():
        return open_arrays(Path(base), key or None, decoder)
    if path.is_file():
        return _file(text, path, decoder)
    if glob.has_magic(text):
        refused: dict[str, str] = {}
        root, sizes = glob_files(text, refused)
        return _files(text, root, sizes, decoder, refused)
    raise FileNotFoundError(f"{text} does not exist; DATA is {LAYOUTS}")


def _file(text: str, path: Path, decoder: Decoder) -> Source:
    suffix = path.suffix.lower()
    if suffix in (".txt", ".lst"):
        sizes = {name: size for name, size in listed_files(path).items() if is_picture(name)}
        return FileSource(text, path.parent, sizes, decoder, {})
    if suffix in (".tar", ".parquet") or is_picture(path.name):
        return _files(text, path.parent, {path.name: path.stat().st_size}, decoder, {})
    if suffix == ".csv":
        raise ValueError(f"{text} is a table, not pictures; time series need a --method for them, see `unmask methods`")
    if ".tar" in path.suffixes or suffix in (".tgz", ".zip"):
        raise ValueError(f"{text} is compressed; unpack it, or pack it again as a plain .tar, which is read in place")
    raise ValueError(f"{text} is not a kind of file that is known; DATA is {LAYOUTS}")


def _folder(text: str, path: Path, decoder: Decoder) -> Source:
    if any((path / name).is_file() for name in ("dataset_dict.json", "state.json")):
        from unmask.data.hub import open_saved

        return open_saved(path, decoder)
    refused: dict[str, str] = {}
    return _files(text, path, folder_files(path, refused), decoder, refused)


def _files(text: str, root: Path, sizes: dict[str, int], decoder: Decoder, refused: dict[str, str]) -> Source:
    """Pictures if there are any, else shards."""
    pictures = {name: size for name, size in sizes.items() if is_picture(name)}
    shards = {
        kind: [root / name for name in sorted(sizes) if name.lower().endswith(kind)] for kind in (".tar", ".parquet")
    }
    if pictures or not any(shards.values()):
        return FileSource(text, root, pictures, decoder, refused)
    if shards[".tar"]:
        return TarSource(text, shards[".tar"], decoder)
    from unmask.data.parquet import ParquetSource

    return ParquetSource(text, root, shards[".parquet"], decoder)
