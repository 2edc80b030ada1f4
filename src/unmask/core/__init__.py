"""The words of the library."""

from unmask.core.batch import VOCABULARY, Batch, check_batch, key_of, only_known, to_device
from unmask.core.card import Card, Recipe
from unmask.core.choice import check_choice
from unmask.core.context import Context
from unmask.core.mask import Mask, keep_count
from unmask.core.method import Features, Method, Phase

__all__ = [
    "VOCABULARY",
    "Batch",
    "Card",
    "Context",
    "Features",
    "Mask",
    "Method",
    "Phase",
    "Recipe",
    "check_batch",
    "check_choice",
    "keep_count",
    "key_of",
    "only_known",
    "to_device",
]
