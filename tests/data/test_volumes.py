"""Volumes: files, orientation, masks, what is refused, views and the card."""

import io
import json
import sys

import numpy as np
import pytest
import torch

from small_volumes import AFFINE, ball, make_volumes, nifti
from unmask.core import check_batch
from unmask.data.evaluation import evaluation_batches
from unmask.data.loading import TooManyUnreadable
from unmask.data.picture import Unreadable
from unmask.data.stream import TrainingStream
from unmask.data.volume import Volume, volume_of
from unmask.data.volume_files import read_volume
from unmask.data.volumes import is_mask, open_volumes, paired
from unmask.data.volumes_card import VolumesCard, inspect_volumes
from unmask.data.volumes_views import VolumeView, cut, standardised

VALUES = np.random.default_rng(0).normal(5, 2, (4, 5, 6)).astype(np.float32)


def array(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def card(sizes: tuple[int, int, int] = (4, 5, 6)) -> VolumesCard:
    zeros, ones = (0.0,), (1.0,)
    three = (1.0, 1.0, 1.0)
    return VolumesCard(
        "here", "0", 1, (), {}, ("intensity",), zeros, ones, zeros, ones, (sizes,) * 3, (three, three, three)
    )


@pytest.fixture
def data(tmp_path):
    return make_volumes(tmp_path / "set")


def test_a_volume_has_values_spacing_and_place():
    found = read_volume(nifti(VALUES))
    np.testing.assert_array_equal(found.values[0], VALUES)
    assert found.spacing == (1.0, 1.5, 2.0)
    np.testing.assert_array_equal(found.affine, AFFINE)
    assert found.kind == "float32"


def test_axes_go_to_the_right_the_front_and_the_top_however_they_are_stored():
    """Stored with the axes front, left, up: turned back, with the spacing of each axis."""
    stored = np.ascontiguousarray(VALUES.transpose(1, 0, 2)[:, ::-1])
    affine = np.array([[0, -1.0, 0, 3], [1.5, 0, 0, 0], [0, 0, 2.0, 0], [0, 0, 0, 1]])
    found = read_volume(nifti(stored, affine))
    np.testing.assert_array_equal(found.values[0], VALUES)
    assert found.spacing == pytest.approx((1.0, 1.5, 2.0))
    np.testing.assert_allclose(found.affine[:3, :3], AFFINE[:3, :3])


def test_a_volume_without_affine_is_taken_as_it_is_stored():
    found = read_volume(nifti(VALUES, None, (3.0, 2.0, 1.0)))
    assert found.affine is None
    assert found.spacing == (3.0, 2.0, 1.0)
    np.testing.assert_array_equal(found.values[0], VALUES)


def test_arrays_and_plain_files_and_channels_are_read():
    import gzip

    assert read_volume(array(VALUES)).affine is None
    np.testing.assert_array_equal(read_volume(gzip.decompress(nifti(VALUES))).values[0], VALUES)
    two = read_volume(nifti(np.stack([VALUES, 2 * VALUES], axis=-1)))
    assert two.values.shape == (2, 4, 5, 6)
    np.testing.assert_array_equal(two.values[1], 2 * VALUES)
    assert read_volume(nifti(VALUES[..., None])).values.shape == (1, 4, 5, 6)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"", "is empty"),
        (b"\xff\xd8\xff" * 200, "cannot be decoded"),
        (nifti(VALUES)[:80], "cannot be decoded"),
        (nifti(VALUES[:, :, 0]), r"holds an array \[4, 5\], not a volume"),
        (nifti(VALUES[:, :, :1]), "has 4x5x1 voxels; every side must have at least 2"),
        (nifti(np.full((4, 4, 4), 7.0)), "has the same value everywhere"),
        (nifti(np.full((4, 4, 4), np.nan)), "has no voxel with a number"),
        (array(VALUES[0]), r"is an array \[5, 6\]"),
        (array(np.array(["a"])), "is an array"),
    ],
)
def test_what_cannot_be_used_says_why(given, words):
    with pytest.raises(Unreadable, match=words):
        read_volume(given)


def test_a_missing_library_is_named_with_the_extra_that_brings_it(monkeypatch):
    given = nifti(VALUES)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(ImportError, match=r"reading \.nii needs nibabel: pip install 'unmask\[volumes\]'"):
        read_volume(given)


def test_values_that_are_not_numbers_are_marked():
    values = VALUES.copy()
    values[1, 2, 3] = np.nan
    found = volume_of(values, (1.0, 1.0, 1.0))
    assert found.missing.sum() == 1
    shown = VolumeView((4, 5, 6), flip=False)(found, card())
    assert not shown["volume_valid"][1, 2, 3]
    assert shown["volume"][0, 1, 2, 3] == 0
    known = shown["volume"][0][shown["volume_valid"]]
    assert known.mean().abs() < 1e-6
    assert known.std(unbiased=False) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("length", [0.0, -1.0, float("nan")])
