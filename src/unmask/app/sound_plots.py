"""What a method sees and predicts of spectrograms: time runs to the right, frequency up."""

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.app.pictures import BLANK, ESTIMATED, TRUE, panel, reconstruct
from unmask.core import Batch, Context, key_of
from unmask.data.sound_card import SoundCard
from unmask.evaluate.features import frozen

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sound_panel(method: Any, batch: Batch, card: SoundCard, context: Context) -> "Figure":
    """One row per sound: the spectrogram, what is seen of it, predictions with stated statistics, and all pasted."""
    key = key_of(method.encoder)
    with torch.no_grad(), frozen(method):
        mask = method.sampler(method, batch, context)
        found = reconstruct(method, batch, mask)
    shown, hidden, seen = _drawn(batch[key], card), _turned(found.hidden), _turned(found.seen)
    columns = {"input": shown, "seen": torch.where(seen, shown, BLANK)}
    words = "predictions are drawn as they are"
    if method.target.normalise:
        columns["prediction,\ntrue statistics"] = torch.where(hidden, _drawn(found.true, card), BLANK)
        words = f"true statistics: {TRUE}; estimated: {ESTIMATED}"
    columns["prediction,\nestimated statistics" if method.target.normalise else "prediction"] = torch.where(
        hidden, _drawn(found.estimated, card), BLANK
    )
    columns["seen and predicted"] = _drawn(found.pasted, card)
    if f"{key}_valid" in batch:
        valid = _turned(batch[f"{key}_valid"].unsqueeze(1))
        columns = {title: torch.where(valid, pictures, 1.0) for title, pictures in columns.items()}
    share = 100 * float(hidden.sum()) / float((hidden | seen).sum())
    return panel(columns, f"{share:.0f} % of the patches hidden; time to the right, frequency up; {words}")


def _drawn(energies: Float[Tensor, "b 1 t f"], card: SoundCard) -> Float[Tensor, "b 3 f t"]:
    """From silence, black, to the loudest of the data set, light."""
    from matplotlib import colormaps

    low, high = card.minimum[0], card.maximum[0]
    values = _turned((card.restore(energies.float()) - low) / max(high - low, 1e-6)).clamp(0, 1)
    return torch.from_numpy(colormaps["magma"](values.squeeze(1).numpy())[..., :3]).float().movedim(-1, 1)


def _turned(x: Tensor) -> Tensor:
    """[b 1 t f] as a picture [b 1 f t] with the lowest frequency at the bottom."""
    return x.cpu().transpose(-1, -2).flip(-2)
