"""How well and with how few latents a run gives activations back; no labels are needed."""

from unmask.app.looking import batches_to_measure
from unmask.app.measure import Asked, Measured
from unmask.app.runs import Loaded
from unmask.evaluate.sparsity import sparsity


def measure(loaded: Loaded, asked: Asked) -> Measured:
    """Error, latents in use and dead latents on the test part, or else on what was held out."""
    batches = batches_to_measure(loaded, asked.data, asked.limit)
    found = sparsity(loaded.method, batches, asked.device)
    text = (
        f"error {found['error']:.4f} of the variance with {found['used']:.1f} latents per activation;"
        f" {found['dead']:.1%} of the latents used for none of {found['activations']:,.0f}"
    )
    return Measured(found, text, batches.faults)
