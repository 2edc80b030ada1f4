"""TopK SAE: losses, gradients and steps equal to the released code; what revives dead latents, and what it leaves."""

import json
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from formulas import recorded, wave
from small_activations import make_activations
from small_run import unmask, without_drawing  # noqa: F401
from unmask.core import Context, Mask
from unmask.methods.topk_sae import Revival, SparseEncoder, TopKSAE, largest, tiny
from unmask.parts.ops.median import geometric_median
from unmask.parts.ops.tangent import tangent
from unmask.train.checkpoint import newest, state_hash

faithful = pytest.mark.faithful("topk_sae")
works = pytest.mark.works("topk_sae")

# How topk_sae_reference.json was made: see its entry "how".
REFERENCE = recorded(__file__, "topk_sae_reference.json")
WIDTH, LATENTS, K, TRIES, BATCH = 6, 24, 3, 4, 8


def data():
    return (wave(5 * BATCH * WIDTH, 0.3).reshape(5, BATCH, WIDTH) + torch.linspace(-1, 1, WIDTH)).float()


def reference_method(start: bool = True) -> TopKSAE:
    """The network of the recorded numbers, started from data as there."""
    method = TopKSAE(SparseEncoder(WIDTH, LATENTS, K), Revival(count=TRIES, dead_after=BATCH), normalise=False)
    with torch.no_grad():
        method.encoder.weight.copy_(wave(LATENTS * WIDTH, 1).reshape(LATENTS, WIDTH))
        method.directions.copy_(F.normalize(method.encoder.weight, dim=-1))
    if start:
        torch.manual_seed(0)
        method.begin([{"activation": data().flatten(0, 1)}])
    return method


def close(found, expected, tolerance=1e-5):
    torch.testing.assert_close(found.detach(), torch.tensor(expected), atol=tolerance, rtol=tolerance)


@faithful
def test_centre_and_scales_start_from_data_as_in_the_reference():
    method = reference_method()
    close(method.centre, REFERENCE["init"]["pre_bias"], 1e-4)  # both medians are found by steps
    assert method.encoder.weight.norm().item() == pytest.approx(REFERENCE["init"]["encoder norm"], rel=1e-4)
    assert method.scale.item() == pytest.approx(REFERENCE["scale"], rel=1e-5)


@faithful
def test_losses_gradients_and_steps_are_the_reference_s():
    method = reference_method()
    with torch.no_grad():  # what the two medians differ by
        method.centre.copy_(torch.tensor(REFERENCE["init"]["pre_bias"]))
        method.encoder.weight.mul_(REFERENCE["init"]["encoder norm"] / method.encoder.weight.norm())
    optimiser = torch.optim.Adam(method.parameters(), lr=0.01, eps=6.25e-10)
    names = {"centre": "pre_bias", "encoder.weight": "encoder.weight", "encoder.bias": "latent_bias"}
    names |= {"directions": "decoder.weight"}
    dead = 0
    for x, expected in zip(data(), REFERENCE["steps"], strict=True):
        terms = method.losses({"activation": x}, Context())
        assert terms["reconstruction"].item() == pytest.approx(expected["reconstruction"], rel=1e-4)
        assert terms["revival"].item() == pytest.approx(expected["auxiliary"], rel=1e-4)
        sum(terms.values()).backward()
        if "gradients" in expected:
            for mine, theirs in names.items():
                close(method.get_parameter(mine).grad, expected["gradients"][theirs], 1e-4)
        optimiser.step()
        optimiser.zero_grad()
        method.after_step(Context())
        assert method.idle.tolist() == expected["idle"]
        dead += sum(steps > 1 for steps in expected["idle"])
        if "encoder" in expected:
            close(method.encoder.weight, expected["encoder"], 2e-4)
            close(method.directions, expected["directions"], 2e-4)
    assert dead > 5  # there was something to revive


@faithful
def test_at_most_k_latents_stay_and_none_is_negative():
    x = torch.randn(50, 20, generator=torch.Generator().manual_seed(0))
    found = largest(x, 4)
    assert ((found != 0).sum(-1) <= 4).all()
    assert (found >= 0).all()
    torch.testing.assert_close(found.sum(-1), x.topk(4).values.relu().sum(-1))  # summed in another order
    assert largest(torch.tensor([[-1.0, -2.0, 3.0]]), 2).tolist() == [[0.0, 0.0, 3.0]]


@faithful
def test_predicting_the_mean_costs_one():
    method = reference_method()
    x = data().flatten(0, 1)
    with torch.no_grad():
        method.encoder.bias.fill_(-100.0)  # no latent fires
        method.centre.copy_(x.mean(0))
    terms = method.losses({"activation": x}, Context())
    assert terms["reconstruction"].item() == pytest.approx(1.0, rel=1e-5)


@faithful
def test_reviving_touches_dead_latents_only_and_not_what_the_others_give_back():
    method = reference_method()
    method.idle.fill_(0)
    method.idle[:5] = 10
    with torch.no_grad():
        method.encoder.bias[:5] = -10.0  # they do not fire
        method.encoder.bias[:5] += torch.linspace(0, 1, 5)
    x = data()[0]
    terms = method.losses({"activation": x}, Context())
    with torch.no_grad():
        method.encoder.bias[:5] += 12.0  # but nearly would
    before = method.encoder(x - method.centre)
    dead = method.idle > 1
    back = method.decoded(method.encoder.kept(before))
    loss = method._left_over(before, (x - back).detach(), dead)
    gradient = torch.autograd.grad(loss, method.encoder.weight)[0]
    assert gradient[:5].abs().sum() > 0
    assert not gradient[5:].any()
    assert torch.isfinite(terms["revival"])


