import pytest
import torch
from torch import nn

from unmask.evaluate.layer_decay import layer_of, parameter_groups


def test_layers_are_numbered_from_the_input():
    names = ["embed.weight", "positions.table", "class_token", "trunk.blocks.0.norm1.weight"]
    names += ["trunk.blocks.11.mlp.0.bias", "trunk.norm.weight", "stem.trunk.blocks.3.x"]
    assert [layer_of(name, 12) for name in names] == [0, 0, 0, 1, 12, 13, 4]


def test_rates_fall_by_the_decay_from_block_to_block(method):
    """Two blocks: the head and the last norm learn at 1, the blocks at 0.5 and 0.25, the input at 0.125."""
    groups = parameter_groups(method.encoder, nn.Linear(16, 3), 0.5, 0.05)
    assert {group["layer"]: group["scale"] for group in groups} == {0: 0.125, 1: 0.25, 2: 0.5, 3: 1.0}


def test_every_parameter_is_in_one_group(method):
    head = nn.Linear(16, 3)
    given = [p for group in parameter_groups(method.encoder, head, 0.65, 0.05) for p in group["params"]]
    expected = [*method.encoder.parameters(), *head.parameters()]
    assert len(given) == len(expected)
    assert {id(p) for p in given} == {id(p) for p in expected}


def test_vectors_and_the_class_token_do_not_decay(method):
    for group in parameter_groups(method.encoder, nn.Linear(16, 3), 0.65, 0.05):
        for parameter in group["params"]:
            plain = parameter.ndim < 2 or parameter is method.encoder.class_token
            assert group["weight_decay"] == (0.0 if plain else 0.05)


def test_frozen_parameters_are_left_out(method):
    method.encoder.embed.requires_grad_(False)
    given = [p for group in parameter_groups(method.encoder, nn.Linear(16, 3), 0.65, 0.05) for p in group["params"]]
    assert not any(p is method.encoder.embed.weight for p in given)


def test_an_encoder_without_blocks_needs_a_decay_of_one():
    with pytest.raises(ValueError, match="layer_decay=1"):
        parameter_groups(nn.Linear(4, 4), nn.Linear(4, 2), 0.65, 0.05)
    assert len(parameter_groups(nn.Linear(4, 4), nn.Linear(4, 2), 1.0, 0.05)) == 4


def test_a_decay_outside_its_range_is_refused(method):
    for decay in (0.0, 1.5, float(torch.nan)):
        with pytest.raises(ValueError, match="layer decay"):
            parameter_groups(method.encoder, nn.Linear(16, 3), decay, 0.05)
