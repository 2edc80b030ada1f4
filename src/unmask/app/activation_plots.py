"""What a sparse autoencoder makes of activations, as pictures."""

from typing import TYPE_CHECKING, Any

import torch

from unmask.core import Batch
from unmask.evaluate.features import frozen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 8  # latents named of every activation
NUMBERS = 256  # most numbers of an activation drawn
SEEN, BACK = "#1c1f24", "#d9662b"


@torch.no_grad()
def activation_panel(method: Any, batch: Batch) -> "Figure":
    """One row per activation: its numbers and what is given back of them, and its strongest latents."""
    from matplotlib.figure import Figure

    with frozen(method):
        latents, back = method.latents(batch).float().cpu(), method.restored(batch).float().cpu()
    real = batch["activation"].float().cpu()
    step = max(1, real.shape[1] // NUMBERS)
    rows = len(real)
    size = (9.0, 1.2 * rows + 0.8)
    figure = Figure(figsize=size, dpi=100)
    figure.subplots_adjust(left=0.06, right=0.98, top=1 - 0.3 / size[1], bottom=0.6 / size[1], wspace=0.1, hspace=0.35)
    axes = figure.subplots(rows, 2, squeeze=False, width_ratios=(3, 2))
    for (left, right), x, again, code in zip(axes, real, back, latents, strict=True):
        left.plot(x[::step].numpy(), color=SEEN, linewidth=0.8)
        left.plot(again[::step].numpy(), color=BACK, linewidth=0.8)
        left.margins(x=0)
        found = code.topk(min(SHOWN, len(code)))
        right.bar(range(len(found.values)), found.values.numpy(), color=BACK)
        right.set_xticks(range(len(found.values)), [str(i) for i in found.indices.tolist()])
        for axis in (left, right):
            axis.tick_params(labelsize=6)
            for side in ("top", "right"):
                axis.spines[side].set_visible(False)
    axes[0, 0].set_title("activation (black) and what is given back (orange)", fontsize=8)
    axes[0, 1].set_title("strongest latents, by number", fontsize=8)
    used = (latents > 0).float().sum(-1).mean()
    caption = f"{used:.1f} of {latents.shape[1]} latents are above 0 on average"
    figure.supxlabel(caption, fontsize=7, color="#555555", y=0.06 / size[1])
    return figure
