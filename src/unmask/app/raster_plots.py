"""What a method sees and predicts of scenes, as pictures of three bands."""

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch, Context
from unmask.data.raster_card import RasterCard
from unmask.evaluate.features import frozen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NATURAL = (("B04", "RED"), ("B03", "GREEN"), ("B02", "BLUE"))  # names of the bands that the eye sees
BLANK = 0.85  # grey of what is hidden
STRETCH = (0.02, 0.98)  # shares of the values that become black and white
CELL = 1.5  # inches


def natural(channels: tuple[str, ...]) -> list[int]:
    """Numbers of the bands that are red, green and blue; else of the first three; of fewer, of the first."""
    number = {name.upper(): i for i, name in enumerate(channels)}
    found = [next((number[name] for name in names if name in number), None) for names in NATURAL]
    known = [band for band in found if band is not None]
    return known if len(known) == 3 else list(range(3)) if len(channels) >= 3 else [0]


def triples(channels: tuple[str, ...], groups: list[list[int]]) -> dict[str, list[int]]:
    """Which bands are drawn: those that the eye sees, and the first of every group of which none is among them."""
    seen = natural(channels)
    found = {"natural" if len(seen) == 3 else channels[0]: seen}
    for group in groups:
        if not set(group) & set(seen):
            bands = (group * 3)[:3] if len(group) < 3 else group[:3]
            found[" ".join(dict.fromkeys(channels[band] for band in bands))] = bands
    return found


def raster_panel(method: Any, batch: Batch, card: RasterCard, context: Context) -> "Figure":
    """One row per scene and date: for every choice of bands the scene, what is seen, and what is predicted."""
    from matplotlib.figure import Figure

    with torch.no_grad(), frozen(method):
        (view,) = method.views(batch, context)
    raster = batch["raster"].float().cpu()
    groups = [list(group) for group in getattr(method.encoder, "groups", [])]
    drawn = triples(card.channels, groups)
    b, t = raster.shape[:2]
    columns = 3 * len(drawn)
    size = (CELL * columns + 0.5, CELL * b * t + 0.7)
    figure = Figure(figsize=size, dpi=100)
    figure.subplots_adjust(0.4 / size[0], 0.3 / size[1], 0.995, 1 - 0.35 / size[1], 0.04, 0.04)
    axes = figure.subplots(b * t, columns, squeeze=False)
    for i, (name, bands) in enumerate(drawn.items()):
        true = raster[:, :, bands]
        low, high = (torch.quantile(true.flatten()[:1_000_000], share) for share in STRETCH)
        parts = (
            (name, true, torch.ones_like(true, dtype=torch.bool)),
            ("seen", true, view.seen[:, :, bands].cpu()),
            ("predicted", view.prediction[:, :, bands].float().cpu(), view.counted[:, :, bands].cpu()),
        )
        for j, (title, values, where) in enumerate(parts):
            shown = ((values - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
            if title == "predicted":
                seen = ((true - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
                shown = torch.where(where, shown, torch.where(view.seen[:, :, bands].cpu(), seen, torch.tensor(BLANK)))
            else:
                shown = torch.where(where, shown, torch.tensor(BLANK))
            for row in range(b * t):
                _draw(axes[row, 3 * i + j], shown[row // t, row % t])
            axes[0, 3 * i + j].set_title(title, fontsize=8)
    _name_dates(axes, batch.get("moment"), t)
    figure.supxlabel(
        "grey: hidden; predictions stand where something was hidden", fontsize=7, color="#555555", y=0.04 / size[1]
    )
    return figure


def _draw(axis, picture: Float[Tensor, "k h w"]) -> None:
    values = picture.permute(1, 2, 0).numpy()
    axis.imshow(
        values if values.shape[2] == 3 else values[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest"
    )
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_visible(False)


def _name_dates(axes, moment: Tensor | None, dates: int) -> None:
    """Year and month beside every row, where they are known."""
    for row in range(len(axes)):
        if moment is not None:
            year, month, _ = moment[row // dates, row % dates].int().tolist()
            axes[row, 0].set_ylabel(f"{year}-{month:02d}", fontsize=7)
