"""The verbs on text: trained, taken up again, looked at, measured, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_run import unmask, without_drawing  # noqa: F401
from small_text import NETWORK, make_lines, make_text, pretrain_text, sentences
from unmask.app.report import write_report
from unmask.app.runs import load, read_card
from unmask.data.text_card import TextCard
from whole_run import ends_alike

works = pytest.mark.works("bow_dpr")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_text(tmp_path_factory.mktemp("text") / "sense.txt")


@pytest.fixture(scope="module")
def run(tmp_path_factory, data) -> Path:
    """The folder of a run of four steps; not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    options = ["--steps", 4, "--save-every", 2, "--monitor-every", 4, "--log-every", 1]
    assert pretrain_text(data, out, *options) == 0
    return out


@works
def test_a_run_holds_its_tokenizer_numbers_and_pictures(run, data):
    card = read_card(run)
    assert isinstance(card, TextCard)
    assert (card.origin, card.length, card.vocabulary) == (str(data), 24, 80)
    assert card.tokenizer.decode(card.tokenizer.encode(["The red cat"])[0].tolist()) == "the red cat"
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    held = [row for row in rows if row["kind"] == "held_out"]
    assert [row["step"] for row in held] == [0, 4]
    assert all(np.isfinite(row[name]) for row in held for name in ("loss/hidden_tokens", "loss/bag_of_words"))
    assert len(list((run / "pictures").glob("*.png"))) == 2
    settings = json.loads((run / "config.json").read_text())["settings"]
    assert (settings["reserved"], settings["mask_token"]) == (5, 4)


@works
@pytest.mark.usefixtures("without_drawing")
def test_a_run_taken_up_from_its_middle_ends_with_the_same_bits(run, tmp_path):
    ends_alike(run, tmp_path / "again")


@pytest.mark.usefixtures("without_drawing")
def test_changed_text_is_noticed_when_a_run_is_taken_up(tmp_path, sentence):
    data = make_text(tmp_path / "sense.txt")
    assert pretrain_text(data, tmp_path / "run", "--steps", 2, "--save-every", 1) == 0
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000002")
    data.write_text(data.read_text().replace("cat", "dog", 1))
    assert "has changed since the run began" in sentence("resume", tmp_path / "run", "--quiet")


def test_inspect_says_what_is_there_and_what_training_would_do(data, capsys):
    assert unmask("inspect", data, *NETWORK) == 0
    said = capsys.readouterr().out
    for words in (
        "tokens, median",
        "wordpiece, 80 tokens",
        "between [CLS] and [SEP]",
        "passages/s",
        "characters each",
    ):
        assert words in said


@works
def test_a_run_can_be_drawn(run, tmp_path):
    assert unmask("view", run, "--images", 2, "--out", tmp_path / "view.png") == 0
    assert min(Image.open(tmp_path / "view.png").size) > 100


@works
def test_features_are_written_with_the_names_of_the_passages(run, tmp_path):
    import pyarrow.parquet as parquet

    assert unmask("embed", run, "--out", tmp_path / "features.parquet") == 0
    table = parquet.read_table(tmp_path / "features.parquet").to_pydict()
    assert table["name"][0] == "sense.txt[0000]"
    assert len(table["vector"][0]) == 16


