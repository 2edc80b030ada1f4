"""Held-out numbers on planted predictions, and the sentence of advice on planted histories."""

import math

import pytest
import torch

from unmask.core import Context, Features, Method, Phase
from unmask.evaluate.monitor import PREDICTORS, advice, held_out
from unmask.evaluate.trivial import trivial_pictures
from unmask.methods.mae import tiny
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.vit import ViT
from unmask.parts.targets.pixels import Pixels


class Predictor(Method):
    """Says what it is told to say: a trivial prediction, or the truth."""

    def __init__(self, says="truth", normalise=False):
        super().__init__()
        self.encoder = ViT("16x1x2", 16, 4)
        self.sampler, self.target, self.says = RandomMask(), Pixels(4, normalise), says

    def places(self, batch):
        return None

    def predict(self, batch, mask, record=None):
        if self.says == "truth":
            return self.target(batch).values
        picture = trivial_pictures(batch, mask, (4, 4), 4)[self.says]
        return self.target(batch | {"image": picture}).values

    def features(self, batch):
        pooled = batch["image"].flatten(1)
        return Features(pooled, blocks=(pooled[:, :4], pooled))


def pictures(count=6):
    return [{"image": torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))} for seed in (0, 1)]


@pytest.mark.parametrize("normalise", [False, True])
def test_the_truth_explains_everything(normalise):
    numbers = held_out(Predictor("truth", normalise), pictures())
    assert numbers["loss"] == 0
    assert numbers["explained_variance"] == numbers["beats/nearest"] == 1


def test_saying_the_mean_explains_nothing():
    numbers = held_out(Predictor("mean"), pictures())
    assert numbers["explained_variance"] == pytest.approx(0, abs=1e-9)
    assert numbers["loss"] == pytest.approx(1, abs=0.1)  # unit noise; 432 hidden values per picture


def test_copying_a_noise_patch_is_never_better_than_the_mean_and_shrinks_to_it():
    numbers = held_out(Predictor("nearest"), pictures())
    assert numbers["trivial/nearest"] == pytest.approx(numbers["trivial/mean"], rel=0.02)  # nothing to copy in noise
    assert numbers["loss"] == pytest.approx(2, abs=0.2)  # the copy as it is: two unit variances
    assert numbers["beats/nearest"] < -0.8


def test_trivial_predictors_are_exact_on_constant_pictures():
    flat = [{"image": torch.tensor([0.5, -1.0, 2.0])[None, :, None, None].expand(4, 3, 16, 16).clone()}]
    numbers = held_out(Predictor("visible"), flat)
    for name in ("visible", "nearest", "inpainted"):
        assert numbers[f"trivial/{name}"] == pytest.approx(0, abs=1e-6), name  # float32 averages
    assert numbers["trivial/mean"] == pytest.approx((0.25 + 1 + 4) / 3)


def test_the_loss_is_the_methods_own_under_the_same_mask():
    method, batch = tiny()
    numbers = held_out(method, [batch], context_seed=3)
    own = method.losses(batch, Context(generator=torch.Generator().manual_seed(3)))["reconstruction"]
    assert numbers["loss"] == pytest.approx(own.item(), rel=1e-5)  # another order of summation


def test_padding_does_not_count():
    _, batch = tiny()
    valid = torch.ones(4, 16, 16, dtype=torch.bool)
    valid[:, 10:] = False
    spoiled = torch.where(valid.unsqueeze(1), batch["image"], 1e3)
    given = Predictor("truth", normalise=True)
    zero = held_out(given, [{"image": batch["image"] * valid.unsqueeze(1), "image_valid": valid}])
    large = held_out(given, [{"image": spoiled, "image_valid": valid}])
    for name in PREDICTORS:
        assert large[f"trivial/{name}"] == pytest.approx(zero[f"trivial/{name}"], rel=1e-5), name  # sums of 1e3 round


