"""Views: a picture as the network gets it. Randomness comes only from the generator that is passed."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from unmask.core import Batch
from unmask.data.cache import PictureCache, decoded_bytes
from unmask.data.card import DataCard, native
from unmask.data.jpeg import Jpeg
from unmask.data.loading import blanked, collate
from unmask.data.picture import Box, Picture, Unreadable

ASPECTS = (3 / 4, 4 / 3)  # of a random crop, relative to that of the view
TRIES = 10


def sides(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a size given as one number or two."""
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if min(height, width) < 1:
        raise ValueError(f"image_size {image_size} must be positive")
    return height, width


def resize(image: Shaped[Tensor, "c h w"], size: tuple[int, int]) -> Shaped[Tensor, "c H W"]:
    """Bicubic with antialiasing. 8-bit pictures are rounded and clamped as Pillow does, others become real numbers."""
    if tuple(image.shape[-2:]) == size:
        return image
    if image.dtype != torch.uint8 and not image.is_floating_point():
        image = image.double() if image.dtype in (torch.int32, torch.int64) else image.float()
    return F.interpolate(image[None], size, mode="bicubic", antialias=True, align_corners=False)[0]


def resize_nearest(values: Shaped[Tensor, "h w"], size: tuple[int, int]) -> Shaped[Tensor, "H W"]:
    """The value at the centre of every new pixel."""
    if tuple(values.shape) == size:
        return values
    rows, columns = (
        ((torch.arange(new, dtype=torch.float64) + 0.5) * old / new).long()
        for new, old in zip(size, values.shape, strict=True)
    )
    return values[rows][:, columns]


def random_box(height: int, width: int, area: tuple[float, float], aspect: float, noise: Float[Tensor, "k"]) -> Box:
    """A crop with a share of the area uniform in `area` and a log-uniform aspect; its centre if none fits.

    aspect: of the view, width over height. noise: four numbers in [0, 1) for each try.
    Source: torchvision's RandomResizedCrop.
    """
    low, high = math.log(ASPECTS[0] * aspect), math.log(ASPECTS[1] * aspect)
    draws = noise.tolist()
    for i in range(0, len(draws), 4):
        share, shape, down, right = draws[i : i + 4]
        target = height * width * (area[0] + share * (area[1] - area[0]))
        ratio = math.exp(low + shape * (high - low))
        w, h = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(down * (height - h + 1)), int(right * (width - w + 1)), h, w
    return centre_box(height, width, min(max(width / height, math.exp(low)), math.exp(high)))


def centre_box(height: int, width: int, aspect: float) -> Box:
    """The largest crop of this aspect (width over height), in the middle."""
    if width / height < aspect:
        h, w = max(1, min(height, round(width / aspect))), width
    else:
        h, w = height, max(1, min(width, round(height * aspect)))
    return (height - h) // 2, (width - w) // 2, h, w


