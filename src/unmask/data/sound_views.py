"""What the network gets of a sound: log energies of a part of it. Randomness comes from the generator."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from unmask.data.filterbank import LENGTH, SHIFT, filterbank, resampled
from unmask.data.sound import Sound
from unmask.data.sound_card import SoundCard
from unmask.data.values import PlainView


class SoundView(PlainView):
    """Spectrograms of `frames` moments.

    Longer sounds are cut, in training at a random moment, else in the middle; shorter ones are filled up at the end.
    pad: what is filled up is marked, so that it counts nowhere. Otherwise it has the log energy 0 and counts as sound,
    as in Audio-MAE.
    """

    def __init__(self, frames: int, pad: bool = False):
        self.frames, self.pad = frames, pad

    def __call__(self, sound: Sound, card: SoundCard, target: None = None) -> dict[str, Tensor]:
        return self._cut(sound, card, 0.5)

    def draw(self, sound: Sound, card: SoundCard, generator: torch.Generator) -> dict[str, Tensor]:
        return self._cut(sound, card, float(torch.rand((), generator=generator)))

    def _cut(self, sound: Sound, card: SoundCard, share: float) -> dict[str, Tensor]:
        """share: where the part begins, of where it could."""
        wanted = math.ceil(self.seconds * sound.rate) + 1
        room = sound.count - wanted
        wave = sound.part(int(share * (room + 1)), wanted) if room > 0 else sound.part()
        energies = filterbank(resampled(wave - wave.mean(), sound.rate, card.rate), card.rate, card.bands)
        energies = energies[: self.frames]
        missing = self.frames - len(energies)
        scaled = card.scaled(F.pad(energies, (0, 0, 0, missing)))
        if not self.pad:
            return {"spectrogram": scaled[None]}
        valid = (torch.arange(self.frames) < len(energies))[:, None].expand(-1, card.bands)
        return {"spectrogram": scaled.masked_fill(~valid, 0.0)[None], "spectrogram_valid": valid}

    @property
    def seconds(self) -> float:
        """How much of a sound makes a whole spectrogram."""
        return (self.frames - 1) * SHIFT + LENGTH

    def sentences(self, card: SoundCard) -> list[str]:
        """What training does with the sounds of this card."""
        lines = [f"spectrograms of {self.frames} frames of 25 ms, 10 ms apart: {self.seconds:.2f} seconds"]
        if card.seconds[3] > self.seconds:
            lines.append("longer sounds are cut at a random moment")
        if card.seconds[0] < self.seconds:
            how = "is left out everywhere" if self.pad else "has the log energy 0 and counts as sound (see --fit pad)"
            lines.append(f"shorter sounds are filled up at the end, which {how}")
        lines += [f"{words} ({name})" for name, words in card.changed.items()]
        lines.append("log energies, each (value - mean) / (2 std) with the statistics below")
        return lines
