"""The proofs of MaskGIT and of its tokenizer in their smallest form: that they run, and what they would say."""

import pytest

from small_run import make_pictures, without_drawing  # noqa: F401
from unmask.proofs import maskgit, vq_tokenizer
from unmask.proofs.experiment import Arm, Laboratory
from unmask.proofs.presets import PRESETS, Preset

TOKENIZER = {"codebook_size": 8, "latent": 4, "width": 8, "multipliers": (1, 1, 2), "blocks": 1}


def test_arms_share_one_tokenizer_and_differ_in_one_thing():
    arms = maskgit.arms_of(PRESETS["small"])
    assert len({id(arm.settings["tokenizer"]) for arm in arms}) == 1
    assert isinstance(arms[0].settings["tokenizer"], Arm)
    assert {arm.settings.get("schedule") for arm in arms} == {"cosine", "pow2", "uniform", "pow0.5", None}


def test_an_arm_with_another_stage_is_another_arm():
    first, second = (
        Arm("a", "maskgit", {"tokenizer": vq_tokenizer.tokenizer(PRESETS["small"], entropy=e)}, 1, 1, 1, 0)
        for e in (0.1, 0.2)
    )
    assert first.key("data", 1, 1, 0) == first.key("data", 1, 1, 0)
    assert first.key("data", 1, 1, 0) != second.key("data", 1, 1, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_they_run_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(vq_tokenizer, "NETWORK", {f"tokenizer_{name}": value for name, value in TOKENIZER.items()})
    monkeypatch.setattr(maskgit, "NETWORK", {"model": "16x1x2", "decoding_steps": 2, "image_size": 16})
    monkeypatch.setattr(maskgit, "SAMPLES", 10)
    data = tmp_path / "pictures"
    for part, count in (("train", 40), ("test", 12)):
        make_pictures(data / part, count)
    preset = Preset("pictures", 20, 10, {}, epochs=24, lr=1.0, batch=8, warmup=0)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    monkeypatch.setattr(maskgit, "BATCH", 8)
    monkeypatch.setattr(vq_tokenizer, "BATCH", 8)
    findings = maskgit.prove(laboratory, preset, [0])
    assert [arm.name for arm in findings.arms] == [*maskgit.SCHEDULES, "one by one"]
    assert len(findings.claims) == 2 + 4
    assert findings.claims[1].numbers == {"mean": 16 / 2}
    findings = vq_tokenizer.prove(laboratory, preset, [0])
    assert all(1 <= row["entries in use"] <= 8 for rows in findings.numbers.values() for row in rows)
