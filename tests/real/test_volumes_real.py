"""Volumes on real magnetic resonance images of the hippocampus: read in place, trained, segmented."""

import json

import numpy as np
import pytest

from small_run import unmask, without_drawing  # noqa: F401
from unmask.data.volumes import open_volumes
from unmask.data.volumes_card import inspect_volumes

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def archive(data_folder):
    return data_folder / "hippocampus_mri.tar"


def test_every_volume_has_its_mask_and_none_is_refused(archive):
    source = open_volumes(archive)
    card = inspect_volumes(source, 40)
    assert (card.count, card.targets, card.classes) == (112, 112, ())
    assert card.splits == {"train": 79, "validation": 11, "test": 22}
    assert card.spacings == ((1.0, 1.0, 1.0),) * 3
    assert set(card.kinds) == {"float32", "uint8"}
    assert (list(card.segments), card.unreadable, card.without_affine) == (["0", "1", "2"], {}, ())
    volume, target = source.read(5), source.read_target(5)
    assert target.shape == volume.size
    inside = volume.values[0][target > 0]
    assert abs(inside.mean() - volume.values.mean()) > 0.1 * volume.values.std()


@pytest.mark.slow
@pytest.mark.works("s3d_mae_medical")
@pytest.mark.usefixtures("without_drawing")
def test_a_run_learns_and_can_be_segmented_with(archive, tmp_path, capsys):
    network = ["--model", "4-8/1-1", "--set", "cell_size=8", "--set", "volume_size=16,24,16"]
    options = ["--steps", 20, "--batch", 4, "--lr", 0.5, "--monitor-every", 20, "--limit", 24, "--quiet"]
    assert (
        unmask("pretrain", archive, "--method", "s3d_mae_medical", "--out", tmp_path / "run", *network, *options) == 0
    )
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    held = [row["loss"] for row in rows if row["kind"] == "held_out"]
    assert held[-1] < held[0]
    capsys.readouterr()
    assert unmask("evaluate", tmp_path / "run", "--limit", 4, "--set", "steps=4", "--set", "labels=4", "--json") == 0
    found = json.loads(capsys.readouterr().out)["measures"]["dice"]
    assert found["volumes"] == 4
    assert np.isfinite(found["mean"])
