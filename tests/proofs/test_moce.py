"""The proof of MoCE in its smallest form: that it runs, and what it would say."""

import pytest
import torch

from small_run import make_pictures, without_drawing  # noqa: F401
from unmask.proofs import moce
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset

SETTINGS = {"model": "16x1x2", "patch_size": 4, "image_size": 16, "decoder_width": 16, "decoder_depth": 1}


def test_arms_differ_in_the_experts_alone():
    experts, mae, untrained = moce.arms_of(PRESETS["small"])
    assert experts.settings == {**mae.settings, **moce.FEW}
    assert (experts.epochs, untrained.epochs) == (mae.epochs, 0)


def test_pictures_that_come_class_by_class_have_neighbours_of_their_class():
    label = torch.arange(4).repeat_interleave(10)
    assert moce.known_by_others(torch.eye(4)[label], label) == 1.0


def test_a_way_tells_the_kind_that_is_more_frequent_on_it():
    way = torch.tensor([[0, 1], [0, 1], [0, 1], [1, 1], [1, 1], [0, 0]])
    kind = torch.tensor([True, True, False, False, False, True])
    assert moce.told(way, kind) == pytest.approx(5 / 6)
    assert moce.most_common(torch.tensor([3, 1, 3])) == 3


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(moce, "VEHICLES", (0,))
    monkeypatch.setattr(moce, "FEW", {"routes_experts": 2, "routes_clusters": 4, "routes_gate": "one"})
    data = make_pictures(tmp_path / "pictures")
    preset = Preset("pictures", 20, 10, {**SETTINGS, "decoder_heads": 2}, epochs=1, lr=1e-3, batch=8, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = moce.prove(laboratory, preset, [0])
    assert len(findings.claims) == 3 + len(moce.PROBES)
    assert findings.numbers["experts"][0]["own expert"] == 1  # each kind is a single class here
