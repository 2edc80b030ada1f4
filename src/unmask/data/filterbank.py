"""Log energies of mel bands, frame by frame, as Kaldi computes them; and sounds brought to another rate."""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unmask.data.picture import Unreadable

LENGTH, SHIFT = 0.025, 0.010  # seconds of a frame, and from frame to frame
LOWEST = 20.0  # Hz; the highest band ends at half the rate
PREEMPHASIS = 0.97
FLOOR = torch.finfo(torch.float32).eps  # energy of silence
LOBES, ROLLOFF = (
    16,
    0.94,
)  # of the sinc that resamples: zero crossings on each side, and the share of the band that is kept


def filterbank(wave: Float[Tensor, "s"], rate: int, bands: int = 128) -> Float[Tensor, "t f"]:
    """One row of log energies for every 25 ms, 10 ms apart; nothing is filled up at the ends.

    Each frame loses its mean, is pre-emphasised (0.97) and weighted by a Hann window; bands are triangles on the mel
    scale from 20 Hz to half the rate. Raises Unreadable where the sound is shorter than a frame.
    Source: Kaldi's compute-fbank-feats without dither and energy, as torchaudio.compliance.kaldi.fbank.
    """
    length, shift = int(rate * LENGTH), int(rate * SHIFT)
    if len(wave) < length:
        raise Unreadable(f"has {len(wave)} samples, fewer than the {length} of a frame of 25 ms at {rate} Hz")
    frames = wave.float().unfold(0, length, shift)
    frames = frames - frames.mean(1, keepdim=True)
    before = F.pad(frames, (1, 0), mode="replicate")[:, :-1]
    size = 1 << (length - 1).bit_length()
    windowed = (frames - PREEMPHASIS * before) * torch.hann_window(length, periodic=False)
    power = torch.fft.rfft(windowed, n=size).abs().square()
    return (power @ mel_bands(rate, size, bands).T).clamp(min=FLOOR).log()


@lru_cache(maxsize=8)
def mel_bands(rate: int, size: int, bands: int) -> Float[Tensor, "f k"]:
    """The weight of every frequency of a transform of `size` samples in every band."""
    lowest, highest = (float(_mel(torch.tensor(edge, dtype=torch.float64))) for edge in (LOWEST, rate / 2))
    edges = lowest + torch.arange(bands + 2) * ((highest - lowest) / (bands + 1))
    places = _mel(torch.arange(size // 2) * (rate / size))
    rising = (places - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - places) / (edges[2:] - edges[1:-1])[:, None]
    return F.pad(torch.minimum(rising, falling).clamp(min=0), (0, 1))


def silent_bands(rate: int, bands: int) -> int:
    """How many bands are so narrow that no frequency of a frame falls into them: they never say anything."""
    size = 1 << (int(rate * LENGTH) - 1).bit_length()
    return int((mel_bands(rate, size, bands).sum(1) == 0).sum())


def _mel(frequency: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    return 1127.0 * (1.0 + frequency / 700.0).log()


def resampled(wave: Float[Tensor, "s"], rate: int, wanted: int) -> Float[Tensor, "r"]:
    """The sound at another rate, without the frequencies that it cannot hold: a sinc under a Hann window.

    Source: Smith, "Digital Audio Resampling"; the settings of torchaudio.functional.resample lie close.
    """
    if rate == wanted:
        return wave
    common = math.gcd(rate, wanted)
    old, new = rate // common, wanted // common
    band = min(old, new) * ROLLOFF
    reach = math.ceil(LOBES * old / band)
    at = torch.arange(-reach, reach + old, dtype=torch.float64) / old
    offset = (at[None] - torch.arange(new, dtype=torch.float64)[:, None] / new) * band
    offset = offset.clamp(-LOBES, LOBES)
    kernel = torch.sinc(offset) * torch.cos(offset * math.pi / LOBES / 2).square() * (band / old)
    padded = F.pad(wave.float()[None, None], (reach, reach + old))
    found = F.conv1d(padded, kernel.float()[:, None], stride=old)
    return found[0].T.flatten()[: math.ceil(new * len(wave) / old)]
