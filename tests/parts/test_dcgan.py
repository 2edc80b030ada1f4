"""Strided convolutions: sizes, padding, and that up is the transpose of down."""

import pytest
import torch

from unmask.parts.nets.dcgan import ConvDecoder, ConvEncoder, ConvStage, SameDeconv, margins
from unmask.parts.nets.perceptron import Perceptron


@pytest.mark.parametrize(("size", "channels"), [(32, 3), (64, 1), ((10, 14), 5)])
def test_pictures_of_any_size_and_channels_come_back_in_their_shape(size, channels):
    encoder = ConvEncoder(size, channels, latent=6, width=16, layers=3)
    height, width = (size, size) if isinstance(size, int) else size
    image = torch.randn(2, channels, height, width)
    code, log_variance = encoder(image)
    assert code.shape == (2, 6)
    assert log_variance is None
    assert ConvDecoder(encoder)(code).shape == image.shape


def test_widths_double_up_to_the_last_and_halve_again():
    encoder = ConvEncoder(64, 3, latent=64, width=1024, layers=4)
    assert [stage.conv.out_channels for stage in encoder.stages] == [128, 256, 512, 1024]
    decoder = ConvDecoder(encoder)
    assert decoder.start == (1024, 8, 8)
    assert [stage.conv.conv.out_channels for stage in decoder.stages] == [512, 256, 128]


@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize("side", [8, 12])
def test_up_is_the_transpose_of_down(kernel, side):
    down, up = ConvStage(2, 3, kernel), SameDeconv(3, 2, kernel, 2)
    up.conv.weight.data = down.conv.weight.data
    image, other = torch.randn(1, 2, side, side), torch.randn(1, 3, side // 2, side // 2)
    (before, after), zero = margins(side, kernel, 2), torch.zeros(3)
    padded = torch.nn.functional.pad(image, (before, after, before, after))
    one = (torch.nn.functional.conv2d(padded, down.conv.weight, zero, stride=2) * other).sum()
    torch.testing.assert_close(one, (image * up(other)).sum(), atol=1e-4, rtol=1e-4)  # float32 sums


def test_the_larger_margin_comes_after():
    assert margins(8, 5, 2) == (1, 2)
    assert margins(8, 4, 2) == (1, 1)
    assert margins(7, 5, 2) == (2, 2)
    assert margins(8, 1, 2) == (0, 0)


def test_another_picture_is_refused_with_both_sizes():
    with pytest.raises(ValueError, match="3 channels of 16x8, this encoder was made for 3 of 16x16"):
        ConvEncoder(16, latent=2, width=8, layers=2)(torch.zeros(2, 3, 16, 8))
    with pytest.raises(ValueError, match="width 4 at least"):
        ConvEncoder(16, width=4, layers=4)


def test_a_perceptron_is_linear_layers_with_tanh_and_glorot_weights():
    network = Perceptron(300, (100, 2))
    assert [type(layer).__name__ for layer in network] == ["Linear", "Tanh", "Linear", "Tanh"]
    assert network[0].weight.abs().max().item() == pytest.approx((6 / 400) ** 0.5, rel=1e-3)
    assert not network[0].bias.any()