@works
def test_documents_are_found_for_queries(run, tmp_path, capsys):
    folder = tmp_path / "collection"
    documents = sentences(12, seed=3)
    make_lines(folder / "corpus.jsonl", [{"id": i, "text": text} for i, text in enumerate([*documents, ""])])
    make_lines(folder / "queries.jsonl", [{"id": i, "text": documents[i]} for i in range(3)])
    (folder / "qrels.tsv").write_text("query\tdoc\tgrade\n0\t0\t1\n1\t1\t3\n2\t2\t1\n2\t5\t0\n")
    own = Path(shutil.copytree(run, tmp_path / "run"))
    capsys.readouterr()
    assert unmask("evaluate", own, folder, "--with", "retrieval", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    scores = found["measures"]["retrieval"]["scores"]
    assert scores["vectors of the network"]["mrr@10"] == 1  # a query that is the document itself
    assert scores["shared words, BM25"]["mrr@10"] > 0.4
    assert "12" in found["note"]
    assert "shared words" in write_report(own).read_text()


@works
def test_labelled_text_can_be_probed(tmp_path, capsys):
    rows = [{"text": f"{word} {word} {line}", "label": word} for line in sentences(30) for word in ("cat", "tree")]
    data = make_lines(tmp_path / "a.jsonl", rows)
    assert pretrain_text(data, tmp_path / "run", "--epochs", 0) == 0
    capsys.readouterr()
    assert unmask("evaluate", tmp_path / "run", "--with", "knn", "--json") == 0
    assert json.loads(capsys.readouterr().out)["outcomes"][0]["test"] > 0.4


def test_what_does_not_fit_is_refused_before_training(data, run, tmp_path, sentence):
    def refused(data, *more) -> str:
        return sentence("pretrain", data, "--out", tmp_path / "new", *NETWORK, "--steps", 2, "--quiet", *more)

    assert "has no token that stands for what is hidden" in refused(data, "--set", "tokenizer=bytes")
    assert "tokenizer 'words' is unknown" in refused(data, "--set", "tokenizer=words")
    assert "--fit pad is about pictures" in refused(data, "--fit", "pad")
    assert "a mask given by hand is for pictures" in refused(data, "--mask", "random")
    assert "is not a kind of file that holds text" in refused(Path(__file__))
    assert "does not make new" in sentence("generate", run)
    assert "finetune is for pictures" in sentence("finetune", run)
    assert "retrieval needs DATA" in sentence("evaluate", run, "--with", "retrieval")
    assert "is no collection" in sentence("evaluate", run, tmp_path, "--with", "retrieval")


@pytest.mark.usefixtures("without_drawing")
def test_a_tokenizer_of_another_size_is_refused(data, tmp_path, sentence):
    from unmask.data.tokenizer import WordPieces

    path = tmp_path / "tokenizer.json"
    path.write_text(WordPieces.train([data.read_text()], 90).state)
    options = ["--set", f"tokenizer={path}", "--steps", 1, "--quiet", "--batch", 4]
    assert "vocabulary 80 is smaller than the tokenizer's 90" in sentence(
        "pretrain", data, "--out", tmp_path / "a", *NETWORK, *options
    )
    words = [word for word in NETWORK if word not in ("vocabulary=80",)]
    words.pop(words.index("--set"))
    assert unmask("pretrain", data, "--out", tmp_path / "b", *words, *options) == 0
    path.unlink()
    assert load(tmp_path / "b").card.tokenizer.size == 90


@pytest.mark.usefixtures("without_drawing")
def test_empty_documents_count_against_the_budget(tmp_path, sentence):
    rows = [{"text": line} for line in sentences(60)] + [{"text": ""}] * 3
    data = make_lines(tmp_path / "a.jsonl", rows)
    options = ["--steps", 8, "--monitor-every", 8]
    network = [*NETWORK, "--batch", 8, "--quiet"]
    said = sentence("pretrain", data, "--out", tmp_path / "a", *network, *options)
    assert "passages cannot be used, more than the budget" in said
    assert pretrain_text(data, tmp_path / "b", *options, "--bad-budget", 0.2) == 0
    assert json.loads((tmp_path / "b" / "replaced.json").read_text())


def test_text_for_a_method_of_pictures_and_pictures_for_retrieval_are_refused(tmp_path, sentence):
    from small_run import make_pictures, pretrain

    assert pretrain(make_pictures(tmp_path / "pictures"), tmp_path / "run", "--epochs", 0) == 0
    said = sentence("evaluate", tmp_path / "run", "--with", "retrieval")
    assert "mae does not work on text; retrieval needs a method that does" in said
