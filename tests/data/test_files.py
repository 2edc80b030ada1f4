import os
import time

import numpy as np
import pytest

from unmask.data.picture import Unreadable
from unmask.data.sources import open_source

NAMES = ["train/cat/1.png", "train/dog/2.png", "test/cat/3.png"]


def names(source) -> list[str]:
    return [item.name for item in source.items]


def test_a_flat_folder_needs_no_classes(make, tmp_path):
    source = open_source(make.write_folder(tmp_path, ["b.png", "a.png"]))
    assert (names(source), source.classes, source.splits()) == (["a.png", "b.png"], (), {})
    assert source.label(0) == -1
    assert np.array_equal(source.read(0).values, make.noise(1))


def test_a_nested_folder_gives_classes_and_splits(make, tmp_path):
    source = open_source(str(make.write_folder(tmp_path, NAMES)))
    assert source.classes == ("cat", "dog")
    assert [source.label(i) for i in range(3)] == [0, 0, 1]
    assert source.splits() == {"test": [0], "train": [1, 2]}


def test_a_subset_keeps_the_classes_of_the_whole(make, tmp_path):
    source = open_source(make.write_folder(tmp_path, NAMES))
    train = source.subset(source.splits()["train"])
    only = train.subset([1])
    assert (names(only), only.classes, only.label(0)) == (["train/dog/2.png"], ("cat", "dog"), 1)
    assert np.array_equal(only.read(0).values, make.noise(1))
    with pytest.raises(ValueError, match="outside a data set of 3"):
        source.subset([3])


def test_globs_take_files_and_folders(make, tmp_path):
    make.write_folder(tmp_path, [*NAMES, "other/4.png"])
    assert names(open_source(f"{tmp_path}/train/*/*.png")) == ["cat/1.png", "dog/2.png"]
    assert names(open_source(f"{tmp_path}/t*")) == ["test/cat/3.png", "train/cat/1.png", "train/dog/2.png"]
    assert len(open_source(f"{tmp_path}/**/*.png")) == 4


def test_a_list_file_names_paths_beside_it_and_absolute_ones(make, tmp_path):
    make.write_folder(tmp_path, NAMES)
    (tmp_path / "list.txt").write_text(f"train/cat/1.png\n\n{tmp_path}/test/cat/3.png\ngone.png\n")
    source = open_source(tmp_path / "list.txt")
    assert len(source) == 3
    gone = names(source).index("gone.png")
    with pytest.raises(Unreadable, match="No such file"):
        source.read(gone)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("https://host/a.png", "is an address"),
        ("file:///etc/a.png", "is an address"),
        ("../a.png", r"leaves the folder"),
        ("x" * 5000, "longer than 4096"),
        ("a\0b.png", "zero byte"),
    ],
)
def test_a_list_file_refuses_what_is_no_local_path_and_names_the_line(tmp_path, line, problem):
    (tmp_path / "list.txt").write_text(f"fine.png\n{line}\n")
    with pytest.raises(ValueError, match=rf"line 2 .*{problem}"):
        open_source(tmp_path / "list.txt")


def test_links_in_a_circle_end(make, tmp_path):
    make.write_folder(tmp_path, ["a/1.png", "b/2.png"])
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "link.png").symlink_to(tmp_path / "a" / "1.png")
    source = open_source(tmp_path)
    assert names(source) == ["a/1.png", "b/2.png", "b/link.png"]
    assert np.array_equal(source.read(2).values, source.read(0).values)


def test_broken_links_and_pipes_are_counted_and_never_waited_for(make, tmp_path):
    make.write_folder(tmp_path, ["1.png", "2.png"])
    (tmp_path / "broken.png").symlink_to("nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    source = open_source(tmp_path)
    assert source.refused == {"broken.png": "is a broken link", "pipe.png": "is not a regular file"}
    (tmp_path / "2.png").unlink()
    os.mkfifo(tmp_path / "2.png")  # after the listing
    with pytest.raises(Unreadable, match="not a regular file"):
        source.read(1)


def test_unusual_names_are_read(make, tmp_path):
    odd = ["with space.png", "Übung 日本.png", "line\nbreak.png", "quote'\".png", "#1.png"]
    source = open_source(make.write_folder(tmp_path, odd))
    (tmp_path / os.fsdecode(b"not-utf8-\xff.png")).write_bytes(make.encode(make.noise()))
    source = open_source(tmp_path)
    assert len(source) == 6
    assert all(source.read(i).values.shape == (12, 16, 3) for i in range(6))
    assert len(source.fingerprint()) == 64


def test_the_fingerprint_ignores_the_place_and_sees_every_change(make, tmp_path):
    one = open_source(make.write_folder(tmp_path / "here", NAMES)).fingerprint()
    assert open_source(make.write_folder(tmp_path / "there", NAMES)).fingerprint() == one
    (tmp_path / "there" / "train/cat/1.png").write_bytes(b"replaced")
    assert open_source(tmp_path / "there").fingerprint() != one
    (tmp_path / "here" / "train/cat/1.png").rename(tmp_path / "here" / "train/cat/9.png")
    assert open_source(tmp_path / "here").fingerprint() != one


def test_what_cannot_be_data_is_refused_in_one_sentence(make, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.md").write_text("text")
    (tmp_path / "a.tar.gz").write_bytes(b"\x1f\x8b")
    for spec, kind, words in [
        (tmp_path / "missing", FileNotFoundError, "does not exist"),
        (tmp_path / "empty", ValueError, "holds no picture"),
        (tmp_path / "*.png", ValueError, "holds no picture"),
        (tmp_path / "notes.md", ValueError, "not a kind of file"),
        (tmp_path / "a.tar.gz", ValueError, "compressed"),
        ("s3://bucket/a", ValueError, "is an address"),
    ]:
        with pytest.raises(kind, match=words) as caught:
            open_source(spec)
        assert "\n" not in str(caught.value)


def test_a_folder_without_permission_is_counted(make, tmp_path, monkeypatch):
    make.write_folder(tmp_path, ["a/1.png", "b/2.png"])
    scan = os.scandir

    def denied(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert open_source(tmp_path).refused == {"b": "folder cannot be opened: Permission denied"}


def test_a_large_folder_is_listed_quickly(tmp_path):
    for i in range(5_000):
        (tmp_path / f"{i}.png").touch()
    begin = time.process_time()
    assert len(open_source(tmp_path)) == 5_000
    assert time.process_time() - begin < 1.0  # twenty times what it takes without run-time checks


def test_segmentation_masks_are_read_beside_their_pictures(make, tmp_path):
    make.write_folder(tmp_path, ["image/1.png"])
    (tmp_path / "mask").mkdir()
    (tmp_path / "mask/1.png").write_bytes(make.encode(np.full((12, 16), 7, np.uint8)))
    source = open_source(tmp_path)
    assert source.has_targets
    assert (source.read_target(0) == 7).all()
    assert open_source(make.write_folder(tmp_path / "plain", ["1.png"])).read_target(0) is None
