"""What the network gets of a video: a clip of some frames, cut and resized. Randomness comes from the generator."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from unmask.core import Batch
from unmask.data.loading import collate
from unmask.data.picture import Box, Unreadable
from unmask.data.values import PlainView
from unmask.data.video import Video
from unmask.data.video_card import VideoCard
from unmask.data.views import TRIES, centre_box, check_smallest, random_box, resize, sides


def clip_places(times: Float[np.ndarray, "n"] | None, count: int, frames: int, stride: int, share: float) -> list[int]:
    """The frames of a clip that begins at this share of where it could, `stride` usual gaps between frames apart.

    Where times are known, moments are chosen, so that frames shown for unequal times do not warp motion, and of each
    moment the last frame that begins within half a usual gap. In a video that is too short the stride is the largest
    that fits. Raises Unreadable where even neighbouring frames are too few.
    """
    if count < frames:
        raise Unreadable(f"has {count} frame(s), a clip needs {frames}")
    if times is None or frames < 2:
        stride = _fitting(stride, count - 1, frames)
        span = (frames - 1) * stride
        return list(range(int(share * (count - span)), count)[: span + 1 : stride])
    gap = float(np.median(np.diff(times)))
    stride = _fitting(stride, round((times[-1] - times[0]) / gap), frames)
    span = (frames - 1) * stride
    starts = max(1, int(np.searchsorted(times, times[-1] - (span - 0.5) * gap, side="right")))
    moments = times[min(int(share * starts), starts - 1)] + (np.arange(frames) * stride + 0.5) * gap
    return (np.searchsorted(times, moments, side="right") - 1).clip(0, count - 1).tolist()


def _fitting(stride: int, room: int, frames: int) -> int:
    """The stride, or the largest at which so many frames lie within `room` gaps."""
    return max(1, min(stride, room // max(frames - 1, 1)))


class VideoView(PlainView):
    """A clip of `frames` frames, `stride` apart, with one crop for all of them.

    crop: share of the area of a random crop and random moments, for training; None: the middle in both.
    flip: mirror half of the clips; a mirrored motion is another one. smallest: videos with a shorter side are refused.
    """

    def __init__(
        self,
        frames: int,
        stride: int,
        image_size: int | tuple[int, int],
        crop: tuple[float, float] | None = None,
        flip: bool = False,
        smallest: int = 1,
    ):
        self.frames, self.stride, self.crop, self.flip, self.smallest = frames, stride, crop, flip, smallest
        self.size = sides(image_size)

    def __call__(self, video: Video, card: VideoCard, target: None = None) -> dict[str, Tensor]:
        """The clip in the middle, standardised."""
        box = centre_box(video.height, video.width, self.size[1] / self.size[0])
        return {"video": card.scaled(self._clip(video, 0.5, box))}

    def draw(self, video: Video, card: VideoCard, generator: torch.Generator) -> dict[str, Tensor]:
        """The clip before it is standardised, 8-bit."""
        noise = torch.rand(4 * TRIES + 2, generator=generator)
        aspect = self.size[1] / self.size[0]
        if self.crop is None:
            box = centre_box(video.height, video.width, aspect)
        else:
            box = random_box(video.height, video.width, self.crop, aspect, noise[2:])
        clip = self._clip(video, float(noise[0]), box)
        return {"video": clip.flip(-1) if self.flip and bool(noise[1] < 0.5) else clip}

    def _clip(self, video: Video, share: float, box: Box) -> Shaped[Tensor, "c t h w"]:
        check_smallest(video.height, video.width, self.smallest)
        top, left, height, width = box
        shown = video.frames(clip_places(video.times, video.count, self.frames, self.stride, share))
        part = np.ascontiguousarray(shown[:, top : top + height, left : left + width].transpose(3, 0, 1, 2))
        c, t = part.shape[:2]
        return resize(torch.from_numpy(part.reshape(c * t, height, width)), self.size).unflatten(0, (c, t))

    def deferred(self, card: VideoCard, workers: int, device: torch.device) -> bool:
        """Clips travel from workers and to devices as they are."""
        return workers > 0 or device.type != "cpu"

    def collate(self, samples: Sequence[dict[str, Tensor]], card: VideoCard, deferred: bool) -> Batch:
        batch = collate(samples)
        return batch if deferred else self.arrived(batch, card)

    def arrived(self, batch: Batch, card: VideoCard) -> Batch:
        return batch | {"video": card.scaled(batch["video"])}

    def sentences(self, card: VideoCard) -> list[str]:
        """What training does with the videos of this card."""
        (h, w), span = self.size, (self.frames - 1) * self.stride + 1
        lines = [f"clips of {self.frames} frames, {_apart(self.stride)}, at random moments"]
        if self.crop is None:
            lines.append(f"the centre of every frame, resized to {h}x{w}")
        else:
            lines.append(f"one crop of {self.crop[0]:.0%} to {self.crop[1]:.0%} of the area, resized to {h}x{w}")
        if card.frames[0] < self.frames:
            lines.append(f"videos with fewer than {self.frames} frames are refused and replaced (see --bad-budget)")
        if card.frames[0] < span:
            lines.append(f"videos with fewer than {span} frames are taken at a smaller stride")
        if card.rates.get("variable"):
            lines.append("frames of variable rate are chosen by the time at which they are shown")
        if self.flip:
            lines.append("mirrored half of the time")
        lines.append("3 channels, each (value - mean) / std with the statistics below")
        return lines


def _apart(stride: int) -> str:
    return "one after the other" if stride == 1 else f"{stride} frames apart"
