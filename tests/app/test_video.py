"""The verbs on videos: trained, taken up again, looked at, measured, and what is refused."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_run import make_pictures, unmask, without_drawing  # noqa: F401
from small_video import NETWORK, make_strips, make_video, pretrain_videos
from unmask.app.report import write_report
from unmask.app.runs import load, read_card
from unmask.data.video_card import VideoCard
from whole_run import ends_alike

works = pytest.mark.works("videomae")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Strips of two classes and two files."""
    folder = make_strips(tmp_path_factory.mktemp("videos"))
    for i in range(2):
        make_video(folder / f"class{i}" / f"file{i}.mp4", frames=8, size=(32, 32))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, data) -> Path:
    """The folder of a run of four steps; not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert pretrain_videos(data, out, "--steps", 4, "--save-every", 2, "--monitor-every", 4, "--log-every", 1) == 0
    return out


@works
def test_a_run_holds_its_card_numbers_and_pictures(run, data):
    card = read_card(run)
    assert isinstance(card, VideoCard)
    assert (card.origin, set(card.kinds), sum(card.kinds.values())) == (str(data), {"strip", "h264"}, 24)
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    held = [row for row in rows if row["kind"] == "held_out"]
    assert [row["step"] for row in held] == [0, 4]
    assert all(np.isfinite(row[name]) for row in held for name in ("loss", "beats/nearest", "rankme", "knn/02"))
    assert len(list((run / "pictures").glob("*.png"))) == 2


@works
@pytest.mark.usefixtures("without_drawing")
def test_a_run_taken_up_from_its_middle_ends_with_the_same_bits(run, tmp_path):
    ends_alike(run, tmp_path / "again")


def test_inspect_says_what_training_would_do(data, capsys):
    assert unmask("inspect", data, *NETWORK) == 0
    said = capsys.readouterr().out
    for words in (
        "26 (",
        "strip",
        "2 x h264",
        "clips of 4 frames, one after the other",
        "videos/s",
        "2: class0, class1",
    ):
        assert words in said


@works
def test_a_run_can_be_drawn_and_reported(run, tmp_path):
    assert unmask("view", run, "--images", 2, "--out", tmp_path / "view.png") == 0
    assert min(Image.open(tmp_path / "view.png").size) > 300
    assert "median 16x16" in write_report(Path(shutil.copytree(run, tmp_path / "run"))).read_text()


@works
def test_features_classify_and_are_written_with_names(run, tmp_path, capsys):
    import pyarrow.parquet as parquet

    own = Path(shutil.copytree(run, tmp_path / "run"))
    capsys.readouterr()
    assert unmask("evaluate", own, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [outcome["name"] for outcome in found["outcomes"]] == ["knn", "linear"]
    assert unmask("embed", run, "--out", tmp_path / "features.parquet") == 0
    table = parquet.read_table(tmp_path / "features.parquet").to_pydict()
    assert table["name"][0] == "class0/000.png"
    assert len(table["vector"][0]) == 16
    assert load(run).step == 4


@works
@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("mask", ["random", "frame"])
def test_other_masks_are_chosen_by_their_word(data, tmp_path, mask):
    assert pretrain_videos(data, tmp_path / "run", "--steps", 1, "--mask", mask, "--set", "ratio=0.5") == 0


@pytest.mark.usefixtures("without_drawing")
def test_a_moving_window_is_trained_on_and_its_direction_is_the_label(tmp_path, capsys):
    spec = f"moving:{make_pictures(tmp_path / 'photos', shape=(32, 32, 3))}"
    assert pretrain_videos(spec, tmp_path / "run", "--steps", 2) == 0
    capsys.readouterr()
    assert unmask("evaluate", tmp_path / "run", "--json") == 0
    assert "held out from train" in json.loads(capsys.readouterr().out)["note"]


def test_sizes_and_stride_follow_the_videos(tmp_path):
    from unmask.app.catalogue import builder
    from unmask.app.modalities.video import settings_of_data
    from unmask.core.assembly import arguments
    from unmask.data.video import open_video
    from unmask.data.video_card import inspect_videos

    make_video(tmp_path / "a.mp4", frames=40, size=(96, 128))
    known = arguments(builder("videomae"))
    card = inspect_videos(open_video(tmp_path))
    assert settings_of_data(card, known, {}) == {"image_size": 96, "patch_size": 8, "stride": 2}
    assert settings_of_data(card, known, {"frames": 4})["stride"] == 4


def test_what_does_not_fit_is_refused(run, data, tmp_path, sentence):
    def refused(data, *more) -> str:
        return sentence("pretrain", data, "--out", tmp_path / "new", *NETWORK, "--steps", 2, "--quiet", *more)

    assert "--fit pad is about pictures" in refused(data, "--fit", "pad")
    assert "videos are red, green and blue" in refused(data, "--channels", "red")
    assert "the longest video of" in refused(data, "--set", "frames=16")
    (tmp_path / "empty").mkdir()
    assert "holds no video; files that count are .mp4" in refused(tmp_path / "empty")
    assert "works on videos, and finetune is for pictures" in sentence("finetune", run)


def test_a_missing_library_is_named_in_one_sentence(data, sentence, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert sentence("inspect", data, *NETWORK) == "unmask: reading .mp4 needs PyAV: pip install 'unmask[video]'"


def test_unreadable_videos_are_left_out_and_named(run, data, tmp_path, capsys):
    other = Path(shutil.copytree(data, tmp_path / "videos"))
    (other / "class0" / "broken.mp4").write_text("no video")
    capsys.readouterr()
    assert unmask("embed", run, other, "--out", tmp_path / "features.npy") == 0
    assert "left out 1 videos that cannot be used: class0/broken.mp4" in capsys.readouterr().out
