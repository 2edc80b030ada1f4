"""Algorithms that several methods are variations of."""

from unmask.families.masked_autoencoder import MaskedAutoencoder

__all__ = ["MaskedAutoencoder"]
