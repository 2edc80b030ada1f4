"""ViT as a masked encoder: shapes, taps, padding and class token."""

import pytest
import torch

from unmask.core import Mask
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.vit import SHAPES, ViT, transformer_shape
from unmask.parts.ops.patches import unpatchify


def pictures(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def encoder(**arguments):
    torch.manual_seed(0)
    return ViT("16x2x2", **{"image_size": 16, "patch_size": 4, **arguments}).eval()


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
@pytest.mark.parametrize("columns", [1, 2, 5])
def test_every_grid_from_one_patch_a_side_works(rows, columns):
    image = pictures(2, 3, rows * 4, columns * 4)
    tokens = encoder()(image)
    assert tokens.shape == (2, 1 + rows * columns, 16)
    assert tokens.isfinite().all()
    if rows * columns > 1:
        fitted = encoder(image_size=(rows * 4, columns * 4))
        assert torch.allclose(fitted(image), tokens, atol=1e-6)  # fixed positions do not depend on the constructor's


@pytest.mark.parametrize("channels", range(1, 14))
def test_one_to_thirteen_channels_work(channels):
    tokens = encoder(channels=channels)(pictures(2, channels, 16, 16))
    assert tokens.shape == (2, 17, 16)


def test_pictures_with_other_channels_are_refused_with_both_numbers():
    with pytest.raises(ValueError, match="4 channels, this encoder 3"):
        encoder()(pictures(1, 4, 16, 16))


def test_only_seen_patches_enter():
    vit, image = encoder(), pictures(2, 3, 16, 16)
    mask = Mask.from_scores(pictures(2, 16), 5)
    tokens = vit(image, mask)
    assert tokens.shape == (2, 6, 16)
    spoiled = mask.hidden.unsqueeze(-1) * pictures(2, 16, 48, seed=3)
    assert torch.equal(vit(image + unpatchify(spoiled, (4, 4), 4), mask), tokens)


def test_seeing_everything_is_the_same_as_no_mask():
    vit, image = encoder(), pictures(2, 3, 16, 16)
    assert torch.equal(vit(image, Mask.nothing(2, 16)), vit(image))


def test_with_a_fill_all_patches_enter_and_hidden_ones_as_that_vector():
    vit, image, fill = encoder(), pictures(2, 3, 16, 16), pictures(1, 1, 16)
    mask = Mask.from_scores(pictures(2, 16), 5)
    tokens = vit(image, mask, fill=fill)
    assert tokens.shape == (2, 17, 16)
    spoiled = mask.hidden.unsqueeze(-1) * pictures(2, 16, 48, seed=3)
    assert torch.equal(vit(image + unpatchify(spoiled, (4, 4), 4), mask, fill=fill), tokens)
    assert not torch.equal(vit(image, mask, fill=fill + 1), tokens)
    assert torch.equal(vit(image, Mask.nothing(2, 16), fill=fill), vit(image))


def test_rows_of_unequal_length_give_what_they_give_alone():
    vit, image = encoder(), pictures(2, 3, 16, 16)
    scores = pictures(2, 16)
    both = vit(image, Mask.from_scores(scores, torch.tensor([3, 9])))
    alone = vit(image[:1], Mask.from_scores(scores[:1], 3))
    assert torch.allclose(both[:1, :4], alone, atol=1e-5)  # another kernel runs where padding is masked


def test_padding_places_are_never_attended_to():
    vit, image = encoder(), pictures(1, 3, 16, 16)
    places = torch.ones(1, 16, dtype=torch.bool)
    places[:, 12:] = False
    changed = image.clone()
    changed[:, :, 12:] = 9.0
    seen = vit(image, places=places)[:, :13]
    assert torch.allclose(vit(changed, places=places)[:, :13], seen, atol=1e-6)


def test_without_class_token_only_patches_come_out():
    vit = encoder(class_token=False)
    assert vit.prefix == 0
    assert vit(pictures(1, 3, 16, 16)).shape == (1, 16, 16)


def test_a_record_holds_tokens_and_attention_of_every_block():
    vit, image = encoder(), pictures(1, 3, 16, 16)
    record = Record(attention=True)
    last = vit(image, record=record)
    assert [t.shape for t in record.tokens] == [(1, 17, 16)] * 2
    assert [m.shape for m in record.maps] == [(1, 2, 17, 17)] * 2
    assert torch.allclose(record.maps[0].sum(-1), torch.ones(1, 2, 17), atol=1e-6)
    assert torch.allclose(vit.trunk.norm(record.tokens[-1]), last, atol=1e-6)
    assert torch.allclose(last, vit(image), atol=1e-5)  # softmax written out against the fused kernel


def test_a_record_of_the_last_block_holds_its_attention_alone():
    vit, image = encoder(), pictures(1, 3, 16, 16)
    whole, last = Record(attention=True), Record(attention=True, last=True)
    vit(image, record=whole)
    vit(image, record=last)
    assert len(last.tokens) == 2
    (found,) = last.maps
    torch.testing.assert_close(found, whole.maps[-1])


def test_stopping_early_returns_the_tokens_of_that_block():
    vit, image, record = encoder(), pictures(1, 3, 16, 16), Record()
    vit(image, record=record)
    assert torch.equal(vit(image, layers=1), record.tokens[0])
    assert torch.equal(vit(image, layers=2), record.tokens[1])


def test_layer_scale_of_zero_makes_blocks_the_identity():
    vit, image = encoder(layer_scale=0.0), pictures(1, 3, 16, 16)
    record = Record()
    vit(image, record=record)
    assert torch.equal(record.tokens[0], record.tokens[1])


def test_drop_path_acts_in_training_only():
    torch.manual_seed(0)
    vit, image = encoder(drop_path=0.9), pictures(8, 3, 16, 16)
    assert torch.equal(vit(image), vit(image))
    vit.train()
    assert not torch.equal(vit(image), vit(image))


@pytest.mark.parametrize("name", SHAPES)
def test_presets_have_heads_of_64_or_80_numbers(name):
    shape = transformer_shape(name)
    assert shape.width // shape.heads in (64, 80)
    assert shape.width % shape.heads == 0


def test_sizes_can_be_spelled_out_and_nonsense_is_refused():
    assert tuple(transformer_shape("128x6x4")) == (128, 6, 4)
    for model in ("128x6", "0x6x4", "vit_giant", "axbxc"):
        with pytest.raises(ValueError, match="is unknown"):
            transformer_shape(model)


def test_a_single_patch_is_refused():
    with pytest.raises(ValueError, match="single patch"):
        ViT("16x2x2", image_size=4, patch_size=4)
