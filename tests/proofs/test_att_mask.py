"""The proof of AttMask in its smallest form: which arms there are."""

from unmask.core.assembly import arguments
from unmask.methods.att_mask import AttMask
from unmask.proofs import att_mask
from unmask.proofs.presets import PRESETS


def test_arms_differ_in_what_is_hidden_alone():
    high, hint, low, random, block, untrained, mae = att_mask.arms_of(PRESETS["small"].family())
    plain = {name: value for name, value in high.settings.items() if name != "hide"}
    assert hint.settings == {**high.settings, "hide": "hint"}
    assert low.settings == {**high.settings, "hide": "low"}
    assert [(arm.mask, arm.settings) for arm in (random, block)] == [("random", plain), ("block", plain)]
    assert set(high.settings) <= {*arguments(AttMask), "model", "image_size", "patch_size"}
    assert (untrained.settings, untrained.epochs) == (high.settings, 0)
    assert (mae.method, mae.batch, mae.epochs) == ("mae", high.batch, high.epochs)


def test_the_full_preset_keeps_its_network():
    full = PRESETS["full"]
    assert {arm.settings["model"] for arm in att_mask.arms_of(full)} == {full.settings["model"]}
