"""Whole words hidden at random, all pieces of a word together."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unmask.core import Batch, Context, Mask

MOST = 512  # places that are hidden of one passage, as in the released code of BoW prediction


def whole_words(
    noise: Float[Tensor, "b t"], word: Int64[Tensor, "b t"], count: Int64[Tensor, "b"]
) -> Bool[Tensor, "b t"]:
    """What is hidden: words, taken in the order of the noise of their first piece, while they fit into `count` places.

    word: number of the word that a place is part of, -1 where there is none; such places are never hidden. A word
    that no longer fits is passed over and shorter ones after it are taken.
    Source: Ma et al. 2024, data_utils.py of the released code, after BERT's whole-word masking.
    """
    b, t = word.shape
    sizes = torch.zeros(b, t, dtype=torch.int64, device=word.device)
    sizes.scatter_add_(1, word.clamp(min=0), (word >= 0).long())
    first = torch.full((b, t), t, device=word.device)  # the place where every word begins
    places = torch.arange(t, device=word.device).expand(b, t)
    first.scatter_reduce_(1, word.clamp(min=0), torch.where(word >= 0, places, t), "amin")
    rank = torch.where(sizes > 0, noise.gather(1, first.clamp(max=t - 1)), torch.inf)
    order = rank.argsort(dim=1, stable=True)
    left, taken = count.clone(), torch.zeros(b, t, dtype=torch.bool, device=word.device)
    for column in order.T[: int((sizes > 0).sum(1).max())]:
        size = sizes.gather(1, column[:, None]).squeeze(1)
        fits = (size > 0) & (size <= left)
        taken.scatter_(1, column[:, None], fits[:, None])
        left = left - size * fits
    return taken.gather(1, word.clamp(min=0)) & (word >= 0)


class WholeWordMask:
    """Hides that share of the tokens of every passage, its frame counted among them, and at least one token."""

    def __init__(self, ratio: float = 0.3):
        if not 0 < ratio < 1:
            raise ValueError(f"mask ratio {ratio} hides nothing or everything; choose a number between 0 and 1")
        self.ratio = ratio

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        b, t = batch["word"].shape
        noise = context.uniform(b, model.encoder.length, device=batch["word"].device)[:, :t]
        count = (batch["ids_valid"].sum(1).double() * self.ratio).round().long().clamp(1, MOST)
        return Mask.of(whole_words(noise, batch["word"], count), batch["ids_valid"])
