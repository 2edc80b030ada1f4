"""Assignments to clusters of equal size."""

import torch

from formulas import pictures
from unmask.parts.ops.sinkhorn import sinkhorn


def test_rows_sum_to_one_and_columns_weigh_alike():
    found = sinkhorn(pictures(12, 4), temperature=0.5, rounds=50)
    torch.testing.assert_close(found.sum(1), torch.ones(12))
    torch.testing.assert_close(found.sum(0), torch.full((4,), 3.0), rtol=1e-3, atol=0)


def test_it_is_the_alternate_scaling_written_out():
    scores = pictures(6, 3)
    weight = (scores / 0.5).exp()
    for _ in range(3):
        weight = weight / weight.sum(0)
        weight = weight / weight.sum(1, keepdim=True)
    torch.testing.assert_close(sinkhorn(scores, 0.5), weight)


def test_a_cluster_that_all_prefer_is_shared_out():
    scores = torch.tensor([[1.0, 0.9], [1.0, 0.5], [1.0, 0.8], [1.0, 0.2]])
    assert scores.argmax(1).unique().tolist() == [0]
    assert sinkhorn(scores, 0.01, 100).argmax(1).tolist() == [1, 0, 1, 0]


def test_large_scores_do_not_overflow():
    assert sinkhorn(1000 * pictures(6, 3)).isfinite().all()
