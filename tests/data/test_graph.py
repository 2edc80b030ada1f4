"""Graphs: files, features, what is refused, padding, and the card."""

import io
import json
import tarfile

import numpy as np
import pytest
import torch

from small_graphs import make_graph, make_graphs, ring
from unmask.core import check_batch
from unmask.data.evaluation import evaluation_batches
from unmask.data.graph import GraphSource, open_graphs
from unmask.data.graph_card import GraphCard, inspect_graphs
from unmask.data.graph_files import graph_of
from unmask.data.graph_views import GraphView
from unmask.data.picture import Unreadable
from unmask.data.source import Source
from unmask.data.stream import TrainingStream
from unmask.data.values import whole_of


def alone(path, count: int = 5, **arrays) -> None:
    np.savez(path, **{"edge_index": ring(count), "node_attr": np.ones((count, 2), np.float32), **arrays})


def test_one_graph_is_one_sample_of_which_nothing_can_be_held_out(tmp_path):
    source = open_graphs(make_graph(tmp_path / "one.npz"))
    assert len(source) == 1
    assert source.transductive
    assert source.subset([0]).transductive
    graph = source.read(0)
    assert graph.count == 60
    assert np.bincount(graph.part).tolist() == [20, 20, 20]
    assert source.blocks == ("attributes",)


def test_attributes_may_be_the_parts_of_a_sparse_matrix(tmp_path):
    dense = open_graphs(make_graph(tmp_path / "dense.npz")).read(0).attributes
    rows, columns = np.nonzero(dense)
    parts = {
        "x": None,
        "x_data": np.ones(len(rows), np.float32),
        "x_indices": columns,
        "x_indptr": np.searchsorted(rows, range(61)),
        "x_shape": np.array(dense.shape),
    }
    assert np.array_equal(open_graphs(make_graph(tmp_path / "sparse.npz", **parts)).read(0).attributes, dense)


def test_many_graphs_of_one_file_number_their_nodes_from_0(tmp_path):
    source = open_graphs(make_graphs(tmp_path / "many.npz"))
    assert len(source) == 40
    assert not source.transductive
    assert source.items[3].name == "many.npz[03]"
    assert source.classes == ("0", "1")
    assert source.label(3) == 1
    for i in (0, 39):
        graph = source.read(i)
        assert graph.edge.max() == graph.count - 1
        assert graph.edge.min() == 0


def test_edges_are_sorted_into_graphs_where_no_pointer_says_where_they_begin(tmp_path):
    with np.load(make_graphs(tmp_path / "a.npz")) as file:
        arrays = {name: file[name] for name in file.files if name != "edge_ptr"}
    order = np.random.default_rng(0).permutation(arrays["edge_index"].shape[1])
    np.savez(tmp_path / "b.npz", **{**arrays, "edge_index": arrays["edge_index"][:, order]})
    first, second = (open_graphs(tmp_path / name) for name in ("a.npz", "b.npz"))
    assert all(np.array_equal(first.read(i).edge, second.read(i).edge) for i in range(40))


