"""Sounds as samples: files that soundfile reads, mixed to one channel, any part on request."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unmask.data.extras import needed
from unmask.data.files import FileSource
from unmask.data.guard import guarded
from unmask.data.picture import Unreadable
from unmask.data.source import Item, Listing, Source
from unmask.data.stored import open_stored

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au")
NAMED = re.compile(r"([^_]+)_.+_\d+")  # LABEL_SPEAKER_NUMBER, as sets of spoken words are named


class Sound:
    """One file. count: samples of each channel. rate: samples a second. channels: that the file has; they are mixed."""

    def __init__(self, place: Path | bytes):
        self.place = place
        self.count, self.rate, self.channels = guarded(self._header, place)
        if self.count < 1:
            raise Unreadable("holds no sound: it has 0 samples")

    def part(self, first: int = 0, count: int | None = None) -> Float[Tensor, "s"]:
        """Some samples, between -1 and 1, the mean of the channels. Raises Unreadable for what is no sound.

        A silent part of a sound is one, a file that is silent throughout is none.
        """
        wave = guarded(self._read, (first, self.count if count is None else count))
        if not np.isfinite(wave).all():
            raise Unreadable(f"holds {int((~np.isfinite(wave)).sum())} value(s) that are not a number")
        if len(wave) == 0:
            raise Unreadable(f"ends before sample {first} of {self.count}, which its header promises")
        if _constant(wave) and (count is None or _constant(guarded(self._read, (0, self.count)))):
            raise Unreadable(f"never changes: every sample is {wave[0]:g}")
        return torch.from_numpy(wave)

    def _header(self, place: Path | bytes) -> tuple[int, int, int]:
        with self._opened() as file:
            return int(file.frames), int(file.samplerate), int(file.channels)

    def _read(self, which: tuple[int, int]) -> np.ndarray:
        first, count = which
        with self._opened() as file:
            file.seek(first)
            return file.read(count, dtype="float32", always_2d=True).mean(axis=1)

    def _opened(self) -> Any:
        suffix = self.place.suffix if isinstance(self.place, Path) else "sounds"
        soundfile = needed("soundfile", "soundfile", suffix, "audio")
        return soundfile.SoundFile(str(self.place) if isinstance(self.place, Path) else io.BytesIO(self.place))


def _constant(wave: Float[np.ndarray, "s"]) -> bool:
    return bool((wave == wave[0]).all())


class SoundSource(Source):
    """The sounds of a listing. bands: of the spectrograms that are made of them.

    Without folders that are classes, files that are all called LABEL_SPEAKER_NUMBER have the classes LABEL.
    """

    noun = "sounds"

    def __init__(self, files: Source, bands: int):
        items: Sequence[Item] = files.items
        labels = [NAMED.fullmatch(Path(item.name).stem) for item in items]
        found = [match.group(1) for match in labels if match]
        if not files.classes and len(found) == len(items) and 1 < len(set(found)) < len(items):
            items = Listing(
                Item(item.name, label, item.split, item.size) for item, label in zip(items, found, strict=True)
            )
        super().__init__(files.origin, items, files.decoder, None, files.refused)
        self.files, self.bands = files, bands

    def read(self, i: int) -> Sound:
        """The sound, of which nothing but the header is read before it is asked for."""
        return Sound(self.files.path(i) if isinstance(self.files, FileSource) else self.files.data(i))


def open_sounds(spec: str | Path, bands: int = 128) -> SoundSource:
    """The sounds that `spec` names: a file, folder, glob, list or .tar; "PLACE::PART" takes those in a folder PART."""
    return SoundSource(open_stored(spec, SUFFIXES, "sound"), bands)
