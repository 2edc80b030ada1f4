"""The region decoder: regions are read where they are visible, and none knows of an order."""

import pytest
import torch
import torch.nn.functional as F

from formulas import pictures
from unmask.core import Mask
from unmask.parts.masks.random import random_mask
from unmask.parts.nets.region_decoder import RegionDecoder, region_loss
from unmask.parts.nets.vit import ViT


@pytest.fixture
def parts():
    torch.manual_seed(0)
    encoder = ViT("16x1x2", 16, 4)
    mask = random_mask(torch.rand(2, 16, generator=torch.Generator().manual_seed(0)), 0.75)
    regions = (pictures(2, 3, 16, 16) > 0).float()
    return encoder, RegionDecoder(encoder, 16, 1, 2), regions, encoder(pictures(2, 3, 16, 16), mask), mask


def test_hidden_parts_of_regions_do_not_reach_the_queries(parts):
    _, decoder, regions, tokens, mask = parts
    before = decoder(regions, tokens, mask, (4, 4))
    for where, same in ((mask.hidden, True), (~mask.hidden, False)):
        changed = torch.where(where[:, None, :, None], 1 - regions, regions)
        assert torch.equal(decoder(changed, tokens, mask, (4, 4)), before) == same


def test_permuting_regions_permutes_the_logits(parts):
    _, decoder, regions, tokens, mask = parts
    order = torch.tensor([2, 0, 1])
    found = decoder(regions[:, order], tokens, mask, (4, 4))
    torch.testing.assert_close(found, decoder(regions, tokens, mask, (4, 4))[:, order], rtol=0, atol=1e-5)


def test_shorter_rows_are_read_by_their_own_places_alone(parts):
    _, decoder, regions, _, _ = parts
    hidden = torch.ones(2, 16, dtype=torch.bool)
    hidden[0, :4], hidden[1, :2] = False, False
    together = decoder.queries(regions, Mask.of(hidden), (4, 4))
    for i in range(2):
        alone = decoder.queries(regions[i : i + 1], Mask.of(hidden[i : i + 1]), (4, 4))
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-5)


def test_the_loss_is_the_cross_entropy_over_real_pixels():
    logits, regions = pictures(1, 2, 3, 4), (pictures(1, 2, 3, 4, seed=1) > 0).float()
    plain = region_loss(logits, regions)
    expected = F.binary_cross_entropy_with_logits(logits[:, :, 0], regions[:, :, 0])
    torch.testing.assert_close(plain[0, 0], expected)
    real = torch.ones(1, 3, 4, dtype=torch.bool)
    real[0, 0, 1:] = False
    expected = F.binary_cross_entropy_with_logits(logits[:, :, 0, :1], regions[:, :, 0, :1])
    torch.testing.assert_close(region_loss(logits, regions, real)[0, 0], expected)
