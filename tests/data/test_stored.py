"""Files of any kind are listed as pictures are, and a missing library is named with what to install."""

import io
import tarfile

import pytest

from unmask.data.extras import needed
from unmask.data.stored import open_stored

NAMES = ("train/left/a.mp4", "train/right/b.mp4", "test/left/c.mp4", "test/left/notes.txt", "test/left/.d.mp4")


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(name.encode())
    return tmp_path / "set"


@pytest.fixture
def archive(tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for name in NAMES:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return tmp_path / "set.tar"


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_folder_and_an_archive_are_the_same_set(kind, request):
    source = open_stored(request.getfixturevalue(kind), (".mp4",), "video")
    assert [item.name for item in source.items] == ["test/left/c.mp4", "train/left/a.mp4", "train/right/b.mp4"]
    assert source.classes == ("left", "right")
    assert source.splits() == {"test": [0], "train": [1, 2]}
    assert source.data(1) == b"train/left/a.mp4"


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_part_is_chosen_by_a_folder_on_the_path(kind, request):
    place = request.getfixturevalue(kind)
    assert [item.name for item in open_stored(f"{place}::right", (".mp4",), "video").items] == ["train/right/b.mp4"]
    with pytest.raises(ValueError, match=r"holds no video in a folder 'up'; files that count are \.mp4 \.avi"):
        open_stored(f"{place}::up", (".mp4", ".avi"), "video")


def test_a_file_a_glob_and_a_list_are_read(folder, tmp_path):
    assert len(open_stored(folder / "train" / "left" / "a.mp4", (".mp4",), "video")) == 1
    assert len(open_stored(f"{folder}/*/left/*", (".mp4",), "video")) == 2
    (tmp_path / "list.txt").write_text(f"{folder}/train/left/a.mp4\nset/test/left/c.mp4\n")
    assert len(open_stored(tmp_path / "list.txt", (".mp4",), "video")) == 2
    with pytest.raises(FileNotFoundError, match="does not exist; DATA is a file, a folder"):
        open_stored(tmp_path / "none", (".mp4",), "video")


def test_a_missing_library_is_named_with_what_to_install():
    with pytest.raises(ImportError, match=r"reading \.mp4 needs PyAV: pip install 'unmask\[video\]'"):
        needed("no_such_module", "PyAV", ".mp4", "video")
    assert needed("json", "json", ".json", "none").loads("1") == 1
