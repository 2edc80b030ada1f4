"""Convolutional encoders: their sizes, what they refuse, how cells, strides and pictures fit."""

import pytest
import torch
from torch import nn

from unmask.core import Mask
from unmask.parts.nets.convnet import SHAPES, ConvNet, convnet_shape
from unmask.parts.nets.convnext import ConvNeXt
from unmask.parts.nets.masked_conv import MaskedBatchNorm2d
from unmask.parts.nets.resnet import BasicBlock, ResNet

TINY = "resnet:8-12-16/1-1-1"


def pictures(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("model", "millions"),
    [("resnet18", 11.18), ("resnet50", 23.51), ("convnext_tiny", 27.82), ("convnext_base", 87.56)],
)
def test_presets_have_the_published_number_of_parameters(model, millions):
    """Without classifier; for ConvNeXt also without its norm."""
    with torch.device("meta"):
        encoder = ConvNet(model)
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)
    assert (encoder.strides, encoder.patch_size, encoder.grid) == ((4, 8, 16, 32), 32, (7, 7))


@pytest.mark.parametrize("model", sorted(SHAPES))
def test_every_preset_has_as_many_depths_as_widths(model):
    shape = convnet_shape(model)
    assert len(shape.widths) == len(shape.depths) == 4


@pytest.mark.parametrize(
    "model", ["resnet19", "resnet:8-16/1", "resnet:8-a/1-1", "vit:8/1", "resnet:8-16/1-0", "resnet:", ""]
)
def test_an_unknown_model_is_refused_with_the_known_ones(model):
    with pytest.raises(ValueError, match="resnet:32-64-128/2-2-2"):
        ConvNet(model)


@pytest.mark.parametrize(
    ("side", "cell", "strides"),
    [
        (224, None, (4, 8, 16, 32)),
        (96, None, (2, 4, 8, 16)),
        (64, None, (1, 2, 4, 8)),
        (32, None, (1, 2, 4, 8)),
        (224, 16, (2, 4, 8, 16)),
        (64, 24, (1, 2, 4, 8)),
        (256, 64, (4, 8, 16, 32)),
    ],
)
def test_the_first_stage_is_as_fine_as_the_cells_ask_for(side, cell, strides):
    encoder = ConvNet("convnext:4-4-4-4/1-1-1-1", side, cell)
    assert encoder.strides == strides
    assert encoder.patch_size == (cell or strides[-1])


def test_cells_that_no_stride_divides_are_refused():
    with pytest.raises(ValueError, match="multiple of 8, or a network of fewer stages"):
        ConvNet("resnet18", 32, 4)
    with pytest.raises(ValueError, match="no multiple of the stride 32"):
        ConvNet(ResNet((4, 4, 4, 4), (1, 1, 1, 1)), 224, 16)


def test_a_picture_of_one_cell_is_refused():
    with pytest.raises(ValueError, match="single cell of 32"):
        ConvNet(TINY, 32, 32)


def test_another_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="5 channels, this encoder 3"):
        ConvNet(TINY, 16)(pictures(1, 5, 16, 16))


@pytest.mark.parametrize("model", [TINY, "bottleneck:8-8-8/1-1-1", "convnext:8-12-16/1-1-1"])
@pytest.mark.parametrize("stem", [4, 2, 1])
def test_stages_have_the_announced_widths_and_strides(model, stem):
    encoder = ConvNet(model, 64, 4 * stem)
    assert encoder.strides == (stem, 2 * stem, 4 * stem)
    for stage, width, stride in zip(encoder(pictures(2, 3, 64, 32)), encoder.widths, encoder.strides, strict=True):
        assert stage.shape == (2, width, 64 // stride, 32 // stride)


def test_a_picture_that_does_not_divide_is_encoded_as_it_is():
    """The padding up to whole cells is inactive, so that the network sees the border of the picture."""
    torch.manual_seed(0)
    encoder = ConvNet(TINY, 16).eval()
    image = pictures(2, 3, 17, 22)
    active = encoder.active(image)
    for stage, plain in zip(encoder(image, active), encoder.network(image), strict=True):
        h, w = plain.shape[-2:]
        torch.testing.assert_close(stage[..., :h, :w], plain, rtol=1e-5, atol=1e-6)
        assert int(active.at(stage).sum()) == 2 * h * w


def test_pixels_are_active_in_seen_cells_where_they_are_real():
    encoder = ConvNet(TINY, 16)
    image, valid = pictures(1, 3, 8, 10), torch.ones(1, 8, 10, dtype=torch.bool)
    valid[0, 0, 0] = False
    mask = Mask.of(torch.tensor([[False, True, False, True, True, True]]))
    pixels = encoder.active(image, mask, valid).pixels
    expected = torch.zeros(1, 8, 12, dtype=torch.bool)
    expected[0, :4, :4] = expected[0, :4, 8:10] = True
    expected[0, 0, 0] = False
    assert torch.equal(pixels, expected)
    assert encoder.active(pictures(1, 3, 8, 12)) is None


def test_resnet_blocks_begin_as_their_shortcuts():
    torch.manual_seed(0)
    block = BasicBlock(8, 8)
    x = pictures(2, 8, 4, 4).relu()
    assert torch.equal(block(x), x)


def test_drop_path_grows_to_its_rate_at_the_last_block():
    for network in (ResNet((4, 4), (2, 2), drop_path=0.3), ConvNeXt((4, 4), (2, 2), drop_path=0.3)):
        rates = [getattr(m.drop, "p", 0.0) for m in network.modules() if hasattr(m, "drop")]
        assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_a_network_of_one_s_own_is_taken_as_it_is():
    class Plain(nn.Module):
        widths, strides, norm = (4,), (8,), MaskedBatchNorm2d

        def forward(self, image, active=None):
            return [nn.functional.avg_pool2d(image, 8)]

    encoder = ConvNet(Plain(), 32)
    assert encoder.patch_size == 8
    assert encoder(pictures(1, 3, 32, 32))[0].shape == (1, 3, 4, 4)
