"""What a method sees, hides, predicts, reconstructs and invents, as pictures."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Context, Mask, key_of
from unmask.data.card import DataCard
from unmask.evaluate.features import frozen
from unmask.evaluate.trivial import inpaint, seen_places
from unmask.parts.losses.masked import place_mse
from unmask.parts.ops.patches import patchify, unpatchify, valid_pixels
from unmask.parts.targets.pixels import patch_statistics
from unmask.train.checkpoint import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLANK = 0.5  # grey of what is not shown
PANEL_GAP = 0.04  # between pictures, of their width
SPREAD = 3.0  # standard deviations shown around a channel's mean
EXTREMES = (0.02, 0.98)  # quantiles of a component that are shown black and full
DARK = 127  # 8-bit data that stay below are shown over their own range, as digits of 16 levels
HINT = (1.0, 0.55, 0.0)
OTHER = (0.15, 0.3, 0.75)
COLOURS = ("red", "green", "blue")
TRUE = "true patch mean and std: leaks brightness"
ESTIMATED = "patch mean and std estimated from the visible neighbours: nothing leaks"


@dataclass(frozen=True)
class Display:
    """How standardised channels become grey (one row) or red, green and blue (three), between 0 and 1.

    words: which channels are shown, for the caption.
    """

    weights: Float[Tensor, "k c"]
    offset: Float[Tensor, "k"]
    words: str

    def __call__(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 3 h w"]:
        shown = torch.einsum("kc,bchw->bkhw", self.weights, image.detach().float().cpu())
        return (shown + self.offset.view(1, -1, 1, 1)).clamp(0, 1).expand(-1, 3, -1, -1)


def display(card: DataCard, image: Float[Tensor, "b c h w"], show: Sequence[str] | str | None = None) -> Display:
    """How to show pictures of this data set in their own units.

    show: one or three channel names, or "pca": the three main components of `image`. Default: red, green and blue
    where there are such channels, else the first three; fewer than three are shown as the first, in grey.
    """
    if show == "pca":
        return _components(image)
    chosen = _channels(card, show)
    mean, std, least, most = (torch.tensor(v)[chosen] for v in (card.mean, card.std, card.minimum, card.maximum))
    low, high = torch.maximum(least, mean - SPREAD * std), torch.minimum(most, mean + SPREAD * std)
    if card.dtype == "uint8" and max(card.maximum) > DARK:
        low, high = torch.zeros_like(low), torch.full_like(high, 255.0)
    elif [card.channels[i].lower() for i in chosen] == list(COLOURS):
        low, high = low.min().expand(3), high.max().expand(3)  # one scale keeps the hues
    span = (high - low).clamp(min=torch.finfo(torch.float32).tiny)
    weights = torch.zeros(len(chosen), len(card.channels))
    weights[range(len(chosen)), chosen] = std / span
    return Display(weights, (mean - low) / span, f"channels shown: {', '.join(card.channels[i] for i in chosen)}")


def _channels(card: DataCard, show: Sequence[str] | str | None) -> list[int]:
    names = list(card.channels)
    if show is not None:
        wanted = [show] if isinstance(show, str) else list(show)
        unknown = [name for name in wanted if name not in names]
        if unknown or len(wanted) not in (1, 3):
            raise ValueError(f"cannot show {', '.join(wanted)}; name one or three of {', '.join(names)}, or 'pca'")
        return [names.index(name) for name in wanted]
    lower = [name.lower() for name in names]
    if all(colour in lower for colour in COLOURS):
        return [lower.index(colour) for colour in COLOURS]
    return [0, 1, 2] if len(names) >= 3 else [0]


def _components(image: Float[Tensor, "b c h w"]) -> Display:
    pixels = image.detach().float().cpu().transpose(0, 1).flatten(1)
    if pixels.shape[0] < 3:
        raise ValueError(f"{pixels.shape[0]} channel(s) have no three main components; name one channel instead")
    _, axes = torch.linalg.eigh(pixels.cov())
    axes = axes[:, -3:].flip(-1).T
    sample = (axes @ pixels)[:, :: max(pixels.shape[1] // 100_000, 1)]
    low, high = torch.quantile(sample, torch.tensor(EXTREMES), -1)
    span = (high - low).clamp(min=1e-6)
    return Display(axes / span.unsqueeze(-1), -low / span, "colours: three main components of all channels")


class Reconstruction(NamedTuple):
    """Standardised pictures of one prediction, and where its places lie.

    true, estimated: the prediction with the patches' own mean and deviation, and with those estimated from the
    visible neighbours; the same where the target is not normalised. pasted: visible pixels, and `estimated` where
    hidden. hidden, seen: per pixel.
    """

    true: Float[Tensor, "b c h w"]
    estimated: Float[Tensor, "b c h w"]
    pasted: Float[Tensor, "b c h w"]
    hidden: Bool[Tensor, "b 1 h w"]
    seen: Bool[Tensor, "b 1 h w"]


@torch.no_grad()
def reconstruct(method: Any, batch: Batch, mask: Mask) -> Reconstruction:
    """Predicts the hidden places and undoes the normalisation of the target."""
    key = key_of(method.encoder)
    image = batch[key].float()
    (h, w), patch, grid = image.shape[-2:], method.encoder.patch_size, method.encoder.grid_of(image)
    valid = valid_pixels(image, batch.get(f"{key}_valid"), patch)
    real = None if valid is None else valid.repeat_interleave(image.shape[1], dim=-1)
    mean, deviation = patch_statistics(patchify(image, patch), real)
    seen = seen_places(mask)
    maps = torch.cat([mean, deviation], -1).transpose(1, 2).unflatten(-1, grid)
    guess_mean, guess_deviation = inpaint(maps, seen.unflatten(-1, grid)).flatten(2).unsqueeze(-1).unbind(1)
    prediction = method.predict(batch, mask)
    true, estimated = (
        unpatchify(method.target.pixels(prediction, *statistics), grid, patch)[..., :h, :w]
        for statistics in ((mean, deviation), (guess_mean, guess_deviation))
    )
    hidden, visible = (per_pixel(places, grid, (h, w), patch) for places in (mask.hidden, seen))
    return Reconstruction(true, estimated, torch.where(hidden, estimated, image), hidden, visible)


def per_pixel(
    places: Bool[Tensor, "b n"] | Float[Tensor, "b n"], grid: tuple[int, int], size: tuple[int, int], patch: int
) -> Bool[Tensor, "b 1 h w"] | Float[Tensor, "b 1 h w"]:
    spread = places.unflatten(-1, grid).repeat_interleave(patch, -2).repeat_interleave(patch, -1)
    return spread[:, None, : size[0], : size[1]]


def reconstruction_panel(
    method: Any,
    batch: Batch,
    card: DataCard,
    mask: Mask | None = None,
    context: Context | None = None,
    show: Sequence[str] | str | None = None,
) -> "Figure":
    """One row per picture: input, masked, predictions with stated statistics, visible and predicted pasted.

    Where the sampler explains its masks (Self-Guided MAE), also the cut, the relevance and the hints. mask: what to
    hide instead of the sampler's choice. show: which channels, see `display`.
    """
    context = context or Context(generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), frozen(method):
        guide = method.sampler.explain(method, batch, context) if hasattr(method.sampler, "explain") else None
        if mask is None:
            mask = method.sampler(method, batch, context) if guide is None else guide.mask
        drawn = display(card, batch["image"], show)
        shown = drawn(batch["image"])
        found = reconstruct(method, batch, mask)
    hidden, seen = found.hidden.cpu(), found.seen.cpu()
    columns = {"input": shown, "masked": torch.where(seen, shown, BLANK)}
    if method.target.normalise:
        columns["prediction,\ntrue statistics"] = torch.where(hidden, drawn(found.true), BLANK)
        columns["prediction,\nestimated statistics"] = torch.where(hidden, drawn(found.estimated), BLANK)
        pasted = "visible + prediction,\nestimated statistics"
        words = f"True statistics: {TRUE}. Estimated statistics: {ESTIMATED}."
    else:
        columns["prediction"] = torch.where(hidden, drawn(found.true), BLANK)
        pasted = "visible + prediction"
        words = "The target is not normalised: predictions are drawn as they are."
    columns[pasted] = drawn(found.pasted)
    if guide is not None:
        columns |= _reasons(guide, shown, seen, method.encoder.grid_of(batch["image"]), method.encoder.patch_size)
    if "image_valid" in batch:
        valid = batch["image_valid"].unsqueeze(1).cpu()
        columns = {title: torch.where(valid, pictures, 1.0) for title, pictures in columns.items()}
    share = 100 * float(mask.hidden.float().mean())
    caption = f"{share:.0f} % of the patches hidden; {drawn.words}. {words}"
    return panel(columns, caption)


def draws(method: Any) -> bool:
    """Whether there is anything to draw of this method."""
    return any(hasattr(method, ability) for ability in ("pictures", "predict", "reconstruct", "sampler"))


def panel_of(method: Any, batch: Batch, card: DataCard, context: Context) -> "Figure":
    """The panel that suits what the method can do. Raises ValueError where it gives no pictures."""
    if hasattr(method, "pictures"):
        return own_panel(method, batch, card, context)
    if hasattr(method, "predict") and hasattr(method.target, "pixels"):
        return reconstruction_panel(method, batch, card, context=context)
    if hasattr(method, "reconstruct"):
        return code_panel(method, batch, card, context)
    if hasattr(method, "sampler"):
        return hidden_panel(method, batch, card, context)
    raise ValueError(f"{type(method).__name__} neither predicts nor reconstructs pictures; there is nothing to draw")


def hidden_panel(method: Any, batch: Batch, card: DataCard, context: Context) -> "Figure":
    """One row per picture: input, masked and, where places are predicted that are no pixels, how far off they are."""
    with torch.no_grad(), frozen(method):
        shown = display(card, batch["image"])(batch["image"])
        mask = method.sampler(method, batch, context)
        size, grid = (shown.shape[-2], shown.shape[-1]), method.encoder.grid_of(batch["image"])
        spread = partial(per_pixel, grid=grid, size=size, patch=method.encoder.patch_size)
        columns = {"input": shown, "masked": torch.where(spread(seen_places(mask).cpu()), shown, BLANK)}
        if hasattr(method, "predict"):
            target = method.target(batch)
            error = place_mse(method.predict(batch, mask), target.values, target.real).cpu() * mask.hidden.cpu()
            relative = error / error.amax(-1, keepdim=True).clamp(min=1e-12)
            columns["error of hidden places\n(dark: low, light: high)"] = torch.where(
                spread(mask.hidden.cpu()), _heat(spread(relative)), BLANK
            )
    return panel(columns, f"{100 * float(mask.hidden.float().mean()):.0f} % of the patches hidden")


def own_panel(method: Any, batch: Batch, card: DataCard, context: Context) -> "Figure":
    """One row per picture: the input, and what the method itself has to show of it, standardised, under its titles."""
    with torch.no_grad(), frozen(method):
        drawn = display(card, batch["image"])
        columns = {"input": batch["image"]} | method.pictures(batch, context)
        columns = {title: drawn(pictures) for title, pictures in columns.items()}
    if "image_valid" in batch:
        valid = batch["image_valid"].unsqueeze(1).cpu()
        columns = {title: torch.where(valid, pictures, 1.0) for title, pictures in columns.items()}
    return panel(columns, drawn.words)


def code_panel(method: Any, batch: Batch, card: DataCard, context: Context) -> "Figure":
    """One row per picture: input, its reconstruction, and a new picture if the method can sample."""
    with torch.no_grad(), frozen(method):
        drawn = display(card, batch["image"])
        columns = {"input": drawn(batch["image"]), "reconstruction": drawn(method.reconstruct(batch))}
        if "image_valid" in batch:
            valid = batch["image_valid"].unsqueeze(1).cpu()
            columns = {title: torch.where(valid, pictures, 1.0) for title, pictures in columns.items()}
        if hasattr(method, "sample"):
            columns["sample\n(not of the input)"] = drawn(method.sample(len(batch["image"]), context.generator))
    return panel(columns, drawn.words)


def tiled(image: Float[Tensor, "n 3 h w"], columns: int, gap: int = 2) -> Float[Tensor, "3 H W"]:
    """Pictures between 0 and 1 in reading order, on white."""
    n, _, h, w = image.shape
    rows = -(-n // columns)
    sheet = image.new_ones(3, rows * (h + gap) + gap, columns * (w + gap) + gap)
    for number, picture in enumerate(image):
        top, left = (place * (side + gap) + gap for place, side in zip(divmod(number, columns), (h, w), strict=True))
        sheet[:, top : top + h, left : left + w] = picture
    return sheet


def _reasons(
    guide, shown: Float[Tensor, "b 3 h w"], seen: Bool[Tensor, "b 1 h w"], grid: tuple[int, int], patch: int
) -> dict[str, Float[Tensor, "b 3 h w"]]:
    """Why a guided mask hides what it hides: the chosen side of the cut, the relevance to it, the hints."""
    size = (shown.shape[-2], shown.shape[-1])
    low, high = guide.relevance.amin(-1, keepdim=True), guide.relevance.amax(-1, keepdim=True)
    relevance = ((guide.relevance - low) / (high - low).clamp(min=1e-6)).cpu()
    side, hints, relevance = (
        per_pixel(places.cpu(), grid, size, patch) for places in (guide.side, guide.hints, relevance)
    )
    grey = shown.mean(1, keepdim=True).expand_as(shown)
    hint, other = (torch.tensor(colour).view(1, 3, 1, 1) for colour in (HINT, OTHER))
    return {
        "cut (blue: the other side)": torch.where(side, shown, 0.4 * grey + 0.6 * other),
        "relevance\n(dark: low, light: high)": 0.3 * grey + 0.7 * _heat(relevance),
        "hints (orange)": torch.where(hints, 0.5 * shown + 0.5 * hint, torch.where(seen, shown, BLANK)),
    }


def _heat(values: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 3 h w"]:
    from matplotlib import colormaps

    return torch.from_numpy(colormaps["inferno"](values.squeeze(1).numpy())[..., :3]).float().movedim(-1, 1)


def panel(columns: dict[str, Float[Tensor, "b 3 h w"]], caption: str = "") -> "Figure":
    """One row per picture, one titled column per entry; values between 0 and 1.

    A column is drawn as one tall picture: an axis for every cell takes seconds.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows, _, h, w = next(iter(columns.values())).shape
    cell, gap = 1.6, max(1, round(PANEL_GAP * w))
    pad, tall = PANEL_GAP * cell / 2, rows * (h + gap) - gap
    layout = ConstrainedLayoutEngine(w_pad=pad, h_pad=0.03, wspace=0, hspace=0)
    size = cell * len(columns), (cell - 2 * pad) * tall / w + 0.95
    figure = Figure(figsize=size, dpi=150, layout=layout)
    axes = figure.subplots(1, len(columns), squeeze=False)[0]
    for axis, (title, pictures) in zip(axes, columns.items(), strict=True):
        spaced = F.pad(pictures, (0, 0, 0, gap), value=1.0).movedim(1, -1).flatten(0, 1)[:tall]
        axis.imshow(spaced.numpy(), interpolation="nearest", vmin=0, vmax=1)
        axis.set_title(title, fontsize=8)
        axis.set_axis_off()
    figure.supxlabel(caption, fontsize=7, color="#555555", wrap=True)
    return figure