def test_voxels_without_extent_are_refused(length):
    with pytest.raises(Unreadable, match="lengths must be above 0"):
        volume_of(VALUES, (1.0, length, 1.0))


def test_masks_are_found_beside_their_volumes():
    names = ["a/images/x.nii.gz", "a/labels/x.nii.gz", "imagesTr/b_0000.nii.gz", "labelsTr/b.nii.gz"]
    names += ["c.nii", "c_seg.nii", "imagesTs/d.nii.gz", "e/masks/lonely.nii"]
    assert paired(names) == {names[0]: names[1], names[2]: names[3], "c.nii": "c_seg.nii"}
    assert [name for name in names if is_mask(name)] == [names[1], names[3], "c_seg.nii", "e/masks/lonely.nii"]


def test_the_parts_of_a_decathlon_are_told_by_its_folders(tmp_path):
    for name in ("imagesTr/a", "imagesTr/b", "labelsTr/a", "labelsTr/b", "imagesTs/c"):
        path = tmp_path / f"{name}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(nifti(ball(0)[1 if "labels" in name else 0]))
    source = open_volumes(tmp_path)
    assert source.splits() == {"train": [0, 1], "test": [2]}
    assert source.classes == ()
    assert [item.target for item in source.items] == ["labelsTr/a.nii.gz", "labelsTr/b.nii.gz", None]


def test_a_folder_and_an_archive_give_the_same_volumes_and_masks(data, tmp_path, make):
    files = {path.relative_to(data).as_posix(): path.read_bytes() for path in sorted(data.rglob("*.nii.gz"))}
    make.write_tar(tmp_path / "set.tar", files)
    for source in (open_volumes(data), open_volumes(tmp_path / "set.tar")):
        assert (len(source), source.noun, source.classes, source.has_targets) == (24, "volumes", (), True)
        assert {name: len(places) for name, places in source.splits().items()} == {
            "train": 17, "validation": 2, "test": 5
        }  # fmt: skip
        part = source.subset([3])
        np.testing.assert_allclose(part.read(0).values[0], ball(3)[0])
        np.testing.assert_array_equal(part.read_target(0), ball(3)[1])


def test_classes_are_folders_where_there_are_no_masks(tmp_path):
    for name in ("sick/a", "sick/b", "well/c", "well/d"):
        path = tmp_path / f"{name}.npy"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(array(VALUES))
    source = open_volumes(tmp_path)
    assert source.classes == ("sick", "well")
    assert [source.label(i) for i in range(4)] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("mask", "words"),
    [(np.zeros((3, 5, 6), np.uint8), "has 4x5x6 voxels, its mask 3x5x6"), (VALUES, "not whole numbers")],
)
def test_masks_that_do_not_fit_are_refused(tmp_path, mask, words):
    for name, values in (("x", VALUES), ("x_mask", mask)):
        (tmp_path / f"{name}.nii.gz").write_bytes(nifti(values))
    with pytest.raises(Unreadable, match=words):
        open_volumes(tmp_path).read_target(0)


def test_a_mask_that_does_not_say_how_it_lies_lies_as_its_volume_is_stored(tmp_path):
    flipped = np.diag([-1.0, 1.0, 1.0, 1.0])
    values, classes = ball(0)
    (tmp_path / "x.nii.gz").write_bytes(nifti(values[::-1], flipped))
    (tmp_path / "x_mask.nii.gz").write_bytes(nifti(classes[::-1], None))
    source = open_volumes(tmp_path)
    np.testing.assert_allclose(source.read(0).values[0], values)
    np.testing.assert_array_equal(source.read_target(0), classes)


def test_every_volume_is_standardised_by_itself_whatever_its_scale():
    volume, other = volume_of(VALUES, (1.0,) * 3), volume_of(1000 * VALUES + 7, (1.0,) * 3)
    first, second = standardised(volume)["volume"], standardised(other)["volume"]
    torch.testing.assert_close(first, second, atol=1e-4, rtol=0)
    assert first.mean().abs() < 1e-6


def test_boxes_are_filled_up_where_a_volume_ends():
    shown = VolumeView((6, 5, 4), flip=False)(volume_of(VALUES, (1.0,) * 3), card(), np.ones((4, 5, 6), np.int64))
    assert shown["volume"].shape == (1, 6, 5, 4)
    assert shown["volume_valid"].sum() == 4 * 5 * 4
    assert not shown["volume"][0, 4:].any()
    assert (shown["volume_segmentation"][4:] == -1).all()
    assert (shown["volume_segmentation"][:4] == 1).all()
    check_batch({key: value[None] for key, value in shown.items()})
    x = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert torch.equal(cut(x, (1, 1, 2), (1, 2, 3), 9.0)[0, 0, :, :2], x[0, 1, 1:, 2:])
    assert (cut(x, (1, 1, 2), (1, 2, 3), 9.0)[0, 0, :, 2] == 9).all()


