"""Hard masks: counts, what is hidden, whose judgement it is, and what happens where nothing is harder."""

import pytest
import torch

from formulas import pictures
from unmask.core import Context, Mask
from unmask.methods import hpm, mae
from unmask.parts.losses.loss_prediction import pairwise_order, standardised_error
from unmask.parts.losses.masked import masked_mse
from unmask.parts.masks.hard import HardMask, HardTubes, hard_mask, own_errors
from unmask.parts.masks.random import random_mask
from unmask.parts.nets.video_vit import VideoViT


def context(progress: float, seed: int = 0) -> Context:
    return Context(progress=progress, generator=torch.Generator().manual_seed(seed))


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


class Judge:
    """Stands for a model that is told what is hard, and for its encoder of pictures if it has no other."""

    def __init__(self, losses: torch.Tensor, encoder: VideoViT | None = None):
        self.losses, self.training, self.encoder = losses, True, encoder or self

    def grid_of(self, image):
        return 4, 4

    def places(self, batch):
        return None

    def predicted_losses(self, batch):
        return self.losses


@pytest.mark.parametrize(("share", "hard"), [(0.0, 0), (0.0025, 0), (0.3, 44), (0.5, 73), (1.0, 147)])
def test_the_hardest_are_hidden_and_the_count_is_exact(share, hard):
    hardness, drawn = pictures(3, 196), noise(3, 196)
    mask = hard_mask(hardness, drawn, 0.75, share)
    assert mask.hidden.sum(-1).tolist() == [147] * 3
    assert mask.hidden.gather(1, hardness.argsort(descending=True)[:, :hard]).all()
    if not hard:
        assert torch.equal(mask.hidden, random_mask(drawn, 0.75).hidden)


def test_the_rest_is_hidden_by_the_noise():
    hardness, drawn = pictures(1, 20), noise(1, 20)
    hidden = hard_mask(hardness, drawn, 0.5, 0.5).hidden[0]
    hardest = set(hardness[0].argsort(descending=True)[:5].tolist())
    others = [place for place in drawn[0].argsort(descending=True).tolist() if place not in hardest]
    assert set(hidden.nonzero().flatten().tolist()) == hardest | set(others[:5])


def test_padding_is_never_hidden_however_hard():
    places = torch.arange(20).expand(2, -1) < torch.tensor([[20], [8]])
    mask = hard_mask(torch.arange(20.0).expand(2, -1), noise(2, 20), 0.75, 0.5, places)
    assert mask.hidden.sum(-1).tolist() == [15, 6]
    assert not (mask.hidden & ~places).any()
    assert mask.hidden[1, 5:8].all()


def test_a_clip_is_masked_alike_at_every_time_where_its_mean_hardness_is_high():
    hardness = pictures(2, 2, 16)
    judge = Judge(hardness.flatten(1), VideoViT("16x2x2", image_size=16, patch_size=4, frames=4))
    sampler, batch = HardTubes(0.75, start=1.0, end=1.0), {"video": pictures(2, 3, 4, 16, 16)}
    hidden = sampler(judge, batch, context(0.5)).hidden.unflatten(1, (2, 16))
    assert (hidden == hidden[:, :1]).all()
    hardest = hardness.mean(1).argsort(descending=True)[:, :12]
    assert torch.equal(hidden[:, 1], torch.zeros(2, 16, dtype=torch.bool).scatter(1, hardest, True))
    at_random = HardTubes(0.75, end=0.0)(judge, batch, context(0.5)).hidden.unflatten(1, (2, 16))
    assert (at_random == at_random[:, :1]).all()
    assert at_random[:, 0].sum(-1).tolist() == [12, 12]
    assert HardTubes().ratio == 0.9


