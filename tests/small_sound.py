"""Sounds made in a moment: tones whose pitch is that of their class, and the smallest network for them."""

from pathlib import Path

import numpy as np

from small_run import unmask

RATE = 4000
SIZES = {"frames": 16, "bands": 16, "patch_size": 4, "decoder_width": 16, "decoder_depth": 2, "decoder_heads": 2}
NETWORK = ["--method", "audio_mae", "--model", "16x2x2"]
NETWORK += [word for name, value in SIZES.items() for word in ("--set", f"{name}={value}")]


def tone(seconds: float = 0.3, pitch: float = 300.0, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A tone with a little noise."""
    noise = np.random.default_rng(seed).normal(size=int(seconds * rate))
    return 0.3 * np.sin(2 * np.pi * pitch * np.arange(len(noise)) / rate) + 0.01 * noise


def write_sound(path: Path, wave: np.ndarray, rate: int = RATE) -> Path:
    """A file of the kind that its suffix tells."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate)
    return path


def make_sounds(folder: Path, count: int = 40, rate: int = RATE) -> Path:
    """Tones of two pitches, called as sets of spoken words are."""
    for i in range(count):
        write_sound(folder / f"{i % 2}_ann_{i}.wav", tone(0.15 + 0.01 * i, 300 + 500 * (i % 2), rate, i), rate)
    return folder


def pretrain_sounds(data: Path, out: Path, *more) -> int:
    """The exit status of a training of the smallest network."""
    return unmask("pretrain", data, "--out", out, *NETWORK, "--batch", 8, "--quiet", *more)
