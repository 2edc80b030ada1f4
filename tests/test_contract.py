"""One battery for every method: what a system must do to be one."""

import copy
import importlib

import pytest
import torch

from unmask.app.catalogue import slugs
from unmask.core import Context, check_batch

SEED = 7


def context(seed: int = SEED, **values) -> Context:
    return Context(progress=0.5, step=5, generator=torch.Generator().manual_seed(seed), **values)


@pytest.fixture(params=slugs())
def tiny(request):
    torch.manual_seed(0)
    request.node.add_marker(pytest.mark.works(request.param))
    return importlib.import_module(f"unmask.methods.{request.param}").tiny()


def total(method, batch, seed: int = SEED, phase: str = "main"):
    return sum(method.losses(batch, context(seed, phase=phase)).values())


def test_terms_are_finite_scalars(tiny):
    method, batch = tiny
    check_batch(batch)
    terms = method.losses(batch, context())
    assert terms
    assert all(term.ndim == 0 and torch.isfinite(term) for term in terms.values())


def test_one_generator_gives_the_same_loss_twice(tiny):
    method, batch = tiny
    assert torch.equal(total(copy.deepcopy(method), batch), total(copy.deepcopy(method), batch))


def test_another_generator_gives_another_loss_where_anything_is_drawn(tiny):
    method, batch = tiny
    own = context()
    before = own.generator.get_state()
    method.losses(batch, own)
    drawn = not torch.equal(before, own.generator.get_state())
    assert torch.equal(total(method, batch), total(method, batch, seed=SEED + 1)) != drawn


def test_phases_cover_each_trainable_parameter_once_and_every_one_gets_a_gradient(tiny):
    method, batch = tiny
    owned = [id(p) for phase in method.phases() for p in phase.parameters]
    assert sorted(owned) == sorted(id(p) for p in method.parameters() if p.requires_grad)
    for phase in method.phases():
        gradients = torch.autograd.grad(total(method, batch, phase=phase.name), phase.parameters, allow_unused=True)
        assert all(g is not None and torch.isfinite(g).all() for g in gradients)


def test_each_phase_alone_lowers_its_own_sum(tiny):
    method, batch = tiny
    for phase in method.phases():
        optimiser = torch.optim.Adam(phase.parameters, lr=1e-3)
        before = total(method, batch, phase=phase.name)
        for _ in range(20):
            optimiser.zero_grad()
            total(method, batch, phase=phase.name).backward(inputs=list(phase.parameters))
            optimiser.step()
        assert total(method, batch, phase=phase.name) < before


def test_state_round_trip_gives_the_same_loss(tiny):
    method, batch = tiny
    total(method, batch)
    other = copy.deepcopy(method)
    for p in other.parameters():
        torch.nn.init.normal_(p)
    other.load_state_dict(method.state_dict())
    assert torch.equal(total(method, batch), total(other, batch))


def test_features_are_one_vector_a_sample_and_never_masked(tiny):
    method, batch = tiny
    method.eval()
    with torch.no_grad():
        first, second = method.features(batch), method.features(batch)
    samples = next(iter(batch.values())).shape[0]
    assert first.pooled.ndim == 2
    assert first.pooled.shape[0] == samples
    assert torch.equal(first.pooled, second.pooled)


def test_features_do_not_depend_on_the_batch_they_are_in(tiny):
    method, batch = tiny
    method.eval()
    with torch.no_grad():
        together = method.features(batch).pooled
        alone = torch.cat([method.features({k: v[i : i + 1] for k, v in batch.items()}).pooled for i in range(2)])
    torch.testing.assert_close(together[:2], alone, atol=1e-5, rtol=1e-5)  # sums are ordered differently


def test_a_batch_in_two_halves_draws_the_noise_of_the_whole(tiny):
    samples = next(iter(tiny[1].values())).shape[0]
    whole = context(total=samples).uniform(samples, 3)
    half = samples // 2
    parts = [context(first=first, total=samples).uniform(half, 3) for first in (0, half)]
    assert torch.equal(whole, torch.cat(parts))
