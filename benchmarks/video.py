"""What reading clips of videos costs beyond PyAV: our reader against the fewest PyAV calls, side by side in one run.

Run: python benchmarks/video.py [VIDEO ...] [--rounds 5]
Without files it makes two, of 640x360 pixels and 300 frames, with key frames 12 and 250 frames apart. Every clip is 16
frames, 4 apart, at random moments; PyAV opens the file, seeks to the key frame before, decodes to the last frame and
makes RGB arrays of the wanted ones. First it checks that the frames are the same. Prints median ratios of the time with
their spread and writes benchmarks/results/video.json; a ratio up to 1.3 is the aim.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np

from unmask.data.video import open_video
from unmask.data.video_files import VideoFile
from unmask.data.video_views import clip_places

FRAMES, STRIDE, CLIPS, AIM = 16, 4, 8, 1.3


def plain(path: Path, places: Sequence[int], stamps: np.ndarray) -> np.ndarray:
    """The frames, by PyAV alone, when their times are known."""
    wanted, found = {int(stamps[place]) for place in places}, []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        container.seek(int(stamps[places[0]]), stream=stream)
        for frame in container.decode(stream):
            if frame.pts in wanted:
                found.append(frame.to_ndarray(format="rgb24"))
                if len(found) == len(places):
                    break
    return np.stack(found)


def made(folder: Path, every: int, frames: int = 300, size: tuple[int, int] = (360, 640)) -> Path:
    """A video of smooth noise that drifts."""
    generator = np.random.default_rng(0)
    small = generator.integers(0, 255, (size[0] // 8, size[1] // 8 + frames, 3), np.uint8)
    path = folder / f"every{every}.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size = every
        for number in range(frames):
            picture = small[:, number : number + size[1] // 8].repeat(8, 0).repeat(8, 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def compare(path: Path, rounds: int) -> dict[str, float | int | str]:
    """Ratios of the time of clips, ours over PyAV alone, in turns."""
    source = open_video(path)
    video = source.read(0)
    assert isinstance(video, VideoFile)
    stamps = video.index.stamps
    assert stamps is not None
    shares = np.random.default_rng(1).random(CLIPS)
    clips = [clip_places(video.times, video.count, FRAMES, STRIDE, float(share)) for share in shares]
    for clip in clips:
        assert np.array_equal(source.read(0).frames(clip), plain(path, clip, stamps))
    ratios, times = [], []
    for _ in range(rounds):
        ours = seconds(lambda: [source.read(0).frames(clip) for clip in clips])
        theirs = seconds(lambda: [plain(path, clip, stamps) for clip in clips])
        ratios.append(ours / theirs)
        times.append(theirs / CLIPS)
    return {
        "file": path.name,
        "size": f"{video.height}x{video.width}",
        "frames": video.count,
        "ratio": round(statistics.median(ratios), 3),
        "least": round(min(ratios), 3),
        "most": round(max(ratios), 3),
        "PyAV, ms a clip": round(1000 * statistics.median(times), 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        videos = options.videos or [made(Path(folder), every) for every in (12, 250)]
        rows = [compare(path, options.rounds) for path in videos]
    for row in rows:
        print(", ".join(f"{name} {value}" for name, value in row.items()))
    result = {"rows": rows, "aim": AIM, "cores": os.cpu_count(), "av": version("av")}
    place = Path(__file__).parent / "results" / "video.json"
    place.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(float(row["ratio"]) <= AIM for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
