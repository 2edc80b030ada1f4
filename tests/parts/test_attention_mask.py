"""Masks from attention: counts, hints, whose attention it is, and what happens where there is none."""

import pytest
import torch

from unmask.core import Context
from unmask.methods import att_mask, mae
from unmask.methods.mae import MAE
from unmask.parts.masks.attention import AttentionMask, class_attention, most_attended, revealed
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.vit import ViT


def context(seed: int = 0) -> Context:
    return Context(progress=0.5, generator=torch.Generator().manual_seed(seed))


def test_a_masked_autoencoder_hides_what_its_own_last_block_attends_to():
    model, batch = mae.tiny()
    record = Record(attention=True)
    model.encoder(batch["image"], record=record)
    attention = record.maps[-1][:, :, 0, 1:].mean(1)
    torch.testing.assert_close(class_attention(model.encoder, batch["image"]), attention)
    hidden = {hide: AttentionMask(hide, 0.5)(model, batch, context()).hidden for hide in ("high", "low")}
    assert torch.equal(hidden["high"], most_attended(attention, 0.5))
    assert torch.equal(hidden["low"], ~hidden["high"])


def test_every_picture_s_hidden_places_are_attended_to_more_than_the_rest_in_high_and_less_in_low():
    model, batch = mae.tiny()
    attention = class_attention(model.encoder, batch["image"])
    for hide, sign in (("high", 1), ("low", -1)):
        hidden = AttentionMask(hide, 0.4)(model, batch, context()).hidden
        inside, outside = ((attention * part).sum(-1) / part.sum(-1) for part in (hidden, ~hidden))
        assert (sign * (inside - outside) > 0).all()


def test_hints_are_so_many_of_the_most_attended_and_no_others_are_shown():
    attention, sampler = (
        torch.rand(3, 40, generator=torch.Generator().manual_seed(0)),
        AttentionMask("hint", 0.5, top=0.2),
    )
    whole = most_attended(attention, 0.5)
    hidden = sampler.of(attention, context(), None, False).hidden
    shown = whole & ~hidden
    assert shown.sum(-1).tolist() == [4] * 3  # int(0.2 * 0.5 * 40)
    assert not (shown & ~most_attended(attention, 0.2)).any()
    assert not (hidden & ~whole).any()


def test_hints_have_the_lowest_noise_of_the_most_attended():
    attention = torch.tensor([[0.4, 0.3, 0.2, 0.1]])
    noise = torch.tensor([[0.9, 0.1, 0.5, 0.0]])
    assert revealed(attention, noise, 0.75, 0.5).tolist() == [[False, True, True, False]]


def test_about_half_of_the_pictures_stay_whole_with_probability_one_half():
    attention = torch.rand(400, 10, generator=torch.Generator().manual_seed(0))
    counts = AttentionMask(ratio=0.3, probability=0.5).of(attention, context(), None, False).hidden.sum(-1)
    assert set(counts.tolist()) == {0, 3}
    assert 160 < (counts == 0).sum() < 240


def test_the_share_varies_between_batches_and_is_one_in_each():
    attention, sampler = (
        torch.rand(4, 100, generator=torch.Generator().manual_seed(0)),
        AttentionMask(ratio=0.3, spread=0.2),
    )
    counts = [sampler.of(attention, context(seed), None, False).hidden.sum(-1).tolist() for seed in range(8)]
    assert all(len(set(row)) == 1 and 10 <= row[0] <= 50 for row in counts)
    assert len({row[0] for row in counts}) > 4


def test_padding_is_not_hidden():
    attention, places = (
        torch.rand(2, 20, generator=torch.Generator().manual_seed(0)),
        torch.arange(20).expand(2, -1) < 10,
    )
    hidden = AttentionMask("high", 0.5).of(attention, context(), places, False).hidden
    assert hidden.sum(-1).tolist() == [5, 5]
    assert not (hidden & ~places).any()


def test_pictures_attended_to_evenly_are_masked_at_random_and_counted():
    sampler = AttentionMask(ratio=0.5)
    first, second = (sampler.of(torch.full((2, 20), 0.05), context(seed), None, True).hidden for seed in range(2))
    assert not torch.equal(first, second)
    assert first.sum(-1).tolist() == [10, 10]
    assert sampler.measures() == {"undecided": 1.0}


def test_a_teacher_s_attention_is_asked_for_where_there_is_one():
    model, batch = att_mask.tiny()
    with torch.no_grad():
        model.encoder.trunk.blocks[-1].attention.qkv.weight.mul_(-3)  # the student now attends to something else
    hidden = AttentionMask("high", 0.5)(model, batch, context()).hidden
    assert torch.equal(hidden, most_attended(model.class_attention(batch), 0.5))
    assert not torch.equal(hidden, most_attended(class_attention(model.encoder, batch["image"]), 0.5))


def test_an_encoder_without_class_token_is_refused():
    with pytest.raises(ValueError, match="class_token=True"):
        AttentionMask().check(MAE(ViT("16x2x2", 16, 4, class_token=False)))


@pytest.mark.parametrize(
    "settings", [{"hide": "most"}, {"ratio": 0.3, "spread": 0.4}, {"probability": 0.0}, {"top": 1.0}]
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError, match=r"hide 'most'|mask ratio|not shares"):
        AttentionMask(**settings)