def test_the_same_seed_gives_the_same_numbers_and_leaves_the_method_as_it_was():
    method, batch = tiny()
    method.train()
    method.decoder.eval()
    first, second = held_out(method, [batch], 7), held_out(method, [batch], 7)
    assert first == second
    assert method.encoder.training
    assert not method.decoder.training
    assert all(p.grad is None for p in method.parameters())


def test_a_given_sampler_replaces_the_methods():
    method, batch = tiny()
    method.sampler = None
    assert "loss" in held_out(method, [batch], sampler=RandomMask(0.5))


def test_knn_is_reported_at_every_block_when_there_are_labels():
    image = torch.randn(40, 3, 16, 16) * 0.1
    label = (torch.arange(40) >= 20).long()  # sorted by class, as folders are
    image[:, 0, 0, 0] += torch.where(label == 1, 30.0, -30.0)
    numbers = held_out(Predictor(), [{"image": image, "label": label}])
    assert numbers["knn/01"] == numbers["knn/02"] == 1.0
    assert not any(name.startswith("knn") for name in held_out(Predictor(), [{"image": image}]))


def test_samples_without_a_class_do_not_vote():
    image, label = torch.randn(8, 3, 16, 16), torch.full((8,), -1)
    assert not any(name.startswith("knn") for name in held_out(Predictor(), [{"image": image, "label": label}]))


def test_neighbours_are_looked_up_in_the_given_batches():
    image = torch.randn(6, 3, 16, 16)
    known = [{"image": image, "label": torch.tensor([0, 1, 2, 3, 4, 5])}]
    numbers = held_out(Predictor(), [{"image": image[:3], "label": torch.tensor([0, 1, 2])}], neighbours=known)
    assert numbers["knn/02"] == 1.0


def test_a_broken_network_is_reported_and_not_raised():
    method, batch = tiny()
    torch.nn.init.constant_(method.decoder.head.bias, torch.nan)
    numbers = held_out(method, [batch])
    assert math.isnan(numbers["loss"])
    assert advice([numbers, numbers]).startswith("diverging")


def test_batches_that_are_used_up_are_refused():
    with pytest.raises(ValueError, match="nothing was hidden"):
        held_out(Predictor(), [])


def row(step, loss, rankme=20.0, spread=0.7, **trivial):
    trivial = {"mean": 1.0, "visible": 0.9, "nearest": 0.8, "inpainted": 0.7} | trivial
    return {
        "kind": "held_out",
        "step": step,
        "progress": step / 100,
        "loss": loss,
        "explained_variance": 1 - loss / trivial["mean"],
        **{f"trivial/{name}": value for name, value in trivial.items()},
        **{f"beats/{name}": 1 - loss / value for name, value in trivial.items()},
        "rankme": rankme,
        "feature_std": spread,
    }


def course(*losses, **more):
    return [row(10 * number, loss, **more) for number, loss in enumerate(losses, start=1)]


def test_advice_waits_for_measurements_and_warm_up():
    assert advice([]).startswith("too early to tell")
    assert advice(course(0.5)).startswith("too early to tell")
    assert advice([row(0, 1.5), row(3, 1.2)]).startswith("too early to tell")


def test_advice_on_learning_says_how_far_below_copying_the_error_is():
    sentence = advice(course(0.9, 0.7, 0.6, 0.48))
    assert sentence.startswith("learning")
    assert "40 % below copying the nearest visible patch" in sentence
    assert "31 % below continuing the visible pixels" in sentence


def test_advice_on_copying_names_what_is_better():
    assert advice(course(0.9, 0.86, 0.8, 0.75)) == (
        "copies neighbours: explains 25 %, less than continuing the visible pixels smoothly (30 %); "
        "it still improves, so keep going."
    )
    assert "lower the learning rate" in advice(course(0.9, 0.75, 0.75, 0.75))


def test_advice_on_averages():
    assert advice(course(0.95, 0.9, visible=0.6)).startswith("guesses averages")


def test_advice_on_not_learning_at_all():
    assert advice(course(1.3, 1.2, 1.1)).startswith("not learning")


