"""Nodes as samples: parts, probes, and what raw features are worth."""

import pytest
import torch

from unmask.core import Features, Method
from unmask.evaluate.nodes import (
    NODES,
    RAW,
    SMOOTHED,
    NodesAsSamples,
    divided_nodes,
    node_classification,
    node_table,
    smoothed,
)


class Truth(Method):
    """Says of every node its class, which stands in the second feature."""

    def features(self, batch):
        return Features(batch["node"].mean(1), batch["node"][..., 1:])


def batch(parts: bool = True, nodes: int = 60) -> dict:
    label = torch.arange(nodes) % 2
    node = torch.stack([torch.randn(nodes, generator=torch.Generator().manual_seed(0)), label.float()], 1)[None]
    chain = torch.stack([torch.arange(nodes - 2), torch.arange(2, nodes)])
    edge = torch.cat([chain, chain.flip(0)], 1)[None]
    part = torch.arange(nodes) // (nodes // 3) if parts else torch.full((nodes,), -1)
    return {
        "node": node,
        "node_valid": torch.ones(1, nodes, dtype=torch.bool),
        "edge": edge,
        "edge_valid": torch.ones(1, edge.shape[2], dtype=torch.bool),
        "node_label": label[None],
        "node_part": part[None],
    }


def test_features_that_hold_the_class_find_it_and_the_parts_are_the_published():
    table = node_table(Truth(), [batch()])
    assert [len(table.rows(part)) for part in range(3)] == [20, 20, 20]
    scores = node_classification(table)
    assert scores[NODES] == {"linear": 1.0, "knn": 1.0}
    assert scores["commonest class"]["linear"] == 0.5
    assert set(scores) == {NODES, SMOOTHED, RAW, "commonest class"}


def test_smoothing_is_the_mean_over_a_node_and_its_neighbours():
    one = batch(nodes=6)
    x = one["node"][0, :, 0]
    expected = torch.stack([(x[0] + x[2]) / 2, (x[1] + x[3]) / 2, (x[0] + x[2] + x[4]) / 3])
    torch.testing.assert_close(smoothed(one, 1)[:3, 0], expected)


def test_where_no_part_is_published_every_class_is_divided():
    table = divided_nodes(node_table(Truth(), [batch(parts=False)]))
    counts = [len(table.rows(part)) for part in range(3)]
    assert sum(counts) == 60
    assert counts[2] == 12
    assert torch.equal(table.part, divided_nodes(node_table(Truth(), [batch(parts=False)])).part)


def test_every_node_is_a_sample():
    found = NodesAsSamples(Truth()).features(batch())
    assert found.pooled.shape == (60, 1)


def test_what_cannot_be_measured_gets_one_sentence():
    one = batch()
    without = {key: value for key, value in one.items() if key != "node_label"}
    with pytest.raises(ValueError, match="no classes of nodes"):
        node_table(Truth(), [without])
    with pytest.raises(ValueError, match="batches are empty"):
        node_table(Truth(), [])
    one["node_part"][one["node_part"] == 2] = -1
    with pytest.raises(ValueError, match="no node of the test part has a class"):
        node_classification(node_table(Truth(), [one]))
