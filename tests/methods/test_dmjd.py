"""DMJD: the released code's masks, targets and losses, and which task trains what."""

import pytest
import torch

from formulas import formula_image, formula_noise, recorded, wave
from reference_names import VIT, fill, replaced
from small_run import SIZES, without_drawing  # noqa: F401
from unmask.core import Context, Mask
from unmask.methods.dmjd import DMJD, RECIPE, tiny
from unmask.parts.masks.disjoint import DisjointMask, disjoint_masks
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from whole_run import run_and_look

faithful, works = pytest.mark.faithful("dmjd"), pytest.mark.works("dmjd")

# How dmjd_reference.json was made is said in it.
REFERENCE = recorded(__file__, "dmjd_reference.json")
NAMES = (
    ("decoder.embed.", "decoder_embed."),
    ("decoder.mask_token", "mask_token"),
    ("decoder.trunk.blocks.", "decoder_blocks."),
    ("decoder.trunk.norm.", "decoder_norm."),
    ("decoder.head.", "decoder_pred."),
    ("projector.8.", "predictor.0."),
    ("projector.", "proj_embed."),
)


def context(seed: int = 0) -> Context:
    return Context(generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def method():
    """Ours with the reference's decoder and projector, on the patches of a 224-pixel picture."""
    encoder = ViT("16x1x2", 224, 16, class_token=False)
    method = DMJD(encoder, TokenDecoder(encoder, 8, 1, 2))
    method.encoder.requires_grad_(False)
    assert sorted(fill(method, lambda name: replaced(name, NAMES + VIT))) == REFERENCE["names"]
    return method


def image() -> torch.Tensor:
    return 2 * formula_image(2, 224)


def masks_of(case: dict) -> tuple[Mask, Mask]:
    """Ours from the reference's noise, where what it drew last is what has the lowest number."""
    n = 196 if case["kind"] == "random" else 49
    noise = formula_noise(2, n)
    kept = int(n * (1 - case["ratio"]))
    order, choice = noise.argsort(-1), torch.zeros(2, n)
    shown, hidden = (torch.tensor(p) for p in case["permutations"])
    choice.scatter_(1, order[:, :kept][:, shown], torch.arange(kept).expand(2, -1).float())
    choice.scatter_(1, order[:, kept:][:, hidden], torch.arange(n - kept).expand(2, -1).float())
    return disjoint_masks(noise, choice, case["ratio"], case["predicted"])


@faithful
@pytest.mark.parametrize("case", REFERENCE["masks"], ids=lambda c: f"{c['kind']}{c['ratio']}-{c['predicted']}")
def test_masks_are_the_reference_s(case):
    masks = [mask.hidden for mask in masks_of(case)]
    if case["kind"] == "block":
        masks = [DisjointMask(cell=2)._fine(hidden, (14, 14), None) for hidden in masks]
    assert [row.nonzero().flatten().tolist() for row in torch.cat(masks)] == case["hidden"]


@faithful
def test_targets_are_the_reference_s(method):
    values = method.target({"image": image()}).values
    for place, expected in REFERENCE["target"].items():
        sample, patch = map(int, place.split(","))
        torch.testing.assert_close(values[sample, patch], torch.tensor(expected), rtol=0, atol=1e-4)
    assert values.double().square().mean().item() == pytest.approx(REFERENCE["target_mean_square"], rel=1e-5)


@faithful
def test_losses_are_the_reference_s_where_shown_places_are_in_order(method, monkeypatch):
    case = next(c for c in REFERENCE["masks"] if (c["kind"], c["predicted"]) == ("block", 1.0))
    views = [Mask.of(DisjointMask(cell=2)._fine(mask.hidden, (14, 14), None)) for mask in masks_of(case)]
    shown = REFERENCE["shown_count"]
    tokens = iter((0.1 * wave(4 * shown * 16, 0.7)).reshape(4, shown, 16).float().chunk(2))
    monkeypatch.setattr(method.encoder, "forward", lambda *_, **__: next(tokens))
    monkeypatch.setattr(method, "_views", lambda *_: views)
    terms = method.losses({"image": image()}, Context())
    assert terms["hidden"].item() == pytest.approx(REFERENCE["hidden"], rel=0, abs=1e-5)
    assert terms["shown"].item() == pytest.approx(REFERENCE["shown"], rel=0, abs=1e-5)


@faithful
def test_the_shown_places_task_never_touches_the_decoder_and_trains_the_encoder():
    method, batch = tiny()
    method.losses(batch, context())["shown"].backward()
    assert all(p.grad is None for p in method.decoder.parameters())
    assert method.encoder.embed.weight.grad.abs().sum() > 0


@faithful
def test_shown_places_are_compared_with_their_own_targets():
    method, batch = tiny()
    mask = Mask.from_scores(torch.rand(4, 16, generator=torch.Generator().manual_seed(0)), 6)
    tokens = method.encoder(batch["image"], mask)[:, 1:]
    wanted = torch.stack([method.target(batch).values[i][mask.kept[i]] for i in range(4)])
    expected = torch.nn.functional.smooth_l1_loss(method.projector(tokens), wanted, beta=2.0)
    torch.testing.assert_close(method.losses(batch, context(), mask)["shown"], expected)


@works
def test_a_sampler_of_single_masks_is_asked_twice():
    method, batch = tiny()
    method.sampler = RandomMask(0.6)
    first, second = method._views(batch, context())
    assert not torch.equal(first.hidden, second.hidden)


@works
@pytest.mark.parametrize("size", [(13, 10), (16, 24)])
def test_pictures_of_any_size_and_with_padding_train(size):
    method, _ = tiny()
    valid = torch.zeros(2, 32, 32, dtype=torch.bool)
    valid[0, : size[0], : size[1]], valid[1] = True, True
    batches = [{"image": torch.randn(2, 3, *size)}, {"image": torch.randn(2, 3, 32, 32), "image_valid": valid}]
    for batch in batches:
        terms = method.losses(batch, context())
        sum(terms.values()).backward()
        assert all(term.isfinite() for term in terms.values())
    assert all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None)


@works
@pytest.mark.usefixtures("without_drawing")
def test_it_trains_is_looked_at_and_evaluated_from_the_command_line(tmp_path):
    run_and_look(tmp_path, "dmjd", "16x2x2", **SIZES)


@works
def test_the_recipe_is_the_released_one_with_its_rate_scaled():
    assert RECIPE.lr == pytest.approx(6e-4 * 1.0 / 0.6)
    assert (RECIPE.batch, RECIPE.epochs, RECIPE.warmup, RECIPE.crop) == (512, 400, 20, (0.5, 1.0))
