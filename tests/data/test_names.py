import pytest

from unmask.data.names import described, is_picture, label_of, pair_masks, split_of


@pytest.mark.parametrize(
    ("folder", "split", "label"),
    [
        ("", None, None),
        ("cat", None, "cat"),
        ("train/cat", "train", "cat"),
        ("set/val/dog", "validation", "dog"),
        ("set/valid", "validation", None),
        ("Testing/n01/images", "test", "n01"),
        ("set-train-0003.tar", "train", None),
        ("validation-00001.parquet", "validation", None),
        ("trainer/cat", None, "cat"),
    ],
)
def test_a_path_tells_split_and_class(folder, split, label):
    assert (split_of(folder), label_of(folder)) == (split, label)


def test_one_folder_makes_no_class_and_two_do():
    one = described({"photos/a.jpg": 1, "photos/b.jpg": 1})
    two = described({"cat/a.jpg": 1, "dog/b.jpg": 1, "c.jpg": 1})
    assert [item.label for item in one] == [None, None]
    assert [item.label for item in two] == [None, "cat", "dog"]


def test_masks_are_joined_to_their_pictures_and_are_no_samples():
    names = ["a/image/1.jpg", "a/mask/1.png", "b/2_image.png", "b/2_mask.png", "c/3.jpg", "c/3_mask.png"]
    names += ["images/4.tif", "masks/4.tif"]
    items = described(dict.fromkeys(names, 1))
    assert {item.name: item.target for item in items} == {
        "a/image/1.jpg": "a/mask/1.png",
        "b/2_image.png": "b/2_mask.png",
        "c/3.jpg": "c/3_mask.png",
        "images/4.tif": "masks/4.tif",
    }


def test_a_class_called_mask_stays_a_class():
    items = described({"mask/1.jpg": 1, "no_mask/2.jpg": 1})
    assert [item.label for item in items] == ["mask", "no_mask"]
    assert pair_masks(["mask/1.jpg", "no_mask/2.jpg"]) == {}


def test_hidden_and_other_files_are_no_pictures():
    assert is_picture("a/b.JPeG")
    assert not any(is_picture(name) for name in ("a/._b.jpg", "notes.txt", "jpg", "a.jpg/readme"))
