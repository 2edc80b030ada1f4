"""Small picture files, made by other libraries than the one under test where that is possible."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def encode(values: np.ndarray, kind: str = "PNG", mode: str | None = None, **options) -> bytes:
    """The bytes of a picture file."""
    image = Image.fromarray(values)
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, kind, **options)
    return stream.getvalue()


def noise(seed: int = 0, shape: tuple[int, ...] = (12, 16, 3)) -> np.ndarray:
    """8-bit noise."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_folder(root: Path, names: list[str], shape: tuple[int, ...] = (12, 16, 3)) -> Path:
    """A different PNG under every name, whatever its suffix."""
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encode(noise(seed, shape)))
    return root


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    """A plain tar of these members, in this order."""
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def make():
    """The makers of this file, as `make.encode(...)`."""
    return type("Make", (), {f.__name__: staticmethod(f) for f in (encode, noise, write_folder, write_tar)})
