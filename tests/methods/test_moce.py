"""MoCE: clusters choose the experts, every way is an ordinary network, and the stages begin when they should."""

import copy
import shutil

import pytest
import torch

from formulas import pictures
from small_run import make_pictures, unmask, without_drawing  # noqa: F401
from unmask.app.catalogue import create
from unmask.core import Context, Mask
from unmask.methods.moce import CLUSTERING, DENSE, EXPERTS, Stages, tiny
from unmask.parts.nets.cluster_routes import ClusterRoutes, unequal_shares
from unmask.parts.nets.vit import ViT
from unmask.train.checkpoint import newest, state_hash
from whole_run import run_and_look

faithful, works = pytest.mark.faithful("moce"), pytest.mark.works("moce")
SIZES = {"image_size": 16, "patch_size": 4, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
ROUTES = {"routes_experts": 3, "routes_clusters": 6}


def context(progress: float = 1.0, seed: int = 0) -> Context:
    return Context(progress=progress, generator=torch.Generator().manual_seed(seed))


def specialised(gate: str = "value", model: str = "16x4x2"):
    """A method in the stage of experts, its experts unlike."""
    torch.manual_seed(0)
    method = create("moce", model=model, **SIZES, **ROUTES, routes_gate=gate, stages_clusters=0.0, stages_experts=0.0)
    method.losses({"image": pictures(4, 3, 16, 16)}, context())
    with torch.no_grad():
        for parameter in method.experts.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
        for gate_ in method.routes.gates:
            gate_.weight *= 20
    return method.eval()


@faithful
def test_pictures_of_one_cluster_meet_the_same_experts_in_every_block_whatever_their_pixels(monkeypatch):
    method = specialised()
    image, cluster = pictures(6, 3, 16, 16), torch.tensor([0, 1, 0, 2, 1, 0])
    routes = method.routes(cluster, method.routes.probabilities(context()))
    assert len(routes) == 1
    for expert, weight in routes.values():
        for values in (expert, weight):
            assert all(len(values[cluster == one].unique()) == 1 for one in range(3))
    likeness = torch.nn.functional.one_hot(cluster, 6).float()
    monkeypatch.setattr(method, "_likeness", lambda batch: likeness)
    found = method.features({"image": image}).tokens
    for one in range(3):
        encoder = method.standalone(one)
        rows = cluster == one
        torch.testing.assert_close(encoder(image[rows])[:, 1:], found[rows], rtol=0, atol=1e-5)


@faithful
@pytest.mark.parametrize("gate", ["value", "one"])
def test_a_way_leaves_as_an_ordinary_network_with_the_same_features(gate):
    method = specialised(gate)
    batch = {"image": pictures(8, 3, 16, 16)}
    features, clusters = method.features(batch), method.clusters_of(batch).tolist()
    assert len(set(clusters)) > 1
    for i, cluster in enumerate(clusters):
        encoder = method.standalone(cluster)
        assert isinstance(encoder, ViT)
        assert encoder.state_dict().keys() == method.encoder.state_dict().keys()
        tokens = encoder(batch["image"][i : i + 1])[:, 1:]
        torch.testing.assert_close(tokens, features.tokens[i : i + 1], rtol=0, atol=1e-5)


@faithful
def test_when_experts_are_copied_the_dense_network_is_kept_exactly():
    method = create("moce", model="16x4x2", **SIZES, **ROUTES, routes_gate="one")
    batch, mask = {"image": pictures(4, 3, 16, 16)}, Mask.from_scores(pictures(4, 16), 4)
    method.losses(batch, context(0.1))
    with torch.no_grad():
        for parameter in method.encoder.parameters():
            parameter += 0.1  # as training would
    dense = method.losses(batch, context(0.1), mask)["reconstruction"]
    found = method.losses(batch, context(0.9), mask)
    assert found["distilled"] == 0
    torch.testing.assert_close(found["reconstruction"], dense, rtol=0, atol=1e-5)


@faithful
def test_experts_are_in_every_second_block_of_the_later_half():
    for depth, places in ((12, [7, 9, 11]), (6, [3, 5]), (4, [3]), (1, [0])):
        assert ClusterRoutes(ViT(f"16x{depth}x2", 16, 4), 2, 4).places == places


@faithful
def test_the_gate_learns_from_what_it_weights():
    for gate in ("value", "one"):
        method = specialised(gate).train()
        method.losses({"image": pictures(4, 3, 16, 16)}, context(), Mask.from_scores(pictures(4, 16), 4))[
            "reconstruction"
        ].backward()
        assert all(gate_.weight.grad.abs().sum() > 0 for gate_ in method.routes.gates)
        assert method.routes.prototypes.grad is None


def test_noise_of_the_gates_moves_few_clusters_to_other_experts():
    torch.manual_seed(0)
    routes = ClusterRoutes(ViT("128x2x2", image_size=16, patch_size=4), experts=4, clusters=512)
    noisy = Context(generator=torch.Generator().manual_seed(0))
    (settled,), (shaken,) = routes.probabilities(), routes.probabilities(noisy)
    same = (settled.argmax(-1) == shaken.argmax(-1)).float().mean()
    assert 0.85 < same < 1


@faithful
def test_shares_that_are_equal_cost_nothing_and_a_single_busy_expert_the_most():
    assert unequal_shares([torch.full((5, 4), 0.25)]) == 0
    alone = torch.zeros(5, 4)
    alone[:, 2] = 1
    assert unequal_shares([alone]).item() == pytest.approx(3.0)  # n - 1 of n experts


@faithful
def test_stages_begin_when_they_should_and_the_frozen_encoder_is_the_one_then():
    method = create("moce", model="16x2x2", **SIZES, **ROUTES, stages_clusters=0.4, stages_experts=0.6)
    batch = {"image": pictures(4, 3, 16, 16)}
    expected = {0.1: (DENSE, ["reconstruction"]), 0.5: (CLUSTERING, ["reconstruction", "clusters"])}
    expected[0.7] = (EXPERTS, ["reconstruction", "clusters", "balance", "distilled"])
    for progress, (stage, names) in expected.items():
        with torch.no_grad():
            method.encoder.embed.weight += 1
        before = copy.deepcopy(method.encoder.state_dict())
        assert list(method.losses(batch, context(progress))) == names
        assert int(method.entered) == stage
        same = torch.equal(method.dense.network.embed.weight, before["embed.weight"])
        assert same == (stage == CLUSTERING)
    assert not any(p.requires_grad for p in method.dense.parameters())


@works
def test_looking_at_a_method_never_moves_it_on():
    method = create("moce", model="16x2x2", **SIZES, **ROUTES).eval()
    method.losses({"image": pictures(4, 3, 16, 16)}, context(1.0))
    assert int(method.entered) == DENSE


@works
def test_in_every_stage_every_parameter_has_a_gradient():
    for progress in (0.1, 0.55, 0.9):
        method = create("moce", model="16x2x2", **SIZES, **ROUTES)
        sum(method.losses({"image": pictures(4, 3, 16, 16)}, context(progress)).values()).backward()
        assert all(p.grad is not None for p in method.parameters() if p.requires_grad)


@works
def test_what_cannot_be_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="9 experts cannot share 6 clusters"):
        create("moce", model="16x2x2", **SIZES, routes_experts=9, routes_clusters=6)
    with pytest.raises(ValueError, match="give shares in that order"):
        Stages(0.6, 0.5)
    with pytest.raises(ValueError, match="gate 'two' is unknown"):
        ClusterRoutes(tiny()[0].encoder, gate="two")


