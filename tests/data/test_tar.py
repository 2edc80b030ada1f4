import io
import os
import pickle
import random
import tarfile
import time

import numpy as np
import pytest

from unmask.data.picture import Unreadable
from unmask.data.sources import open_source
from unmask.data.tar import members


def names(source) -> list[str]:
    return [item.name for item in source.items]


def test_an_archive_is_read_in_place(make, tmp_path):
    files = {f"set/train/{c}/{i}.png": make.encode(make.noise(i)) for i, c in enumerate("abab")}
    source = open_source(make.write_tar(tmp_path / "set.tar", {**files, "set/readme.txt": b"text"}))
    assert names(source) == sorted(files)
    assert (source.classes, source.splits()) == (("a", "b"), {"train": [0, 1, 2, 3]})
    assert np.array_equal(source.read(1).values, make.noise(2))
    assert os.listdir(tmp_path) == ["set.tar"]


@pytest.mark.parametrize("layout", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_tar_dialect_gives_the_members_that_python_finds(tmp_path, layout):
    deep = "/".join(["folder"] * 20) + "/name.png"
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=layout) as archive:
        for name in ("a.png", deep, "./b.png", "ü日.png", "x" * 99 + "/" + "y" * 90 + ".png"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()[: len(name)]))
        archive.addfile(tarfile.TarInfo("folder/"))
    with tarfile.open(path) as archive:
        expected = [(m.name.removeprefix("./"), m.offset_data, m.size, "") for m in archive if m.isfile()]
    assert [(m.name, m.start, m.size, m.refused) for m in members(path)] == expected


def test_shards_are_one_set_and_their_names_tell_the_split(make, tmp_path):
    for shard in ("set-train-000", "set-train-001", "set-val-000"):
        make.write_tar(tmp_path / f"{shard}.tar", {"0.png": make.encode(make.noise(len(shard)))})
    for spec in (tmp_path, f"{tmp_path}/*.tar"):
        source = open_source(spec)
        assert names(source)[0] == "set-train-000.tar/0.png"
        assert source.splits() == {"train": [0, 1], "validation": [2]}
        assert source.classes == ()
        assert source.read(2).values.shape == (12, 16, 3)


def test_webdataset_classes_are_read_and_sorted_as_numbers(make, tmp_path):
    files = {}
    for i, number in enumerate([10, 9, 10]):
        files |= {
            f"{i:04d}.png": make.encode(make.noise(i)),
            f"{i:04d}.cls": str(number).encode(),
            f"{i:04d}.json": b"{}",
        }
    source = open_source(make.write_tar(tmp_path / "shard.tar", files))
    assert source.classes == ("9", "10")
    assert [source.label(i) for i in range(3)] == [1, 0, 1]


def test_masks_in_an_archive_are_joined_and_read(make, tmp_path):
    mask = make.encode(np.full((12, 16), 3, np.uint8))
    files = {
        "s/x_image.png": make.encode(make.noise()),
        "s/x_mask.png": mask,
        "s/y_image.png": make.encode(make.noise(1)),
    }
    source = open_source(make.write_tar(tmp_path / "set.tar", files))
    assert len(source) == 2
    assert (source.read_target(0) == 3).all()
    assert (source.subset([1, 0]).read_target(1) == 3).all()
    assert source.read_target(1) is None


def add(archive: tarfile.TarFile, name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, len(data)
    archive.addfile(member, io.BytesIO(data))


TRICKS = [
    ("../up.png", tarfile.REGTYPE, "leaves the archive"),
    ("a/../../up.png", tarfile.REGTYPE, "leaves the archive"),
    ("/absolute.png", tarfile.REGTYPE, "leaves the archive"),
    ("C:/absolute.png", tarfile.REGTYPE, "leaves the archive"),
    ("..\\up.png", tarfile.REGTYPE, "leaves the archive"),
    ("link.png", tarfile.SYMTYPE, "symbolic link"),
    ("hard.png", tarfile.LNKTYPE, "hard link"),
    ("device.png", tarfile.CHRTYPE, "device"),
    ("block.png", tarfile.BLKTYPE, "device"),
    ("pipe.png", tarfile.FIFOTYPE, "pipe"),
]


@pytest.mark.parametrize(("name", "kind", "why"), TRICKS)
def test_a_member_that_is_no_file_inside_the_archive_is_refused(make, tmp_path, name, kind, why):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, name, kind=kind, link="/etc/passwd")
        add(archive, "fine.png", make.encode(make.noise()))
    source = open_source(tmp_path / "a.tar")
    assert names(source) == ["fine.png"]
    assert why in source.refused[name]
    assert np.array_equal(source.read(0).values, make.noise())


