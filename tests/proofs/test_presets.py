"""What the scales of comparisons leave out."""

import pytest

from unmask.proofs import bamboo_config_study, mixed_ae, mp3_position_prediction, pixel_transformer
from unmask.proofs.presets import preset

PROOFS = (bamboo_config_study, mixed_ae, mp3_position_prediction, pixel_transformer)


def names(proof, scale: str) -> set[str]:
    return {arm.name for arm in proof.arms_of(preset(scale, family=True))}


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.__name__.rsplit(".", 1)[-1])
def test_arms_that_no_claim_needs_are_trained_in_full_alone(proof):
    assert names(proof, "small") < names(proof, "full")
