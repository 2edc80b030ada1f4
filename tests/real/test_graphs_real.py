"""Graphs on real citations and proteins: what is published of them, trained, measured."""

import json

import pytest

from small_run import unmask, without_drawing  # noqa: F401
from unmask.data.graph import open_graphs
from unmask.data.graph_card import inspect_graphs

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("name", "nodes", "edges", "width", "classes", "train", "alone"),
    [("cora", 2708, 10556, 1433, 7, 140, 0.0), ("citeseer", 3327, 9104, 3703, 6, 120, 48 / 3327)],
)
def test_citation_graphs_have_their_published_numbers(data_folder, name, nodes, edges, width, classes, train, alone):
    card = inspect_graphs(open_graphs(data_folder / f"graphs/{name}.npz"))
    assert (card.nodes, card.edges, card.widths, card.scaling) == ((nodes,) * 3, (edges,) * 3, (width,), ("rows",))
    assert (card.node_classes, card.node_parts) == (classes, {"train": train, "validation": 500, "test": 1000})
    assert (card.one_way, card.loops) == (0, 0)
    assert card.alone == pytest.approx(alone)


@pytest.mark.parametrize(("name", "count", "classes"), [("proteins", 1113, 2), ("enzymes", 600, 6)])
def test_sets_of_small_graphs_have_their_published_numbers(data_folder, name, count, classes):
    source = open_graphs(data_folder / f"graphs/{name}.npz")
    card = inspect_graphs(source)
    assert (card.count, len(card.classes), card.unreadable) == (count, classes, {})
    assert card.widths == ((3,) if name == "proteins" else (18, 3))
    assert sum(source.read(i).count for i in range(count)) == {"proteins": 43471, "enzymes": 19580}[name]


@pytest.mark.slow
@pytest.mark.works("graphmae")
@pytest.mark.usefixtures("without_drawing")
def test_nodes_of_cora_are_told_apart_after_a_short_training(data_folder, tmp_path, capsys):
    sizes = ["--set", "width=64", "--set", "heads=2"]
    options = ["--method", "graphmae", *sizes, "--steps", 20, "--lr", 1.3, "--monitor-every", 20, "--quiet"]
    assert unmask("pretrain", data_folder / "graphs/cora.npz", "--out", tmp_path / "run", *options) == 0
    capsys.readouterr()
    assert unmask("evaluate", tmp_path / "run", "--with", "node_classification", "--json") == 0
    scores = json.loads(capsys.readouterr().out)["measures"]["node_classification"]["scores"]
    assert scores["network"]["linear"] > scores["raw features"]["linear"] + 0.1


@pytest.mark.slow
@pytest.mark.works("graphmae")
@pytest.mark.usefixtures("without_drawing")
def test_enzymes_are_told_apart_after_a_short_training(data_folder, tmp_path, capsys):
    sizes = ["--set", "kind=gin", "--set", "norm=batch", "--set", "width=32"]
    options = ["--method", "graphmae", *sizes, "--steps", 10, "--batch", 32, "--lr", 8e-3, "--quiet"]
    assert unmask("pretrain", data_folder / "graphs/enzymes.npz", "--out", tmp_path / "run", *options) == 0
    capsys.readouterr()
    assert unmask("evaluate", tmp_path / "run", "--set", "folds=3", "--json") == 0
    found = json.loads(capsys.readouterr().out)["measures"]["graph_classification"]
    assert found["graphs"] == 600
    assert found["scores"]["network"]["mean"] > 2 * found["chance"]