def grid_of_images(
    image: Float[Tensor, "b c h w"],
    card: DataCard,
    titles: Sequence[str] | None = None,
    columns: int = 8,
    show: Sequence[str] | str | None = None,
) -> "Figure":
    """Standardised pictures in reading order, in their own units, each with its title."""
    from matplotlib.figure import Figure

    drawn = display(card, image, show)
    columns = min(columns, len(image))
    rows = -(-len(image) // columns)
    ratio = image.shape[-2] / image.shape[-1]
    figure = Figure(figsize=(1.4 * columns, 1.4 * rows * (ratio + 0.2) + 0.3), dpi=150, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.set_axis_off()
    for number, (axis, picture) in enumerate(zip(axes, drawn(image), strict=False)):
        axis.imshow(picture.movedim(0, -1).numpy(), interpolation="nearest", vmin=0, vmax=1)
        axis.set_title("" if titles is None else titles[number], fontsize=7, parse_math=False)
    figure.supxlabel(drawn.words, fontsize=7, color="#555555")
    return figure


def save_png(figure: "Figure", path: str | Path) -> Path:
    """Writes beside and renames, so that the file is whole at any instant."""
    data = io.BytesIO()
    figure.savefig(data, format="png")
    write_atomically(Path(path), [data.getvalue()])
    return Path(path)
