"""The verbs on discrete data: one method on text and on pictures, what it invents, and how likely data is to it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_run import make_pictures, unmask, without_drawing  # noqa: F401
from small_text import make_text
from unmask.app.modality import kind_of
from unmask.app.report import write_report
from unmask.app.runs import read_card, read_config
from unmask.data.card import DataCard
from unmask.data.text_card import TextCard
from whole_run import ends_alike

works = pytest.mark.works("md4")
SIZES = {"features": 8, "sampling_steps": 4, "sampling_grid": "uniform"}
NETWORK = ["--method", "md4", "--model", "16x1x2", "--batch", "8", "--quiet"]
NETWORK += [word for name, value in SIZES.items() for word in ("--set", f"{name}={value}")]
STEPS = ["--steps", 4, "--save-every", 2, "--monitor-every", 4]


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    data = make_text(folder / "sense.txt", 20)
    assert unmask("pretrain", data, "--out", folder / "run", *NETWORK, "--set", "length=32", *STEPS) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    data = make_pictures(folder / "data", 24, (4, 4, 3))
    assert unmask("pretrain", data, "--out", folder / "run", *NETWORK, *STEPS) == 0
    return folder / "run"


def test_the_kind_of_data_is_told_by_the_files(tmp_path):
    assert kind_of("md4", make_text(tmp_path / "a" / "b.txt")) == "text"
    assert kind_of("md4", tmp_path / "a") == "text"
    assert kind_of("md4", make_pictures(tmp_path / "c", 2)) == "image"
    assert kind_of("md4", "digits") == "image"
    assert kind_of("mae", tmp_path / "a") is None


@works
def test_a_run_notes_which_kind_it_is_of(text, pictures):
    assert (read_config(text).kind, read_config(pictures).kind) == ("text", "image")
    assert isinstance(read_card(text), TextCard)
    assert isinstance(read_card(pictures), DataCard)
    settings = read_config(pictures).settings
    assert (settings["vocabulary"], settings["image_size"], settings["channels"]) == (256, 4, 3)
    assert np.allclose(settings["levels_mean"], read_card(pictures).mean)
    assert read_config(text).settings["vocabulary"] == read_card(text).vocabulary


@works
@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("which", ["text", "pictures"])
def test_a_run_taken_up_from_its_middle_ends_with_the_same_bits(which, request, tmp_path):
    run = request.getfixturevalue(which)
    ends_alike(run, tmp_path / "again")


@works
def test_text_is_written(text, tmp_path):
    assert unmask("generate", text, "--count", 3, "--device", "cpu") == 0
    whole = (text / "samples.txt").read_text()
    assert whole.count("--------") == 2
    assert unmask("generate", text, "--count", 2, "--out", tmp_path / "out") == 0
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["0.txt", "1.txt"]
    assert whole.startswith(files[0].read_text().rstrip("\n"))
    card = read_card(text)
    assert set(files[0].read_text()) <= {*card.tokenizer.alphabet, "\ufffd", "\n"}


@works
def test_pictures_are_drawn(pictures, tmp_path):
    assert unmask("generate", pictures, "--count", 4, "--out", tmp_path / "out") == 0
    values = np.asarray(Image.open(tmp_path / "out" / "0.png"))
    assert values.shape == (4, 4, 3)


@works
@pytest.mark.parametrize("which", ["text", "pictures"])
def test_what_a_run_hides_and_predicts_can_be_seen(which, request, tmp_path):
    run = request.getfixturevalue(which)
    assert unmask("view", run, "--images", 2, "--out", tmp_path / "view.png") == 0
    assert min(Image.open(tmp_path / "view.png").size) > 100


@works
@pytest.mark.parametrize(("which", "noun", "most"), [("text", "passages", 6), ("pictures", "pictures", 9)])
def test_the_likelihood_is_in_bits_of_a_value(which, noun, most, request, tmp_path, capsys):
    run = Path(shutil.copytree(request.getfixturevalue(which), tmp_path / "run"))
    capsys.readouterr()
    assert unmask("evaluate", run, "--with", "likelihood", "--limit", 4, "--set", "samples=8", "--json") == 0
    found = json.loads(capsys.readouterr().out)["measures"]["likelihood"]
    assert found["samples"] == 8
    assert 2 < found["bits_per_dim"] < most
    assert noun in write_report(run).read_text()


def test_a_file_of_another_kind_is_refused(text, pictures, capsys):
    for run, word in ((text, ".txt"), (pictures, ".png")):
        assert unmask("generate", run, "--out", "x.jpg") != 0
        assert f"x.jpg is neither a {word} file nor a folder" in capsys.readouterr().err


def test_pixels_that_are_not_of_8_bits_are_refused(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(20, 4, 4, 3)).astype(np.float32))
    assert unmask("pretrain", tmp_path / "a.npy", "--out", tmp_path / "run", *NETWORK, *STEPS) != 0
    assert "discrete pixels are of 8 bits" in capsys.readouterr().err
