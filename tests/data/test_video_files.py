"""Video files: any frame on request, by the time at which it is shown, and what cannot be read."""

import numpy as np
import pytest

from small_video import STEP, level, make_moving, make_video
from unmask.data.picture import Unreadable
from unmask.data.video_files import VideoFile


def numbers(frames: np.ndarray) -> list[int]:
    """Which frames these are, by their brightness."""
    return [round((float(frame.mean()) - level(0)) / STEP) for frame in frames]


def test_the_index_knows_frames_times_and_where_decoding_can_begin(tmp_path):
    import av

    path = make_video(tmp_path / "a.mp4", frames=12, every=5)
    index = VideoFile(path).index
    np.testing.assert_allclose(index.times, np.arange(12) / 25, atol=1e-6)
    with av.open(str(path)) as container:
        keys = [place for place, frame in enumerate(container.decode(video=0)) if frame.key_frame]
    assert len(keys) > 1
    assert index.keys.tolist() == keys
    assert (index.height, index.width, index.codec) == (32, 48, "h264")
    assert not index.variable
    assert index.period == pytest.approx(0.04)
    assert index.declared == 12


@pytest.mark.parametrize("places", [[0], [11], [3, 7, 11], [9, 2, 2, 6], [0, 60, 117], list(range(40))])
@pytest.mark.parametrize("every", [5, 50, 1000])
def test_any_frames_come_in_the_order_in_which_they_are_asked_for(tmp_path, places, every):
    video = VideoFile(make_video(tmp_path / "a.mp4", frames=120, every=every))
    found = video.frames(places)
    assert numbers(found) == [place * STEP % 224 // STEP for place in places]
    assert found.shape == (len(places), 32, 48, 3)


def test_bytes_are_read_as_the_file_and_a_known_index_is_used(tmp_path):
    path = make_video(tmp_path / "a.mp4")
    one = VideoFile(path)
    other = VideoFile(path.read_bytes(), one.index)
    assert other.index is one.index
    assert np.array_equal(one.frames([4, 8]), other.frames([4, 8]))


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.mkv", "libx264"), ("a.webm", "libvpx")])
def test_other_containers_are_read(tmp_path, name, codec):
    video = VideoFile(make_video(tmp_path / name, codec=codec))
    assert video.count == 12
    assert numbers(video.frames([0, 5, 11])) == [0, 5, 11]


def test_a_variable_rate_is_told_by_the_times(tmp_path):
    times = [0, 1, 2, 3, 10, 11, 12, 20]
    video = VideoFile(make_video(tmp_path / "a.mp4", frames=8, times=times))
    np.testing.assert_allclose(video.times, np.array(times) / 25, atol=1e-6)
    assert video.index.variable
    assert numbers(video.frames([4, 7])) == [4, 7]


def test_motion_vectors_point_the_way_that_things_move(tmp_path):
    field = VideoFile(make_moving(tmp_path / "a.mp4", step=4)).motion([0, 5])
    assert field.shape == (2, 4, 4, 2)
    assert np.isnan(field[0]).all()  # the key frame was coded from no other
    centre = field[1, 1:3, 2]  # within the square in frame 5
    assert np.nanmean(centre[..., 0]) > 3
    assert np.nanmax(np.abs(centre[..., 1])) < 1


def test_a_truncated_file_gives_a_reason(tmp_path):
    data = make_video(tmp_path / "a.mkv", frames=60, size=(64, 64)).read_bytes()
    (tmp_path / "half.mkv").write_bytes(data[: len(data) // 2])
    video = VideoFile(tmp_path / "half.mkv")
    assert 0 < video.count < 60
    with pytest.raises(Unreadable, match=f"has {video.count} frames; number 59 was asked for"):
        video.frames([59])
    (tmp_path / "half.mp4").write_bytes(make_video(tmp_path / "b.mp4").read_bytes()[:-200])
    with pytest.raises(Unreadable, match=r"holds no frame|cannot be decoded"):
        VideoFile(tmp_path / "half.mp4")


def test_files_without_a_frame_give_a_reason(tmp_path):
    import av

    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(Unreadable, match="cannot be decoded"):
        VideoFile(tmp_path / "text.mp4")
    with av.open(str(tmp_path / "none.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        container.start_encoding()
    with pytest.raises(Unreadable, match=r"holds no frame|cannot be decoded"):
        VideoFile(tmp_path / "none.mkv")
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(Unreadable, match="holds no moving pictures"):
        VideoFile(tmp_path / "sound.mkv")
