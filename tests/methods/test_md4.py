"""MD4 and GenMD4: the bound, what is drawn, and the reference's numbers."""

import itertools
import math

import pytest
import torch

from formulas import formula_noise, formula_weights, recorded
from unmask.core import Context, Mask
from unmask.methods.md4 import LEARNED, MD4, Denoiser, Levels, tiny
from unmask.parts.generate.ancestral import Ancestral, antithetic_times, drawn, nucleus, revealed, time_grid
from unmask.parts.generate.schedules import KeptShare, LearnedShares

REFERENCE = recorded(__file__, "md4_reference.json")
faithful = pytest.mark.faithful("md4")
VALUES, LENGTH, EDGE = 9, 8, 1e-4
X = torch.tensor(REFERENCE["x"])
FIRST, SECOND = formula_noise(4, LENGTH), formula_noise(8, LENGTH)[4:]
SCHEDULES = ("linear", "cosine", "poly2")


def filled(method: MD4) -> MD4:
    """With the weights that the reference was given."""
    shapes = {name: value.shape for name, value in method.encoder.state_dict().items()}
    method.encoder.load_state_dict(formula_weights(shapes))
    return method.eval()


def text(**settings) -> MD4:
    return filled(MD4(Denoiser("16x2x2", VALUES, LENGTH, features=8), **settings))


def picture() -> tuple[MD4, torch.Tensor]:
    method = filled(MD4(Denoiser("32x1x1", 5, image_size=4)))
    return method, (torch.arange(96) * 7 % 5).reshape(2, 3, 4, 4)


def times(count: int) -> torch.Tensor:
    return antithetic_times(torch.tensor(0.3), 0, count, count)


def bits(method: MD4, x: torch.Tensor, draws: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    valid = torch.ones_like(x, dtype=torch.bool)
    found = method.bound(x, valid, times(len(x)), draws)
    return {name: nats.sum() / (x.numel() * math.log(2)) for name, nats in found.items()}


@faithful
def test_logits_are_the_references():
    z = torch.where(FIRST < 0.5, X, VALUES)
    found = text().encoder(z, torch.tensor([0.1, 0.4, 0.7, 0.95]))[:, ::3]
    torch.testing.assert_close(found, torch.tensor(REFERENCE["logits"]), atol=1e-5, rtol=1e-5)


@faithful
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [None, 10])
def test_bounds_are_the_references_in_continuous_and_in_discrete_time(schedule, steps):
    found = bits(text(schedule=schedule, timesteps=steps), X, [FIRST])
    wanted = REFERENCE[f"{schedule} {steps}"]
    assert found["diffusion"].item() == pytest.approx(wanted["loss_diff"], rel=1e-5)
    assert found["reconstruction"].item() == pytest.approx(wanted["loss_recon"], rel=1e-3)  # 1 - alpha(0) in float32


@faithful
def test_the_learned_schedules_bound_and_gradient_are_the_references():
    method = text(schedule=LEARNED)
    with torch.no_grad():
        method.shares.raw.copy_(torch.linspace(-0.5, 1.5, VALUES))
    found = bits(method, X, [FIRST, SECOND])
    assert found["diffusion"].item() == pytest.approx(REFERENCE["learned"]["loss_diff"], rel=1e-5)
    assert found["reconstruction"].item() == pytest.approx(REFERENCE["learned"]["loss_recon"], rel=1e-5)
    assert found["schedule"].item() == 0
    sum(found.values()).backward()
    wanted = torch.tensor(REFERENCE["learned gradient"])
    torch.testing.assert_close(method.shares.raw.grad, wanted, atol=1e-4, rtol=1e-4)  # sums in float32


@faithful
def test_what_is_drawn_is_what_the_reference_draws_for_the_same_noise():
    method = text()
    z = torch.full(X.shape, VALUES)
    for i, (t, s) in enumerate(itertools.pairwise(time_grid(5, "cosine"))):
        noise = (SECOND + 0.37 * i) % 1.0
        with torch.no_grad():
            z = revealed(z, method._logits_at(z, t).softmax(-1), method.shares.between(t, s), noise)
        assert z.tolist() == REFERENCE["drawn"][i]


@faithful
def test_pictures_have_the_references_logits_and_bound():
    method, x = picture()
    noise = formula_noise(2, 48).reshape(2, 3, 4, 4)
    found = bits(method, x, [noise])
    assert found["diffusion"].item() == pytest.approx(REFERENCE["picture"]["loss_diff"], rel=1e-5)
    logits = method.encoder(torch.where(noise < 0.5, x, 5), torch.tensor([0.2, 0.8]))
    theirs = logits.permute(0, 2, 3, 1, 4)[:, ::3, 1]
    torch.testing.assert_close(theirs, torch.tensor(REFERENCE["picture logits"]), atol=1e-5, rtol=1e-5)


