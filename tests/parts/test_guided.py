"""Guided masks: the cut, the rank, the hints, the start, the cache."""

import pytest
import torch

from unmask.core import Context, Mask
from unmask.methods.self_guided_mae import tiny
from unmask.parts.masks.guided import GuidedMask
from unmask.parts.masks.hints import Hints, swap_hints
from unmask.parts.masks.normalised_cut import NormalisedCut, interior, relevance_to
from unmask.parts.masks.random import RandomMask
from unmask.parts.masks.relevance_cache import read_crop
from unmask.parts.masks.start import Start


def context(seed: int = 0, progress: float = 0.5, **values) -> Context:
    return Context(progress=progress, generator=torch.Generator().manual_seed(seed), **values)


def two_clusters(small: int, large: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    labels = torch.cat([torch.zeros(small, dtype=torch.long), torch.ones(large, dtype=torch.long)])
    return (torch.eye(8)[labels] + 0.02 * torch.randn(small + large, 8, generator=generator)).unsqueeze(0)


class Planted:
    """Stands for a method whose tokens are given."""

    def __init__(self, tokens: torch.Tensor, grid: tuple[int, int]):
        self.tokens, self.training, self.encoder = tokens, True, self
        self.grid, self.prefix = grid, 0
        self.trunk = torch.nn.Module()
        self.trunk.blocks = [None, None]

    def __call__(self, image, **_):
        return self.tokens.expand(image.shape[0], -1, -1)

    def grid_of(self, image):
        return self.grid

    def places(self, batch):
        return None

    def eval(self):
        return self

    def train(self, mode=True):
        return self


@pytest.mark.faithful("self_guided_mae")
@pytest.mark.parametrize("small", [2, 10, 30, 49])
def test_no_visible_place_is_in_the_cluster_and_counts_are_exact(small):
    model = Planted(two_clusters(small, 196 - small), (14, 14))
    sampler = GuidedMask(cut=NormalisedCut(side="small"), hints=Hints(0.0), start=Start(fraction=0.0))
    guide = sampler.explain(model, {"image": torch.zeros(3, 3, 224, 224)}, context())
    assert guide.side.sum(-1).tolist() == [small] * 3
    assert guide.mask.hidden.sum(-1).tolist() == [147] * 3
    assert not (~guide.mask.hidden & guide.side).any()


@pytest.mark.faithful("self_guided_mae")
@pytest.mark.parametrize("small", [2, 60, 98])
@pytest.mark.parametrize("source", ["masked", "cluster"])
def test_hints_swap_as_many_places_as_they_show(small, source):
    model = Planted(two_clusters(small, 196 - small), (14, 14))
    sampler = GuidedMask(cut=NormalisedCut(side="small"), hints=Hints(0.1, source=source), start=Start(fraction=0.0))
    guide = sampler.explain(model, {"image": torch.zeros(2, 3, 224, 224)}, context(progress=0.0))
    plain = GuidedMask(cut=NormalisedCut(side="small"), hints=Hints(0.0), start=Start(fraction=0.0))
    before = plain.explain(model, {"image": torch.zeros(2, 3, 224, 224)}, context(progress=0.0)).mask
    shown = before.hidden & ~guide.mask.hidden
    covered = ~before.hidden & guide.mask.hidden
    expected = min(15, small) if source == "cluster" else 15  # round(0.1 * 147)
    assert guide.mask.hidden.sum(-1).tolist() == [147] * 2
    assert shown.sum(-1).tolist() == [expected] * 2
    assert covered.sum(-1).tolist() == [expected] * 2
    assert torch.equal(shown, guide.hints)
    if source == "cluster":
        assert not (guide.hints & ~guide.side).any()


@pytest.mark.faithful("self_guided_mae")
def test_before_the_start_masks_equal_maes_for_the_same_noise():
    method, batch = tiny()
    method.sampler = GuidedMask(start=Start(fraction=0.5))
    early = method.sampler(method, batch, context(progress=0.49))
    plain = RandomMask()(method, batch, context(progress=0.49))
    assert torch.equal(early.order, plain.order)
    assert torch.equal(early.hidden, plain.hidden)
    assert method.sampler.started_at == -1


@pytest.mark.faithful("self_guided_mae")
def test_gradient_equals_maes_given_the_same_mask():
    method, batch = tiny()
    mask = method.sampler.explain(method, batch, context()).mask
    sum(method.losses(batch, context()).values()).backward()
    guided = [p.grad.clone() for p in method.parameters()]
    method.zero_grad()
    sum(method.losses(batch, context(), mask).values()).backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(guided, method.parameters(), strict=True))


