"""Plans: what a recipe means for this data."""

import pytest

from unmask.core import Recipe
from unmask.train.plan import Plan, make_plan

RECIPE = Recipe(lr=1e-3, batch=4096, epochs=100, warmup=10)


def test_learning_rate_is_quoted_per_256_samples_of_the_effective_batch():
    assert make_plan(RECIPE, 1000, batch=64).lr == pytest.approx(1e-3 * 64 / 256)


def test_epochs_become_steps_and_warmup_keeps_its_share():
    plan = make_plan(RECIPE, 1000, epochs=20, batch=50)
    assert plan.steps == 400
    assert plan.warmup == pytest.approx(40)


def test_a_small_data_set_makes_a_small_batch():
    assert make_plan(RECIPE, 30).batch == 30


def test_plan_survives_json():
    plan = make_plan(RECIPE, 1000, steps=10)
    assert Plan.from_json(plan.to_json()) == plan


def test_epochs_and_steps_together_are_refused():
    with pytest.raises(ValueError, match="give one"):
        make_plan(RECIPE, 100, epochs=1, steps=1)


def test_warmup_that_fills_the_training_is_refused():
    with pytest.raises(ValueError, match="warm-up of 20 steps fills all 10"):
        make_plan(RECIPE, 100, steps=10, batch=10, warmup=2)
