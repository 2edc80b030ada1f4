import numpy as np
import pytest

from unmask.data.picture import GREY, RGB, Unreadable
from unmask.data.sources import open_source

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("shape", "picture", "channels"),
    [
        ((5, 20, 30), (20, 30, 1), GREY),
        ((5, 20, 30, 3), (20, 30, 3), RGB),
        ((5, 3, 20, 30), (20, 30, 3), RGB),
        ((5, 13, 20, 30), (20, 30, 13), tuple(f"channel_{i}" for i in range(13))),
    ],
)
def test_channels_stand_last_whatever_the_file_does(tmp_path, shape, picture, channels):
    values = RANDOM.integers(0, 65536, shape, dtype=np.uint16)
    np.savez(tmp_path / "a.npz", image=values)
    np.save(tmp_path / "a.npy", values)
    for name in ("a.npz", "a.npy"):
        found = open_source(tmp_path / name).read(2)
        assert (found.values.shape, found.channels, found.values.dtype) == (picture, channels, np.uint16)
        assert sorted(found.values.ravel().tolist()) == sorted(values[2].ravel().tolist())


def test_labels_and_their_names_are_found(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 8, 8)), y=np.array([1, 0, 1, 1]), class_names=np.array(["cat", "dog"]))
    source = open_source(tmp_path / "a.npz")
    assert source.classes == ("cat", "dog")
    assert [source.label(i) for i in range(4)] == [1, 0, 1, 1]


def test_splits_in_the_names_of_arrays_are_found(tmp_path):
    arrays = {}
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        arrays[f"{split}_images"] = RANDOM.integers(0, 9, (count, 8, 8), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(count)[:, None]
    np.savez(tmp_path / "a.npz", **arrays)
    source = open_source(tmp_path / "a.npz")
    assert {name: len(places) for name, places in source.splits().items()} == {"train": 3, "validation": 2, "test": 1}
    assert source.classes == ("0", "1", "2")
    assert np.array_equal(source.read(4).values[..., 0], arrays["val_images"][1])


def test_one_of_several_arrays_is_chosen_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", fly=np.zeros((3, 3, 64, 64), np.uint8), worm=np.ones((2, 3, 64, 64), np.uint8))
    with pytest.raises(ValueError, match=r"fly \[3, 3, 64, 64\] uint8, worm .*::KEY"):
        open_source(tmp_path / "a.npz")
    assert open_source(f"{tmp_path}/a.npz::worm").read(1).values.max() == 1
    with pytest.raises(ValueError, match="no array 'bee'"):
        open_source(f"{tmp_path}/a.npz::bee")


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "b.npz", image=np.array([[{"a": 1}]], dtype=object))
    (tmp_path / "c.npz").write_bytes(b"no zip file")
    for name in ("a.npy", "b.npz", "c.npz"):
        with pytest.raises(ValueError, match=name):
            open_source(tmp_path / name)


def test_an_array_larger_than_the_memory_is_refused_before_it_is_loaded(tmp_path):
    import io
    import zipfile

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**4, 10**3)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("image.npy", header.getvalue())
    with pytest.raises(ValueError, match="half of this machine's memory"):
        open_source(tmp_path / "a.npz")


def test_nan_in_an_array_is_missing(tmp_path):
    values = RANDOM.random((2, 6, 6)).astype(np.float32)
    values[0, 1, 1], values[1] = np.nan, np.nan
    np.save(tmp_path / "a.npy", values)
    source = open_source(tmp_path / "a.npy")
    assert source.read(0).missing.sum() == 1
    with pytest.raises(Unreadable, match="no valid pixel"):
        source.read(1)


def test_the_fingerprint_sees_the_values(tmp_path):
    values = RANDOM.integers(0, 9, (4, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "a.npy", values)
    one = open_source(tmp_path / "a.npy").fingerprint()
    np.savez(tmp_path / "b.npz", image=values)
    assert open_source(tmp_path / "b.npz").fingerprint() == one
    values[3, 7, 7] += 1
    np.save(tmp_path / "a.npy", values)
    assert open_source(tmp_path / "a.npy").fingerprint() != one


def test_digits_and_photos_are_real_labelled_and_split():
    digits, photos = open_source("digits"), open_source("photos")
    assert (len(digits), digits.classes) == (1797, tuple("0123456789"))
    assert {name: len(places) for name, places in digits.splits().items()} == {"train": 1437, "test": 360}
    assert (digits.read(0).values.shape, digits.read(0).values.max(), digits.label(0)) == ((8, 8, 1), 15, 0)
    assert (photos.classes, photos.read(0).values.shape) == (("flower", "temple"), (64, 64, 3))
    assert set(photos.splits()) == {"train", "test"}


def test_training_and_test_crops_of_the_photos_share_no_pixel():
    photos = open_source("photos")
    lefts = {split: [int(photos.items[i].name[-3:]) for i in places] for split, places in photos.splits().items()}
    assert max(lefts["train"]) + 64 <= min(lefts["test"])