def test_relevance_is_highest_in_the_cluster():
    tokens = two_clusters(6, 10)
    side = torch.arange(16).unsqueeze(0) < 6
    relevance = relevance_to(tokens, side)
    assert relevance[0, :6].min() > relevance[0, 6:].max()


@pytest.mark.parametrize("rule", ["seed", "contrast", "small"])
def test_the_side_does_not_depend_on_the_sign_of_the_vector(rule):
    cut = NormalisedCut(side=rule)
    tokens = two_clusters(5, 11)
    found, usable = cut(tokens)
    flipped, _ = cut(tokens.flip(1))
    assert usable.all()
    assert torch.equal(found, flipped.flip(1))


def test_the_attention_side_is_the_one_looked_at():
    tokens = two_clusters(5, 11)
    attention = torch.zeros(1, 16)
    attention[:, 7] = 1.0
    side, _ = NormalisedCut(side="attention")(tokens, attention)
    assert side[0].tolist() == [False] * 5 + [True] * 11


def test_the_interior_side_is_the_one_with_less_of_the_border():
    model = Planted(torch.zeros(1, 25, 8), (5, 5))
    middle = torch.zeros(5, 5, dtype=torch.bool)
    middle[1:4, 1:4] = True
    model.tokens = two_clusters(1, 1)[0][middle.flatten().long()].unsqueeze(0)
    batch = {"image": torch.zeros(1, 3, 20, 20)}
    for tokens in (model.tokens, model.tokens.flip(-1)):
        model.tokens = tokens
        sampler = GuidedMask(cut=NormalisedCut(side="interior"), start=Start(fraction=0.0))
        assert torch.equal(sampler.explain(model, batch, context()).side[0], middle.flatten())


def test_places_beside_padding_are_not_interior():
    exists = torch.ones(1, 4, 4, dtype=torch.bool)
    exists[:, :, 3:] = False
    assert interior((4, 4), exists.flatten(1)).reshape(4, 4).nonzero().tolist() == [[1, 1], [2, 1]]


def test_images_without_a_cut_are_masked_at_random_and_counted():
    model = Planted(torch.ones(1, 16, 4), (4, 4))
    sampler = GuidedMask(start=Start(fraction=0.0))
    batch = {"image": torch.zeros(5, 3, 16, 16)}
    mask = sampler(model, batch, context())
    assert torch.equal(mask.hidden, RandomMask()(model, batch, context()).hidden)
    assert sampler.measures()["unclustered"] == 1.0


def test_hints_decay_linearly_from_the_start_to_the_end():
    hints = Hints(0.10, 0.02)
    assert hints.ratio(0.0) == pytest.approx(0.10)
    assert hints.ratio(0.5) == pytest.approx(0.06)
    assert hints.ratio(1.0) == pytest.approx(0.02)


def test_hints_by_score_are_the_lowest_or_the_highest():
    mask = Mask.of(torch.tensor([[True, True, True, True, False, False]]))
    relevance = torch.tensor([[0.1, 0.9, 0.5, 0.3, 0.0, 0.0]])
    noise = torch.rand(1, 6, generator=torch.Generator().manual_seed(0))
    for rule, place in (("lowest", 0), ("highest", 1)):
        scores = Hints(rule=rule).scores(relevance, noise)
        _, hints = swap_hints(mask, mask.hidden, scores, noise, 0.25)
        assert hints.nonzero()[:, 1].tolist() == [place]


def test_the_control_hides_what_is_least_relevant():
    model = Planted(two_clusters(6, 10), (4, 4))
    arguments = {"cut": NormalisedCut(side="small"), "hints": Hints(0.0), "start": Start(fraction=0.0)}
    batch = {"image": torch.zeros(1, 3, 16, 16)}
    guide = GuidedMask(hide="irrelevant", **arguments).explain(model, batch, context())
    assert (~guide.mask.hidden & guide.side).sum() == 4  # all four visible places are in the cluster


@pytest.mark.parametrize(("rule", "values"), [("fraction", {"progress": 0.2}), ("epoch", {"epoch": 3.0})])
def test_guidance_starts_by_fraction_or_epoch_and_stays(rule, values):
    method, batch = tiny()
    method.sampler = GuidedMask(start=Start(rule, fraction=0.2, epoch=3))
    method.sampler(method, batch, context(**{"progress": 0.1, **values}))
    assert method.sampler.started_at >= 0
    method.sampler(method, batch, context(progress=0.15))
    assert method.sampler.guided == 8


