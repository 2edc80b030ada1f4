"""Rasters: files, places and dates, windows, what is refused, and the card."""

import json
import sys
import tarfile

import numpy as np
import pytest
import torch

from small_rasters import bands, make_scenes, write_geo, write_plain
from unmask.core import check_batch
from unmask.data.evaluation import evaluation_batches
from unmask.data.picture import Unreadable
from unmask.data.raster import RasterSource, open_rasters
from unmask.data.raster_card import RasterCard, inspect_rasters
from unmask.data.raster_files import moment_of, name_and_moment
from unmask.data.raster_views import RasterView
from unmask.data.source import Source
from unmask.data.stream import TrainingStream
from unmask.data.values import whole_of


@pytest.fixture
def scenes(tmp_path):
    return make_scenes(tmp_path / "set")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/place_20150711T100008.tif", ("a/place", (2015, 7, 10))),
        ("S2A_MSIL2A_20200103_T33UVP_20200105.tif", ("S2A_MSIL2A_20200103_T33UVP", (2020, 1, 0))),
        ("field-2019-12-31.tif", ("field", (2019, 12, 0))),
        ("plot_20159911.tif", ("plot_20159911", None)),
        ("x/20200101.tif", ("x/", (2020, 1, 0))),
        ("plain.tif", ("plain", None)),
    ],
)
def test_names_tell_place_and_date(name, expected):
    assert name_and_moment(name) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2015-07-11T10:00:08", (2015, 7, 10)),
        (np.datetime64("2016-02-03"), (2016, 2, 0)),
        (np.int32(365), (1971, 1, 0)),
        ("soon", None),
    ],
)
def test_moments_of_texts_dates_and_days(value, expected):
    assert moment_of(value) == expected


def test_every_date_of_a_place_is_a_sample_or_all_together(scenes):
    apart, together = open_rasters(scenes, 8), open_rasters(scenes, 8, together=True)
    assert len(apart) == 6 * 3 * 6  # places, dates, windows of 16 x 24 pixels
    assert len(together) == 6 * 6
    assert apart.items[0].name == "class0/place0_20150711T100008.tif[00,00]"
    assert together.items[1].name == "class0/place0[00,08]"
    assert apart.classes == ("class0", "class1")
    window = together.read(1)
    assert window.moments.tolist() == [[2015, 7, 10], [2015, 8, 10], [2016, 1, 10]]
    assert np.array_equal(window.read(2).values, bands(seed=2)[:8, 8:16])


def test_windows_lie_side_by_side_and_are_no_larger_than_the_smallest_place(tmp_path):
    write_plain(tmp_path / "a.tif", bands(20, 20))
    write_plain(tmp_path / "b.tif", bands(10, 33))
    source = open_rasters(tmp_path, 96)
    assert source.tile == 10
    assert [item.name for item in source.items][:5] == [
        "a.tif[00,00]",
        "a.tif[00,10]",
        "a.tif[10,00]",
        "a.tif[10,10]",
        "b.tif[00,00]",
    ]
    assert len(source) == 4 + 3
    assert source.used == pytest.approx(700 / 730)
    assert open_rasters(tmp_path, source.tile).fingerprint() == source.fingerprint()


def test_a_file_with_a_place_on_earth_tells_bands_no_data_and_date(tmp_path):
    values = bands()
    values[:3, :2] = 0
    write_geo(tmp_path / "x.tif", values, ACQUISITION_DATE="2017-03-04T09:30:00")
    window = open_rasters(tmp_path / "x.tif", 8).read(0)
    picture = window.read(0)
    assert picture.channels == ("B02", "B03", "B04", "B08")
    assert window.moments.tolist() == [[2017, 3, 9]]
    assert picture.missing[:3, :2].all()
    assert int(picture.missing.sum()) == 6
    assert np.array_equal(picture.values, np.where(picture.missing[..., None], 0, values[:8, :8]))


def test_only_the_window_of_a_file_with_a_place_is_read(tmp_path, monkeypatch):
    write_geo(tmp_path / "x.tif", bands(64, 64), nodata=None)
    source = open_rasters(tmp_path / "x.tif", 16)
    monkeypatch.setattr("unmask.data.raster_files.decode_tiff", None)  # which would decode all of it
    window = source.read(5)
    assert window.box == (16, 16, 16, 16)
    assert np.array_equal(window.read(0).values, bands(64, 64)[16:32, 16:32])


