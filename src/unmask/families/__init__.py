"""Algorithms that several methods are variations of."""

from unmask.families.latent_autoencoder import LatentAutoencoder
from unmask.families.masked_autoencoder import MaskedAutoencoder

__all__ = ["LatentAutoencoder", "MaskedAutoencoder"]
