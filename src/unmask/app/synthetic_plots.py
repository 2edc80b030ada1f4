"""What a network has made of the features of its equations, beside what the theory says."""

from typing import TYPE_CHECKING, Any

import torch

from unmask.data.synthetic_card import SyntheticCard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREDICTED, MEASURED = "#b9bec7", "#d9662b"
CELL = (5.0, 2.6)  # inches


def compared(method: Any, card: SyntheticCard) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """What the theory predicts of the end of learning, and what is measured now, feature by feature."""
    return method.compared(torch.tensor(card.covariance), torch.tensor(card.coefficient))


def synthetic_panel(method: Any, card: SyntheticCard) -> "Figure":
    """One picture for every pair of what is predicted and what is measured, feature by feature."""
    from matplotlib.figure import Figure

    pairs = compared(method, card)
    figure = Figure(figsize=(CELL[0], CELL[1] * len(pairs)), dpi=100, layout="constrained")
    axes = figure.subplots(len(pairs), 1, squeeze=False)[:, 0]
    for axis, (name, (predicted, measured)) in zip(axes, pairs.items(), strict=True):
        places = torch.arange(len(predicted)).numpy()
        axis.bar(places, predicted.numpy(), 0.7, color=PREDICTED, label="at the end, by the theory")
        axis.bar(places, measured.numpy(), 0.35, color=MEASURED, label="now")
        axis.set_xticks(places, _words(card), fontsize=7)
        axis.set_ylabel(name, fontsize=8)
        axis.tick_params(axis="y", labelsize=7)
        axis.legend(fontsize=7, frameon=False)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    return figure


def _words(card: SyntheticCard) -> list[str]:
    rows = zip(card.channels, card.covariance, card.coefficient, strict=True)
    return [f"{name}\ncovariance {both:.3g}\ncoefficient {slope:.3g}" for name, both, slope in rows]
