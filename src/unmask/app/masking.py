"""What to hide, by a word: any sampler with any masked method.

`random`, `ncut:cut_side=interior`, `masks.npy`; in Python also an array of booleans or a callable.
"""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool

from unmask.app.pictures import BLANK, display, panel, per_pixel
from unmask.core import Batch, Context, Mask, Method
from unmask.core.assembly import arguments, assemble, read_settings
from unmask.data.card import DataCard
from unmask.evaluate.features import frozen
from unmask.evaluate.trivial import seen_places
from unmask.parts.masks.attention import AttentionMask
from unmask.parts.masks.block import BlockMask
from unmask.parts.masks.colour import ColourMask
from unmask.parts.masks.fixed import FixedMask
from unmask.parts.masks.guided import GuidedMask
from unmask.parts.masks.hard import HardMask
from unmask.parts.masks.product import ProductMask
from unmask.parts.masks.random import RandomMask
from unmask.parts.masks.tube import FrameMask, TubeMask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAMPLERS: dict[str, Callable[..., Any]] = {
    "random": RandomMask,
    "block": BlockMask,
    "colour": ColourMask,
    "hard": HardMask,
    "attention": AttentionMask,
    "ncut": GuidedMask,
    "tube": TubeMask,
    "frame": FrameMask,
    "product": ProductMask,
}
FILES = (".npy", ".png")
COPY = "mask.npy"  # in the run folder: masks that were given as a file or an array
RATIO = 0.75  # for a method whose own sampler has none

MaskLike = str | Path | Bool[np.ndarray, "..."] | Callable[[Method, Batch, Context], Mask]


def use_mask(method: Any, mask: MaskLike) -> None:
    """Replaces what the method hides.

    Raises ValueError for a method that hides no places, an unknown word or argument, or masks that cannot be used.
    """
    if not hasattr(method, "sampler"):
        raise ValueError(f"{type(method).__name__} hides no places of its own choice and takes no mask")
    sampler = sampler_of(mask, getattr(method.sampler, "ratio", RATIO))
    if hasattr(sampler, "check"):
        sampler.check(method)
    if hasattr(method, "check_sampler"):
        method.check_sampler(sampler)
    del method.sampler  # a module cannot be replaced by what is none
    method.sampler = sampler


def sampler_of(mask: MaskLike, ratio: float = RATIO) -> Any:
    """The sampler that `mask` describes; `ratio` is used where it names none."""
    if isinstance(mask, (str, Path)):
        text = str(mask)
        return FixedMask(torch.from_numpy(read_masks(Path(text)))) if text.endswith(FILES) else _named(text, ratio)
    if callable(mask):
        return mask
    return FixedMask(torch.from_numpy(bank(mask)))


def _named(text: str, ratio: float) -> Any:
    """A sampler by its word, a value for its first argument that is a word, and name=value for others."""
    word, _, rest = text.partition(":")
    if word not in SAMPLERS:
        raise ValueError(
            f"mask {word!r} is unknown; choose one of {', '.join(SAMPLERS)}, or a file {' or '.join(FILES)}"
        )
    build = SAMPLERS[word]
    settings: dict[str, Any] = {"ratio": ratio}
    for part in filter(None, rest.split(",")):
        name, equals, value = part.partition("=")
        if not equals:
            name, value = _first_word(word, build), part
        settings[name] = value
    known = arguments(build)
    settings = {name: value for name, value in settings.items() if name != "ratio" or name in known}
    return assemble(build, read_settings(build, settings))


def _first_word(word: str, build: Callable[..., Any]) -> str:
    for name, parameter in inspect.signature(build).parameters.items():
        if parameter.annotation is str:
            return name
    raise ValueError(f"mask {word!r} takes no value after the colon; give its arguments as name=value")


def read_masks(path: Path) -> Bool[np.ndarray, "k h w"]:
    """Masks of a .npy file (True or above 0: hidden), or one of a .png (white: hidden)."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; --mask takes a word, or a file {' or '.join(FILES)}")
    if path.suffix == ".npy":
        return bank(np.load(path, allow_pickle=False))
    from PIL import Image

    with Image.open(path) as picture:
        return bank(np.asarray(picture.convert("L")) > 127)


def bank(masks: np.ndarray) -> Bool[np.ndarray, "k h w"]:
    """One mask or several as booleans on the grid of the patches."""
    values = np.asarray(masks)
    if values.ndim not in (2, 3):
        raise ValueError(f"masks have shape {values.shape}; give [rows, columns] or [masks, rows, columns] of patches")
    return np.ascontiguousarray(values.reshape(-1, *values.shape[-2:]) > 0)


def keep(mask: MaskLike | None, out: Path) -> str | None:
    """What a run notes of its mask, so that it can be made again: a word, or a copy of masks in the run folder."""
    if mask is None or (isinstance(mask, str) and not mask.endswith(FILES)):
        return mask
    if callable(mask):
        return f"callable:{getattr(mask, '__name__', type(mask).__name__)}"
    masks = read_masks(Path(mask)) if isinstance(mask, (str, Path)) else bank(mask)
    np.save(out / COPY, masks)
    return COPY


def kept(noted: str, run: Path) -> MaskLike | None:
    """The mask that `keep` noted; None for a callable, which a file cannot hold."""
    if noted.startswith("callable:"):
        return None
    return run / COPY if noted == COPY else noted


@torch.no_grad()
def mask_panel(method: Any, batch: Batch, card: DataCard, masks: Sequence[str], context: Context) -> "Figure":
    """One row per picture, one column per sampler: what each would leave visible of the same pictures."""
    shown = display(card, batch["image"])(batch["image"])
    grid, patch = method.encoder.grid_of(batch["image"]), method.encoder.patch_size
    columns = {"input": shown}
    shares = []
    with frozen(method):
        for text in masks:
            sampler = sampler_of(text, getattr(method.sampler, "ratio", RATIO))
            explain = getattr(sampler, "explain", None)
            mask = sampler(method, batch, context) if explain is None else explain(method, batch, context).mask
            seen = per_pixel(seen_places(mask).cpu(), grid, (shown.shape[-2], shown.shape[-1]), patch)
            columns[text] = torch.where(seen, shown, BLANK)
            shares.append(f"{text} {100 * float(mask.hidden.float().mean()):.0f} %")
    return panel(columns, f"hidden: {', '.join(shares)}")
