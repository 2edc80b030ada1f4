"""Networks that halve and double: sizes, the layer among places, and what does not fit."""

import pytest
import torch

from unmask.parts.nets.halving import (
    ChannelwiseLinear,
    DoublingDecoder,
    HalvingEncoder,
    PictureAdversary,
    halvings,
    stage_widths,
)


@pytest.mark.parametrize(
    ("size", "count"), [((128, 128), 5), ((32, 32), 3), ((96, 96), 5), ((64, 96), 4), ((28, 28), 2), ((9, 9), 0)]
)
def test_halving_ends_where_a_side_is_odd_or_small(size, count):
    assert halvings(size) == count


def test_widths_double_three_times_at_most():
    assert stage_widths(64, 5) == [64, 64, 128, 256, 512]
    assert stage_widths(64, 3) == [64, 128, 256]


@pytest.mark.faithful("context_encoder")
def test_the_layer_among_places_mixes_no_channels_and_has_one_matrix_for_each():
    layer = ChannelwiseLinear(3, (4, 2))
    assert sum(p.numel() for p in layer.parameters()) == 3 * 8**2
    x = torch.randn(1, 3, 4, 2, requires_grad=True)
    layer(x)[0, 1].sum().backward()
    assert x.grad[0, 1].abs().min() > 0
    assert not x.grad[0, 0].any()
    assert not x.grad[0, 2].any()


@pytest.mark.parametrize("join", ["dense", "channelwise"])
@pytest.mark.parametrize("size", [16, (16, 24), 96])
def test_any_size_that_can_be_halved_comes_back(join, size):
    encoder = HalvingEncoder(size, channels=2, latent=5, width=2, join=join)
    image = torch.zeros(2, 2, *encoder.image_size)
    made = DoublingDecoder(encoder, encoder.count, width=2)(encoder(image))
    assert made.shape == image.shape
    assert PictureAdversary(encoder.image_size, 2, 2)(made).shape == (2,)


def test_what_cannot_be_halved_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="pictures of 30x30 cannot be halved twice"):
        HalvingEncoder(30)
    with pytest.raises(ValueError, match="choose one of dense, channelwise"):
        HalvingEncoder(32, join="sparse")
    with pytest.raises(ValueError, match="pictures of 3x3 cannot be halved"):
        PictureAdversary((3, 3))
    with pytest.raises(ValueError, match="must be positive"):
        HalvingEncoder(32, latent=0)