def test_the_first_of_two_members_of_one_name_counts(make, tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, "a.png", make.encode(make.noise(0)))
        add(archive, "a.png", make.encode(make.noise(1)))
    source = open_source(tmp_path / "a.tar")
    assert np.array_equal(source.read(0).values, make.noise(0))
    assert "twice" in source.refused["a.png"]


def test_a_thousand_random_archives_give_exactly_their_legal_members(tmp_path):
    rng = random.Random(0)
    outside = set(os.listdir(tmp_path.parent))
    for _ in range(1000):
        legal = {}
        with tarfile.open(tmp_path / "a.tar", "w", format=rng.choice([0, 1, 2])) as archive:
            longest = 90 if archive.format == tarfile.USTAR_FORMAT else 120
            for number in range(rng.randint(1, 6)):
                if rng.random() < 0.5:
                    name, kind, _ = rng.choice(TRICKS)
                    add(archive, name, kind=kind, link="../x")
                else:
                    legal[f"d{number}/{'n' * rng.randint(1, longest)}.png"] = rng.randbytes(rng.randint(0, 700))
                    add(archive, *list(legal.items())[-1])
        found = {m.name: m for m in members(tmp_path / "a.tar") if not m.refused}
        data = (tmp_path / "a.tar").read_bytes()
        assert {name: data[m.start : m.start + m.size] for name, m in found.items()} == legal
    assert set(os.listdir(tmp_path.parent)) == outside


def test_random_damage_never_raises_anything_but_a_clear_error(make, tmp_path):
    rng = random.Random(1)
    good = make.write_tar(tmp_path / "a.tar", {f"{i}.png": make.encode(make.noise(i)) for i in range(3)}).read_bytes()
    for _ in range(300):
        data = bytearray(good[: rng.randint(1, len(good))])
        for _ in range(rng.randint(0, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / "b.tar").write_bytes(data)
        try:
            source = open_source(tmp_path / "b.tar")
            for i in range(len(source)):
                source.read(i)
        except (ValueError, Unreadable):
            pass


def test_a_truncated_archive_keeps_what_is_whole(make, tmp_path):
    path = make.write_tar(tmp_path / "a.tar", {f"{i}.png": make.encode(make.noise(i)) for i in range(3)})
    with tarfile.open(path) as archive:
        last = archive.getmember("2.png")
    whole = path.read_bytes()
    for end in (last.offset, last.offset + 100, last.offset + 512, last.offset_data + 100):
        path.write_bytes(whole[:end])
        source = open_source(path)
        assert names(source) == ["0.png", "1.png"]
        assert any("truncated" in reason for reason in source.refused.values())


def test_sparse_members_and_endless_sizes_are_refused(tmp_path):
    member = tarfile.TarInfo("sparse.png")
    member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.realsize": str(1 << 42)}
    huge = tarfile.TarInfo("huge.png")
    huge.size = 1 << 42
    with open(tmp_path / "a.tar", "wb") as file:
        file.write(member.tobuf(tarfile.PAX_FORMAT) + huge.tobuf(tarfile.GNU_FORMAT))
    found = {m.name: m.refused for m in members(tmp_path / "a.tar")}
    assert "sparse" in found["sparse.png"]
    assert "truncated" in found["huge.png"]


def test_what_is_no_plain_tar_is_told(make, tmp_path):
    path = make.write_tar(tmp_path / "a.tar", {"a.png": b"x"})
    with tarfile.open(tmp_path / "b.tar", "w:gz") as archive:
        archive.add(path, "a.tar")
    for data, words in [
        ((tmp_path / "b.tar").read_bytes(), "compressed with gzip"),
        (b"x" * 2000, "not a tar"),
        (b"", "not a tar"),
    ]:
        (tmp_path / "c.tar").write_bytes(data)
        with pytest.raises(ValueError, match=words):
            open_source(tmp_path / "c.tar")


def test_an_archive_survives_a_copy_to_another_process(make, tmp_path):
    source = open_source(make.write_tar(tmp_path / "a.tar", {"a.png": make.encode(make.noise())}))
    source.read(0)
    assert np.array_equal(pickle.loads(pickle.dumps(source)).read(0).values, make.noise())


def test_twenty_thousand_members_are_indexed_within_a_second(tmp_path):
    with open(tmp_path / "a.tar", "wb") as file:
        for i in range(20_000):
            file.write(tarfile.TarInfo(f"{i:06d}.png").tobuf(tarfile.USTAR_FORMAT))
        file.write(bytes(1024))
    begin = time.process_time()
    assert sum(1 for _ in members(tmp_path / "a.tar")) == 20_000
    assert time.process_time() - begin < 3.0  # about 0.1 without run-time checks
