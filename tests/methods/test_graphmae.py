"""GraphMAE: numbers of its released code, exact counts of tokens and replacements, and what must not leak."""

import pytest
import torch

from formulas import formula_weights, recorded, wave
from unmask.core import Context, Mask
from unmask.methods.graphmae import CARD, GraphMAE, replacements, tiny
from unmask.parts.masks.nodes import NodeMask
from unmask.parts.nets.graph_decoder import GraphDecoder
from unmask.parts.nets.graph_net import GraphNet
from unmask.parts.ops.graphs import pack

faithful = pytest.mark.faithful("graphmae")
REFERENCE = recorded(__file__, "graphmae_reference.json")
SIZES = {
    "gat": {"kind": "gat"},
    "gin": {"kind": "gin", "norm": "batch"},
    "residual": {"kind": "gat", "norm": "layer", "residual": True},
    "linear_mse": {"kind": "gat"},
}
METHODS = {
    "gat": {"replace": 0.3},
    "gin": {"replace": 0.0, "power": 1.0},
    "residual": {"replace": 0.3, "power": 2.0},
    "linear_mse": {"replace": 0.3, "error": "square"},
}
NAMES = [  # what the reference calls parameters, and what they are called here
    ("enc_mask_token", "token"),
    ("encoder_to_decoder", "decoder.embed"),
    ("encoder.gat_layers", "encoder.layers"),
    ("decoder.gat_layers.0", "decoder.layer"),
    ("decoder.layers.0.apply_func.linears.0", "decoder.layer.first"),
    ("decoder.layers.0.apply_func.linears.1", "decoder.layer.second"),
    ("decoder.layers.0.apply_func.norms.0", "decoder.layer.between.0"),
    ("decoder.layers.0.apply_func.activations.0", "decoder.layer.between.1"),
    ("apply_func.mlp.linears.0", "first"),
    ("apply_func.mlp.linears.1", "second"),
    ("apply_func.mlp.norms.0", "between.0"),
    ("apply_func.mlp.activations.0", "between.1"),
    ("apply_func.norm", "after.0"),
    ("apply_func.act", "after.1"),
    ("decoder.0", "decoder.layer.0"),
    ("decoder.1", "decoder.layer.1"),
    ("decoder.3", "decoder.layer.2"),
    ("attn_l", "sender"),
    ("attn_r", "receiver"),
    ("res_fc", "skip"),
    ("fc.", "map."),
]


class Orders(Context):
    """A context whose noise puts nodes in the orders in which the reference shuffled them."""

    def ragged(self, counts, *shape, device="cpu"):
        orders = REFERENCE["orders"]
        hidden = torch.tensor(orders["mask"])[: len(orders["roles"])]
        noise = torch.zeros(sum(counts), 2)
        noise[hidden[torch.tensor(orders["roles"])], 0] = torch.linspace(0, 0.9, len(hidden))
        noise[torch.tensor(orders["sources"]), 1] = torch.linspace(0, 0.9, len(noise))
        return noise


def ours(case: str) -> GraphMAE:
    encoder = GraphNet(6, width=8, heads=2, dropout=(0.2, 0.1), **SIZES[case])
    method = GraphMAE(encoder, GraphDecoder(encoder, "mlp" if case == "linear_mse" else None), **METHODS[case])
    weights = formula_weights({name: tuple(shape) for name, shape in REFERENCE[case]["shapes"].items()})
    renamed = {}
    for name, value in weights.items():
        for theirs, own in NAMES:
            name = name.replace(theirs, own)
        renamed[name] = value
    missing, unexpected = method.load_state_dict(renamed, strict=False)
    assert not unexpected
    assert all("running" in name or "tracked" in name for name in missing)
    return method.eval()


def graph() -> dict:
    edge = torch.tensor(REFERENCE["edges"])[None]
    ones = torch.ones(1, 9, dtype=torch.bool)
    node = wave(54, 0.5).reshape(1, 9, 6).float()
    return {"node": node, "node_valid": ones, "edge": edge, "edge_valid": torch.ones(1, edge.shape[2]).bool()}


def mask_of(case: str) -> Mask:
    hidden = torch.zeros(1, 9, dtype=torch.bool)
    hidden[0, REFERENCE[case]["hidden"]] = True
    return Mask.of(hidden)


@faithful
@pytest.mark.parametrize("case", SIZES)
def test_the_loss_is_that_of_the_released_code(case):
    loss = ours(case).losses(graph(), Orders(), mask_of(case))["reconstruction"]
    assert loss.item() == pytest.approx(REFERENCE[case]["loss"], abs=1e-5)


@faithful
@pytest.mark.parametrize("case", SIZES)
def test_nodes_are_embedded_as_by_the_released_code(case):
    tokens = ours(case).features(graph()).tokens[0]
    torch.testing.assert_close(tokens, torch.tensor(REFERENCE[case]["embedding"]), atol=1e-5, rtol=1e-5)


@faithful
@pytest.mark.parametrize("case", ["gat", "gin"])
def test_hidden_nodes_are_covered_as_by_the_released_code(case):
    method, batch = ours(case), graph()
    covered = method.covered(pack(batch), mask_of(case).hidden[0], Orders())
    torch.testing.assert_close(covered, torch.tensor(REFERENCE[case]["covered"]))


@faithful
@pytest.mark.parametrize("case", SIZES)
def test_the_token_gets_the_gradient_of_the_released_code(case):
    method = ours(case)
    method.losses(graph(), Orders(), mask_of(case))["reconstruction"].backward()
    torch.testing.assert_close(
        method.token.grad[0], torch.tensor(REFERENCE[case]["token_gradient"]), atol=1e-5, rtol=1e-4
    )


