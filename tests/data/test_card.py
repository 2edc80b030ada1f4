import json

import numpy as np
import pytest
import tifffile

from unmask.data.card import DataCard, MixedPictures, inspect
from unmask.data.sources import open_source
from unmask.data.views import TrainingView


def array_source(tmp_path, values, name: str = "a.npy"):
    np.save(tmp_path / name, values)
    return open_source(tmp_path / name)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_statistics_are_those_of_all_pixels(tmp_path, dtype):
    values = (np.random.default_rng(0).random((7, 9, 11, 2)) * 250 + [0, 1]).astype(dtype)
    card = inspect(array_source(tmp_path, values))
    flat = values.reshape(-1, 2).astype(np.float64)
    for found, expected in [
        (card.mean, flat.mean(0)),
        (card.std, flat.std(0)),
        (card.minimum, flat.min(0)),
        (card.maximum, flat.max(0)),
    ]:
        assert np.allclose(found, expected, rtol=1e-9)  # sums in double precision, in another order
    assert (card.dtype, card.measured, card.count) == (dtype, 7, 7)


def test_a_large_offset_does_not_spoil_the_spread(tmp_path):
    values = np.random.default_rng(0).normal(1e7, 1.0, (4, 32, 32))
    assert inspect(array_source(tmp_path, values)).std[0] == pytest.approx(values.std(), rel=1e-6)


def test_sixteen_bits_stay_sixteen_bits(tmp_path):
    ramp = np.arange(65536, dtype=np.uint16).reshape(1, 256, 256)
    tifffile.imwrite(tmp_path / "ramp.tif", ramp[0])
    source = open_source(tmp_path)
    card = inspect(source)
    assert (card.minimum, card.maximum) == ((0.0,), (65535.0,))
    standard = card.standardise(source.read(0).values)
    assert len(standard.unique()) >= 4096  # at least 12 bits
    assert np.allclose(card.restore(standard)[0].numpy(), ramp[0], atol=0.01)  # single precision of 65535


def test_missing_pixels_are_left_out_of_the_statistics(tmp_path):
    values = np.random.default_rng(0).random((5, 8, 8)).astype(np.float32)
    holes = np.random.default_rng(1).random(values.shape) < 0.2
    values[holes] = np.nan
    card = inspect(array_source(tmp_path, values))
    there = values[~holes].astype(np.float64)
    assert card.mean[0] == pytest.approx(there.mean(), rel=1e-9)
    assert card.std[0] == pytest.approx(there.std(), rel=1e-9)
    assert card.missing == pytest.approx(holes.mean())


def test_standardised_values_have_mean_zero_and_spread_one(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    source = array_source(tmp_path, values)
    card = inspect(source)
    standard = np.stack([card.standardise(source.read(i).values).numpy() for i in range(6)])
    assert np.allclose(standard.mean((0, 2, 3)), 0, atol=1e-5)
    assert np.allclose(standard.std((0, 2, 3)), 1, atol=1e-5)


def test_a_constant_channel_becomes_zero(tmp_path):
    source = array_source(tmp_path, np.full((2, 4, 4), 7, np.uint8))
    assert (inspect(source).standardise(source.read(0).values) == 0).all()


def test_a_card_survives_json(tmp_path, make):
    card = inspect(open_source(make.write_folder(tmp_path, ["train/a/1.png", "test/b/2.png"])))
    assert DataCard.from_json(card.to_json()) == card
    assert DataCard.from_json(json.loads(card.to_json())) == card
    with pytest.raises(ValueError, match="unknown entry 'colour'"):
        DataCard.from_json({**json.loads(card.to_json()), "colour": 1})


def test_the_sample_depends_on_the_seed_alone(make, tmp_path):
    source = open_source(make.write_folder(tmp_path, [f"{i}.png" for i in range(20)]))
    assert inspect(source, limit=5) == inspect(source, limit=5)
    assert inspect(source, limit=5).measured == 5
    assert inspect(source, limit=5).mean != inspect(source, limit=5, seed=1).mean
    assert inspect(source, limit=None).measured == 20


def test_unreadable_refused_and_repeated_pictures_are_named(make, tmp_path):
    make.write_folder(tmp_path, ["1.png", "2.png"])
    (tmp_path / "copy.png").write_bytes((tmp_path / "1.png").read_bytes())
    (tmp_path / "same_pixels.png").write_bytes(make.encode(make.noise(1), compress_level=0))
    (tmp_path / "empty.png").touch()
    (tmp_path / "gone.png").symlink_to("nowhere")
    card = inspect(open_source(tmp_path), limit=None)
    assert card.duplicates == {"copy.png": "1.png", "same_pixels.png": "2.png"}
    assert card.unreadable == {"empty.png": "is empty (0 bytes)", "gone.png": "is a broken link"}


def test_a_set_without_a_readable_picture_is_refused_with_a_reason(tmp_path):
    (tmp_path / "a.png").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"none of 1 pictures .* can be read; a.png is not a picture"):
        inspect(open_source(tmp_path))


def test_mixed_kinds_are_reported_and_refused_with_the_table(make, tmp_path):
    make.write_folder(tmp_path, ["1.png", "2.png", "3.png"])
    make.write_folder(tmp_path / "grey", ["1.png"], shape=(12, 16))
    card = inspect(open_source(tmp_path))
    assert card.kinds == {"red green blue, uint8": 3, "grey, uint8": 1}
    assert "mixed" in card.to_text()
    with pytest.raises(MixedPictures, match="3 red green blue, uint8; 1 grey, uint8"):
        card.check_uniform()
    mapped = inspect(open_source(tmp_path, channels=["red", "green", "blue"]))
    mapped.check_uniform()
    assert mapped.kinds == {"red green blue, uint8": 4}


def test_other_statistics_are_told_by_channel(tmp_path):
    values = np.random.default_rng(0).normal(100, 10, (4, 16, 16, 2))
    card = inspect(array_source(tmp_path, values))
    assert card.differences(card) == []
    shifted = inspect(array_source(tmp_path, values + np.array([0, 50])))
    assert [line.split()[0] for line in card.differences(shifted)] == ["channel_1"]
    assert "float32, not float64" in card.differences(inspect(array_source(tmp_path, values.astype(np.float32))))[0]
    assert card.differences(inspect(array_source(tmp_path, values[..., :1]))) == [
        "channels are grey, not channel_0 channel_1"
    ]


def test_the_text_says_everything_in_aligned_lines(make, tmp_path):
    make.write_folder(tmp_path, ["train/cat/1.png", "train/dog/2.png"])
    (tmp_path / "train/dog/bad.png").touch()
    text = inspect(open_source(tmp_path)).to_text(TrainingView(32), estimate="about 3 minutes on this machine")
    for words in [
        "2: cat, dog",
        "train 3",
        "all 12x16",
        "3: red green blue",
        "uint8, 0 to 255",
        "train/dog/bad.png is empty (0 bytes)",
        "random crops of 20% to 100% of the area, resized to 32x32, mirrored",
        "smaller than 32x32 are enlarged",
        "about 3 minutes",
    ]:
        assert words in text
    rows = [line for line in text.splitlines()[:10] if not line.startswith(" ")]
    assert all(line[12] == " " and line[13] != " " for line in rows)


def test_many_channels_and_names_are_shortened(tmp_path):
    values = np.random.default_rng(0).random((2, 48, 48, 40), dtype=np.float32)
    text = inspect(array_source(tmp_path, values)).to_text()
    assert "channel_0 ... channel_39 (40)" in text
    assert "and 28 more channels" in text
