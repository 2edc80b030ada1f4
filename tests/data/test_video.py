"""Videos as samples: files and strips, clips by time, the card, windows that move over photographs."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from small_run import make_pictures
from small_video import STEP, level, make_strip, make_strips, make_video
from unmask.core import check_batch
from unmask.data.evaluation import evaluation_batches
from unmask.data.loading import TooManyUnreadable
from unmask.data.moving import DIRECTIONS, FRAMES
from unmask.data.picture import RGB, Picture, Unreadable
from unmask.data.stream import TrainingStream
from unmask.data.video import Strip, open_video
from unmask.data.video_card import VideoCard, inspect_videos
from unmask.data.video_views import VideoView, clip_places

CARD = VideoCard("here", "", 1, (), {}, (0.0,) * 3, (255.0,) * 3, (0.0,) * 3, (1.0,) * 3, ((32, 32),) * 3, (8, 8, 8))
EVEN = np.arange(30) / 25


@pytest.fixture
def folder(tmp_path):
    for name in ("train/a/one.mp4", "train/b/two.mp4"):
        make_video(tmp_path / "set" / name, frames=20)
    make_strip(tmp_path / "set" / "test" / "a" / "three.png")
    return tmp_path / "set"


@pytest.mark.parametrize("times", [None, EVEN, np.round(EVEN * 1000) / 1000])
def test_clips_of_an_even_rate_are_every_so_many_frames(times):
    assert clip_places(times, 30, 4, 3, 0.0) == [0, 3, 6, 9]
    assert clip_places(times, 30, 4, 3, 0.9999) == [20, 23, 26, 29]
    assert clip_places(times, 30, 4, 3, 0.5) == [10, 13, 16, 19]


def test_clips_of_a_variable_rate_are_chosen_by_time():
    times = np.array([0, 1, 2, 3, 4, 5, 14, 15, 16, 17, 18, 19]) / 25  # nine frames are missing
    assert clip_places(times, 12, 4, 4, 0.0) == [0, 4, 5, 5]  # moments 0, 4, 8 and 12: frame 5 is still shown
    assert clip_places(times, 12, 4, 2, 0.5) == [3, 5, 5, 5]


def test_the_stride_shrinks_where_a_video_is_too_short_and_too_few_frames_are_refused():
    assert clip_places(None, 8, 4, 4, 0.0) == [0, 2, 4, 6]
    assert clip_places(None, 4, 4, 4, 0.9) == [0, 1, 2, 3]
    assert clip_places(None, 5, 1, 4, 0.9) == [4]
    with pytest.raises(Unreadable, match=r"has 3 frame\(s\), a clip needs 4"):
        clip_places(None, 3, 4, 1, 0.0)


def test_a_clip_holds_the_frames_in_their_order(folder):
    source = open_video(folder)
    card = inspect_videos(source)
    sample = VideoView(4, 2, 32)(source.read(1), card)["video"]
    assert sample.shape == (3, 4, 32, 32)
    shown = card.restore(sample).mean((0, 2, 3))
    places = clip_places(None, 20, 4, 2, 0.5)
    torch.testing.assert_close(shown, torch.tensor([float(level(p)) for p in places]), atol=STEP / 3, rtol=0)
    check_batch({"video": sample[None]})


def test_a_batch_for_evaluation_holds_the_clips_as_they_are_shown(folder):
    source = open_video(folder)
    card, view = inspect_videos(source), VideoView(4, 2, 16)
    (batch,) = evaluation_batches(source, card, view, 8)
    shown = torch.stack([view(source.read(int(index)), card)["video"] for index in batch["index"]])
    assert torch.equal(batch["video"], shown)
    assert card.restore(shown).mean() > 10, "standardised once, not twice"


def test_training_draws_the_same_clips_in_the_same_order_wherever_it_begins(folder):
    source = open_video(folder)
    training = source.subset(source.splits()["train"])
    card, view = inspect_videos(training), VideoView(4, 2, 16, crop=(0.3, 1.0))
    options = {"seed": 1, "batch": 2, "steps": 4}
    first, second = (list(TrainingStream(training, card, view, **options)) for _ in range(2))
    assert all(torch.equal(a["video"], b["video"]) for a, b in zip(first, second, strict=True))
    later = next(iter(TrainingStream(training, card, view, start=3, **options)))
    assert torch.equal(later["video"], first[3]["video"])
    ahead = list(TrainingStream(training, card, view, workers=1, **options))
    torch.testing.assert_close(ahead[2]["video"], first[2]["video"])
    assert not torch.equal(first[0]["video"], first[1]["video"])


def test_all_frames_of_a_clip_have_one_crop():
    strip = np.tile(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8), (8, 1, 1))
    view = VideoView(4, 1, 16, crop=(0.3, 0.6), flip=True)
    drawn = view.draw(Strip(Picture(strip, RGB)), CARD, torch.Generator().manual_seed(3))["video"]
    assert all(torch.equal(drawn[:, 0], drawn[:, t]) for t in range(4))


def test_the_card_says_what_there_is_and_comes_back_from_json(folder):
    (folder / "train" / "a" / "broken.mp4").write_text("no video")
    make_video(folder / "train" / "b" / "uneven.mp4", frames=6, times=[0, 1, 2, 9, 10, 11])
    card = inspect_videos(open_video(folder), None)
    assert VideoCard.from_json(card.to_json()) == card
    assert (card.count, card.measured, card.frames) == (5, 5, (6, 14, 20))
    assert card.kinds == {"h264": 3, "strip": 1}
    assert card.rates == {"25": 2, "untimed": 1, "variable": 1}
    assert card.splits == {"test": 1, "train": 4}
    assert card.sizes[2] == (32, 48)
    assert list(card.unreadable) == ["train/a/broken.mp4"]
    text = card.to_text(VideoView(16, 4, 32))
    for words in (
        "5 (",
        "2: a, b",
        "3 x h264, 1 x strip",
        "6 to 20, median 14",
        "2 x 25",
        "1 x variable",
        "fewer than 16 frames are refused",
        "chosen by the time",
        "broken.mp4 cannot be decoded",
        "red",
    ):
        assert words in text
    with pytest.raises(ValueError, match="unknown entry 'age'"):
        VideoCard.from_json({**json.loads(card.to_json()), "age": 3})


def test_a_video_in_which_nothing_moves_is_named(tmp_path):
    Image.fromarray(np.full((64, 16, 3), 7, np.uint8)).save(tmp_path / "still.png")
    make_strip(tmp_path / "moves.png")
    assert inspect_videos(open_video(tmp_path)).still == ("still.png",)


@pytest.mark.parametrize(
    ("shape", "words"), [((30, 20, 3), "is no strip of frames"), ((20, 20, 3), "is no strip of frames")]
)
def test_a_picture_that_is_no_strip_is_refused(tmp_path, shape, words):
    Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(Unreadable, match=words):
        open_video(tmp_path).read(0)
    with pytest.raises(ValueError, match=r"none of 1 videos of .* can be read; a\.png has"):
        inspect_videos(open_video(tmp_path))


def test_unreadable_videos_count_against_the_budget_and_are_named(folder):
    (folder / "train" / "a" / "broken.mp4").write_text("no video")
    source = open_video(folder)
    card = inspect_videos(source)
    stream = TrainingStream(source, card, VideoView(4, 1, 16), seed=0, batch=4, steps=3, budget=1.0)
    assert [len(batch["video"]) for batch in stream] == [4, 4, 4]
    assert list(stream.faults) == ["train/a/broken.mp4"]
    with pytest.raises(TooManyUnreadable, match="1 of 4 videos cannot be used"):
        list(evaluation_batches(source, card, VideoView(4, 1, 16)))


def test_a_moving_window_shows_one_direction_and_stays_on_the_photograph(tmp_path):
    make_pictures(tmp_path / "photos", count=30, shape=(32, 48, 3))
    source, again = (open_video(f"moving:{tmp_path / 'photos'}") for _ in range(2))
    assert source.classes == tuple(DIRECTIONS)
    assert len(set(map(source.label, range(30)))) > 4
    for i in range(30):
        clip = source.read(i)
        assert (clip.count, clip.height, clip.width) == (FRAMES, 16, 16)
        assert clip.frames(range(FRAMES)).shape == (FRAMES, 16, 16, 3)
        down, right = DIRECTIONS[source.items[i].label]
        moved = clip.tops[-1] - clip.tops[0], clip.lefts[-1] - clip.lefts[0]
        assert np.sign(moved).tolist() == [down, right]
        assert min(clip.tops.min(), clip.lefts.min()) >= 0
        assert max(clip.tops.max() - 16, clip.lefts.max() - 32) <= 0
        assert np.array_equal(clip.tops, again.read(i).tops)


def test_a_photograph_that_is_too_small_to_move_over_is_refused(tmp_path):
    make_pictures(tmp_path / "photos", count=2, shape=(8, 8, 3))
    with pytest.raises(Unreadable, match="too few for a window to move over"):
        open_video(f"moving:{tmp_path / 'photos'}").read(0)


def test_strips_in_folders_have_classes(tmp_path):
    source = open_video(make_strips(tmp_path / "strips", count=4))
    assert source.classes == ("class0", "class1")
    assert [source.label(i) for i in range(4)] == [0, 0, 1, 1]
    assert source.noun == "videos"
    assert inspect_videos(source.subset([1, 2])).count == 2
