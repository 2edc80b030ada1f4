"""Videos made in a moment, in which every frame can be told by its brightness, and the smallest network for them."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from small_run import unmask

STEP = 8  # grey levels from frame to frame
SIZES = {"image_size": 16, "patch_size": 8, "frames": 4, "stride": 1}
SIZES |= {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
NETWORK = ["--method", "videomae", "--model", "16x2x2"]
NETWORK += [word for name, value in SIZES.items() for word in ("--set", f"{name}={value}")]


def level(number: int) -> int:
    """Grey of one frame."""
    return 16 + STEP * number % 224


def make_video(
    path: Path,
    frames: int = 12,
    size: tuple[int, int] = (32, 48),
    rate: int = 25,
    every: int = 5,
    times: Sequence[int] | None = None,
    codec: str = "libx264",
) -> Path:
    """every: frames from key frame to key frame. times: of the frames, in units of 1 / rate."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = every
        stream.codec_context.time_base = Fraction(1, rate)
        for number in range(frames):
            picture = np.full((*size, 3), level(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number if times is None else times[number]
            frame.time_base = Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def make_moving(path: Path, frames: int = 8, size: tuple[int, int] = (64, 64), step: int = 4) -> Path:
    """A bright square on black that moves `step` pixels to the right from frame to frame."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        texture = np.random.default_rng(0).integers(60, 255, (32, 32, 1), np.uint8).repeat(3, -1)
        for number in range(frames):
            picture = np.zeros((*size, 3), np.uint8)
            picture[16:48, step * number : step * number + 32] = texture
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def make_strip(path: Path, frames: int = 8, side: int = 16, seed: int = 0) -> Path:
    """Noise that drifts, as a strip of frames below each other."""
    generator = np.random.default_rng(seed)
    start = generator.integers(0, 160, (side, side, 3))
    values = np.concatenate([start + 10 * number for number in range(frames)]).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def make_strips(folder: Path, count: int = 24, classes: int = 2) -> Path:
    """Strips, one folder per class."""
    for i in range(count):
        make_strip(folder / f"class{i % classes}" / f"{i:03d}.png", seed=i)
    return folder


def pretrain_videos(data, out, *more) -> int:
    """The exit status of a training of the smallest network."""
    return unmask("pretrain", data, "--out", out, *NETWORK, "--batch", "8", "--quiet", *more)
