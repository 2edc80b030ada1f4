"""Point clouds: files of every kind, many clouds in one file, what is refused, views and the card."""

import io
import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest
import torch

from small_points import make_clouds
from unmask.core import check_batch
from unmask.data.cache import SampleCache
from unmask.data.cloud import Cloud, cloud_of
from unmask.data.cloud_files import read_cloud
from unmask.data.evaluation import evaluation_batches
from unmask.data.loading import TooManyUnreadable
from unmask.data.picture import Unreadable
from unmask.data.points import CloudArrays, open_points
from unmask.data.points_card import PointsCard, inspect_points
from unmask.data.points_views import PointsView, drawn, unit_sphere
from unmask.data.stream import TrainingStream

POINTS = np.random.default_rng(0).normal(size=(30, 3)).round(2)
FAR = np.array([500_000.0, 4_000_000.0, 0.0])
ZEROS, ONES = (0.0,) * 3, (1.0,) * 3
CARD = PointsCard("here", "0", 1, (), {}, (30, 30, 30), ONES, ZEROS, ONES, ZEROS, ONES)


def ply(points: np.ndarray, text: bool = False) -> bytes:
    from plyfile import PlyData, PlyElement

    rows = np.zeros(len(points), dtype=[("red", "u1"), ("x", "f8"), ("y", "f8"), ("z", "f8")])
    rows["x"], rows["y"], rows["z"] = points.T
    stream = io.BytesIO()
    PlyData([PlyElement.describe(rows, "vertex")], text=text).write(stream)
    return stream.getvalue()


def las(points: np.ndarray) -> bytes:
    import laspy

    header = laspy.LasHeader(point_format=0)
    header.scales, header.offsets = [0.01] * 3, [500_000.0, 4_000_000.0, 0.0]
    cloud = laspy.LasData(header)
    cloud.x, cloud.y, cloud.z = points.T
    stream = io.BytesIO()
    cloud.write(stream)
    return stream.getvalue()


def table(points: np.ndarray, names=("intensity", "X", "Y", "Z")) -> bytes:
    stream = io.BytesIO()
    columns = [np.arange(len(points)), *points.T]
    feather.write_feather(pa.table(dict(zip(names, columns, strict=True))), stream)
    return stream.getvalue()


def array(points: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, points)
    return stream.getvalue()


def arrays(**given) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **given)
    return stream.getvalue()


def text(points: np.ndarray, between: str = " ") -> bytes:
    return "\n".join(["# x y z", *(between.join(map(str, row)) for row in points)]).encode()


FILES = {
    "a.ply": ply(POINTS),
    "text.ply": ply(POINTS, text=True),
    "b.las": las(POINTS + FAR),
    "c.feather": table(POINTS),
    "d.npy": array(np.hstack([POINTS, POINTS])),
    "e.npz": arrays(points=POINTS, other=np.zeros(3)),
    "f.xyz": text(POINTS),
    "g.pts": text(POINTS, ", "),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_every_kind_hold_the_same_points(name):
    shift = FAR if name.endswith("las") else 0 * FAR
    np.testing.assert_allclose(read_cloud(FILES[name]).points - shift, POINTS, atol=1e-6)


def test_far_coordinates_keep_their_digits():
    """Metres of a national grid, as laser scans have them, in float32 would be steps of half a metre."""
    view = PointsView(30, moved=False)
    far, near = (view(cloud_of(POINTS + shift), CARD)["points"] for shift in (4e6, 0.0))
    torch.testing.assert_close(far, near, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\xff\xd8\xff", "is no file of points"),
        (ply(POINTS)[:200], "cannot be decoded"),
        (las(POINTS)[:100], "cannot be decoded"),
        (FILES["c.feather"][:60], "cannot be decoded"),
        (b"1 2 x", "cannot be decoded"),
        (b"1 2\n3 4", r"is an array \[2, 2\]"),
        (array(np.array(["a", "b"])), "is an array"),
        (arrays(normals=POINTS), "holds the arrays normals"),
        (table(POINTS, ("t", "u", "v", "w")), "has no columns x, y and z; it has t, u, v, w"),
        (array(POINTS[:0]), r"has 0 point\(s\)"),
        (array(POINTS[:1]), r"has 1 point\(s\); at least 2"),
        (array(np.ones((9, 3))), "has 9 points, all at one place"),
        (array(np.full((9, 3), np.nan)), r"has 0 point\(s\) after leaving out 9"),
    ],
)
def test_what_cannot_be_used_says_why(data, words):
    with pytest.raises(Unreadable, match=words):
        read_cloud(data)


