"""New pictures of a run: the same for a seed, on one sheet or one by one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from small_run import make_pictures, unmask
from unmask.app.generating import generate, samples
from unmask.app.looking import view
from unmask.app.pictures import tiled
from unmask.app.runs import load
from unmask.methods.wae import tiny


@pytest.fixture(scope="module")
def inventor(tmp_path_factory) -> Path:
    """A run of a method that makes pictures."""
    folder = tmp_path_factory.mktemp("inventor")
    data = make_pictures(folder / "data")
    settings = [word for pair in ("width=8", "latent=3", "layers=2") for word in ("--set", pair)]
    options = ["--method", "wae", "--steps", 2, "--batch", 8, "--quiet", *settings]
    assert unmask("pretrain", data, "--out", folder / "run", *options) == 0
    return folder / "run"


def test_sizes_channels_and_range_follow_from_the_data(inventor):
    loaded = load(inventor)
    settings, card = loaded.config.settings, loaded.card
    assert (settings["image_size"], settings["channels"]) == (16, 3)
    darkest = [(low - mean) / std for low, mean, std in zip(card.minimum, card.mean, card.std, strict=True)]
    assert settings["pixels_darkest"] == pytest.approx(darkest)
    black = torch.tensor(darkest).reshape(1, 3, 1, 1)
    torch.testing.assert_close(loaded.method.pixels(black), torch.zeros(1, 3, 1, 1), atol=1e-6, rtol=0)


def test_a_seed_gives_the_same_sheet_and_another_seed_another(inventor, tmp_path):
    paths = [
        generate(inventor, count=5, seed=seed, out=tmp_path / f"{n}.png", device="cpu")
        for n, seed in enumerate((0, 0, 1))
    ]
    sheets = [np.asarray(Image.open(path)) for path in paths]
    assert np.array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0], sheets[2])
    assert sheets[0].shape == (2 * 66 + 2, 3 * 66 + 2, 3)  # three columns of 16 pixels, four times as large
    assert generate(inventor, count=1) == inventor / "samples.png"


def test_a_folder_gets_one_picture_each(inventor, tmp_path):
    generate(inventor, count=11, out=tmp_path / "many")
    names = sorted(path.name for path in (tmp_path / "many").iterdir())
    assert names == [f"{n:02d}.png" for n in range(11)]
    assert Image.open(tmp_path / "many" / "00.png").size == (16, 16)


def test_more_pictures_begin_with_the_same_ones():
    method, _ = tiny()
    assert torch.equal(samples(method, 70)[:3], samples(method, 3))
    assert method.training


def test_tiles_are_in_reading_order_on_white():
    image = torch.zeros(3, 3, 1, 1) + torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1, 1)
    sheet = tiled(image, 2, gap=1)
    assert sheet.shape == (3, 5, 5)
    torch.testing.assert_close(sheet[0, 1, 1::2], torch.tensor([0.1, 0.2]))
    torch.testing.assert_close(sheet[0, 3, 1::2], torch.tensor([0.3, 1.0]))


def test_view_draws_what_is_kept_and_what_is_invented(inventor, tmp_path):
    path = view(inventor, out=tmp_path / "view.png", images=1)
    assert np.asarray(Image.open(path)).std() > 0
    pictures = inventor / "pictures"
    assert [p.name for p in sorted(pictures.iterdir())][-1] == "step-00000002.png"


def test_mistakes_give_one_sentence(inventor, finished, capsys):
    for arguments, words in (
        ([inventor, "--count", 0], "count 0 must be at least 1"),
        ([inventor, "--out", "x.jpg"], "neither a .png file nor a folder"),
        ([finished], "mae does not make new pictures"),
    ):
        assert unmask("generate", *arguments) == 2
        assert words in capsys.readouterr().err
    assert unmask("analyse", inventor) == 2
    assert "no encoder of tokens" in capsys.readouterr().err
    assert unmask("evaluate", inventor, "--with", "likelihood") == 2
    assert "does not say how likely" in capsys.readouterr().err
