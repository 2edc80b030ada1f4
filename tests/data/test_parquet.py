import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from unmask.data.picture import Unreadable
from unmask.data.sources import open_source


def write(path, make, count: int = 6, labels: bool = True, struct: bool = True, group: int = 4):
    encoded = [make.encode(make.noise(i)) for i in range(count)]
    images = [{"bytes": data, "path": None} for data in encoded] if struct else encoded
    columns = {"image": images} | ({"label": [i % 2 for i in range(count)]} if labels else {})
    parquet.write_table(pa.table(columns), path, row_group_size=group)


@pytest.mark.parametrize("struct", [True, False])
def test_encoded_pictures_are_read_from_their_row(make, tmp_path, struct):
    write(tmp_path / "a.parquet", make, struct=struct)
    source = open_source(tmp_path / "a.parquet")
    assert (len(source), source.classes) == (6, ("0", "1"))
    for i in (5, 0, 3):
        assert np.array_equal(source.read(i).values, make.noise(i))
        assert source.label(i) == i % 2


def test_a_folder_of_files_has_splits_by_name(make, tmp_path):
    write(tmp_path / "train-00000-of-00002.parquet", make, labels=False)
    write(tmp_path / "train-00001-of-00002.parquet", make, labels=False)
    write(tmp_path / "test-00000-of-00001.parquet", make, count=3, labels=False)
    source = open_source(tmp_path)
    assert {name: len(places) for name, places in source.splits().items()} == {"test": 3, "train": 12}
    assert np.array_equal(source.read(8).values, make.noise(5))


def test_few_row_groups_are_kept_when_memory_is_short(make, tmp_path, monkeypatch):
    monkeypatch.setattr("unmask.data.parquet.KEPT", 1)
    write(tmp_path / "a.parquet", make)
    source = open_source(tmp_path / "a.parquet")
    for i in (0, 5, 0, 5):
        assert np.array_equal(source.read(i).values, make.noise(i))
    assert len(source._groups) == 1
    assert np.array_equal(pickle.loads(pickle.dumps(source)).read(2).values, make.noise(2))


def test_names_of_classes_noted_by_hugging_face_are_used(make, tmp_path):
    import datasets

    rows = {"image": [{"bytes": make.encode(make.noise(i)), "path": None} for i in range(3)], "label": [2, 0, 2]}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog", "emu"])})
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet")
    assert source.classes == ("cat", "dog", "emu")
    assert [source.label(i) for i in range(3)] == [2, 0, 2]


def test_rows_without_bytes_and_unusable_columns_are_told(make, tmp_path):
    parquet.write_table(pa.table({"image": [make.encode(make.noise()), None]}), tmp_path / "a.parquet")
    with pytest.raises(Unreadable, match="no bytes"):
        open_source(tmp_path / "a.parquet").read(1)
    parquet.write_table(pa.table({"text": ["a"]}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"no column .* text \(string\)"):
        open_source(tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(ValueError, match="not a readable Parquet file"):
        open_source(tmp_path / "c.parquet")
