"""The noise of a sample does not depend on how its batch is divided."""

import dataclasses

import pytest
import torch

from unmask.core import Context


def context(**values) -> Context:
    return Context(generator=torch.Generator().manual_seed(3), **values)


@pytest.mark.parametrize("draw", ["uniform", "normal"])
@pytest.mark.parametrize("parts", [1, 2, 3, 6])
def test_parts_of_a_batch_draw_the_rows_of_the_whole(draw, parts):
    whole = getattr(context(), draw)(6, 4, 2)
    size = 6 // parts
    pieces = [getattr(context(first=first, total=6), draw)(size, 4, 2) for first in range(0, 6, size)]
    assert torch.equal(torch.cat(pieces), whole)


def test_a_second_draw_is_another_one_and_again_the_same_for_every_part():
    def twice(**values):
        place = context(**values)
        return place.uniform(3 if values else 6, 2), place.uniform(3 if values else 6, 2)

    first, second = twice()
    assert not torch.equal(first, second)
    assert torch.equal(torch.cat([twice(first=0, total=6)[1], twice(first=3, total=6)[1]]), second)


def test_uniform_noise_is_in_the_unit_interval_and_normal_noise_standard():
    noise = context().uniform(20_000, 1)
    assert noise.min() >= 0
    assert noise.max() < 1
    assert abs(float(noise.mean()) - 0.5) < 0.01  # five standard errors are 0.0102
    noise = context().normal(20_000, 1)
    assert abs(float(noise.mean())) < 0.036  # five standard errors
    assert abs(float(noise.std()) - 1) < 0.025  # idem


def test_noise_of_different_lengths_depends_on_neither_the_others_nor_the_division():
    whole = context().ragged([3, 5, 2], 4)
    assert whole.shape == (10, 4)
    assert whole.min() >= 0
    assert whole.max() < 1
    other = context().ragged([3, 1, 2], 4)
    assert torch.equal(whole[:3], other[:3])
    assert torch.equal(whole[8:], other[4:])
    assert torch.equal(whole[3:4], other[3:4])
    part = context(first=1, total=3).ragged([5, 2], 4)
    assert torch.equal(whole[3:], part)
    assert context().ragged([], 4).shape == (0, 4)


def test_the_global_generator_is_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    context().normal(4, 4)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_context_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Context().step = 3
