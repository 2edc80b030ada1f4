"""The proof of R-MAE in its smallest form: that it runs, and what it would say."""

import pytest
import torch

from small_run import make_pictures, without_drawing  # noqa: F401
from unmask.core import Mask
from unmask.proofs import r_mae
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset

SETTINGS = {"model": "16x1x2", "patch_size": 4, "image_size": 16, "decoder_width": 16, "decoder_depth": 1}


def test_arms_differ_in_their_regions_alone():
    own, other, mae, untrained = r_mae.arms_of(PRESETS["small"])
    assert other.settings == {**own.settings, "regions_of": "other"}
    assert own.settings == {**mae.settings, **r_mae.LIGHT}
    assert (untrained.epochs, untrained.settings) == (0, mae.settings)


def test_overlap_counts_hidden_places_alone():
    one, other = torch.tensor([1, 1, 0, 1]) > 0, torch.tensor([1, 0, 0, 0]) > 0
    shape, hidden = (1, 1, 2, 2), torch.tensor([[True, False]])
    assert r_mae.overlap(one.view(shape), other.view(shape), hidden).tolist() == [[0.5]]
    assert r_mae.overlap(other.view(shape), other.view(shape), ~hidden).isnan().all()


def test_the_nearest_visible_patch_is_copied():
    regions = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 4, 1).expand(1, 1, 4, 4)
    mask = Mask.of(torch.tensor([[False, True, True, False]]))
    assert r_mae.nearest(regions, mask, (1, 4), 2)[0, 0, :, 0].tolist() == [1, 1, 0, 0]


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(r_mae, "LIGHT", {**r_mae.LIGHT, "region_decoder_width": 16, "regions_count": 2})
    data = make_pictures(tmp_path / "pictures")
    preset = Preset("pictures", 20, 10, {**SETTINGS, "decoder_heads": 2}, epochs=1, lr=1e-3, batch=8, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = r_mae.prove(laboratory, preset, [0])
    assert len(findings.claims) == 2 + 2 * len(r_mae.PROBES)
    assert findings.notes[0] == "segmentation was not measured: there is no camvid.tar beside the data"
    assert 0 <= findings.numbers["regions"][0]["nearest"] <= 1
