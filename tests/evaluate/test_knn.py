import math

import pytest
import torch

from unmask.evaluate.knn import KNN, knn_accuracy, nearest


def brute(train, test, k):
    cosines = torch.nn.functional.normalize(test, dim=-1) @ torch.nn.functional.normalize(train, dim=-1).T
    return cosines.topk(k, dim=-1)


def test_votes_follow_the_published_weights():
    """Two neighbours of class 0 at cosines 0.6 and 0, one of class 1 at cosine 0.8, temperature 0.5."""
    train = torch.tensor([[0.6, 0.8], [0.0, 1.0], [0.8, -0.6]])
    votes = KNN(k=3, temperature=0.5).votes(train, torch.tensor([0, 0, 1]), torch.tensor([[2.0, 0.0]]), 2)
    assert torch.allclose(votes, torch.tensor([[math.exp(1.2) + 1, math.exp(1.6)]]), rtol=1e-5)


def test_a_near_neighbour_outvotes_two_far_ones_at_a_low_temperature():
    train, labels = torch.tensor([[0.6, 0.8], [0.6, -0.8], [1.0, 0.1]]), torch.tensor([0, 0, 1])
    test, truth = torch.tensor([[1.0, 0.0]]), torch.tensor([1])
    assert knn_accuracy(train, labels, test, truth, k=3, temperature=0.07) == 1.0
    assert knn_accuracy(train, labels, test, truth, k=3, temperature=10.0) == 0.0


def test_the_length_of_vectors_does_not_matter():
    train, test = torch.randn(50, 6), torch.randn(20, 6)
    scale = torch.rand(50, 1) * 100 + 0.1
    assert torch.equal(nearest(train, test, 5)[1], nearest(train * scale, test * 7, 5)[1])


@pytest.mark.parametrize("memory", [1, 1 << 10, 1 << 14, 1 << 28])
def test_pieces_of_any_size_find_the_same_neighbours(memory):
    generator = torch.Generator().manual_seed(0)
    train, test = torch.randn(257, 16, generator=generator), torch.randn(65, 16, generator=generator)
    cosines, places = nearest(train, test, 7, memory)
    expected = brute(train, test, 7)
    assert torch.equal(places, expected.indices)
    assert torch.allclose(cosines, expected.values, atol=1e-6)  # float32: matrix products of other shapes


def test_no_tensor_exceeds_the_memory_bound(largest):
    """Tables of 2.5 MB whose full similarity would take 160 MB; the answer itself takes 0.5 MB."""
    train, test, memory = torch.randn(20_000, 32), torch.randn(2_000, 32), 1 << 20
    with largest() as seen:
        nearest(train, test, 20, memory)
    assert seen.bytes <= memory


def test_planted_clusters_are_found(points):
    assert knn_accuracy(*points(400, seed=1), *points(100, seed=2)) > 0.97


def test_shuffled_labels_give_chance(points):
    train, labels = points(2000, seed=1)
    mixed = labels[torch.randperm(2000, generator=torch.Generator().manual_seed(0))]
    assert abs(knn_accuracy(train, mixed, *points(1000, seed=2)) - 0.25) < 0.06  # four deviations of 1000 coins


def test_fewer_samples_than_neighbours_all_vote():
    assert nearest(torch.randn(3, 4), torch.randn(5, 4), 20)[1].shape == (5, 3)


def test_no_neighbours_are_refused():
    with pytest.raises(ValueError, match="1 or more"):
        nearest(torch.randn(3, 4), torch.randn(5, 4), 0)