def test_guidance_starts_when_mask_tokens_overtake_visible_ones_that_have_led(monkeypatch):
    method, batch = tiny()
    rates = iter([(0.3, 0.6), (0.6, 0.3), (0.3, 0.6)])  # mask tokens lead by their number, then no longer, then again
    monkeypatch.setattr(
        "unmask.parts.masks.start.exploitation",
        lambda *_: tuple(torch.full((4,), r) for r in (*next(rates), 0.1)),
    )
    method.sampler = GuidedMask(start=Start("exploitation", check_every=10))
    for step, started in ((0, False), (5, False), (10, False), (20, True)):
        method.sampler(method, batch, context(progress=0.1, step=step))
        assert bool(method.sampler.started_at >= 0) is started


def test_looking_does_not_change_the_state():
    method, batch = tiny()
    method.eval()
    before = {k: v.clone() for k, v in method.state_dict().items()}
    method.sampler(method, batch, context())
    assert all(torch.equal(v, before[k]) for k, v in method.state_dict().items())


def test_cached_relevance_of_the_whole_picture_gives_the_mask_of_every_step():
    method, batch = tiny()
    whole = batch | {"index": torch.arange(4)}
    fresh = GuidedMask(start=Start(fraction=0.0))
    cached = GuidedMask(start=Start(fraction=0.0), refresh="image")
    expected = fresh.explain(method, whole, context()).mask.hidden
    for _ in range(2):
        found = cached.explain(method, whole, context()).mask.hidden
        assert (found == expected).float().mean() > 0.95  # relevance is kept in half precision
    calls = []
    cached._clusters = lambda *a: calls.append(a)  # type: ignore[method-assign]
    cached.explain(method, whole, context())
    assert not calls


def test_cache_survives_a_state_round_trip():
    method, batch = tiny()
    batch = batch | {"index": torch.tensor([3, 0, 9, 5])}
    first, second = (GuidedMask(start=Start(fraction=0.0), refresh="image") for _ in range(2))
    first(method, batch, context())
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.cache.maps, first.cache.maps)
    assert torch.equal(second(method, batch, context()).hidden, first(method, batch, context()).hidden)


def test_a_crop_reads_its_own_part_of_the_map_and_mirrors_it():
    maps = torch.arange(16.0).reshape(1, 1, 4, 4)
    right = read_crop(maps, torch.tensor([[0.0, 0.5, 1.0, 0.5, 0.0]]))
    mirrored = read_crop(maps, torch.tensor([[0.0, 0.0, 1.0, 1.0, 1.0]]))
    assert torch.allclose(right[0, 0, 0], torch.tensor([1.75, 2.25, 2.75, 3.0]), atol=1e-5)
    assert torch.allclose(mirrored, maps.flip(-1), atol=1e-5)


def test_a_ragged_batch_hides_its_own_share_of_every_picture():
    method, batch = tiny()
    valid = torch.ones(4, 16, 16, dtype=torch.bool)
    valid[0, :, 8:] = False
    guide = GuidedMask(start=Start(fraction=0.0)).explain(method, batch | {"image_valid": valid}, context())
    assert guide.mask.hidden.sum(-1).tolist() == [6, 12, 12, 12]
    assert not guide.mask.hidden[0].reshape(4, 4)[:, 2:].any()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: GuidedMask(ratio=1.0), "mask ratio 1.0"),
        (lambda: GuidedMask(network="x"), "network 'x'"),
        (lambda: GuidedMask(refresh="x"), "refresh 'x'"),
        (lambda: NormalisedCut(side="x"), "side 'x'"),
        (lambda: Hints(rule="x"), "hint rule 'x'"),
        (lambda: Hints(start=1.5), "1.5"),
        (lambda: Start("x"), "start rule 'x'"),
        (lambda: Start(fraction=2.0), "start fraction 2.0"),
    ],
)
def test_wrong_values_are_named(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_a_layer_that_does_not_exist_is_refused():
    method, batch = tiny()
    with pytest.raises(ValueError, match="layer 7 does not exist in the encoder of 2 blocks"):
        GuidedMask(layer=7, start=Start(fraction=0.0))(method, batch, context())


def test_half_precision_does_not_reach_the_eigenvector():
    torch.manual_seed(0)
    model, batch = tiny()
    exact = model.sampler._clusters(model, batch)
    tokens, _ = model.sampler._tokens(model, batch, None)
    model.sampler._tokens = lambda *_: (tokens, None)
    with torch.autocast("cpu", torch.bfloat16):
        half = model.sampler._clusters(model, batch)
    assert torch.equal(exact[0], half[0])
    torch.testing.assert_close(exact[1], half[1])