class TrainingView:
    """A random crop, resized and perhaps mirrored.

    crop: share of the area, or None for the largest centred crop. Used with fit="crop" only.
    whole: also give the whole picture squashed to `image_size`, and where the crop lies in it.
    fit: "crop" cuts; "pad" shows the whole picture, shrunk if it is too large and filled up at the bottom and right.
    smallest: pictures with a shorter side are refused.
    """

    def __init__(
        self,
        image_size: int | tuple[int, int],
        crop: tuple[float, float] | None = (0.2, 1.0),
        flip: bool = True,
        whole: bool = False,
        fit: str = "crop",
        smallest: int = 1,
    ):
        if fit not in ("crop", "pad"):
            raise ValueError(f"fit {fit!r} is unknown; choose crop or pad")
        if crop is not None and not 0 < crop[0] <= crop[1] <= 1:
            raise ValueError(f"crop {crop} must be two shares of the area, 0 < smaller <= larger <= 1")
        self.image_size, self.crop, self.flip = image_size, crop, flip
        self.whole, self.fit, self.smallest = whole, fit, smallest
        self.size = sides(image_size)

    def __call__(self, picture: Picture | Jpeg, card: DataCard, generator: torch.Generator) -> dict[str, Tensor]:
        found = self.draw(picture, card, generator)
        return found | {"image": blanked(card.scaled(found["image"]), found.get("image_valid"))}

    def draw(self, picture: Picture | Jpeg, card: DataCard, generator: torch.Generator) -> dict[str, Tensor]:
        """The view before "image" is standardised: 8-bit pictures are still 8-bit."""
        card.check_picture(picture)
        height, width = picture.height, picture.width
        check_smallest(height, width, self.smallest)
        noise = torch.rand(4 * TRIES + 1, generator=generator)
        if self.fit == "pad":
            box, size = (0, 0, height, width), shrunk(height, width, self.size)
        else:
            box, size = self._box(height, width, noise[1:]), self.size
        mirrored = self.flip and bool(noise[0] < 0.5)
        found = framed(picture, card, box, size, self.size, mirrored)
        if self.whole:
            whole = framed(picture, card, (0, 0, height, width), self.size, self.size)
            found["whole"] = blanked(card.scaled(whole["image"]), whole.get("image_valid"))
            found["crop"] = _crop(box, (height, width), size, self.size, mirrored)
        return found

    def reader(self, card: DataCard, count: int, cache_bytes: int, workers: int) -> PictureCache:
        """Decoded pictures are kept; of a set that needs more memory, large JPEGs are decoded anew for every view."""
        fits = decoded_bytes(card, count) <= cache_bytes
        return PictureCache(cache_bytes // max(workers, 1), None if fits or self.whole else self.size)

    def deferred(self, card: DataCard, workers: int, device: torch.device) -> bool:
        """8-bit pictures travel from workers and to devices as they are."""
        return card.dtype == "uint8" and (workers > 0 or device.type != "cpu")

    def collate(self, samples: Sequence[dict[str, Tensor]], card: DataCard, deferred: bool) -> Batch:
        """The pictures of a batch, standardised unless that is deferred."""
        return collate(samples, None if deferred else card)

    def arrived(self, batch: Batch, card: DataCard) -> Batch:
        """The pictures of a deferred batch, standardised where they are wanted."""
        return batch | {"image": blanked(card.scaled(batch["image"]), batch.get("image_valid"))}

    def _box(self, height: int, width: int, noise: Float[Tensor, "k"]) -> Box:
        aspect = self.size[1] / self.size[0]
        if self.crop is None:
            return centre_box(height, width, aspect)
        return random_box(height, width, self.crop, aspect, noise)

    def sentences(self, card: DataCard) -> list[str]:
        """What training does with the pictures of this card."""
        low = min(card.sizes[0])
        h, w = self.size
        if self.fit == "pad":
            what = (
                f"whole pictures, shrunk to {h}x{w} if larger, else filled up at the bottom and right (not in the loss)"
            )
        elif self.crop is None:
            what = f"the centre of every picture, resized to {h}x{w}"
        else:
            what = f"random crops of {self.crop[0]:.0%} to {self.crop[1]:.0%} of the area, resized to {h}x{w}"
        lines = [what + (", mirrored half of the time" if self.flip else "")]
        lines.append(f"{len(card.channels)} channel(s), each (value - mean) / std with the statistics below")
        if self.fit == "crop" and low < min(h, w):
            lines.append(f"pictures smaller than {h}x{w} are enlarged (the smallest side is {low})")
        if low < self.smallest:
            lines.append(f"pictures with a side below {self.smallest} are refused and replaced")
        if card.missing:
            lines.append("missing pixels are 0 and left out of the loss")
        if len(card.kinds) > 1:
            lines.append("refused as it is: the pictures are of several kinds; pass `channels` to map them to one")
        return lines


class EvaluationView:
    """The same view every time: "crop" resizes the short side and cuts the centre, "squash" ignores the aspect,
    "pad" shows the whole picture."""

    def __init__(self, image_size: int | tuple[int, int], fit: str = "crop", smallest: int = 1):
        if fit not in ("crop", "pad", "squash"):
            raise ValueError(f"fit {fit!r} is unknown; choose crop, pad or squash")
        self.image_size, self.fit, self.smallest = image_size, fit, smallest
        self.size = sides(image_size)

    def __call__(
        self, picture: Picture, card: DataCard, target: Int64[np.ndarray, "h w"] | None = None
    ) -> dict[str, Tensor]:
        card.check_picture(picture)
        height, width = picture.height, picture.width
        check_smallest(height, width, self.smallest)
        box, size = (0, 0, height, width), self.size
        if self.fit == "crop":
            box = centre_box(height, width, self.size[1] / self.size[0])
        elif self.fit == "pad":
            size = shrunk(height, width, self.size)
        found = framed(picture, card, box, size, self.size)
        found["image"] = blanked(card.scaled(found["image"]), found.get("image_valid"))
        if target is not None:
            if target.shape != (height, width):
                raise Unreadable(f"has {height}x{width} pixels, its mask {target.shape[0]}x{target.shape[1]}")
            cut = resize_nearest(torch.from_numpy(np.ascontiguousarray(_cut(target, box))), size)
            found["segmentation"] = _filled_up(cut, self.size, -1)
        return found


def check_smallest(height: int, width: int, smallest: int) -> None:
    """Raises Unreadable when a side is too short."""
    if min(height, width) < smallest:
        raise Unreadable(f"has {height}x{width} pixels; the shorter side must have at least {smallest}")


def shrunk(height: int, width: int, size: tuple[int, int]) -> tuple[int, int]:
    """The size of the picture after shrinking it, with its aspect, until it fits."""
    scale = min(1.0, size[0] / height, size[1] / width)
    return min(size[0], max(1, round(height * scale))), min(size[1], max(1, round(width * scale)))


def framed(
    picture: Picture | Jpeg,
    card: DataCard,
    box: Box,
    size: tuple[int, int],
    frame: tuple[int, int],
    mirrored: bool = False,
) -> dict[str, Shaped[Tensor, "c h w"] | Bool[Tensor, "h w"]]:
    """The box of the picture, resized to `size`, perhaps mirrored, in the top left corner of the frame.

    "image_valid" is there when a pixel is missing or the frame is larger than the picture.
    """
    part = picture.part(box, size)
    values, valid = part.values, None
    if part.missing is not None:
        filling = np.array(card.mean).astype(values.dtype)  # does not bleed into the neighbours when resized
        values = np.where(part.missing[..., None], filling, values)
        valid = resize_nearest(torch.from_numpy(~part.missing), size)
    image = resize(native(values).permute(2, 0, 1), size)
    if mirrored:
        image = image.flip(-1)
        valid = None if valid is None else valid.flip(-1)
    if size != frame:
        valid = torch.ones(size, dtype=torch.bool) if valid is None else valid
        image = _filled_up(image, frame, 0)
    return {"image": image} if valid is None else {"image": image, "image_valid": _filled_up(valid, frame, False)}


def _cut(values: np.ndarray, box: Box) -> np.ndarray:
    top, left, height, width = box
    return values[top : top + height, left : left + width]


def _filled_up(x: Shaped[Tensor, "*c h w"], frame: tuple[int, int], value) -> Shaped[Tensor, "*c H W"]:
    height, width = x.shape[-2:]
    return x if (height, width) == frame else F.pad(x, (0, frame[1] - width, 0, frame[0] - height), value=value)


def _crop(box: Box, picture: tuple[int, int], size: tuple[int, int], frame: tuple[int, int], mirrored: bool) -> Tensor:
    """Where the frame lies in the whole picture, in fractions; beyond 1 where it is padding."""
    top, left, height, width = box
    h, w = height * frame[0] / size[0], width * frame[1] / size[1]
    place = (top / picture[0], left / picture[1], h / picture[0], w / picture[1], float(mirrored))
    return torch.tensor(place)