@faithful
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_network_that_knows_nothing_costs_all_values_but_the_share_that_is_always_left(schedule):
    shares, t = KeptShare(schedule), torch.linspace(0, 1, 20_001, dtype=torch.float64)
    hidden = torch.trapezoid(shares.rate(t) * (1 - shares(t)), t)
    assert hidden.item() == pytest.approx(1 - 2 * EDGE, rel=1e-6)
    method = MD4(Denoiser("16x1x1", VALUES, LENGTH), schedule=schedule)  # a new network says 0 everywhere
    everything = torch.full(X.shape, 2.0)
    found = bits(method, X, [everything])
    rate = shares.rate(times(4)).mean()
    assert found["diffusion"].item() == pytest.approx(float(rate) * math.log2(VALUES), rel=1e-5)
    assert found["reconstruction"].item() == pytest.approx(EDGE * math.log2(VALUES), rel=1e-3)


@faithful
def test_the_learned_schedule_begins_as_the_linear_one():
    shares, likely = LearnedShares(VALUES), torch.randn(4, LENGTH, VALUES).log_softmax(-1)
    t = torch.tensor([0.1, 0.5, 0.7, 1.0])
    own = likely.gather(-1, X.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(shares.error(X, t, likely), -own / t[:, None])
    wanted = (1 - (1 - EDGE) * t)[:, None].expand(4, LENGTH)
    torch.testing.assert_close(shares.kept(X, t), wanted)


@faithful
def test_the_gradient_of_the_learned_schedule_is_that_of_the_expected_bound():
    """Over all that can be hidden of two values, against the derivative of the expectation itself."""
    method = filled(MD4(Denoiser("16x1x2", 3, 2, features=8), schedule=LEARNED))
    with torch.no_grad():
        method.shares.raw.copy_(torch.tensor([0.2, 0.9, 1.5]))
    x, t = torch.tensor([[0, 2]]), torch.tensor([0.4])
    valid = torch.ones_like(x, dtype=torch.bool)
    time = LearnedShares.FIRST + (1 - LearnedShares.FIRST) * t
    patterns = [torch.tensor([row]) for row in itertools.product([False, True], repeat=2)]

    def chance(hidden):
        return method.shares.chance(x, time, hidden).sum().exp()

    def error(hidden):
        z = torch.where(hidden, 3, x)
        likely = method._logits(z, time, valid).log_softmax(-1)
        return (method.shares.error(x, time, likely) * hidden).sum()

    (wanted,) = torch.autograd.grad(sum(chance(h) * error(h) for h in patterns), [method.shares.raw])
    found = torch.zeros(3)
    for first, second in itertools.product(patterns, patterns):
        terms = method.bound(x, valid, t, [torch.where(h, 2.0, -1.0) for h in (first, second)])
        loss = terms["diffusion"] + terms["schedule"]
        (gradient,) = torch.autograd.grad(loss.sum(), [method.shares.raw])
        found += (chance(first) * chance(second)).detach() * gradient
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)  # sums in float32


@faithful
def test_the_bound_is_above_what_the_samples_steps_really_cost():
    """All values that two places of two can take, through three steps, in closed form."""
    method, steps = filled(MD4(Denoiser("16x1x2", 2, 2, features=8), timesteps=3)), 3
    states = [torch.tensor([row]) for row in itertools.product(range(3), repeat=2)]
    grid = time_grid(steps, "uniform")

    def moved(weights, t, s):
        found = [0.0] * 9
        for weight, z in zip(weights, states, strict=True):
            likely, share = method._logits_at(z, t)[0].softmax(-1), method.shares.between(t, s)
            for number, after in enumerate(states):
                chance = 1.0
                for place in range(2):
                    if z[0, place] < 2:
                        chance *= float(after[0, place] == z[0, place])
                    else:
                        value = int(after[0, place])
                        chance *= float(1 - share if value == 2 else share * likely[place, value])
                found[number] += weight * chance
        return found

    with torch.no_grad():
        weights = [float(i == 8) for i in range(9)]
        for t, s in itertools.pairwise(grid):
            weights = moved(weights, t, s)
        for target in itertools.product(range(2), repeat=2):
            x = torch.tensor([target])
            fits = [all(v in (2, w) for v, w in zip(z[0].tolist(), target, strict=True)) for z in states]
            guessed = [0.5 ** int((z == 2).sum()) for z in states]  # what is left is guessed
            exact = -math.log(sum(w * g for w, g, f in zip(weights, guessed, fits, strict=True) if f))
            bound = 0.0
            for number in range(steps):
                t = torch.tensor([(number + 0.5) / steps])
                kept = float(method.shares(torch.tensor((number + 1) / steps)))
                for hidden in itertools.product([False, True], repeat=2):
                    noise = torch.where(torch.tensor([hidden]), 2.0, -1.0)
                    terms = method.bound(x, torch.ones_like(x, dtype=torch.bool), t, [noise])
                    chance = math.prod(1 - kept if h else kept for h in hidden)
                    bound += chance * float(terms["diffusion"]) / steps
            bound += float(terms["reconstruction"])
            assert exact < bound < exact + 1


