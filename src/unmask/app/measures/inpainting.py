"""How well a run fills in what its method hides of pictures; no labels are needed."""

from typing import Any

import torch

from unmask.app.looking import batches_to_measure
from unmask.app.measure import Asked, Measured
from unmask.app.runs import Loaded
from unmask.core import Context, to_device
from unmask.evaluate.features import frozen
from unmask.evaluate.inpainting import inpainting


def measure(loaded: Loaded, asked: Asked) -> Measured:
    """Decibels (PSNR), absolute error and sharpness of what is filled in on the test part.

    Pixels are measured on the range of the data, from 0 to 1.
    """
    method: Any = loaded.method.to(asked.device)
    if not hasattr(method, "inpaint"):
        raise ValueError(f"{loaded.config.method} fills in no pixels; inpainting needs a method that does")
    batches = batches_to_measure(loaded, asked.data, asked.limit)
    context = Context(generator=torch.Generator().manual_seed(asked.seed))
    with frozen(method):
        found = inpainting(
            (to_device(batch, asked.device) for batch in batches),
            lambda batch: method.region(batch, context),
            lambda batch, hidden: method.inpaint(batch, hidden),
            method.pixels,
        )
    text = (
        f"inpainting {found['psnr']:.2f} dB, absolute error {found['l1']:.4f} of the range, sharpness"
        f" {found['sharpness']:.2f} of the truth's; {found['pictures']:,.0f} pictures"
    )
    return Measured(found, text, batches.faults)
