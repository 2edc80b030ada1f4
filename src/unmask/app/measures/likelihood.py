"""How likely held-out samples are to a method that can say; no labels are needed."""

import torch

from unmask.app.looking import batches_to_measure
from unmask.app.measure import Asked, Measured
from unmask.app.modality import modality_of
from unmask.app.runs import Loaded
from unmask.evaluate.likelihood import SAMPLES, likelihood


def measure(loaded: Loaded, asked: Asked, *, samples: int | None = None) -> Measured:
    """Nats per sample and bits per dimension of the test part, or else of the validation part or what was held out.

    samples: codes, or times, that every sample is looked at; default: 5000, or what the method says.
    """
    if samples is None:
        samples = getattr(loaded.method, "LIKELIHOOD_SAMPLES", SAMPLES)
    noun = modality_of(loaded.config.method, loaded.config.kind).NOUN
    batches = batches_to_measure(loaded, asked.data, asked.limit)
    generator = torch.Generator().manual_seed(asked.seed)
    found = likelihood(loaded.method, batches, samples, generator, asked.device)
    text = (
        f"log-likelihood {found['log_likelihood']:.2f} ± {found['standard_error']:.2f} nats each,"
        f" {found['bits_per_dim']:.4f} bits per dimension; {found['count']:,} {noun},"
        f" {found['samples']:,} samples each"
    )
    return Measured(found, text, batches.faults)