def test_without_rasterio_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    write_geo(tmp_path / "x.tif", bands())
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ImportError, match=r"needs rasterio: pip install 'unmask\[rasters\]'"):
        open_rasters(tmp_path / "x.tif", 8)


def test_archives_are_read_in_place(tmp_path, scenes):
    write_geo(scenes / "class0" / "earth_20200101.tif", bands())
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(scenes, ".")
    folder, archive = open_rasters(scenes, 8), open_rasters(tmp_path / "set.tar", 8)
    assert [item.name for item in folder.items] == [item.name for item in archive.items]
    for i in (0, len(folder) - 1):
        assert np.array_equal(folder.read(i).read(0).values, archive.read(i).read(0).values)


def test_arrays_hold_dates_places_or_series_of_single_pixels(tmp_path):
    stack = np.stack([bands(seed=i) for i in range(3)])
    np.savez(
        tmp_path / "dates.npz", bands13=stack, timestamps=np.array(["2015-07-11T10:00:08", "2015-08-01", "2016-01-01"])
    )
    source = open_rasters(tmp_path / "dates.npz", 8, together=True)
    assert len(source) == 6
    assert source.read(0).moments[0].tolist() == [2015, 7, 10]
    np.savez(tmp_path / "places.npz", x=stack, y=np.array([0, 1, 0]), class_names=np.array(["field", "wood"]))
    places = open_rasters(tmp_path / "places.npz", 16)
    assert [item.label for item in places.items] == ["field", "wood", "field"]
    days = np.arange(3 * 5).reshape(3, 5) * 16 + 15962
    np.savez(
        tmp_path / "series.npz",
        mt_x=np.ones((3, 5, 2)),
        mt_y=np.array([0, 1, 1]),
        mt_days_since_1970=days,
        other_x=np.ones((2, 2, 2)),
    )
    series = open_rasters(f"{tmp_path}/series.npz::mt_x", 96, together=True)
    assert (len(series), series.tile) == (3, 1)
    assert series.read(0).moments[0].tolist() == [2013, 9, 0]
    assert series.read(2).read(4).values.shape == (1, 1, 2)


def test_bands_are_chosen_or_named_in_order(tmp_path):
    write_geo(tmp_path / "x.tif", bands())
    chosen = open_rasters(tmp_path, 8, channels=["B08", "B02"]).read(0).read(0)
    assert np.array_equal(chosen.values, bands()[:8, :8, [3, 0]])
    named = open_rasters(tmp_path, 8, channels=["a", "b", "c", "d"]).read(0).read(0)
    assert named.channels == ("a", "b", "c", "d")


def test_statistics_are_those_of_the_measured_windows(scenes):
    source = open_rasters(scenes, 8)
    part = source.subset(range(6))  # the first date of the first place
    card = inspect_rasters(part)
    values = bands(seed=0).reshape(-1, 4)
    assert card.mean == pytest.approx(values.mean(0))
    assert card.std == pytest.approx(values.std(0))
    assert (card.count, card.measured, card.tile) == (6, 6, 8)


def test_a_card_says_what_it_knows_and_comes_back_from_json(scenes):
    card = inspect_rasters(open_rasters(scenes, 8, together=True))
    assert RasterCard.from_json(card.to_json()) == card
    assert (card.first, card.last, card.dates) == ("2015-07", "2016-01", (3, 3, 3))
    text = card.to_text(RasterView(8, 2, (0.2, 1.0), True))
    for words in (
        "36 windows of 8x8 pixels in 6 place(s)",
        "from 2015-07 to 2016-01",
        "2 dates a sample",
        "half of them mirrored",
    ):
        assert words in text
    with pytest.raises(ValueError, match="unknown entry 'age'"):
        RasterCard.from_json({**json.loads(card.to_json()), "age": 3})
    back = card.restore(card.scaled(torch.from_numpy(bands()[:8, :8].astype(np.float32)).permute(2, 0, 1)))
    torch.testing.assert_close(back.permute(1, 2, 0).numpy(), bands()[:8, :8].astype(np.float32), atol=0.01, rtol=0)


