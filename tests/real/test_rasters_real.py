"""Rasters on a real place of Sentinel-2 and on series of MODIS: read, trained, measured."""

import json

import numpy as np
import pytest

from small_rasters import write_geo
from small_run import unmask, without_drawing  # noqa: F401
from unmask.data.raster import open_rasters
from unmask.data.raster_card import inspect_rasters

pytestmark = pytest.mark.real
S2 = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
NETWORK = ["--method", "satmae", "--model", "48x2x2", *(["--set", "decoder_width=48", "--set", "decoder_depth=1"])]
NETWORK += ["--set", "decoder_heads=2", "--quiet", "--batch", 32]


@pytest.fixture(scope="module")
def place(data_folder, tmp_path_factory):
    """The place as .tif files with a place on Earth, one a date."""
    with np.load(data_folder / "sentinel2_patch.npz") as file:
        stack, dates = file["bands13"], file["timestamps"]
    folder = tmp_path_factory.mktemp("slovenia")
    for values, date in zip(stack, dates, strict=False):
        write_geo(folder / f"slovenia_{date[:10].replace('-', '')}.tif", values, S2)
    return folder


def test_files_and_the_array_hold_the_same_place(data_folder, place):
    files, array = open_rasters(place, 24), open_rasters(data_folder / "sentinel2_patch.npz", 24)
    assert (len(files), len(array)) == (5 * 16, 5 * 16)
    first, second = files.read(7).read(0), array.read(7).read(0)
    assert np.array_equal(first.values, second.values)
    card = inspect_rasters(files)
    assert (card.channels, card.first, card.last, card.dates) == (S2, "2015-07", "2015-09", (5, 5, 5))
    assert card.used == pytest.approx(96 * 96 / (101 * 100))


@pytest.mark.slow
@pytest.mark.works("satmae")
@pytest.mark.usefixtures("without_drawing")
def test_groups_of_bands_of_a_real_place_are_learned(place, tmp_path):
    sizes = ["--set", "image_size=24", "--set", "patch_size=8"]
    options = ["--steps", 30, "--lr", 1.6e-2, "--monitor-every", 30]
    assert unmask("pretrain", place, "--out", tmp_path / "run", *NETWORK, *sizes, *options) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["settings"]["groups"] == "1,2,3,7/4,5,6,8/11,12"
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    held = [row["loss"] for row in rows if row["kind"] == "held_out"]
    assert held[-1] < 0.9 * held[0]


@pytest.mark.slow
@pytest.mark.works("satmae")
@pytest.mark.usefixtures("without_drawing")
def test_dates_of_real_series_are_learned_and_tell_land_covers_apart(data_folder, tmp_path, capsys):
    data = f"{data_folder / 'satellite_series_modis.npz'}::mt_x"
    options = ["--set", "dates=12", "--steps", 30, "--lr", 1.6e-2, "--monitor-every", 30]
    assert unmask("pretrain", data, "--out", tmp_path / "run", *NETWORK, *options) == 0
    capsys.readouterr()
    assert unmask("evaluate", tmp_path / "run", "--with", "linear", "--json") == 0
    (linear,) = json.loads(capsys.readouterr().out)["outcomes"]
    assert linear["test"] > linear["chance"] + 0.3
