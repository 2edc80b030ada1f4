"""The verbs on graphs: trained, taken up again, looked at, measured, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_graphs import NETWORK, make_graph, make_graphs, pretrain_graphs, ring
from small_run import unmask, without_drawing  # noqa: F401
from unmask.app.graph_plots import layout, near, within
from unmask.app.report import write_report
from unmask.app.runs import load, read_card
from unmask.data.graph_card import GraphCard
from whole_run import ends_alike

works = pytest.mark.works("graphmae")
OPTIONS = ["--steps", 4, "--save-every", 2, "--monitor-every", 4, "--log-every", 1]


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    """The folder of a run of four steps on one graph; not to be changed."""
    folder = tmp_path_factory.mktemp("one")
    assert pretrain_graphs(make_graph(folder / "one.npz"), folder / "run", *OPTIONS) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """The same on many graphs, by sums of neighbours and with norms over the batch."""
    folder = tmp_path_factory.mktemp("many")
    more = ["--set", "kind=gin", "--set", "norm=batch", "--batch", 8, "--lr", 0.01]
    assert pretrain_graphs(make_graphs(folder / "many.npz"), folder / "run", *OPTIONS, *more) == 0
    return folder / "run"


@works
@pytest.mark.parametrize(("kind", "width"), [("one", 12), ("many", 5)])
def test_a_run_holds_its_card_numbers_and_pictures(kind, width, request):
    run = request.getfixturevalue(kind)
    assert isinstance(read_card(run), GraphCard)
    assert json.loads((run / "config.json").read_text())["settings"]["channels"] == width
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    held = [row for row in rows if row["kind"] == "held_out"]
    assert [row["step"] for row in held] == [0, 4]
    assert all(np.isfinite(row[name]) for row in held for name in ("loss/reconstruction", "rankme", "feature_std"))
    assert len(list((run / "pictures").glob("*.png"))) == 2


@works
@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("kind", ["one", "many"])
def test_a_run_taken_up_from_its_middle_ends_with_the_same_bits(kind, request, tmp_path):
    run = request.getfixturevalue(kind)
    ends_alike(run, tmp_path / "again")


def test_inspect_says_what_training_would_do(one, capsys):
    assert unmask("inspect", one.parent / "one.npz", *NETWORK) == 0
    said = capsys.readouterr().out
    for words in ("2 of nodes", "none of it is held out", "0 and 1, every node's divided by their sum", "graphs/s"):
        assert words in said


@works
def test_runs_can_be_drawn(one, many, tmp_path):
    for run in (one, many):
        assert unmask("view", run, "--images", 2, "--out", tmp_path / "view.png") == 0
        assert min(Image.open(tmp_path / "view.png").size) > 300


@works
def test_nodes_of_one_graph_are_classified(one, tmp_path, capsys):
    own = Path(shutil.copytree(one, tmp_path / "run"))
    capsys.readouterr()
    assert unmask("evaluate", own, "--with", "node_classification", "--json") == 0
    found = json.loads(capsys.readouterr().out)["measures"]["node_classification"]
    assert found["nodes"] == {"train": 20, "validation": 20, "test": 20}
    assert found["scores"]["raw features averaged over 2 steps"]["linear"] > 0.7
    page = write_report(own).read_text()
    assert "raw features averaged over 2 steps" in page


@works
def test_whole_graphs_are_classified_in_folds_and_by_probes(many, tmp_path, capsys):
    own = Path(shutil.copytree(many, tmp_path / "run"))
    capsys.readouterr()
    assert unmask("evaluate", own, "--set", "folds=4", "--json") == 0
    found = json.loads(capsys.readouterr().out)["measures"]["graph_classification"]
    assert (found["graphs"], found["scores"]["network"]["count"]) == (40, 4)
    assert unmask("evaluate", own, "--with", "graph_classification", "--set", "folds=4", "--set", "readout=max") == 0
    assert "over 4 folds of 40 graphs" in capsys.readouterr().out
    assert unmask("evaluate", own, "--with", "linear") == 0


@works
def test_features_are_written_with_the_names_of_the_graphs(many, tmp_path):
    import pyarrow.parquet as parquet

    assert unmask("embed", many, "--out", tmp_path / "features.parquet") == 0
    table = parquet.read_table(tmp_path / "features.parquet").to_pydict()
    assert table["name"][0] == "many.npz[00]"
    assert (len(table["vector"]), len(table["vector"][0])) == (40, 8)
    assert load(many).features({**_batch(many)}).pooled.shape == (2, 8)


def _batch(run: Path) -> dict:
    from unmask.app.looking import batches_of, pictures_of

    loaded = load(run)
    return next(iter(batches_of(loaded, pictures_of(loaded, None), 2)))


def test_what_is_for_pictures_is_refused(many, tmp_path, sentence):
    assert "works on graphs, and finetune is for pictures" in sentence("finetune", many)
    assert "export to onnx is for pictures" in sentence("export", many, "--to", "onnx", "--out", tmp_path / "out")
    assert "view --masks is for pictures" in sentence("view", many, "--masks", "random")


def test_what_cannot_be_measured_is_said(one, many, tmp_path, sentence):
    assert "measure nodes: --with node_classification" in sentence("evaluate", one)
    assert "no classes of nodes" in sentence("evaluate", many, "--with", "node_classification")
    assert "readout 'median' is unknown" in sentence("evaluate", many, "--set", "readout=median")
    other = make_graph(tmp_path / "other.npz", x=np.ones((60, 3), np.float32))
    assert "have 3 attributes, the run was trained on 12" in sentence("evaluate", one, other)


def test_what_does_not_fit_is_refused_before_training(one, tmp_path, sentence):
    def refused(data, *more) -> str:
        return sentence("pretrain", data, "--out", tmp_path / "new", *NETWORK, "--steps", 2, "--quiet", *more)

    data = one.parent / "one.npz"
    assert "a mask given by hand is for pictures" in refused(data, "--mask", "random")
    assert "--fit pad is about pictures" in refused(data, "--fit", "pad")
    assert "have no 'types'" in refused(data, "--channels", "types")
    single = tmp_path / "single.npz"
    np.savez(single, edge_index=np.zeros((2, 0), int), node_ptr=np.arange(9), edge_ptr=np.zeros(9, int), y=np.arange(8))
    assert "has a single node; nothing can be hidden" in refused(single)


@pytest.mark.usefixtures("without_drawing")
def test_graphs_that_cannot_be_used_count_against_the_budget(tmp_path, sentence):
    folder = tmp_path / "set"
    folder.mkdir()
    for i in range(20):
        attributes = np.full((6, 2), np.nan if i == 3 else i, np.float32)
        np.savez(folder / f"{i:02d}.npz", edge_index=ring(6), node_attr=attributes)
    options = ["--steps", 20, "--monitor-every", 20, "--batch", 4]
    said = sentence("pretrain", folder, "--out", tmp_path / "a", *NETWORK, *options, "--quiet")
    assert "graphs cannot be used, more than the budget" in said
    assert pretrain_graphs(folder, tmp_path / "b", *options, "--bad-budget", 0.2) == 0
    assert "03.npz" in json.loads((tmp_path / "b" / "replaced.json").read_text())


def test_pictures_cannot_be_measured_as_graphs(finished, sentence):
    for name in ("node_classification", "graph_classification"):
        assert f"{name} needs a method that does" in sentence("evaluate", finished, "--with", name)


def test_of_a_large_graph_what_is_near_a_node_is_drawn():
    edge = ring(100)
    chosen = near(edge, 50, np.ones(100, bool), 7)
    assert chosen.tolist() == list(range(47, 54))
    assert within(edge, chosen).shape == (2, 12)
    place = layout(within(edge, chosen), 7)
    assert np.isfinite(place).all()
    ends = np.linalg.norm(place[0] - place[6])
    assert ends > np.linalg.norm(place[0] - place[1])
