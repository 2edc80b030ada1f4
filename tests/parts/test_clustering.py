"""Normalised cut: exact, fast, K-way."""

import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F

from unmask.parts.ops.clustering import AFFINITIES, affinity, bipartition, cut_cost, recursive_clusters, split
from unmask.parts.ops.relations import cosine_relations


def planted(sizes: tuple[int, ...], width: int = 16, noise: float = 0.05, seed: int = 0):
    """Tokens in tight clusters around orthogonal directions, shuffled; and which cluster each is from."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.full((size,), i) for i, size in enumerate(sizes)])
    tokens = torch.eye(width)[labels] + noise * torch.randn(len(labels), width, generator=generator)
    order = torch.randperm(len(labels), generator=generator)
    return tokens[order].unsqueeze(0), labels[order]


def same_partition(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a == b).all() or (a != b).all())


@pytest.mark.parametrize("solver", ["exact", "fast"])
@pytest.mark.parametrize("kind", AFFINITIES)
def test_planted_clusters_are_recovered_exactly(solver, kind):
    tokens, labels = planted((20, 29))
    cut = bipartition(affinity(cosine_relations(tokens), kind), solver)
    assert same_partition(cut.side[0], labels.bool())


def test_vector_equals_scipys_generalised_eigenvector_up_to_sign():
    tokens = torch.randn(1, 40, 8, generator=torch.Generator().manual_seed(3))
    weights = affinity(cosine_relations(tokens))
    w = weights[0].double().numpy()
    degrees = np.diag(w.sum(1))
    _, vectors = scipy.linalg.eigh(degrees - w, degrees, subset_by_index=[1, 1])
    expected = F.normalize(torch.from_numpy(vectors[:, 0]), dim=0)
    found = bipartition(weights, "exact").vector[0].double()
    found = found * torch.sign(found @ expected)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)  # float32 eigenvectors


def test_partition_equals_tokencuts_on_its_binarised_affinity():
    """TokenCut, object_discovery.py: eigh(D - A, D), second vector, split at its mean."""
    tokens, _ = planted((12, 24), noise=0.3, seed=5)
    relations = cosine_relations(tokens)[0].double().numpy()
    a = np.where(relations > 0.2, 1.0, 1e-5)
    d = np.diag(a.sum(1))
    _, vectors = scipy.linalg.eigh(d - a, d, subset_by_index=[1, 2])
    expected = torch.from_numpy(vectors[:, 0] > vectors[:, 0].mean())
    found = bipartition(affinity(cosine_relations(tokens), "binary", 0.2), "exact").side[0]
    assert same_partition(found, expected)


def test_partition_is_invariant_to_rotation_and_equivariant_to_permutation():
    tokens, _ = planted((15, 25), noise=0.2, seed=1)
    rotation, _ = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(2)))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(4))
    plain = bipartition(affinity(cosine_relations(tokens))).side[0]
    rotated = bipartition(affinity(cosine_relations(tokens @ rotation))).side[0]
    permuted = bipartition(affinity(cosine_relations(tokens[:, order]))).side[0]
    assert same_partition(plain, rotated)
    assert same_partition(plain[order], permuted)


def test_fast_path_agrees_with_exact_on_smooth_random_fields():
    """Tokens that vary smoothly over a 14 x 14 grid, as a network's do: at least 95 % of the places agree."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(32, 12, 4, 4, generator=generator)
    fine = 0.3 * torch.randn(32, 12, 14, 14, generator=generator)
    field = F.interpolate(coarse, size=(14, 14), mode="bicubic") + fine
    weights = affinity(cosine_relations(field.flatten(2).transpose(1, 2)))
    exact, fast = bipartition(weights, "exact").side, bipartition(weights, "fast").side
    agreement = (exact == fast).float().mean(-1)
    assert torch.maximum(agreement, 1 - agreement).mean() >= 0.95


def test_fast_path_agrees_with_exact_where_there_is_no_structure():
    """Tokens of pure noise, whose second and third eigenvalues nearly agree: the hardest case."""
    tokens = torch.randn(16, 196, 256, generator=torch.Generator().manual_seed(0))
    weights = affinity(cosine_relations(tokens))
    exact, fast = bipartition(weights, "exact"), bipartition(weights, "fast")
    agreement = (exact.side == fast.side).float().mean(-1)
    assert torch.maximum(agreement, 1 - agreement).mean() >= 0.99
    torch.testing.assert_close(exact.gap, fast.gap, atol=1e-3, rtol=0)  # what 32 steps leave of the third's


def test_fast_path_survives_a_basis_that_ends_early():
    """Two exact clusters span two vectors: nothing is left after the first step."""
    weights = affinity(torch.block_diag(torch.ones(5, 5), torch.ones(7, 7)).unsqueeze(0))
    cut = bipartition(weights, "fast")
    assert same_partition(cut.side[0], torch.arange(12) < 5)
    assert cut.gap.item() == pytest.approx(1.0, abs=1e-3)  # but for the floor, eigenvalues 1, 1 and 0


def test_places_that_do_not_exist_change_nothing():
    tokens, _ = planted((10, 14), noise=0.1)
    padded = torch.cat([tokens, torch.randn(1, 6, 16)], dim=1)
    places = torch.arange(30).unsqueeze(0) < 24
    alone = bipartition(affinity(cosine_relations(tokens))).side[0]
    together = bipartition(affinity(cosine_relations(padded)), places=places).side[0]
    assert same_partition(alone, together[:24])
    assert not together[24:].any()


def test_equal_tokens_have_no_gap():
    weights = affinity(cosine_relations(torch.ones(1, 9, 4)))
    assert bipartition(weights, "exact").gap.abs().max() < 1e-5


def test_cut_cost_of_a_case_worked_by_hand():
    weights = torch.tensor([[[0.0, 2, 1], [2, 0, 0], [1, 0, 0]]])
    side = torch.tensor([[True, True, False]])
    # the cut is 1; degrees are 3, 2, 1: 1/5 + 1/1
    assert cut_cost(weights, side).item() == pytest.approx(1.2)


def test_sweep_finds_the_threshold_with_the_lowest_cost():
    tokens, _ = planted((8, 12), noise=0.4, seed=9)
    weights = affinity(cosine_relations(tokens))
    vector = bipartition(weights, "exact").vector
    best = cut_cost(weights, split(vector, "sweep", weights))
    others = [cut_cost(weights, vector > v) for v in vector[0]]
    assert best <= min(others) + 1e-6


def test_recursive_clusters_recover_planted_ones_and_keep_to_the_limit():
    tokens, labels = planted((9, 12, 15), noise=0.05)
    weights = affinity(cosine_relations(tokens))
    found = recursive_clusters(weights)[0]
    assert found.unique().numel() == 3
    pairs = found.unsqueeze(0) == found.unsqueeze(1)
    assert torch.equal(pairs, labels.unsqueeze(0) == labels.unsqueeze(1))
    assert recursive_clusters(weights, limit=2)[0].unique().numel() == 2


def test_unknown_kinds_are_named_in_the_error():
    weights = torch.ones(1, 3, 3)
    with pytest.raises(ValueError, match="affinity 'x' is unknown"):
        affinity(weights, "x")
    with pytest.raises(ValueError, match="solver 'x' is unknown"):
        bipartition(weights, "x")
    with pytest.raises(ValueError, match="threshold 'x' is unknown"):
        bipartition(weights, threshold="x")
