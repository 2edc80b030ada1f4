"""Videos on real recordings: files and strips of the same scenes, trained, drawn, measured."""

import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from small_run import unmask, without_drawing  # noqa: F401
from small_video import NETWORK
from unmask.data.video import open_video
from unmask.data.video_card import inspect_videos
from unmask.data.views import centre_box, resize

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def archive(data_folder):
    return data_folder / "video_everyday.tar"


def test_the_card_knows_files_and_strips(archive):
    card = inspect_videos(open_video(f"{archive}::mp4"), None)
    assert card.kinds == {"h264": 12}
    assert card.rates == {"29.97": 9, "25": 2, "23.98": 1}
    assert (card.frames[0], card.frames[2], card.unreadable, card.still) == (48, 63, {}, ())
    assert inspect_videos(open_video(f"{archive}::frames16"), 20).kinds == {"strip": 20}


def test_frames_of_a_file_are_those_of_its_strip(archive):
    """The strips were made by another program, from frames at equal distances, 96 pixels high and JPEG-compressed."""
    import torch

    files = open_video(f"{archive}::mp4")
    for i in (0, 5, 11):
        video, name = files.read(i), files.items[i].name.split("/")[-1].removesuffix(".mp4")
        with tarfile.open(archive) as tar:
            strip = np.asarray(Image.open(tar.extractfile(f"video/frames16/noFight/{name}.jpg"))).reshape(16, 96, 96, 3)
        shown = video.frames(np.linspace(0, video.count - 1, 16).round().astype(int).tolist())
        top, left, height, width = centre_box(video.height, video.width, 1.0)
        part = torch.from_numpy(np.ascontiguousarray(shown[:, top : top + height, left : left + width]))
        small = resize(part.permute(0, 3, 1, 2).reshape(48, height, width), (96, 96)).reshape(16, 3, 96, 96)
        ours, theirs = small.permute(0, 2, 3, 1).float().numpy(), strip.astype(float)
        assert np.abs(ours - theirs).mean() < 8  # grey levels
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.97


@pytest.mark.slow
@pytest.mark.works("videomae")
def test_a_run_on_real_recordings_learns_and_is_drawn(archive, tmp_path, capsys):
    options = ["--steps", 12, "--batch", 16, "--lr", 1e-2, "--monitor-every", 12, "--quiet"]
    assert unmask("pretrain", archive, "--out", tmp_path / "run", *NETWORK, *options) == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    first, last = (row["loss"] for row in rows if row["kind"] == "held_out")
    assert last < first
    assert (tmp_path / "run" / "pictures" / "step-00000012.png").is_file()


@pytest.mark.slow
@pytest.mark.works("videomae")
@pytest.mark.usefixtures("without_drawing")
def test_the_direction_of_a_window_over_photographs_is_measured(data_folder, tmp_path, capsys):
    spec = f"moving:{data_folder / 'clothing10.tar'}"
    options = ["--steps", 4, "--batch", 16, "--limit", 100, "--monitor-every", 4, "--quiet"]
    assert unmask("pretrain", spec, "--out", tmp_path / "run", *NETWORK, *options) == 0
    capsys.readouterr()
    assert unmask("evaluate", tmp_path / "run", "--limit", 100, "--json") == 0
    assert json.loads(capsys.readouterr().out)["samples"] == {"train": 100, "validation": 100, "test": 100}
