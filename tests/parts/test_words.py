"""Whole words: together or not at all, as many as fit."""

import torch

from unmask.core import Context
from unmask.methods.bow_dpr import tiny
from unmask.parts.masks.words import WholeWordMask, whole_words

WORD = torch.tensor([[-1, 0, 1, 1, 1, 2, 3, -1]])
NOISE = torch.tensor([[0.0, 0.5, 0.1, 0.9, 0.9, 0.6, 0.7, 0.0]])


def hidden(count: int) -> list[int]:
    return whole_words(NOISE, WORD, torch.tensor([count]))[0].nonzero().flatten().tolist()


def test_words_are_hidden_together_in_the_order_of_their_noise():
    assert hidden(3) == [2, 3, 4]
    assert hidden(4) == [1, 2, 3, 4]


def test_a_word_that_does_not_fit_is_passed_over():
    assert hidden(2) == [1, 5]
    assert hidden(1) == [1]


def test_the_frame_is_never_hidden():
    assert hidden(8) == [1, 2, 3, 4, 5, 6]
    nothing = whole_words(NOISE, torch.full_like(WORD, -1), torch.tensor([8]))
    assert not nothing.any()


def test_the_share_counts_the_frame_and_padding_is_neither_seen_nor_hidden():
    method, batch = tiny()
    batch["ids_valid"][:, 10:], batch["word"][:, 10:] = False, -1
    mask = WholeWordMask(0.3)(method, batch, Context(generator=torch.Generator().manual_seed(0)))
    assert mask.hidden.sum(1).tolist() == [3] * 4
    assert not (mask.hidden & ~batch["ids_valid"]).any()
    assert mask.lengths is None
    assert mask.count == 7
