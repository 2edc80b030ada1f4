"""The verbs on rasters: trained, taken up again, looked at, measured, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_rasters import NETWORK, bands, make_scenes, pretrain_scenes, write_geo
from small_run import unmask, without_drawing  # noqa: F401
from unmask.app.modalities.raster import groups_of
from unmask.app.raster_plots import natural, triples
from unmask.app.report import write_report
from unmask.app.runs import load, read_card
from unmask.data.raster_card import RasterCard
from whole_run import ends_alike

works = pytest.mark.works("satmae")
OPTIONS = ["--steps", 4, "--save-every", 2, "--monitor-every", 4, "--log-every", 1]
S2 = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_scenes(tmp_path_factory.mktemp("scenes") / "set")


@pytest.fixture(scope="module")
def grouped(tmp_path_factory, data) -> Path:
    """The folder of a run of four steps on single dates in two groups; not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "grouped"
    assert pretrain_scenes(data, out, *OPTIONS, "--set", "groups=0,1/2,3") == 0
    return out


@pytest.fixture(scope="module")
def dated(tmp_path_factory, data) -> Path:
    """The same on two dates of a sample."""
    out = tmp_path_factory.mktemp("runs") / "dated"
    assert pretrain_scenes(data, out, *OPTIONS, "--set", "dates=2", "--set", "normalise=true") == 0
    return out


@works
@pytest.mark.parametrize("kind", ["grouped", "dated"])
def test_a_run_holds_its_card_numbers_and_pictures(kind, request):
    run = request.getfixturevalue(kind)
    assert isinstance(read_card(run), RasterCard)
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    held = [row for row in rows if row["kind"] == "held_out"]
    assert [row["step"] for row in held] == [0, 4]
    assert all(np.isfinite(row[name]) for row in held for name in ("loss/reconstruction", "rankme", "knn/02"))
    assert len(list((run / "pictures").glob("*.png"))) == 2


@works
@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("kind", ["grouped", "dated"])
def test_a_run_taken_up_from_its_middle_ends_with_the_same_bits(kind, request, tmp_path):
    run = request.getfixturevalue(kind)
    ends_alike(run, tmp_path / "again")


def test_inspect_says_what_training_would_do(data, capsys):
    assert unmask("inspect", data, *NETWORK) == 0
    said = capsys.readouterr().out
    for words in (
        "108 windows of 8x8 pixels in 6 place(s)",
        "from 2015-07 to 2016-01",
        "4 of uint16",
        "scenes/s",
        "groups=0,1,2,3",
    ):
        assert words in said


@works
def test_runs_can_be_drawn(grouped, dated, tmp_path):
    for run in (grouped, dated):
        assert unmask("view", run, "--images", 2, "--out", tmp_path / "view.png") == 0
        assert min(Image.open(tmp_path / "view.png").size) > 300


@works
def test_features_are_probed_and_written(grouped, dated, tmp_path):
    own = Path(shutil.copytree(dated, tmp_path / "run"))
    assert unmask("evaluate", own) == 0
    assert {outcome["name"] for outcome in json.loads((own / "evaluation.json").read_text())["outcomes"]} == {
        "knn",
        "linear",
    }
    assert "scenes" in write_report(own).read_text()
    assert unmask("embed", grouped, "--out", tmp_path / "features.npy") == 0
    assert np.load(tmp_path / "features.npy").shape == (108, 48)
    assert load(dated).features(_batch(dated)).tokens.shape == (2, 8, 48)


def _batch(run: Path) -> dict:
    from unmask.app.looking import batches_of, pictures_of

    loaded = load(run)
    return next(iter(batches_of(loaded, pictures_of(loaded, None), 2)))


def test_the_bands_of_sentinel_2_get_their_published_groups():
    assert groups_of(S2) == "1,2,3,7/4,5,6,8/11,12"
    assert groups_of(("red", "green")) == "0,1"
    assert natural(S2) == [3, 2, 1]
    assert natural(("a", "b")) == [0]
    drawn = triples(S2, [[1, 2, 3, 7], [4, 5, 6, 8], [11, 12]])
    assert drawn == {"natural": [3, 2, 1], "B05 B06 B07": [4, 5, 6], "B11 B12": [11, 12, 11]}


def test_what_is_for_pictures_is_refused(grouped, tmp_path, sentence):
    assert "works on scenes, and finetune is for pictures" in sentence("finetune", grouped)
    assert "export to onnx is for pictures" in sentence("export", grouped, "--to", "onnx", "--out", tmp_path / "out")
    assert "view --masks is for pictures" in sentence("view", grouped, "--masks", "random")


def test_what_does_not_fit_is_refused_before_training(data, tmp_path, sentence):
    def refused(data, *more) -> str:
        return sentence("pretrain", data, "--out", tmp_path / "new", *NETWORK, "--steps", 2, "--quiet", *more)

    assert "a mask given by hand is for pictures" in refused(data, "--mask", "random")
    assert "--fit pad is about pictures" in refused(data, "--fit", "pad")
    assert "must name channels from 0 to" in refused(data, "--set", "groups=0,1/99")
    single = tmp_path / "single"
    for i in range(3):
        write_geo(single / f"place{i}.tif", bands(seed=i))
    assert "has a single date, and dates=2 was asked for" in refused(single, "--set", "dates=2")
    np.savez(tmp_path / "undated.npz", x=np.stack([bands(seed=i) for i in range(3)]))
    assert "not every date of" in refused(tmp_path / "undated.npz", "--set", "dates=2")
    flat = bands()
    flat[..., 2] = 7
    for i in range(3):
        write_geo(tmp_path / "flat" / f"place{i}.tif", flat)
    assert "B04 of" in (said := refused(tmp_path / "flat"))
    assert "is the same everywhere" in said


def test_bands_in_another_order_are_brought_into_the_run_s(tmp_path):
    names = ("B02", "B03", "B04", "B08")
    write_geo(tmp_path / "a" / "x.tif", bands(32, 32), names)
    assert pretrain_scenes(tmp_path / "a", tmp_path / "run", "--steps", 1, "--monitor-every", 9) == 0
    write_geo(tmp_path / "b" / "x.tif", bands(32, 32)[..., ::-1], names[::-1])
    for name in ("a", "b"):
        assert unmask("embed", tmp_path / "run", tmp_path / name, "--out", tmp_path / f"{name}.npy") == 0
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))
