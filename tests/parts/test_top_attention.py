"""Attention to the best keys alone."""

import torch

from formulas import pictures
from unmask.parts.nets.top_attention import best_keys, transform_by_top
from unmask.parts.nets.transformer import Record, Transformer


def test_every_row_has_exactly_as_many_keys_as_asked_also_where_scores_tie():
    weights = best_keys(torch.zeros(2, 1, 5, 9), 4)
    assert (weights > 0).sum(-1).unique().tolist() == [4]
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 1, 5))


def test_the_best_keys_share_as_in_a_softmax_by_hand():
    weights = best_keys(torch.tensor([[[[1.0, 3.0, 2.0, 0.0]]]]), 2)
    e = torch.tensor([0.0, 3.0, 2.0, 0.0]).exp() * torch.tensor([0.0, 1.0, 1.0, 0.0])
    torch.testing.assert_close(weights[0, 0, 0], e / e.sum())


def test_with_all_keys_it_is_the_transformer():
    torch.manual_seed(0)
    trunk, x = Transformer(16, 3, 2, layer_scale=0.5), pictures(2, 9, 16)
    torch.testing.assert_close(transform_by_top(trunk, x, 9), trunk(x), rtol=0, atol=1e-6)
    valid = torch.arange(9) < torch.tensor([[9], [6]])
    torch.testing.assert_close(transform_by_top(trunk, x, 9, valid), trunk(x, valid), rtol=0, atol=1e-6)


def test_fewer_valid_keys_than_asked_are_all_that_is_attended_to():
    torch.manual_seed(0)
    trunk, x, record = Transformer(16, 2, 2), pictures(2, 9, 16), Record(attention=True)
    valid = torch.arange(9) < torch.tensor([[9], [3]])
    transform_by_top(trunk, x, 5, valid, record)
    assert [(weights[i] > 0).sum(-1).unique().tolist() for weights in record.maps for i in (0, 1)] == [[5], [3]] * 2
    assert not record.maps[0][1, ..., 3:].any()