@faithful
def test_of_the_hidden_nodes_of_cora_two_roundings_leave_one_as_it_is():
    hidden = torch.zeros(2708, dtype=torch.bool)
    hidden[:1354] = True
    noise = torch.rand(2, 2708, generator=torch.Generator().manual_seed(0))
    token, taken = replacements(hidden, torch.zeros(2708, dtype=torch.long), noise[0], noise[1], 0.05)
    replaced = taken != torch.arange(2708)
    assert int(token.sum()) == 1286
    assert int(replaced.sum()) in (66, 67)  # a node may be drawn for itself
    assert not (token & replaced).any()
    assert not ((token | replaced) & ~hidden).any()
    assert len(taken[replaced].unique()) == int(replaced.sum())


def test_replacements_stay_within_their_graph():
    group = torch.tensor([0] * 10 + [1] * 20)
    hidden = torch.arange(30) % 2 == 0
    noise = torch.rand(2, 30, generator=torch.Generator().manual_seed(1))
    token, taken = replacements(hidden, group, noise[0], noise[1], 0.4)
    assert torch.equal(group[taken], group)
    assert [int(token[group == g].sum()) for g in (0, 1)] == [3, 6]
    assert int((taken != torch.arange(30)).sum()) <= 2 + 4


@faithful
def test_after_hiding_again_a_node_without_neighbours_is_predicted_from_the_bias_alone():
    method, batch = ours("gat"), graph()
    hidden = torch.zeros(9, dtype=torch.bool)
    hidden[8] = True
    packed = pack(batch)
    seen = torch.randn(9, 8, generator=torch.Generator().manual_seed(0))
    predicted = method.decoder(seen, packed, hidden)[8]
    torch.testing.assert_close(predicted, method.decoder.layer.bias)
    assert not torch.allclose(method.decoder(seen, packed)[8], method.decoder.layer.bias)


@faithful
def test_what_is_hidden_does_not_reach_the_prediction():
    method, batch = ours("gat"), graph()
    method.replace = 0.0
    hidden = mask_of("gat").hidden[0]
    other = {**batch, "node": torch.where(hidden[None, :, None], 5.0, batch["node"])}
    first, second = (method.predict_nodes(pack(b), hidden, Context()) for b in (batch, other))
    torch.testing.assert_close(first, second)


@faithful
def test_seen_nodes_do_not_count_in_the_loss(monkeypatch):
    method, batch = ours("gat"), graph()
    hidden = mask_of("gat").hidden[0]
    found = method.predict_nodes(pack(batch), hidden, Orders()).detach().requires_grad_()
    monkeypatch.setattr(method, "predict_nodes", lambda *_: found)
    method.losses(batch, Orders(), mask_of("gat"))["reconstruction"].backward()
    assert not found.grad[~hidden].any()
    assert found.grad[hidden].any(1).all()


def test_decoders_on_every_node_alone_do_not_hide_again():
    encoder = GraphNet(6, width=8, heads=2)
    assert not GraphDecoder(encoder, "mlp").remask
    assert not GraphDecoder(encoder, "linear").remask
    assert GraphDecoder(encoder).remask
    method = GraphMAE(encoder, GraphDecoder(encoder, "linear"))
    assert torch.isfinite(method.losses(graph(), Context())["reconstruction"])


def test_graphs_of_one_node_and_without_edges_train_and_give_features():
    method, batch = tiny()
    batch["edge_valid"][:] = False
    batch["node_valid"][1:, 1:] = False
    loss = method.losses(batch, Context(generator=torch.Generator().manual_seed(0)))["reconstruction"]
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(method.features(batch).pooled).all()
    alone = {key: value[1:] for key, value in batch.items()}
    assert method.losses(alone, Context())["reconstruction"].item() == 0  # nothing can be hidden


def test_one_large_graph_and_many_small_ones_are_the_same_computation():
    method, batch = tiny()
    method.eval()
    packed = pack(batch)
    whole = {
        "node": packed.node[None],
        "node_valid": torch.ones(1, len(packed.node), dtype=torch.bool),
        "edge": packed.edge[None],
        "edge_valid": torch.ones(1, packed.edge.shape[1], dtype=torch.bool),
    }
    apart, together = method.features(batch), method.features(whole)
    torch.testing.assert_close(apart.tokens[packed.valid], together.tokens[0])


def test_dropped_edges_are_missing_for_the_encoder_alone():
    method, batch = tiny()
    method.drop_edges = 0.9
    packed = pack(batch)
    seen = []
    forward = method.encoder.forward
    method.encoder.forward = lambda graph, node, drop, edge: (
        seen.append(edge.shape[1]) or forward(graph, node, drop, edge)
    )
    terms = method.losses(batch, Context(generator=torch.Generator().manual_seed(0)))
    assert torch.isfinite(terms["reconstruction"])
    assert seen[0] < packed.edge.shape[1] / 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GraphNet(5, kind="gcn"), "kind 'gcn' is unknown; choose one of gat, gin"),
        (lambda: GraphNet(5, width=10, heads=4), "width 10 cannot be divided into 4 heads"),
        (lambda: GraphNet(5, dropout=(0.1,)), "must be two shares"),
        (lambda: GraphMAE(GraphNet(5), replace=1.0), r"replace 1.0 and drop_edges 0.0 must be at least 0 and below 1"),
        (lambda: GraphMAE(GraphNet(5), readout="median"), "readout 'median' is unknown"),
        (lambda: NodeMask(over="node"), "over 'node' is unknown"),
        (lambda: GraphMAE(GraphNet(4)).features(graph()), "nodes have 6 features, this network was made for 4"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_the_card_names_its_data():
    assert CARD.data == "graph"