def test_the_middle_is_shown_in_evaluation_and_any_place_in_training():
    values = np.random.default_rng(0).normal(size=(9, 9, 9))
    volume, view = volume_of(values, (1.0,) * 3), VolumeView((3, 3, 3), flip=False)
    whole = standardised(volume)["volume"]
    assert torch.equal(view(volume, card())["volume"], whole[:, 3:6, 3:6, 3:6])
    boxes = [view.draw(volume, card(), torch.Generator().manual_seed(s))["volume"] for s in range(60)]
    assert torch.equal(boxes[0], view.draw(volume, card(), torch.Generator().manual_seed(0))["volume"])
    corners = {float(box[0, 0, 0, 0]) for box in boxes}
    assert len(corners) > 30
    mirrored = VolumeView((9, 9, 9)).draw(volume, card(), torch.Generator().manual_seed(1))["volume"]
    assert torch.equal(mirrored.flatten().sort().values, whole.flatten().sort().values)


def test_volumes_are_brought_to_one_spacing():
    view = VolumeView((4, 10, 12), spacing=1.0, flip=False)
    shown = view(volume_of(VALUES, (1.0, 2.0, 2.0)), card(), np.arange(120).reshape(4, 5, 6))
    assert shown["volume_valid"].all()
    assert torch.equal(shown["volume_segmentation"][:, ::2, ::2], torch.arange(120).reshape(4, 5, 6))
    assert shown["volume"].std() < 1.0


def test_a_card_says_what_it_knows_and_comes_back_from_json(data):
    (data / "images" / "odd.nii.gz").write_bytes(nifti(ball(30)[0], None))
    (data / "images" / "flat.nii.gz").write_bytes(nifti(np.ones((4, 4, 4), np.float32)))
    (data / "images" / "twin.nii.gz").write_bytes(nifti(ball(0)[0]))
    found = inspect_volumes(open_volumes(data))
    assert VolumesCard.from_json(found.to_json()) == found
    assert found.without_affine == ("images/odd.nii.gz",)
    assert found.unreadable == {"images/flat.nii.gz": "has the same value everywhere"}
    assert (found.targets, list(found.segments)) == (24, ["0", "1", "2"])
    assert found.sizes == ((9, 8, 10),) * 3
    text = found.to_text(VolumeView((16, 16, 16)))
    for words in ("27 (", "all 9x8x10 voxels", "does not say how it lies", "24 volumes have a segmentation mask",
                  "images/twin.nii.gz", "filled up (not in the loss)", "x float32"):  # fmt: skip
        assert words in text
    with pytest.raises(ValueError, match="unknown entry 'age'"):
        VolumesCard.from_json({**json.loads(found.to_json()), "age": 3})


def test_data_without_a_single_usable_volume_are_refused(tmp_path):
    (tmp_path / "a.npy").write_bytes(array(np.ones((4, 4, 4))))
    with pytest.raises(ValueError, match=r"none of 1 volumes .* a.npy has the same value"):
        inspect_volumes(open_volumes(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"holds no volumes; files that count are \.nii \.nii\.gz"):
        open_volumes(tmp_path / "empty")


def test_streams_count_what_cannot_be_used_and_masks_come_with_evaluation(data):
    (data / "images" / "two.nii.gz").write_bytes(nifti(np.stack([ball(1)[0]] * 2, axis=-1)))
    source = open_volumes(data)
    found, view = inspect_volumes(source), VolumeView((8, 8, 8))
    options = {"seed": 1, "batch": 4, "steps": 8, "budget": 0.1}
    first, again = (list(TrainingStream(source, found, view, **options)) for _ in range(2))
    assert all(torch.equal(a["volume"], b["volume"]) for a, b in zip(first, again, strict=True))
    check_batch(first[0])
    with pytest.raises(TooManyUnreadable, match=r"volumes cannot be used.*two\.nii\.gz has 2 channel"):
        list(TrainingStream(source, found, view, **{**options, "budget": 0.001}))
    batches = evaluation_batches(source, found, view, 5, targets=True, budget=1.0)
    counted = [batch["volume_segmentation"].shape for batch in batches]
    assert sum(shape[0] for shape in counted) == 24
    assert list(batches.faults) == ["images/two.nii.gz"]


def test_a_volume_knows_how_much_memory_it_takes():
    values = np.zeros((1, 2, 3, 4), np.float32)
    assert Volume(values, (1.0,) * 3, None, "uint8").nbytes == 96
    assert Volume(values, (1.0,) * 3, None, "uint8", np.zeros((2, 3, 4), bool)).nbytes == 120
