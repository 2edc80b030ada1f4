"""Point clouds on real laser scans: objects from the air, sweeps of a car, trained, measured."""

import json

import numpy as np
import pytest

from small_run import unmask, without_drawing  # noqa: F401
from unmask.data.picture import Unreadable
from unmask.data.points import open_points
from unmask.data.points_card import inspect_points

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def objects(data_folder):
    return data_folder / "objects3d_dales.npz"


def test_objects_are_in_three_parts_with_the_same_shares_of_every_class(objects):
    source = open_points(objects)
    card = inspect_points(source)
    assert (card.count, card.classes) == (499, ("building", "car", "fence", "pole", "tree"))
    assert card.splits == {"train": 349, "validation": 50, "test": 100}
    assert card.points == (101, 413, 4096)
    assert (card.lost, card.unreadable, card.duplicates) == ({}, {}, {})
    for places in source.splits().values():
        counts = np.bincount([source.label(i) for i in places])
        assert counts.max() - counts.min() <= 1


def test_sweeps_are_read_and_tables_without_points_named(data_folder):
    source = open_points(data_folder / "argoverse2/lidar")
    sizes, tables = [], []
    for i, item in enumerate(source.items):
        try:
            sizes.append(len(source.read(i).points))
        except Unreadable as error:
            tables.append((item.name.rpartition("/")[2], error.reason[:25]))
    assert sorted(sizes) == [99229, 99466, 100660]
    assert tables == [("annotations.feather", "has no columns x, y and z")] * 2


@pytest.mark.slow
@pytest.mark.works("point_mae")
@pytest.mark.usefixtures("without_drawing")
def test_a_run_classifies_far_above_chance(objects, tmp_path, capsys):
    network = ["--model", "32x2x2", "--set", "embed_width=16", "--set", "decoder_depth=1", "--set", "points=128"]
    options = ["--steps", 30, "--batch", 32, "--monitor-every", 30, "--quiet", "--lr", 8e-3]
    assert unmask("pretrain", objects, "--method", "point_mae", "--out", tmp_path / "run", *network, *options) == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    held = [row["loss"] for row in rows if row["kind"] == "held_out"]
    assert held[-1] < 0.7 * held[0]
    capsys.readouterr()
    assert unmask("evaluate", tmp_path / "run", "--with", "linear", "--json") == 0
    (outcome,) = json.loads(capsys.readouterr().out)["outcomes"]
    assert outcome["test"] > 2 * outcome["chance"]
