"""Self-Guided MAE: only the mask differs from MAE, and its defaults are the published ones."""

import inspect

import pytest
import torch

from unmask.app.catalogue import create
from unmask.core import Context
from unmask.core.assembly import arguments
from unmask.methods.self_guided_mae import RECIPE, SelfGuidedMAE, tiny

pytestmark = pytest.mark.faithful("self_guided_mae")
SIZES = {
    "model": "32x3x2",
    "image_size": 28,
    "patch_size": 2,
    "decoder_width": 16,
    "decoder_depth": 1,
    "decoder_heads": 2,
}


def context(progress: float, seed: int = 0) -> Context:
    return Context(progress=progress, generator=torch.Generator().manual_seed(seed))


def test_parameters_are_maes_and_no_more():
    guided, plain = create("self_guided_mae", **SIZES), create("mae", **SIZES)
    assert [n for n, _ in guided.named_parameters()] == [n for n, _ in plain.named_parameters()]


def test_loss_before_the_start_is_maes_bit_for_bit():
    torch.manual_seed(0)
    guided, plain = create("self_guided_mae", **SIZES), create("mae", **SIZES)
    plain.load_state_dict(guided.state_dict(), strict=False)
    batch = {"image": torch.randn(2, 3, 28, 28)}
    early = guided.losses(batch, context(0.1))["reconstruction"]
    assert torch.equal(early, plain.losses(batch, context(0.1))["reconstruction"])


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_147_of_196_patches_are_hidden_at_any_time(progress):
    method = create("self_guided_mae", start_fraction=0.0, **SIZES)
    mask = method.sampler(method, {"image": torch.randn(3, 3, 28, 28)}, context(progress))
    assert mask.hidden.sum(-1).tolist() == [147, 147, 147]
    assert mask.count == 49


def test_no_gradient_reaches_the_encoder_through_the_mask():
    method, batch = tiny()
    guide = method.sampler.explain(method, batch, context(0.5))
    assert not guide.relevance.requires_grad


def test_clusters_are_cut_from_the_second_to_last_block_of_the_whole_image():
    method = create("self_guided_mae", start_fraction=0.0, **SIZES)
    seen = []
    method.encoder.trunk.blocks[1].register_forward_hook(lambda *a: seen.append(a[2].shape[1]))
    last = []
    method.encoder.trunk.blocks[2].register_forward_hook(lambda *a: last.append(a[2].shape[1]))
    method.losses({"image": torch.randn(1, 3, 28, 28)}, context(0.5))
    assert seen == [197, 50]  # once with every patch, once with the visible ones; one class token
    assert last == [50]


def test_defaults_are_the_published_ones():
    defaults = {name: argument.default for name, argument in arguments(SelfGuidedMAE).items()}
    expected = {"ratio": 0.75, "layer": -2, "start_fraction": 0.125, "start_epoch": 50, "hints_start": 0.1}
    assert {name: defaults[name] for name in expected} == expected
    assert (RECIPE.lr, RECIPE.batch, RECIPE.epochs, RECIPE.warmup, RECIPE.betas) == (1.5e-4, 4096, 400, 40, (0.9, 0.95))
    assert inspect.signature(SelfGuidedMAE).parameters["normalise"].default is True


def test_hint_share_decays_over_the_guided_time_only():
    method, batch = tiny()
    method.sampler.start.fraction = 0.5
    method.sampler(method, batch, context(0.5))
    assert float(method.sampler.started_at) == 0.5
    assert method.sampler._guided_progress(0.75) == pytest.approx(0.5)


def test_a_mask_that_is_given_replaces_the_sampler():
    method, batch = tiny()
    mask = method.sampler.explain(method, batch, context(0.5)).mask
    first = method.losses(batch, context(0.5, seed=1), mask)["reconstruction"]
    second = method.losses(batch, context(0.5, seed=2), mask)["reconstruction"]
    assert torch.equal(first, second)
