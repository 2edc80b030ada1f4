"""The proof of SatMAE in its smallest form: that it runs, and what it would say."""

import numpy as np
import pytest
import torch

from small_rasters import bands
from small_run import without_drawing  # noqa: F401
from unmask.proofs import satmae
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset


def test_arms_differ_in_one_thing_each():
    (groups, same, one, untrained), (dates, without, blank) = satmae.arms_of(PRESETS["small"])
    assert same.settings == {**groups.settings, "shared": "place"}
    assert {**one.settings, "groups": groups.settings["groups"]} == groups.settings
    assert (untrained.epochs, blank.epochs) == (0, 0)
    assert set(without.settings) - set(dates.settings) == {"time_width", "decoder_time_width"}


def test_the_commonest_cover_of_every_patch():
    cover = np.kron(np.array([[1, 2], [3, 8]]), np.ones((4, 4), int))
    cover[0, 0] = 8
    assert satmae.commonest(cover, (0, 0, 8, 8), 4).tolist() == [1, 2, 3, 8]


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    network = {"model": "32x1x2", "decoder_width": 32, "decoder_depth": 1, "decoder_heads": 2}
    scene = {**network, "image_size": 16, "patch_size": 8, "groups": "0,1/2,3"}
    monkeypatch.setattr(satmae, "SCENE", scene)
    monkeypatch.setattr(satmae, "STACKED", "0,1,2,3")
    monkeypatch.setattr(satmae, "PIXELS", {**network, "image_size": 1, "patch_size": 1, "dates": 4})
    monkeypatch.setattr(satmae, "EPOCHS", {True: (1, 1)})
    cover = np.random.default_rng(0).integers(0, 2, (64, 96))
    np.savez(tmp_path / "place.npz", bands4=np.stack([bands(64, 96, seed=i) for i in range(5)]), land_cover=cover)
    generator = np.random.default_rng(0)
    days = np.arange(60 * 4).reshape(60, 4) * 30 + 15962
    series = {"mt_x": generator.normal(size=(60, 4, 1)), "mt_y": np.arange(60) % 2, "mt_days_since_1970": days}
    np.savez(tmp_path / "satellite_series_modis.npz", **series)
    preset = Preset("place.npz", 300, 60, {}, epochs=1, lr=1.0, batch=8, warmup=0.1)
    folders = tmp_path / "runs", tmp_path / "arms"
    laboratory = Laboratory(tmp_path / "place.npz", 300, 60, *folders, "cpu", lambda _: None, method="satmae")
    findings = satmae.prove(laboratory, preset, [0])
    assert len(findings.numbers) == 7
    assert len(findings.claims) == 4 + 4
    assert all(0 <= row["land cover"] <= 1 for row in findings.numbers["groups"])
    assert torch.isfinite(torch.tensor([row["linear"] for row in findings.numbers["dates"]])).all()


def test_windows_are_divided_as_a_whole_and_none_is_in_two_parts():
    window = torch.arange(12).repeat_interleave(4)
    parts = satmae.divided_windows(window, 0)
    assert [int(part.sum()) for part in parts] == [16, 8, 24]
    assert torch.stack(parts).sum(0).eq(1).all()
    assert all(part.view(12, 4).float().std(1).eq(0).all() for part in parts)
    assert not torch.equal(parts[0], satmae.divided_windows(window, 1)[0])