def test_folders_and_archives_of_files_have_classes_and_splits_by_their_paths(tmp_path):
    for name in ("train/ring/a.npz", "train/star/b.npz", "test/ring/c.npz"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        alone(tmp_path / "set" / name)
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(tmp_path / "set", "set")
    for source in (open_graphs(tmp_path / "set"), open_graphs(tmp_path / "set.tar")):
        assert source.classes == ("ring", "star")
        assert {name: len(rows) for name, rows in source.splits().items()} == {"train": 2, "test": 1}
        assert source.read(0).count == 5


def test_text_files_of_a_benchmark_number_from_1(tmp_path):
    files = {
        "graph_indicator": "1\n1\n1\n2\n2",
        "A": "1, 2\n2, 1\n4, 5\n5, 4",
        "graph_labels": "7\n9",
        "node_labels": "0\n1\n2\n0\n0",
        "node_attributes": "0.5, 1\n1, 1\n2, 2\n3, 3\n4, 4",
    }
    for name, text in files.items():
        (tmp_path / f"SET_{name}.txt").write_text(text + "\n")
    source = open_graphs(tmp_path)
    assert [source.read(i).count for i in range(2)] == [3, 2]
    assert source.read(1).edge.tolist() == [[0, 1], [1, 0]]
    assert source.read(1).attributes.tolist() == [[3, 3], [4, 4]]
    assert source.read(0).types.tolist() == [0, 1, 2]
    assert source.classes == ("7", "9")


def test_features_are_attributes_and_kinds_or_else_degrees_or_what_is_asked_for(tmp_path):
    many = make_graphs(tmp_path / "many.npz")
    assert (open_graphs(many).blocks, open_graphs(many).widths) == (("attributes", "types"), (2, 3))
    source = open_graphs(many, ["types", "degree"])
    most = max(int(np.bincount(source.read(i).edge[1]).max()) for i in range(40))
    assert source.widths == (3, most + 1)
    np.savez(tmp_path / "bare.npz", edge_index=ring(6))
    bare = open_graphs(tmp_path / "bare.npz")
    assert bare.blocks == ("degree",)
    card = inspect_graphs(bare)
    assert card.features(bare.read(0)).tolist() == [[0, 0, 1]] * 6
    with pytest.raises(ValueError, match=r"have no 'attributes'; --channels may name degree"):
        open_graphs(tmp_path / "bare.npz", ["attributes"])


def test_rows_of_0_and_1_are_divided_by_their_sum_and_other_columns_standardised(tmp_path):
    source = open_graphs(make_graph(tmp_path / "one.npz"))
    card = inspect_graphs(source)
    assert card.scaling == ("rows",)
    sums = card.features(source.read(0)).sum(1)
    assert set(sums.round(decimals=5).tolist()) <= {0.0, 1.0}  # a node may have no word at all
    many = open_graphs(make_graphs(tmp_path / "many.npz"))
    card = inspect_graphs(many)
    assert card.scaling == ("columns", "one")
    values = torch.cat([card.features(many.read(i)) for i in range(40)])
    torch.testing.assert_close(values[:, :2].mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(values[:, :2].std(0, unbiased=False), torch.ones(2), atol=1e-5, rtol=0)
    assert torch.equal(values[:, 2:].sum(1), torch.ones(len(values)))


def test_statistics_are_those_of_the_graphs_that_are_measured(tmp_path):
    source = open_graphs(make_graphs(tmp_path / "many.npz"))
    part = source.subset(range(10))
    own = np.concatenate([source.read(i).attributes for i in range(10)])
    assert inspect_graphs(part).mean == pytest.approx(own.mean(0, dtype=np.float64))
    assert inspect_graphs(part).count == 10


def test_a_card_says_what_it_knows_and_comes_back_from_json(tmp_path):
    edges = np.concatenate([ring(60), [[0, 5], [9, 5]]], 1)  # one edge that leads one way, and a loop
    card = inspect_graphs(open_graphs(make_graph(tmp_path / "one.npz", edge_index=edges)))
    assert GraphCard.from_json(card.to_json()) == card
    assert (card.loops, round(card.one_way * card.edges[0])) == (1, 1)
    text = card.to_text(GraphView())
    for words in ("60", "121", "lead one way", "1 loops left out", "2 of nodes (train 20, validation 20, test 20)"):
        assert words in text
    with pytest.raises(ValueError, match="unknown entry 'age'"):
        GraphCard.from_json({**json.loads(card.to_json()), "age": 3})
    assert "5 to 11 a graph" in inspect_graphs(open_graphs(make_graphs(tmp_path / "many.npz"))).to_text()


def test_graphs_of_different_sizes_share_a_batch(tmp_path):
    source = open_graphs(make_graphs(tmp_path / "many.npz"))
    card, view = inspect_graphs(source), GraphView()
    batch = next(iter(evaluation_batches(source, card, view, 8)))
    check_batch(batch)
    counts = [source.read(i).count for i in range(8)]
    assert batch["node_valid"].sum(1).tolist() == counts
    assert batch["edge_valid"].sum(1).tolist() == [source.read(i).edge.shape[1] for i in range(8)]
    assert not batch["node"][~batch["node_valid"]].any()
    assert batch["label"].tolist() == [0, 1] * 4
    first = list(TrainingStream(source, card, view, seed=3, batch=4, steps=5))
    later = list(TrainingStream(source, card, view, seed=3, batch=4, steps=5, start=3))
    assert torch.equal(first[3]["node"], later[0]["node"])


def test_labels_of_nodes_come_only_where_they_are_asked_for(tmp_path):
    source = open_graphs(make_graph(tmp_path / "one.npz", y_known=np.arange(60) != 7))
    card = inspect_graphs(source)
    assert "node_label" not in GraphView()(source.read(0), card)
    sample = GraphView(labels=True)(source.read(0), card)
    check_batch({key: value[None] for key, value in sample.items()})
    assert sample["node_label"][7] == -1


def test_graphs_that_cannot_be_used_are_named_and_the_others_kept(tmp_path):
    alone(tmp_path / "a.npz")
    alone(tmp_path / "b.npz", node_attr=np.full((5, 2), np.nan, np.float32))
    alone(tmp_path / "c.npz", edge_index=np.array([[0, 9], [1, 2]]))
    alone(tmp_path / "d.npz", node_attr=np.ones((0, 2), np.float32), edge_index=np.zeros((2, 0), int))
    (tmp_path / "e.npz").write_bytes(b"no archive")
    source = open_graphs(tmp_path)
    reasons = inspect_graphs(source).unreadable
    assert list(reasons) == ["b.npz", "c.npz", "d.npz", "e.npz"]
    assert "10 attribute(s) that are no number, the first of node 0" in reasons["b.npz"]
    assert reasons["c.npz"] == "has an edge to node 9 of 5"
    assert reasons["d.npz"] == "has no nodes"
    assert "is no readable .npz file" in reasons["e.npz"]
    with pytest.raises(Unreadable):
        source.read(1)


def test_graphs_without_edges_and_of_one_node_can_be_read(tmp_path):
    alone(tmp_path / "a.npz", edge_index=np.zeros((2, 0), np.int64))
    alone(tmp_path / "b.npz", count=1, edge_index=np.zeros((2, 0), np.int64))
    source = open_graphs(tmp_path)
    assert [source.read(i).count for i in range(2)] == [5, 1]
    batch = next(iter(evaluation_batches(source, inspect_graphs(source), GraphView())))
    assert batch["edge"].shape == (2, 2, 0)


def test_mistakes_get_one_sentence(tmp_path):
    np.savez(tmp_path / "none.npz", x=np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"holds x \[3, 2\] float64; a graph needs edge_index"):
        open_graphs(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError, match=r"does not exist; DATA is a \.npz"):
        open_graphs(tmp_path / "nowhere.npz")
    (tmp_path / "a.csv").write_text("1,2\n")
    with pytest.raises(ValueError, match="not a kind of file that holds graphs"):
        open_graphs(tmp_path / "a.csv")
    make_graph(tmp_path / "short.npz", y=np.zeros(7, np.int64))
    with pytest.raises(ValueError, match="has classes of 7 nodes, other arrays say 60"):
        open_graphs(tmp_path / "short.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"is not a readable \.npz file"):
        open_graphs(tmp_path / "broken.npz")
    (tmp_path / "mixed").mkdir()
    alone(tmp_path / "mixed" / "a.npz")
    alone(tmp_path / "mixed" / "b.npz", node_attr=np.ones((5, 3), np.float32))
    with pytest.raises(ValueError, match="nodes with 2 and 3 attributes"):
        open_graphs(tmp_path / "mixed")
    with pytest.raises(TypeError, match="pictures, not graphs"):
        whole_of(Source("somewhere", []), GraphSource)
    assert "shape (3, 2)" in graph_of(np.zeros((3, 2), int), 4).fault


def test_a_graph_with_other_nodes_than_the_card_knows_is_refused(tmp_path):
    card = inspect_graphs(open_graphs(make_graphs(tmp_path / "many.npz")))
    with pytest.raises(Unreadable, match="nodes with 12 attributes; the data set has 2"):
        card.features(open_graphs(make_graph(tmp_path / "one.npz")).read(0))


def test_changed_values_change_the_fingerprint_also_of_a_part(tmp_path):
    before = open_graphs(make_graph(tmp_path / "one.npz"))
    with np.load(tmp_path / "one.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays["x"][0, 0] = 1 - arrays["x"][0, 0]
    np.savez(tmp_path / "one.npz", **arrays)
    after = open_graphs(tmp_path / "one.npz")
    assert before.fingerprint() != after.fingerprint()
    assert before.subset([0]).fingerprint() != after.subset([0]).fingerprint()


def test_an_archive_is_read_in_place(tmp_path):
    data = io.BytesIO()
    alone(data)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("x/1.npz", "y/2.npz"):
            member = tarfile.TarInfo(name)
            member.size = len(data.getvalue())
            archive.addfile(member, io.BytesIO(data.getvalue()))
    assert [item.label for item in open_graphs(tmp_path / "a.tar").items] == ["x", "y"]
    assert not (tmp_path / "x").exists()
