"""The verbs on activations: written by a run, looked at, trained on, reported, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from small_activations import make_activations
from small_run import make_pictures, pretrain, unmask, without_drawing  # noqa: F401
from unmask.app.report import write_report
from unmask.app.runs import read_card
from unmask.data.activation_card import ActivationCard

works = pytest.mark.works("topk_sae")
NETWORK = ["--method", "topk_sae", "--set", "latents=16", "--set", "k=2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, Path]:
    """Labelled activations, and a run on them; not to be changed."""
    folder = tmp_path_factory.mktemp("activations")
    data = make_activations(folder / "rows.parquet", labelled=True)
    options = ["--steps", 4, "--batch", 16, "--quiet", "--monitor-every", 4]
    assert unmask("pretrain", data, "--out", folder / "run", *NETWORK, *options) == 0
    return data, folder / "run"


@works
def test_a_run_holds_its_card_and_a_report_can_be_written(run):
    _, out = run
    card = read_card(out)
    assert isinstance(card, ActivationCard)
    assert (card.width, card.count, card.classes) == (12, 152, ("high", "low"))  # without the test and held-out rows
    assert list((out / "pictures").glob("*.png"))
    page = write_report(out).read_text()
    assert "activations" in page
    assert "steer" in page


def test_inspect_says_what_training_would_do(run, capsys):
    assert unmask("inspect", run[0], *NETWORK) == 0
    said = capsys.readouterr().out
    for words in ("of 12 numbers", "2: high, low", "activations/s", "parts of the data", "every vector as it is"):
        assert words in said


@works
def test_labelled_activations_can_be_probed(run, capsys):
    assert unmask("evaluate", run[1], "--with", "knn,sparsity", "--no-pixels") == 0
    said = capsys.readouterr().out
    assert "knn" in said
    assert "latents per activation" in said


@pytest.mark.usefixtures("without_drawing")
def test_tokens_of_a_run_become_activations(tmp_path, sentence):
    data = make_pictures(tmp_path / "pictures")
    assert pretrain(data, tmp_path / "host", "--epochs", 0) == 0
    assert unmask("embed", tmp_path / "host", "--tokens", "--out", tmp_path / "tokens.npy") == 0
    assert np.load(tmp_path / "tokens.npy").shape == (40, 16, 16)
    options = ["--steps", 2, "--batch", 16, "--quiet"]
    assert unmask("pretrain", tmp_path / "tokens.npy", "--out", tmp_path / "run", *NETWORK, *options) == 0
    assert read_card(tmp_path / "run").width == 16
    said = sentence("embed", tmp_path / "host", "--tokens", "--out", tmp_path / "tokens.parquet")
    assert "tokens are those of the last block, as a .npy file" in said


def test_what_does_not_fit_is_refused(run, tmp_path, sentence):
    data, out = run
    other = make_activations(tmp_path / "other.npy", width=5)
    assert "holds vectors of 5 numbers, the run was trained on 12" in sentence("evaluate", out, other)
    new = ["--out", tmp_path / "new", *NETWORK, "--steps", 2, "--quiet"]
    assert "width 5 is not that of the activations, 12" in sentence("pretrain", data, *new, "--set", "width=5")
    assert "--channels is about pictures" in sentence("pretrain", data, *new, "--channels", "a")
    assert "--fit pad is about pictures" in sentence("pretrain", data, *new, "--fit", "pad")
    assert "a mask given by hand is for pictures" in sentence("pretrain", data, *new, "--mask", "random")
    assert "works on activations, and finetune is for pictures" in sentence("finetune", out)
    assert "has no places" in sentence("embed", out, "--tokens", "--out", tmp_path / "x.npy")
    assert "is not a .npy file" in sentence("steer", out, "--latent", 0, "--out", tmp_path / "x.csv")


@pytest.mark.usefixtures("without_drawing")
def test_broken_activations_count_against_the_budget(tmp_path, sentence):
    data = make_activations(tmp_path / "rows.npy", broken=20)
    options = ["--batch", 16, "--steps", 10, "--quiet", "--monitor-every", 10]
    said = sentence("pretrain", data, "--out", tmp_path / "a", *NETWORK, *options)
    assert "activations cannot be used, more than the budget" in said
    assert unmask("pretrain", data, "--out", tmp_path / "b", *NETWORK, *options, "--bad-budget", 0.2) == 0


@pytest.mark.usefixtures("without_drawing")
def test_a_method_without_latents_cannot_be_steered_or_measured(tmp_path, sentence):
    data = make_pictures(tmp_path / "pictures")
    assert pretrain(data, tmp_path / "run", "--epochs", 0) == 0
    assert "has no directions" in sentence("steer", tmp_path / "run", "--latent", 0, "--out", tmp_path / "x.npy")
    assert "has no latents" in sentence("evaluate", tmp_path / "run", "--with", "sparsity")
