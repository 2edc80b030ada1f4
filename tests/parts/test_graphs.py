"""Graphs packed, passed along edges and read out, on cases worked by hand."""

import pytest
import torch

from unmask.core import Context
from unmask.methods.graphmae import tiny
from unmask.parts.losses.cosine import scaled_cosine
from unmask.parts.masks.nodes import NodeMask, node_mask
from unmask.parts.nets.graph_dropout import GraphDropout
from unmask.parts.ops.graphs import edge_softmax, gathered, pack, rank_within, readout, with_loops


def batch() -> dict:
    return {
        "node": torch.arange(12.0).reshape(2, 3, 2),
        "node_valid": torch.tensor([[True, True, False], [True, True, True]]),
        "edge": torch.tensor([[[0, 1], [1, 0]], [[2, 9], [0, 9]]]),
        "edge_valid": torch.tensor([[True, True], [True, False]]),
    }


def test_packing_leaves_padding_out_and_numbers_on():
    packed = pack(batch())
    assert packed.node[:, 0].tolist() == [0, 2, 6, 8, 10]
    assert packed.edge.tolist() == [[0, 1, 4], [1, 0, 2]]
    assert packed.owner.tolist() == [0, 0, 1, 1, 1]
    assert (packed.nodes, packed.edges) == ((2, 3), (2, 1))
    padded = packed.padded(packed.node)
    assert padded[0, 2].tolist() == [0, 0]
    assert torch.equal(padded[1], batch()["node"][1])


def test_an_edge_to_padding_is_refused():
    wrong = batch()
    wrong["edge"][0, 1, 0] = 2
    with pytest.raises(ValueError, match="leads to a node that is padding"):
        pack(wrong)


def test_what_arrives_is_summed_and_softmax_is_over_what_arrives():
    edge = with_loops(torch.tensor([[0, 1], [2, 2]]), 3)
    assert edge.tolist() == [[0, 1, 0, 1, 2], [2, 2, 0, 1, 2]]
    assert gathered(torch.ones(5, 1), edge[1], 3).flatten().tolist() == [1, 1, 3]
    shares = edge_softmax(torch.tensor([[0.0], [0.0], [5.0], [-300.0], [0.0]]), edge[1], 3)
    torch.testing.assert_close(shares.flatten(), torch.tensor([1 / 3, 1 / 3, 1, 1, 1 / 3]))


@pytest.mark.parametrize(("kind", "first"), [("mean", 1.0), ("max", 2.0), ("sum", 2.0)])
def test_readouts_of_a_graph(kind, first):
    packed = pack(batch())
    assert readout(packed.node, packed.owner, 2, kind)[0, 0] == first


def test_ranks_are_counted_within_their_group():
    scores, group = torch.tensor([0.5, 0.1, 0.9, 0.2, 0.3]), torch.tensor([1, 0, 1, 1, 0])
    assert rank_within(scores, group).tolist() == [1, 0, 2, 0, 1]


def test_of_every_graph_its_share_is_hidden_but_never_all_or_none():
    valid = torch.arange(9) < torch.tensor([9, 5, 2, 1])[:, None]
    noise = torch.rand(4, 9, generator=torch.Generator().manual_seed(0))
    assert node_mask(noise, valid, 0.5).hidden.sum(1).tolist() == [4, 2, 1, 0]
    assert node_mask(noise, valid, 0.1).hidden.sum(1).tolist() == [1, 1, 1, 0]
    whole = node_mask(noise, valid, 0.5, "batch").hidden
    assert int(whole.sum()) == 8
    assert not (whole & ~valid).any()


def test_the_mask_of_a_graph_does_not_depend_on_the_batch_it_is_in():
    method, graphs = tiny()
    mask = NodeMask()
    whole = mask(method, graphs, Context(generator=torch.Generator().manual_seed(3)))
    smaller = {k: v[2:, :8] if k.startswith("node") else v[2:] for k, v in graphs.items()}
    part = mask(method, smaller, Context(generator=torch.Generator().manual_seed(3), first=2, total=4))
    assert torch.equal(whole.hidden[2:, :8], part.hidden)


def test_dropout_keeps_the_mean_and_zeros_its_share():
    _, graphs = tiny()
    packed = pack(graphs)
    drop = GraphDropout(Context(generator=torch.Generator().manual_seed(0)), packed, True)
    x = drop(torch.ones(len(packed.node), 1000), 0.25)
    assert float((x == 0).float().mean()) == pytest.approx(0.25, abs=0.01)  # 30,000 draws
    assert float(x.mean()) == pytest.approx(1, abs=0.02)
    edges = torch.ones(packed.edge.shape[1] + len(packed.node), 2)
    assert drop(edges, 0.25, True).shape == edges.shape
    assert torch.equal(GraphDropout(Context(), packed, False)(x, 0.9), x)


def test_scaled_cosine_is_0_for_equal_and_a_power_of_2_for_opposite_directions():
    x = torch.tensor([[3.0, 4.0]])
    for power in (1.0, 2.0, 3.0):
        assert float(scaled_cosine(x, 7 * x, power)) == pytest.approx(0, abs=1e-6)
        assert float(scaled_cosine(x, -x, power)) == pytest.approx(2**power)
    assert float(scaled_cosine(x, torch.zeros(1, 2))) == 1