@faithful
def test_the_gradient_of_directions_does_not_change_their_length():
    rows = F.normalize(torch.randn(7, 5), dim=-1).requires_grad_()
    given = torch.randn(7, 5)
    (tangent(rows) * given).sum().backward()
    torch.testing.assert_close((rows.grad * rows).sum(-1), torch.zeros(7), atol=1e-6, rtol=0)
    along = (given * rows).sum(-1, keepdim=True) * rows
    torch.testing.assert_close(rows.grad, (given - along).detach())
    method, batch = tiny()
    optimiser = torch.optim.Adam(method.parameters(), lr=0.1)
    sum(method.losses(batch, Context()).values()).backward()
    optimiser.step()
    method.after_step(Context())
    torch.testing.assert_close(method.directions.norm(dim=-1), torch.ones(16))


@faithful
def test_the_median_is_where_distances_are_least():
    square = torch.tensor([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
    torch.testing.assert_close(geometric_median(square), torch.ones(2))
    line = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [10.0, 0.0]])
    torch.testing.assert_close(geometric_median(line), torch.zeros(2), atol=1e-3, rtol=0)


@faithful
def test_vectors_are_brought_to_one_scale_and_back():
    method, batch = tiny()
    louder = {"activation": 7 * batch["activation"] + 3}
    one, other = (method.latents(b) for b in (batch, louder))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(method.restored(louder), 7 * method.restored(batch) + 3, atol=1e-3, rtol=1e-3)


def test_a_latent_that_fires_in_any_part_of_a_step_is_not_idle():
    method, batch = tiny()
    halves = [{"activation": batch["activation"][rows]} for rows in (slice(0, 8), slice(8, 16))]
    whole, _ = tiny()
    whole.losses(batch, Context(total=16))
    whole.after_step(Context())
    for first, half in zip((0, 8), halves, strict=True):
        method.losses(half, Context(first=first, total=16))
    method.after_step(Context())
    assert torch.equal(method.idle, whole.idle)
    method.eval().losses(batch, Context())
    assert not method.fired.any()


def test_steering_adds_the_direction_of_a_latent_in_units_of_the_vector():
    method, batch = tiny()
    moved = method.steer(batch, 3, 2.0) - batch["activation"]
    deviation = batch["activation"].std(-1, keepdim=True) + 1e-5
    torch.testing.assert_close(moved, 2 * deviation * method.directions[3])
    with pytest.raises(ValueError, match="latent 16 is not one of the 16"):
        method.steer(batch, 16, 1.0)


def test_mistakes_give_one_sentence():
    with pytest.raises(ValueError, match="k 9 at least 1 and at most latents 8"):
        SparseEncoder(4, 8, 9)
    with pytest.raises(ValueError, match="choose one of topk, relu"):
        SparseEncoder(4, 8, 2, "gated")
    with pytest.raises(ValueError, match="dead_after 0 below 1"):
        Revival(dead_after=0)
    with pytest.raises(ValueError, match="takes no mask"):
        tiny()[0].losses(tiny()[1], Context(), Mask.nothing(16, 4))
    with pytest.raises(ValueError, match="have 5 numbers, this network was made for 6"):
        tiny()[0].latents({"activation": torch.zeros(2, 5)})


NETWORK = ["--method", "topk_sae", "--set", "latents=32", "--set", "k=2", "--set", "revival_dead_after=64"]
SHORT = ["--batch", 16, "--lr", 0.3, "--quiet", "--save-every", 20, "--monitor-every", 40]


@works
def test_activations_are_learned_measured_steered_and_a_resumed_run_is_the_same(tmp_path, capsys):
    rows = make_activations(tmp_path / "rows.npy")
    assert unmask("pretrain", rows, "--steps", 40, "--out", tmp_path / "whole", *NETWORK, *SHORT) == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "broken")
    found = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    held = [row for row in found if row["kind"] == "held_out"]
    assert held[-1]["loss/reconstruction"] < 0.8 * held[0]["loss/reconstruction"]
    shutil.rmtree(newest(tmp_path / "broken").path)
    assert unmask("resume", tmp_path / "broken", "--quiet") == 0
    one, other = (newest(tmp_path / name) for name in ("whole", "broken"))
    for section in one.sections:
        assert state_hash(one.tensors(section)) == state_hash(other.tensors(section)), section
    run = tmp_path / "whole"
    capsys.readouterr()
    assert unmask("evaluate", run) == 0
    assert "latents per activation" in capsys.readouterr().out
    assert unmask("view", run, "--images", 2) == 0
    assert unmask("steer", run, "--latent", 4, "--strength", 2, "--out", tmp_path / "steered.npy") == 0
    moved = np.load(tmp_path / "steered.npy") - np.load(rows)
    assert moved.shape == (200, 12)
    assert np.abs(moved).max() > 0
    assert unmask("steer", run, "--latent", 40, "--out", tmp_path / "no.npy") == 2
    assert "latent 40 is not one of the 32" in capsys.readouterr().err
    assert unmask("embed", run, "--out", tmp_path / "latents.npy") == 0
    assert (np.load(tmp_path / "latents.npy") > 0).sum(1).max() <= 2