@faithful
def test_steps_become_continuous_time():
    shares, t = KeptShare("cosine"), torch.tensor([0.3, 0.8], dtype=torch.float64)
    gaps = [(shares.step_rate(t, n) - shares.rate(t)).abs().max().item() for n in (10, 100, 1000)]
    assert gaps[1] < gaps[0] / 8
    assert gaps[2] < gaps[1] / 8


def test_times_are_spread_evenly_however_the_batch_is_divided():
    whole = antithetic_times(torch.tensor(0.9), 0, 4, 4)
    torch.testing.assert_close(whole, torch.tensor([0.9, 0.15, 0.4, 0.65]))
    parts = [antithetic_times(torch.tensor(0.9), first, 2, 4) for first in (0, 2)]
    assert torch.equal(torch.cat(parts), whole)
    method, batch = tiny()
    halves = []
    for first in (0, 2):
        context = Context(generator=torch.Generator().manual_seed(1), first=first, total=4)
        halves.append(method._times(batch["ids"][:2], context))
    context = Context(generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.cat(halves), method._times(batch["ids"], context))


def test_padding_is_never_hidden_and_adds_nothing():
    method, batch = tiny()
    x, valid = batch["ids"], batch["ids_valid"]
    _, hidden = method._covered(x, valid, torch.zeros(4, 1), torch.ones(4, 8))
    assert torch.equal(hidden, valid)
    other = torch.where(valid, x, 3)
    draws = [torch.ones(4, 8)]
    torch.testing.assert_close(method.bound(x, valid, times(4), draws), method.bound(other, valid, times(4), draws))


def test_values_are_drawn_by_their_probabilities_or_stay_hidden():
    likely = torch.tensor([[0.5, 0.25, 0.25]])
    assert [int(drawn(0.8 * likely, torch.tensor([u]))) for u in (0.0, 0.39, 0.41, 0.79, 0.81)] == [0, 0, 1, 2, 3]
    z = revealed(torch.tensor([1]), likely, torch.tensor(1.0), torch.tensor([0.9]))
    assert z.tolist() == [1]


def test_a_nucleus_holds_the_fewest_likely_values():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    assert nucleus(logits, 0.6).isfinite().tolist() == [True, True, False, False]
    assert nucleus(logits, 0.4).isfinite().tolist() == [True, False, False, False]


@pytest.mark.parametrize("schedule", ["cosine", LEARNED])
def test_samples_hide_nothing_and_are_the_same_for_the_same_seed(schedule):
    method = text(schedule=schedule, sampling=Ancestral(6, top=0.9))
    first, second = (method.sample(3, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (3, LENGTH)
    assert 0 <= int(first.min()) <= int(first.max()) < VALUES


def test_pictures_are_whole_numbers_again():
    levels = Levels((10.0, 20.0), (2.0, 4.0))
    values = torch.randint(256, (3, 2, 4, 4))
    assert torch.equal(levels.values(levels.standardised(values), 256), values)
    method, x = picture()
    batch = {"image": x.float()}
    assert torch.equal(method.values(batch), x)
    assert set(method.pictures(batch, Context(generator=torch.Generator().manual_seed(0)))) == {
        f"{words}{t}" for t in (0.3, 0.6, 0.9) for words in ("time ", "predicted at ")
    }
    assert method.features(batch).grid == (4, 4)


def test_the_likelihood_of_a_network_that_knows_nothing_is_that_of_a_guess():
    method = MD4(Denoiser("16x1x1", VALUES, LENGTH))
    batch = {"ids": X, "ids_valid": torch.ones_like(X, dtype=torch.bool)}
    found = method.log_likelihood(batch, 60, torch.Generator().manual_seed(0))
    assert found.shape == (4,)
    assert found.mean().item() == pytest.approx(-LENGTH * math.log(VALUES), rel=0.1)  # times are drawn


def test_mistakes_get_one_sentence():
    encoder = Denoiser("16x1x1", VALUES, LENGTH)
    with pytest.raises(ValueError, match="schedule 'steep' is unknown; choose linear, cosine, or polyN"):
        MD4(encoder, schedule="steep")
    with pytest.raises(ValueError, match="a learned schedule needs continuous time"):
        MD4(encoder, schedule=LEARNED, timesteps=10)
    with pytest.raises(ValueError, match=r"sampling_top 0 in \(0, 1\]"):
        Ancestral(top=0)
    with pytest.raises(ValueError, match="timesteps 0 must be positive"):
        MD4(encoder, timesteps=0)
    with pytest.raises(ValueError, match=r"data has the places \[9\], this network \[8\]"):
        encoder(torch.zeros(1, 9, dtype=torch.int64), torch.zeros(1))
    with pytest.raises(ValueError, match="takes no mask"):
        MD4(encoder).losses({}, Context(), Mask.nothing(1, 8))
    with pytest.raises(ValueError, match="heads of even width"):
        Denoiser("15x1x5", VALUES, LENGTH)
    with pytest.raises(ValueError, match="features 7 even"):
        Denoiser("16x1x1", VALUES, LENGTH, features=7)
