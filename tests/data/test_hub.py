import socket
import time

import numpy as np
import pytest
from PIL import Image

from unmask.data.decode import Decoder
from unmask.data.network import Unreachable
from unmask.data.sources import open_source
from unmask.data.torchvision_sets import open_torchvision

datasets = pytest.importorskip("datasets")


def saved(make, count: int) -> "datasets.Dataset":
    features = datasets.Features({"picture": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = {"picture": [Image.fromarray(make.noise(i)) for i in range(count)], "label": [i % 2 for i in range(count)]}
    return datasets.Dataset.from_dict(rows, features=features)


def test_a_saved_set_is_read_with_classes_and_splits(make, tmp_path):
    datasets.DatasetDict(train=saved(make, 4), test=saved(make, 2)).save_to_disk(tmp_path / "two")
    source = open_source(tmp_path / "two")
    assert source.classes == ("cat", "dog")
    assert source.splits() == {"train": [0, 1, 2, 3], "test": [4, 5]}
    assert np.array_equal(source.read(5).values, make.noise(1))
    assert [source.label(i) for i in range(6)] == [0, 1, 0, 1, 0, 1]
    assert all(item.size > 0 for item in source.items)


def test_a_single_saved_split_and_a_selection_are_read(make, tmp_path):
    saved(make, 4).select([2, 0]).save_to_disk(tmp_path / "one")
    source = open_source(tmp_path / "one")
    assert np.array_equal(source.read(0).values, make.noise(2))
    assert source.fingerprint() != source.subset([0]).fingerprint()


def test_a_set_without_pictures_is_refused_with_its_columns(tmp_path):
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "one")
    with pytest.raises(ValueError, match=r"no column of type Image; columns: text"):
        open_source(tmp_path / "one")


@pytest.fixture
def offline(monkeypatch):
    """No connection can be made, and whoever tries is counted."""
    tried = []

    def refuse(address, *args, **kwargs):
        tried.append(address)
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.delenv("https_proxy", raising=False)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    return tried


@pytest.mark.parametrize("spec", ["hf:someone/some_set", "torchvision:CIFAR10"])
def test_named_sets_fail_at_once_without_a_network(offline, tmp_path, monkeypatch, spec):
    monkeypatch.setenv("UNMASK_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    begin = time.monotonic()
    with pytest.raises(Unreachable, match=f"{spec} is not on this machine and .* cannot be reached") as caught:
        open_source(spec)
    assert len(offline) == 1
    assert time.monotonic() - begin < 20  # importing the libraries included
    assert "\n" not in str(caught.value)


def test_sets_on_this_machine_never_touch_the_network(make, tmp_path, offline):
    saved(make, 2).save_to_disk(tmp_path / "one")
    for spec in ("digits", "photos", make.write_folder(tmp_path / "flat", ["a.png"]), tmp_path / "one"):
        open_source(spec).read(0)
    assert offline == []


def test_a_torchvision_set_on_this_machine_is_read(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name, count in (("train", 3), ("t10k", 2)):
        images = np.arange(count * 784, dtype=np.int64).astype(np.uint8).reshape(count, 28, 28)
        header = b"".join(n.to_bytes(4) for n in (0x803, count, 28, 28))
        (raw / f"{name}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = b"".join(n.to_bytes(4) for n in (0x801, count)) + bytes(range(count))
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(labels)
    source = open_torchvision("FashionMNIST", Decoder(), tmp_path)
    assert source.splits() == {"train": [0, 1, 2], "test": [3, 4]}
    assert (source.read(1).values.shape, source.read(1).values[0, 1, 0]) == ((28, 28, 1), 785 % 256)
    assert [source.label(i) for i in range(5)] == [0, 1, 2, 0, 1]


def test_an_unknown_torchvision_set_lists_the_known_ones():
    with pytest.raises(ValueError, match="CIFAR11 is unknown; choose one of CIFAR10, "):
        open_source("torchvision:CIFAR11")
