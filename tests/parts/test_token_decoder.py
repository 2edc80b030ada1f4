"""TokenDecoder: from the encoder's tokens to one prediction for every place."""

import pytest
import torch

from unmask.core import Mask
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def decoder(class_token=True, **arguments):
    torch.manual_seed(0)
    encoder = ViT("16x1x2", image_size=16, patch_size=4, class_token=class_token)
    return TokenDecoder(encoder, **{"width": 8, "depth": 1, "heads": 2, **arguments}).eval()


@pytest.mark.parametrize("class_token", [True, False])
def test_every_place_gets_the_pixels_of_a_patch(class_token):
    mask = Mask.from_scores(random(2, 16), 4)
    tokens = random(2, 4 + class_token, 16)
    assert decoder(class_token)(tokens, mask, (4, 4)).shape == (2, 16, 48)


def test_the_number_of_outputs_can_be_chosen():
    mask = Mask.from_scores(random(2, 16), 4)
    assert decoder(outputs=5)(random(2, 5, 16), mask, (4, 4)).shape == (2, 16, 5)


def test_tokens_return_to_the_places_they_came_from():
    model, mask = decoder(depth=0), Mask.from_scores(random(2, 16), 4)
    tokens = random(2, 5, 16)
    changed = tokens.clone()
    changed[0, 1] += 1
    difference = (model(changed, mask, (4, 4)) - model(tokens, mask, (4, 4))).abs().sum(-1)
    assert difference.nonzero().tolist() == [[0, int(mask.kept[0, 0])]]


def test_hidden_places_differ_by_their_position_only():
    model, mask = decoder(depth=0), Mask.from_scores(random(1, 16), 4)
    table = model.positions((4, 4))
    expected = model.head(model.trunk.norm(model.mask_token[0] + table))
    prediction = model(random(1, 5, 16), mask, (4, 4))[0]
    assert torch.allclose(prediction[mask.hidden[0]], expected[mask.hidden[0]], atol=1e-6)


def test_the_order_in_which_tokens_are_seen_does_not_matter():
    model, tokens = decoder(), random(1, 5, 16)
    mask = Mask.from_scores(random(1, 16), 4)
    turned = Mask(mask.hidden, torch.cat([mask.order[:, :4].flip(1), mask.order[:, 4:]], 1), 4)
    flipped = torch.cat([tokens[:, :1], tokens[:, 1:].flip(1)], 1)
    assert torch.allclose(model(tokens, mask, (4, 4)), model(flipped, turned, (4, 4)), atol=1e-6)


def test_padding_places_do_not_change_the_others():
    model = decoder()
    places = torch.ones(1, 16, dtype=torch.bool)
    places[:, 12:] = False
    mask = Mask.from_scores(random(1, 16), torch.tensor([4]), places)
    tokens = random(1, 5, 16)
    seen = model(tokens, mask, (4, 4), places=places)[:, :12]
    smaller = Mask.from_scores(random(1, 16)[:, :12], 4)
    assert torch.allclose(
        seen, model(tokens, smaller, (3, 4)), atol=1e-5
    )  # masked and shorter attention differ in order
