"""Bamboo: deeper and narrower with as many parameters, and otherwise MAE."""

import pytest
import torch

from small_run import without_drawing  # noqa: F401
from unmask.app.catalogue import create
from unmask.core import Context
from unmask.methods.bamboo_config_study import DeeperViT, tiny
from unmask.methods.mae import MAE
from unmask.parts.nets.shapes import block_parameters, deeper_shape
from unmask.parts.nets.vit import SHAPES, Shape, ViT
from whole_run import run_and_look

SLUG = "bamboo_config_study"
faithful, works = pytest.mark.faithful(SLUG), pytest.mark.works(SLUG)
SIZES = {"image_size": 16, "patch_size": 4, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}


@faithful
def test_base_becomes_384_wide_and_48_deep():
    assert deeper_shape(SHAPES["vit_base"], 4) == Shape(384, 48, 6)
    assert deeper_shape(Shape(192, 6, 3), 2) == Shape(136, 12, 2)
    assert deeper_shape(Shape(192, 6, 3), 4) == Shape(96, 24, 2)
    assert deeper_shape(SHAPES["vit_large"], 1) == SHAPES["vit_large"]


@faithful
@pytest.mark.parametrize("times", [2, 4])
@pytest.mark.parametrize("name", SHAPES)
def test_parameters_stay_within_one_percent(name, times):
    wide, deep = SHAPES[name], deeper_shape(SHAPES[name], times)
    assert deep.depth == times * wide.depth
    assert deep.width % deep.heads == 0
    assert block_parameters(deep.width, deep.depth) == pytest.approx(block_parameters(wide.width, wide.depth), rel=0.01)


@faithful
def test_parameters_are_counted_as_the_network_has_them():
    for times in (1, 2):
        encoder = DeeperViT("32x3x2", times, 16, 4)
        found = sum(p.numel() for p in encoder.trunk.blocks.parameters())
        assert found == block_parameters(encoder.width, encoder.shape.depth)


@faithful
def test_all_but_the_shape_is_mae_s():
    method, batch = tiny()
    encoder = ViT("x".join(map(str, method.encoder.shape)), 16, 4)
    mae = MAE(encoder, method.decoder)
    encoder.load_state_dict(method.encoder.state_dict())
    first, second = (
        one.losses(batch, Context(generator=torch.Generator().manual_seed(0)))["reconstruction"]
        for one in (method, mae)
    )
    assert torch.equal(first, second)


@works
def test_no_blocks_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="0 times the blocks are none"):
        create(SLUG, times=0)


@works
@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_a_run_trains_shows_its_pictures_and_is_evaluated(tmp_path):
    run_and_look(tmp_path, SLUG, "16x1x2", times=2, **SIZES)