def test_a_compressed_scan_says_what_unpacks_it():
    data = bytearray(las(POINTS))
    data[104] |= 0x80  # the bit of a compressed point format
    with pytest.raises(Unreadable, match=r"is compressed, which laspy unpacks with lazrs"):
        read_cloud(bytes(data))


@pytest.mark.parametrize(("name", "library"), [("a.ply", "plyfile"), ("b.las", "laspy")])
def test_a_missing_library_is_named_with_the_extra_that_brings_it(monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"reading \.\w+ needs {library}: pip install 'unmask\[points\]'"):
        read_cloud(FILES[name])


def test_points_that_are_not_numbers_are_left_out_and_counted():
    points = POINTS.copy()
    points[3, 1], points[7, 0] = np.nan, np.inf
    found = cloud_of(points)
    assert (len(found.points), found.lost) == (28, 2)


def test_folders_and_archives_name_classes_and_parts(tmp_path, make):
    names = [f"{part}/{kind}/{i}.npy" for part in ("train", "test") for kind in ("chair", "table") for i in range(2)]
    files = {name: array(POINTS + i) for i, name in enumerate(names)}
    for name, data in files.items():
        (tmp_path / "clouds" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clouds" / name).write_bytes(data)
    make.write_tar(tmp_path / "clouds.tar", files)
    for source in (open_points(tmp_path / "clouds"), open_points(tmp_path / "clouds.tar")):
        assert source.classes == ("chair", "table")
        assert {part: len(places) for part, places in source.splits().items()} == {"train": 4, "test": 4}
        np.testing.assert_array_equal(source.subset([1]).read(0).points, source.read(1).points)
        assert source.noun == source.subset([0]).noun == "clouds"


def test_many_clouds_in_one_file_have_the_classes_and_parts_of_its_arrays(tmp_path):
    source = open_points(make_clouds(tmp_path / "shapes.npz"))
    assert isinstance(source, CloudArrays)
    assert source.classes == ("ball", "rod")
    assert source.items[3].name == "shapes.npz[03]"
    assert len(source.read(4).points) == 84
    counts = {part: len(places) for part, places in source.splits().items()}
    assert counts == {"train": 28, "validation": 4, "test": 8}
    tests = source.subset(source.splits()["test"])
    assert sorted(tests.label(i) for i in range(8)) == [0] * 4 + [1] * 4


def test_a_stack_of_clouds_may_name_its_parts(tmp_path):
    stack = np.stack([POINTS + i for i in range(3)])
    np.savez(tmp_path / "a.npz", points=stack, label=["x", "y", "x"], split=["train", "val", "test"])
    source = open_points(tmp_path / "a.npz")
    assert source.classes == ("x", "y")
    assert source.splits() == {"train": [0], "validation": [1], "test": [2]}
    np.save(tmp_path / "b.npy", stack)
    assert len(open_points(tmp_path / "b.npy")) == 3
    np.savez(tmp_path / "c.npz", first=stack, second=stack[:2])
    assert len(open_points(f"{tmp_path / 'c.npz'}::second")) == 2


def test_a_file_of_one_cloud_is_one_sample(tmp_path):
    (tmp_path / "a.npz").write_bytes(FILES["e.npz"])
    source = open_points(tmp_path / "a.npz")
    assert len(source) == 1
    np.testing.assert_array_equal(source.read(0).points, POINTS)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ptr": [0, 10, 30], "points": POINTS, "y": [0, 1, 2]}, "y of .* holds 3 labels for 2 clouds"),
        ({"ptr": [0, 10, 29], "points": POINTS}, "ptr of .* does not rise from 0 to the 30 points"),
        ({"ptr": [0, 20, 10, 30], "points": POINTS}, "does not rise"),
        ({"ptr": [0, 10, 30], "points": POINTS, "y": [0, 5], "class_names": ["a", "b"]}, "there are 2 names"),
        ({"ptr": [0, 10, 30], "points": POINTS, "split": ["train", "hidden"]}, "the unknown part 'hidden'"),
        ({"points": POINTS[:, :2]}, r"holds points \[30, 2\] float64; points \[k, n, 3\]"),
        ({"normals": POINTS}, r"holds normals \[30, 3\]"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused_with_one_sentence(tmp_path, given, words):
    np.savez(tmp_path / "a.npz", **{name: np.array(value) for name, value in given.items()})
    with pytest.raises(ValueError, match=words):
        open_points(tmp_path / "a.npz")


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        open_points(tmp_path / "none.npz")
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"holds no clouds; files that count are \.ply"):
        open_points(tmp_path)


def test_changed_values_change_the_fingerprint_also_of_a_part(tmp_path):
    path = make_clouds(tmp_path / "shapes.npz")
    before = open_points(path).subset([0, 1])
    arrays = dict(np.load(path))
    arrays["points"][-1] += 1
    np.savez(path, **arrays)
    assert open_points(path).subset([0, 1]).fingerprint() != before.fingerprint()


def test_so_many_points_are_drawn_each_as_often_as_the_others():
    generator = torch.Generator().manual_seed(0)
    assert sorted(drawn(10, 10, generator).tolist()) == list(range(10))
    assert drawn(10, 4, generator).unique().numel() == 4
    counts = drawn(10, 25, generator).bincount(minlength=10)
    assert counts.tolist().count(2) + counts.tolist().count(3) == 10


def test_the_unit_sphere_holds_every_cloud():
    points = unit_sphere(torch.randn(50, 3, dtype=torch.float64) * 7 + 100)
    assert points.mean(0).abs().max() < 1e-12
    assert points.norm(dim=-1).max() == pytest.approx(1)
    assert not unit_sphere(torch.ones(4, 3)).any()


def test_training_stretches_and_shifts_and_evaluation_shows_the_same_every_time():
    view, cloud = PointsView(16), Cloud(POINTS)
    assert torch.equal(view(cloud, CARD)["points"], view(cloud, CARD)["points"])
    first, again, other = (view.draw(cloud, CARD, torch.Generator().manual_seed(s))["points"] for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    centres = torch.stack(
        [PointsView(30).draw(cloud, CARD, torch.Generator().manual_seed(s))["points"].mean(0) for s in range(200)]
    )
    assert centres.abs().max() <= 0.2 + 1e-6
    assert centres.abs().max() > 0.18
    widths = torch.stack(
        [PointsView(30).draw(cloud, CARD, torch.Generator().manual_seed(s))["points"].std(0) for s in range(200)]
    ) / PointsView(30, moved=False)(cloud, CARD)["points"].std(0)
    assert 2 / 3 - 1e-4 < widths.min() < 0.68
    assert 1.48 < widths.max() < 3 / 2 + 1e-4


def test_read_clouds_are_kept_while_there_is_room(tmp_path):
    source = open_points(make_clouds(tmp_path / "shapes.npz"))
    cache = SampleCache(source.read(0).nbytes)
    assert cache.read(source, 0) is cache.read(source, 0)
    assert cache.read(source, 1) is not cache.read(source, 1)


@pytest.fixture
def flawed(tmp_path):
    """A folder with sound, double, holed and useless clouds."""
    clouds = {f"{i:02d}": POINTS * (1 + i) for i in range(8)}
    clouds |= {"double": clouds["03"], "holed": np.vstack([POINTS, [[np.nan] * 3]]) * 9, "single": POINTS[:1]}
    for name, points in clouds.items():
        np.save(tmp_path / f"{name}.npy", points)
    return tmp_path


def test_a_card_says_what_it_knows_and_comes_back_from_json(flawed):
    card = inspect_points(open_points(flawed))
    assert PointsCard.from_json(card.to_json()) == card
    assert card.points == (30, 30, 30)
    assert card.lost == {"holed.npy": 1}
    assert set(card.duplicates.items()) & {("double.npy", "03.npy"), ("03.npy", "double.npy")}
    assert card.unreadable == {"single.npy": "has 1 point(s); at least 2 are needed"}
    text = card.to_text(PointsView(64))
    for words in ("11 (", "30 to 30 a cloud", "has 1 points that are not numbers", "single.npy has 1", "repeatedly"):
        assert words in text
    with pytest.raises(ValueError, match="unknown entry 'age'"):
        PointsCard.from_json({**json.loads(card.to_json()), "age": 3})


def test_data_without_a_single_usable_cloud_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", POINTS[:1])
    with pytest.raises(ValueError, match=r"none of 1 clouds .* a.npy has 1 point"):
        inspect_points(open_points(tmp_path / "a.npy"))


def test_streams_count_what_cannot_be_used_and_take_another(flawed):
    source = open_points(flawed)
    card = inspect_points(source)
    options = {"seed": 1, "batch": 4, "steps": 5, "budget": 0.2}
    first, again = (list(TrainingStream(source, card, PointsView(16), **options)) for _ in range(2))
    assert all(torch.equal(a["points"], b["points"]) for a, b in zip(first, again, strict=True))
    check_batch(first[0])
    with pytest.raises(TooManyUnreadable, match=r"clouds cannot be used.*single\.npy has 1 point"):
        list(TrainingStream(source, card, PointsView(16), **{**options, "budget": 0.01}))
    batches = evaluation_batches(source, card, PointsView(16), 4, budget=1.0)
    assert sum(len(batch["points"]) for batch in batches) == 10
    assert list(batches.faults) == ["single.npy"]