def test_the_share_of_hard_places_grows_from_start_to_end():
    losses = torch.arange(16.0).expand(2, -1)
    sampler, batch = HardMask(0.75, start=0.25, end=0.75), {"image": pictures(2, 3, 16, 16)}
    assert [sampler.share(p) for p in (0.0, 0.5, 1.0, 2.0)] == [0.25, 0.5, 0.75, 0.75]
    hidden = sampler(Judge(losses), batch, context(1.0)).hidden
    assert hidden[:, 7:].all()
    easy = HardMask(0.75, "easy", start=0.0, end=1.0)(Judge(losses), batch, context(1.0)).hidden
    assert easy[:, :12].all()


@pytest.mark.parametrize("losses", [torch.ones(2, 16), torch.full((2, 16), torch.nan)])
def test_pictures_where_nothing_is_harder_are_masked_at_random_and_counted(losses):
    sampler, batch = HardMask(end=1.0), {"image": pictures(2, 3, 16, 16)}
    assert sampler.measures() == {"undecided": 0.0}
    first = sampler(Judge(losses), batch, context(1.0, 0)).hidden
    second = sampler(Judge(losses), batch, context(1.0, 1)).hidden
    assert not torch.equal(first, second)
    assert first.sum(-1).tolist() == [12, 12]
    assert sampler.measures() == {"undecided": 1.0}


def test_any_masked_autoencoder_s_own_errors_say_what_is_hard():
    model, batch = mae.tiny()
    drawn = noise(4, 16)
    errors = own_errors(model, batch, drawn)
    first = random_mask(drawn, 0.5)
    losses = [
        masked_mse(model.predict(batch, m), model.target(batch).values, m.hidden)
        for m in (first, Mask.of(~first.hidden))
    ]
    torch.testing.assert_close(errors.mean(), sum(losses) / 2)
    assert model.training
    generator = torch.Generator().manual_seed(0)
    mask = HardMask(start=1.0, end=1.0)(model, batch, context(0.5))
    torch.rand(4, 16, generator=generator)  # the noise of the mask, drawn before that of the errors
    expected = own_errors(model, batch, torch.rand(4, 16, generator=generator)).argsort(descending=True)[:, :12]
    assert torch.equal(mask.hidden, torch.zeros_like(mask.hidden).scatter(1, expected, True))


def test_a_model_with_a_loss_predictor_is_asked_for_it():
    model, batch = hpm.tiny()
    mask = HardMask(start=1.0, end=1.0)(model, batch, context(0.5))
    expected = model.predicted_losses(batch).argsort(descending=True)[:, :12]
    assert torch.equal(mask.hidden, torch.zeros_like(mask.hidden).scatter(1, expected, True))


class Nothing:
    """A model without predictions."""


def test_a_model_that_predicts_nothing_is_refused():
    with pytest.raises(ValueError, match="predicts no places"):
        HardMask().check(Nothing())


@pytest.mark.parametrize("settings", [{"start": -0.1}, {"end": 1.5}, {"hide": "most"}, {"ratio": 1.0}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError, match=r"shares of the hidden|hide 'most'|mask ratio"):
        HardMask(**settings)


def test_order_is_learned_from_untied_pairs_by_hand():
    prediction, target = torch.tensor([[0.0, 1.0, 5.0, 9.0]]), torch.tensor([[1.0, 2.0, 2.0, 0.0]])
    among = torch.tensor([[True, True, True, False]])
    expected = -(torch.tensor([1.0, 5.0]).sigmoid() + 1e-6).log().mean()  # 1 and 2 are tied; 3 does not count
    torch.testing.assert_close(pairwise_order(prediction, target, among), expected)
    torch.testing.assert_close(pairwise_order(prediction + 3, target, among), expected)
    assert pairwise_order(prediction, torch.ones(1, 4), among) == 0


def test_values_are_standardised_over_the_chosen_places():
    target, among = torch.tensor([[1.0, 3.0, 100.0]]), torch.tensor([[True, True, False]])
    prediction = torch.tensor([[-(0.5**0.5), 0.5**0.5, 7.0]])
    assert standardised_error(prediction, target, among) < 1e-10
    assert standardised_error(prediction + 1, target, among).item() == pytest.approx(1.0)
