"""Variances, gap, divergence and exploitation: what the relations of tokens say."""

import math

import pytest
import torch

from unmask.evaluate.analysis.building import exploitation_by_layer
from unmask.evaluate.analysis.change import relation_divergence
from unmask.evaluate.analysis.gap import cluster_gap, edge_means
from unmask.evaluate.analysis.variances import feature_variance, hidden_variance, similarity_variance
from unmask.parts.ops.relations import cosine_relations


def tokens(b: int = 3, n: int = 12, d: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(b, n, d, generator=torch.Generator().manual_seed(seed))


def planted(noise: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """Two pictures whose first places point one way and whose other places point another."""
    labels = torch.tensor([[0] * 5 + [1] * 7, [0] * 3 + [1] * 9])
    return torch.eye(5)[labels] + noise * tokens(2), labels


def test_feature_variance_is_one_minus_the_mean_relation():
    x = tokens()
    expected = 1 - cosine_relations(x).mean((1, 2))
    torch.testing.assert_close(feature_variance(x), expected, atol=1e-6, rtol=0)  # float32 rounding


def test_feature_variance_is_zero_for_tokens_of_one_direction_and_one_for_opposite_ones():
    direction = tokens(1, 1, 4)
    lengths = torch.tensor([1.0, 2.0, 5.0, 0.5]).view(1, 4, 1)
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0]).view(1, 4, 1)
    assert feature_variance(direction * lengths).item() == pytest.approx(0, abs=1e-6)
    assert feature_variance(direction * lengths * signs).item() == pytest.approx(1, abs=1e-6)


def test_similarity_variance_leaves_the_diagonal_out():
    relations = torch.tensor([[[9.0, 1, 2], [1, 9, 3], [2, 3, 9]]])
    assert similarity_variance(relations).item() == pytest.approx(2 / 3)  # of 1, 1, 2, 2, 3, 3
    assert similarity_variance(torch.full((1, 4, 4), 0.3)).item() == pytest.approx(0, abs=1e-12)


def test_equal_mask_tokens_have_no_variance_whatever_the_visible_places_hold():
    x = tokens(1, 6, 4)
    hidden = torch.tensor([[True, False, True, False, False, True]])
    x[hidden] = 0.7
    assert hidden_variance(x, hidden).item() == pytest.approx(0, abs=1e-12)


def test_hidden_variance_of_a_case_worked_by_hand():
    x = torch.tensor([[[1.0, 0.0], [50.0, 50.0], [3.0, 4.0]]])
    hidden = torch.tensor([[True, False, True]])
    assert hidden_variance(x, hidden).item() == pytest.approx((1 + 4) / 2)  # channels vary by 1 and 4
    unit = (1 - 0.6) / 2  # half of one minus the cosine of the two
    assert hidden_variance(x, hidden, unit=True).item() == pytest.approx(unit, abs=1e-6)


def test_hidden_variance_agrees_with_the_plain_variance_when_everything_is_hidden():
    x = tokens()
    everything = torch.ones(3, 12, dtype=torch.bool)
    torch.testing.assert_close(hidden_variance(x, everything), x.var(1, correction=0).mean(-1))
    torch.testing.assert_close(hidden_variance(x, everything, unit=True), feature_variance(x))


def test_hidden_variance_without_hidden_places_is_refused():
    with pytest.raises(ValueError, match="hides nothing"):
        hidden_variance(tokens(1, 4), torch.zeros(1, 4, dtype=torch.bool))


def test_edge_means_of_a_case_worked_by_hand():
    edges = torch.tensor([[[100.0, 4, 1], [6, 100, 2], [3, 2, 100]]])
    intra, inter = edge_means(edges, torch.tensor([[0, 0, 1]]))
    assert (intra.item(), inter.item()) == (5.0, 2.0)  # (4 + 6) / 2, (1 + 2 + 3 + 2) / 4


def test_the_gap_is_positive_for_planted_clusters_and_zero_in_constant_edges():
    x, labels = planted()
    assert (cluster_gap(cosine_relations(x), labels) > 0.8).all()
    assert cluster_gap(torch.full((2, 12, 12), 0.4), labels).abs().max().item() == pytest.approx(0, abs=1e-6)


def test_the_gap_of_random_labels_is_far_below_that_of_the_planted_ones():
    x, labels = planted()
    mixed = labels[:, torch.randperm(12, generator=torch.Generator().manual_seed(5))]
    assert (cluster_gap(cosine_relations(x), mixed) < 0.5).all()


def test_the_gap_of_a_single_cluster_does_not_exist():
    assert cluster_gap(cosine_relations(tokens(1)), torch.zeros(1, 12, dtype=torch.long)).isnan().all()


def test_divergence_from_themselves_is_zero_in_both_directions():
    relations = cosine_relations(tokens())
    forward, backward = relation_divergence(relations, relations)
    assert forward.abs().max() == 0
    assert backward.abs().max() == 0


def test_divergence_of_a_case_worked_by_hand():
    now = torch.tensor([[[0.0, 0.0], [0.0, 0.0]]])
    final = torch.tensor([[[0.0, math.log(3)], [0.0, 0.0]]])  # rows (1/4, 3/4) and (1/2, 1/2)
    forward, backward = relation_divergence(now, final)
    assert forward.item() == pytest.approx(0.5 * (0.5 * math.log(2) + 0.5 * math.log(2 / 3)))
    assert backward.item() == pytest.approx(0.5 * (0.25 * math.log(1 / 2) + 0.75 * math.log(3 / 2)))


def test_a_low_temperature_sharpens_the_divergence():
    now, final = cosine_relations(tokens()), cosine_relations(tokens(seed=1))
    assert (relation_divergence(now, final, 0.1)[0] > relation_divergence(now, final)[0]).all()


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="temperature"):
        relation_divergence(torch.eye(3).unsqueeze(0), torch.eye(3).unsqueeze(0), 0.0)


def test_exploitation_by_layer_adds_to_one_after_every_layer():
    maps = [torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(i)).softmax(-1) for i in range(4)]
    hidden = torch.tensor([[True] * 6 + [False] * 2, [False] * 3 + [True] * 5])
    shares = exploitation_by_layer(maps, hidden)
    assert shares[0].shape == (4, 2)
    torch.testing.assert_close(sum(shares), torch.ones(4, 2), atol=1e-6, rtol=0)  # float32 rounding


def test_a_decoder_that_looks_only_at_itself_is_built_from_mask_tokens_alone():
    maps = [torch.eye(5).expand(1, 2, 5, 5)] * 3
    visible, masked, before = exploitation_by_layer(maps, torch.tensor([[True, False, True, True]]))
    assert masked.tolist() == [[1.0]] * 3
    assert visible.abs().max() == before.abs().max() == 0


def test_a_decoder_that_looks_at_visible_places_leaves_mask_tokens_a_half_per_layer():
    looks = torch.zeros(1, 1, 4, 4)
    looks[..., 0] = 1  # every place looks at place 0, the only visible one
    _, masked, _ = exploitation_by_layer([looks] * 3, torch.tensor([[False, True, True, True]]), prefix=0)
    assert masked.flatten().tolist() == [0.5, 0.25, 0.125]
