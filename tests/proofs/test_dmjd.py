"""The proof of DMJD in its smallest form: which arms there are."""

from unmask.proofs import dmjd
from unmask.proofs.presets import PRESETS


def test_arms_differ_in_one_thing_each():
    random, disjoint, distilled, mae = dmjd.arms_of(PRESETS["small"])
    assert (random.mask, random.settings) == ("random", disjoint.settings)
    assert disjoint.settings["cell"] == 1  # random masks know no larger cells
    assert disjoint.settings == {**distilled.settings, "shown": 0.0}
    assert mae.epochs == 2 * distilled.epochs
