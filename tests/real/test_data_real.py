"""The readers on real data sets; every claim can be checked in their descriptions."""

import io
import tarfile
import time

import numpy as np
import pytest
import torch
from PIL import Image

from unmask.data.card import MixedPictures, inspect
from unmask.data.sources import open_source
from unmask.data.stream import TrainingStream, evaluation_batches
from unmask.data.views import EvaluationView, TrainingView

pytestmark = pytest.mark.real


def counts(source) -> dict[str, int]:
    return {name: len(places) for name, places in source.splits().items()}


@pytest.fixture(scope="module")
def cifar(data_folder):
    begin = time.process_time()
    source = open_source(data_folder / "cifar10.tar")
    assert time.process_time() - begin < 15  # about 1 without run-time checks
    return source


def test_cifar_has_its_splits_and_classes(cifar):
    assert counts(cifar) == {"train": 50_000, "test": 10_000}
    assert len(cifar.classes) == 10
    labels = np.bincount([cifar.label(i) for i in cifar.splits()["test"]])
    assert (labels == 1000).all()


def test_members_are_read_as_tarfile_reads_them(data_folder):
    path = data_folder / "clothing10.tar"
    source = open_source(path)
    assert counts(source) == {"train": 3068, "validation": 341, "test": 372}
    assert len(source.classes) == 10
    with tarfile.open(path) as archive:
        for i in range(0, len(source), 400):
            data = archive.extractfile(source.items[i].name).read()
            assert np.array_equal(source.read(i).values, np.asarray(Image.open(io.BytesIO(data))))
            assert source.items[i].size == len(data)


@pytest.mark.parametrize("name", ["aerial_rsscn7.tar", "blood_cells_bccd.tar", "multiview_fox.tar", "camvid.tar"])
def test_every_picture_of_a_real_set_is_readable(data_folder, name):
    source = open_source(data_folder / name)
    card = inspect(source, limit=200)
    assert (card.unreadable, card.dtype, len(card.channels)) == ({}, "uint8", 3)
    card.check_uniform()


def test_classes_are_those_of_the_folders(data_folder):
    aerial = open_source(data_folder / "aerial_rsscn7.tar")
    assert aerial.classes == ("Field", "Forest", "Grass", "Industry", "Parking", "Resident", "RiverLake")
    assert open_source(data_folder / "blood_cells_bccd.tar").classes == ()


def test_camvid_has_no_classes_and_a_mask_for_every_picture(data_folder):
    source = open_source(data_folder / "camvid.tar", ignore=(11,))
    assert (counts(source), source.classes) == ({"train": 367, "validation": 101, "test": 233}, ())
    assert all(item.target for item in source.items)
    part = source.subset(range(8))
    batch = next(iter(evaluation_batches(part, inspect(part), EvaluationView((90, 120)), targets=True)))
    assert batch["segmentation"].shape == (8, 90, 120)
    assert set(batch["segmentation"].unique().tolist()) <= set(range(-1, 11))
    assert (batch["segmentation"][0] == torch.from_numpy(source.read_target(0))[1::2, 1::2]).float().mean() == 1


def test_nuclei_are_paired_labelled_by_stain_and_refused_as_mixed(data_folder):
    source = open_source(data_folder / "nuclei_dsb2018.tar")
    assert (len(source), source.classes) == (281, ("brightfield", "fluorescence", "stained"))
    assert all(item.target for item in source.items)
    card = inspect(source, limit=None)
    assert card.kinds == {"grey, uint8": 236, "red green blue, uint8": 45}
    with pytest.raises(MixedPictures, match="236 grey, uint8; 45 red green blue, uint8"):
        TrainingStream(source, card, TrainingView(32), seed=0, batch=8, steps=1)
    mapped = open_source(data_folder / "nuclei_dsb2018.tar", channels=["grey"])
    TrainingStream(mapped, inspect(mapped, limit=20), TrainingView(32), seed=0, batch=8, steps=1)


def test_depth_pictures_keep_their_sixteen_bits(data_folder):
    path = data_folder / "rgbd_7scenes.tar"
    source = open_source(path)
    place = next(i for i, item in enumerate(source.items) if item.name.endswith("depth.png"))
    depth = source.read(place)
    with tarfile.open(path) as archive:
        expected = np.asarray(Image.open(archive.extractfile(source.items[place].name)))
    assert depth.values.dtype == np.uint16
    assert np.array_equal(depth.values[..., 0], expected)
    assert len(inspect(source, limit=50).kinds) == 2


def test_thirteen_satellite_bands_train(data_folder):
    spec = f"{data_folder / 'sentinel2_patch.npz'}::bands13"
    bands = [f"B{i}" for i in ("01", "02", "03", "04", "05", "06", "07", "08", "8A", "09", "10", "11", "12")]
    source = open_source(spec, channels=bands)
    card = inspect(source)
    assert card.channels == tuple(bands)
    assert max(card.maximum) > 255
    batch = next(iter(TrainingStream(source, card, TrainingView(64), seed=0, batch=5, steps=1)))
    assert batch["image"].shape == (5, 13, 64, 64)
    assert batch["image"].isfinite().all()
    some = open_source(spec, channels=["channel_3", "channel_7"]).read(0)
    assert np.array_equal(some.values, source.read(0).values[..., [3, 7]])


def test_microscopy_arrays_are_read_channels_first(data_folder):
    source = open_source(f"{data_folder / 'multichannel_cells.npz'}::fly", channels=["D", "F", "R"])
    assert source.read(0).values.shape == (512, 512, 3)
    with np.load(data_folder / "multichannel_cells.npz") as file:
        assert np.array_equal(source.read(2).values, np.moveaxis(file["fly"][2], 0, 2))


def test_a_training_view_of_cifar_is_standardised(cifar):
    source = cifar.subset(cifar.splits()["train"])
    card = inspect(source)
    assert np.allclose(card.mean, (125.3, 123.0, 113.9), atol=3)  # known values; 2,000 of 50,000 pictures measured
    assert np.allclose(card.std, (63.0, 62.1, 66.7), atol=3)
    batch = next(iter(TrainingStream(source, card, TrainingView(32), seed=0, batch=256, steps=1)))
    assert batch["image"].mean().abs() < 0.1
    assert abs(batch["image"].std() - 1) < 0.1


def test_reduced_crops_of_real_photographs_stay_within_35_decibels(data_folder):
    source = open_source(data_folder / "clothing10.tar")
    for i in range(0, len(source), 60):
        picture = source.read(i)
        size = (picture.height // 4, picture.width // 4)
        box = (0, 0, picture.height, picture.width)
        part = source.read_for(i, size).part(box, size)
        exact = np.asarray(Image.fromarray(picture.values).resize(size[::-1], Image.Resampling.BICUBIC))
        assert part.values.shape == exact.shape
        assert np.square(part.values.astype(float) - exact).mean() < 255**2 / 10**3.5