def test_advice_on_collapse_needs_both_rank_and_spread_to_fall():
    healthy = course(0.9, 0.6, 0.5)
    assert advice([*healthy, row(40, 0.45, rankme=3.0, spread=0.1)]).startswith("collapsing")
    assert advice([*healthy, row(40, 0.45, rankme=3.0)]).startswith("learning")


def test_advice_tells_memorising_from_getting_worse_by_the_training_loss():
    risen = course(0.5, 0.4, 0.45, 0.5)
    falling = [{"kind": "train", "step": step, "loss": 1 - step / 100} for step in range(40)]
    rising = [{"kind": "train", "step": step, "loss": 1 + step / 100} for step in range(40)]
    assert advice(falling + risen).startswith("memorising: the held-out loss is 25 % above its best at step 20")
    assert advice(rising + risen).startswith("getting worse")


def test_advice_on_levelling_off():
    assert advice(course(0.9, 0.5, 0.4, 0.398, 0.396)).startswith("levelling off")


def test_advice_reads_numbers_that_were_logged_as_text():
    assert advice([*course(0.9, 0.8), {"kind": "held_out", "step": 30, "loss": "NaN"}]).startswith("diverging")


def test_advice_forgets_a_step_that_was_recovered_from():
    assert advice([{"kind": "held_out", "step": 5, "loss": "NaN"}, *course(0.9, 0.7, 0.5)]).startswith("learning")


def test_advice_needs_nothing_but_losses():
    assert advice([{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}]).startswith("learning")


def test_every_advice_is_one_line():
    histories = [course(0.9, 0.5, 0.3), course(1.2, 1.1), course(0.9, 0.8), course(0.4, 0.5, 0.6), []]
    assert all("\n" not in advice(history) and advice(history).endswith(".") for history in histories)


class Coder(Method):
    """Keeps the first channel of a picture as its code; two phases, and a likelihood."""

    def __init__(self):
        super().__init__()
        self.one, self.two = torch.nn.Parameter(torch.ones(())), torch.nn.Parameter(torch.ones(()))

    def phases(self):
        return [Phase("first", (self.one,)), Phase("second", (self.two,))]

    def losses(self, batch, context, mask=None):
        if context.phase == "second":
            return {"other": 3 * self.two}
        return {"error": self.one * batch["image"].square().mean(), "fixed": 0.5 * self.one}

    def codes(self, batch):
        return batch["image"][:, 0].flatten(1)

    def reconstruct(self, batch):
        return batch["image"] * torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)

    def log_likelihood(self, batch, samples, generator=None):
        return -batch["image"].new_ones(len(batch["image"]))

    def features(self, batch):
        return Features(self.codes(batch))


def test_a_method_without_masks_is_measured_by_its_own_terms_and_abilities():
    numbers = held_out(Coder(), pictures())
    everything = torch.cat([batch["image"] for batch in pictures()])
    assert numbers["loss/error"] == pytest.approx(everything.square().mean().item())
    assert numbers["loss"] == pytest.approx(numbers["loss/error"] + 0.5)
    assert numbers["loss/other"] == 3
    kept = everything[:, 0].square().sum() / everything.square().sum()
    assert numbers["reconstruction"] == pytest.approx(kept.item())
    assert numbers["active_units/1"] == 256
    assert numbers["log_likelihood"] == -1
    assert numbers["bits_per_dim"] == pytest.approx(1 / (768 * math.log(2)))
    assert {"rankme", "feature_std", "mean_cosine"} <= set(numbers)
    assert not any(name.startswith("trivial") for name in numbers)
    assert advice([numbers, {**numbers, "progress": 0.5, "loss": 0.9}]).startswith("learning")


def test_a_last_batch_of_one_sample_is_left_out_of_the_terms():
    first, second = pictures()
    single = {"image": 100 * second["image"][:1]}
    assert held_out(Coder(), [first, single])["loss/error"] == held_out(Coder(), [first])["loss/error"]
    with pytest.raises(ValueError, match="no held-out batches"):
        held_out(Coder(), [])
