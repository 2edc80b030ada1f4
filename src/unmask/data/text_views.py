"""What the network gets of a passage: its tokens in their frame, which of them are real, and the words they form."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int32
from torch import Tensor

from unmask.core import Batch
from unmask.data.loading import collate
from unmask.data.text_card import TextCard
from unmask.data.tokenizer import Tokenizer
from unmask.data.values import PlainView

KEYS = ("ids", "ids_valid", "word")


class TextView(PlainView):
    """Tokens, filled up to `length`. Nothing is random: what is hidden is the method's choice."""

    def __init__(self, length: int):
        self.length = length

    def __call__(self, passage: Int32[np.ndarray, "t"], card: TextCard, target: None = None) -> dict[str, Tensor]:
        """A passage that is longer is cut at its end."""
        return framed(passage, card.tokenizer, self.length)

    def together(self, samples: Sequence[dict[str, Tensor]]) -> Batch:
        """No longer than the longest passage."""
        return trimmed(collate(samples))

    def sentences(self, card: TextCard) -> list[str]:
        """What training does with the passages of this card."""
        frame = "between " + " and ".join(card.tokenizer.pieces([*card.tokenizer.begin, *card.tokenizer.end]))
        lines = [f"passages of at most {self.length} tokens{f', {frame},' * bool(card.tokenizer.framed)} in an order"]
        lines[0] += " that the seed decides"
        if card.sizes[0] < self.length:
            lines.append("shorter passages are filled up, which counts in no loss")
        if card.unreadable:
            lines.append("what cannot be read is replaced (see --bad-budget)")
        return lines


def framed(passage: Int32[np.ndarray, "t"], tokenizer: Tokenizer, length: int) -> dict[str, Tensor]:
    """The passage between the tokenizer's first and last tokens, cut or filled up to `length`."""
    body = passage[: length - tokenizer.framed]
    count = len(body) + tokenizer.framed
    ids = np.full(length, tokenizer.pad, dtype=np.int64)
    word = np.full(length, -1, dtype=np.int64)
    ids[:count] = (*tokenizer.begin, *body, *tokenizer.end)
    begins = ~tokenizer.continues(body)
    begins[:1] = True  # a passage may begin within a word
    inside = slice(len(tokenizer.begin), len(tokenizer.begin) + len(body))
    word[inside] = begins.cumsum() - 1
    valid = np.arange(length) < count
    return {name: torch.from_numpy(value) for name, value in zip(KEYS, (ids, valid, word), strict=True)}


def trimmed(batch: Batch) -> Batch:
    """Without the padding at the end that all passages share."""
    longest = int(batch["ids_valid"].sum(1).max())
    return {key: value[:, :longest] if key in KEYS else value for key, value in batch.items()}
