"""The light decoder: what it fills in, where a stage joins, what it refuses."""

import pytest
import torch

from unmask.core import Mask
from unmask.parts.nets.convnet import ConvNet
from unmask.parts.nets.masked_conv import Active, MaskedLayerNorm2d
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.unet_decoder import SPREAD, Densify, UNetDecoder


def pictures(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tiny(stages=None, cell_size=None, side=32):
    torch.manual_seed(0)
    encoder = ConvNet("convnext:8-12-16/1-1-1", side, cell_size)
    return encoder, UNetDecoder(encoder, 16, stages)


def test_holes_are_filled_with_the_stage_s_token_and_the_rest_is_normalised():
    fill = Densify(MaskedLayerNorm2d, 4, 4, 1)
    seen = Active(torch.tensor([[[True, False], [False, True]]]))
    x = pictures(1, 4, 2, 2)
    y = fill(x, seen, None)
    assert torch.equal(y[0, :, 0, 1], fill.mask_token)
    torch.testing.assert_close(y[0, :, 0, 0], fill.norm(x)[0, :, 0, 0])
    assert fill.project is None  # nothing to project: widths are equal


def test_mask_tokens_are_cut_off_at_one_deviation_and_get_no_decay():
    tokens = torch.cat([fill.mask_token for fill in UNetDecoder(ConvNet("resnet18"), 32).densify])
    assert tokens.abs().max() <= SPREAD
    assert tokens.ndim == 1
    assert tokens.std() > SPREAD / 3


def test_beyond_the_picture_nothing_is_filled_in():
    fill = Densify(MaskedLayerNorm2d, 4, 6, 3)
    seen, real = (Active(torch.tensor([[row]])) for row in ([True, False, False], [True, True, False]))
    alone = fill(pictures(1, 4, 1, 3)[..., :2], Active(seen.pixels[..., :2]), None)
    y = fill(pictures(1, 4, 1, 3), seen, real)
    torch.testing.assert_close(y[..., :2], alone)
    assert not y[..., 2].any()


@pytest.mark.parametrize(("cell_size", "blocks", "joined"), [(4, 2, 3), (16, 4, 3)])
def test_every_stage_joins_at_its_own_resolution(cell_size, blocks, joined):
    encoder, decoder = tiny(cell_size=cell_size, side=64)
    image, record = pictures(2, 3, 64, 32), Record()
    out = decoder(encoder(image), None, record=record)
    assert out.shape == image.shape
    assert (len(decoder.blocks), len(decoder.densify)) == (blocks, joined)
    assert [x.shape[1:] for x in record.tokens][-1] == (64 * 32, 16 // 2**blocks)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.densify.parameters() if p.ndim == 4)


def test_fewer_stages_are_the_coarsest_ones():
    encoder, decoder = tiny(stages=1)
    stages = encoder(pictures(2, 3, 32, 32))
    changed = [torch.randn_like(stage) for stage in stages[:-1]] + stages[-1:]
    decoder.eval()
    assert torch.equal(decoder(stages, None), decoder(changed, None))


def test_what_cannot_be_decoded_is_refused():
    encoder, _ = tiny()
    with pytest.raises(ValueError, match="width 18 cannot be halved 2 times"):
        UNetDecoder(encoder, 18)
    with pytest.raises(ValueError, match="encoder has 1 to 3"):
        UNetDecoder(encoder, 16, 4)
    encoder.strides = (1, 3, 4)
    with pytest.raises(ValueError, match="do not double"):
        UNetDecoder(encoder, 16)


def test_predictions_of_hidden_cells_come_from_visible_ones():
    encoder, decoder = tiny()
    torch.nn.init.normal_(encoder.network.stages[0][0].gamma)
    image = pictures(1, 3, 32, 32)
    mask = Mask.of(torch.arange(64)[None] % 2 == 0)
    seen = encoder.active(image, mask)
    decoder.eval()
    first, second = (decoder(encoder(x, seen), seen) for x in (image, image + seen.pixels.unsqueeze(1)))
    assert (first - second).abs().amax(1).masked_select(~seen.pixels).min() > 0