def test_a_sample_holds_the_same_crop_of_its_dates(scenes):
    source = open_rasters(scenes, 8, together=True)
    card, view = inspect_rasters(source), RasterView(8, 2)
    batch = next(iter(evaluation_batches(source, card, view, 4)))
    check_batch(batch)
    assert batch["raster"].shape == (4, 2, 4, 8, 8)
    assert batch["moment"][0].tolist() == [[2015, 7, 10], [2015, 8, 10]]
    assert "raster_valid" not in batch
    drawn = RasterView(8, 2, (0.2, 0.5), True)
    first, second = (drawn.draw(source.read(0), card, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first["raster"], second["raster"])
    options = {"seed": 3, "batch": 4, "steps": 4}
    whole, later = (list(TrainingStream(source, card, drawn, start=s, **options)) for s in (0, 2))
    assert torch.equal(whole[2]["raster"], later[0]["raster"])


def test_fewer_dates_than_asked_are_repeated(scenes):
    source = open_rasters(scenes, 8, together=True)
    sample = RasterView(8, 5)(source.read(0), inspect_rasters(source))
    assert torch.equal(sample["raster"][0], sample["raster"][3])


def test_what_has_no_data_is_marked_and_a_window_of_nothing_refused(tmp_path):
    values = bands()
    values[:, :12] = 0
    write_geo(tmp_path / "x.tif", values)
    source = open_rasters(tmp_path, 8)
    card = inspect_rasters(source)
    assert card.unreadable == {
        "x.tif[00,00]": "has no valid pixel in B02 B03 B04 B08 (x.tif)",
        "x.tif[08,00]": card.unreadable["x.tif[08,00]"],
    }
    assert card.missing == pytest.approx(0.25)
    assert min(card.minimum) > 0
    batches = evaluation_batches(source, card, RasterView(8), budget=1.0)
    batch = next(iter(batches))
    assert len(batches.faults) == 2
    assert batch["raster_valid"][0, 0, :, :4].sum() == 0
    assert batch["raster_valid"][0, 0, :, 4:].all()
    assert not batch["raster"][0, 0, :, :, :4].any()


def test_files_that_cannot_be_used_are_named_and_the_others_kept(tmp_path):
    write_plain(tmp_path / "a_20200101.tif", bands())
    write_plain(tmp_path / "b_20200101.tif", bands())
    write_plain(tmp_path / "b_20200201.tif", bands(20, 20))
    (tmp_path / "c.tif").write_bytes(b"II*\0no picture")
    (tmp_path / "d.tif").write_bytes(write_plain(tmp_path / "e.tif", bands(seed=4)).read_bytes()[:-900])
    source = open_rasters(tmp_path, 8)
    reasons = inspect_rasters(source).unreadable
    assert "has dates of 16x24 and 20x20 pixels" in reasons["b_20200101.tif"]
    assert "TIFF" in reasons["c.tif"]
    assert any(name.startswith("d.tif") for name in reasons)
    assert not any(name.startswith(("a_", "e.")) for name in reasons)
    with pytest.raises(Unreadable):
        source.read([item.name for item in source.items].index("c.tif"))


def test_other_bands_than_the_card_s_are_refused_one_by_one(tmp_path):
    write_plain(tmp_path / "a.tif", bands())
    write_plain(tmp_path / "b.tif", bands(count=3))
    source = open_rasters(tmp_path, 8)
    card = inspect_rasters(source.subset(range(6)))
    with pytest.raises(Unreadable, match=r"has 3 band\(s\) of uint16; the data set has 4"):
        RasterView(8)(source.read(6), card)


def test_mistakes_get_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        open_rasters(tmp_path / "none.tif", 8)
    (tmp_path / "a.csv").write_text("1,2\n")
    with pytest.raises(ValueError, match="not a kind of file that holds rasters"):
        open_rasters(tmp_path / "a.csv", 8)
    np.savez(tmp_path / "two.npz", x=bands(), images=bands())
    with pytest.raises(ValueError, match=r"choose the bands .* with two\.npz::KEY"):
        open_rasters(tmp_path / "two.npz", 8)
    assert open_rasters(f"{tmp_path}/two.npz::x", 8).tile == 8
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.tif").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="none of 1 places of"):
        open_rasters(tmp_path / "bad", 8)
    with pytest.raises(TypeError, match="pictures, not scenes"):
        whole_of(Source("somewhere", []), RasterSource)


def test_changed_values_change_the_fingerprint_also_of_a_part(tmp_path):
    np.savez(tmp_path / "x.npz", x=bands()[None])
    before = open_rasters(tmp_path / "x.npz", 8)
    other = bands()[None]
    other[0, 0, 0, 0] += 1
    np.savez(tmp_path / "x.npz", x=other)
    after = open_rasters(tmp_path / "x.npz", 8)
    assert before.fingerprint() != after.fingerprint()
    assert before.subset([3]).fingerprint() != after.subset([3]).fingerprint()