@works
@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_a_run_trains_shows_its_pictures_and_is_evaluated(tmp_path):
    run_and_look(tmp_path, "moce", "16x2x2", **SIZES, **ROUTES, stages_clusters=0.3, stages_experts=0.6)


@works
@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_a_training_that_goes_on_among_the_stages_is_the_one_that_was_never_cut(tmp_path):
    data, whole, cut = make_pictures(tmp_path / "data", count=30), tmp_path / "whole", tmp_path / "cut"
    sizes = {**SIZES, **ROUTES, "stages_clusters": 0.3, "stages_experts": 0.6}
    words = [word for name, value in sizes.items() for word in ("--set", f"{name}={value}")]
    plan = ["--batch", "8", "--steps", "6", "--save-every", "3", "--monitor-every", "9", "--quiet"]
    assert unmask("pretrain", data, "--out", whole, "--method", "moce", "--model", "16x2x2", *words, *plan) == 0
    shutil.copytree(whole, cut)
    shutil.rmtree(sorted((cut / "checkpoints").iterdir())[-1])
    middle = newest(cut)
    assert (middle.step, int(middle.tensors("method")["entered"])) == (3, CLUSTERING)
    assert unmask("resume", cut, "--quiet") == 0
    first, second = (state_hash(newest(run).tensors("method")) for run in (whole, cut))
    assert first == second
    assert int(newest(cut).tensors("method")["entered"]) == EXPERTS
