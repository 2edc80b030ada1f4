"""Algorithms that several methods are variations of."""

from unmask.families.hard_patches import HardPatches
from unmask.families.latent_autoencoder import LatentAutoencoder
from unmask.families.masked_autoencoder import MaskedAutoencoder

__all__ = ["HardPatches", "LatentAutoencoder", "MaskedAutoencoder"]
