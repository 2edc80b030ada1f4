"""PITS: patches alone, complementary views, and the reference's numbers."""

import pytest
import torch

from formulas import formula_noise, formula_weights, recorded, wave
from unmask.core import Context, Mask
from unmask.methods.pits import CONTRASTS, PITS, TASKS, PatchPerceptron, tiny

REFERENCE = recorded(__file__, "pits_reference.json")
faithful = pytest.mark.faithful("pits")
ROWS, CHANNELS, SIZE, WIDTH = 26, 2, 6, 8


def filled(**settings) -> PITS:
    """With the weights that the reference was given."""
    method = PITS(PatchPerceptron(ROWS, SIZE, width=WIDTH), **settings)
    method.load_state_dict(formula_weights({name: value.shape for name, value in method.state_dict().items()}))
    return method.eval()


def batch() -> dict[str, torch.Tensor]:
    series = wave(3 * ROWS * CHANNELS, 0.5).reshape(3, ROWS, CHANNELS).float()
    return {"series": series + torch.linspace(0, 3, ROWS)[:, None]}


def context(seed: int = 0) -> Context:
    return Context(generator=torch.Generator().manual_seed(seed))


def reference_mask() -> Mask:
    noise = formula_noise(3 * CHANNELS, 4).reshape(3, CHANNELS, 4)
    return Mask.from_scores(noise, 2)


@faithful
def test_the_mask_is_the_references_for_the_same_noise():
    assert reference_mask().hidden.int().tolist() == REFERENCE["hidden"]


@faithful
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("contrast", [name for name in CONTRASTS if name != "none"])
def test_losses_are_the_references(task, contrast):
    terms = filled(task=task, contrast=contrast).losses(batch(), context(), reference_mask())
    for name, value in REFERENCE["losses"][f"{task} {contrast}"].items():
        assert terms[name].item() == pytest.approx(value, rel=1e-5)


@faithful
def test_tokens_are_the_references():
    found = filled().features(batch())
    assert found.grid == (CHANNELS, 4)
    torch.testing.assert_close(found.tokens.flatten(), torch.tensor(REFERENCE["tokens"]), atol=1e-5, rtol=1e-5)


@faithful
def test_the_representation_of_a_patch_depends_on_that_patch_alone():
    method = filled()

    def second(patches):
        return method.encoder(patches)[1]

    patches = torch.randn(1, 2, 4, SIZE, generator=torch.Generator().manual_seed(0))
    jacobian = torch.autograd.functional.jacobian(second, patches)[0, :, :, :, 0].abs().sum((2, 5))
    assert (jacobian.flatten(2).flatten(0, 1) > 0).equal(torch.eye(8, dtype=torch.bool))


@faithful
def test_the_views_complement_each_other_and_cover_all_patches():
    first, second = tiny()[0].views(tiny()[1], context())
    both = torch.stack([first.seen, second.seen]).sum(0)
    assert (both[:, :2] == 0).all()  # 26 rows are four patches of 6 from the end
    assert (both[:, 2:] == 1).all()


@faithful
def test_what_a_view_does_not_see_says_the_same_everywhere():
    method = filled()
    nothing = method.encoder(torch.zeros(1, 1, 3, SIZE))[1][0, 0]
    assert torch.equal(nothing[0], nothing[1])


@pytest.mark.parametrize("task", TASKS)
def test_a_prediction_is_counted_where_the_task_says(task):
    """Of a network that gives nothing the loss is the mean square of the counted patches, which are all in the end."""
    method = filled(task=task, contrast="none")
    for name in ("weight", "bias"):
        torch.nn.init.zeros_(getattr(method.head, name))
    mask = reference_mask()
    square = method.encoder.patches(batch()["series"]).square().mean(-1)
    expected = square[mask.hidden].mean() + square[~mask.hidden].mean()
    torch.testing.assert_close(method.losses(batch(), context(), mask)["reconstruction"], expected)


def test_the_tasks_differ_in_which_patches_can_be_known():
    """Patch independence: what is hidden is always predicted as the same vector."""
    (first, *_), series = filled(task="PD").views(batch(), context()), batch()["series"]
    mean, deviation = series.mean(1, keepdim=True), series.std(1, unbiased=False, keepdim=True)
    hidden = ((first.prediction - mean) / deviation)[first.counted].reshape(-1, SIZE)
    assert first.counted.sum() == (~first.seen[:, 2:]).sum()
    assert len(hidden) == 3 * CHANNELS * 2


def test_features_do_not_see_level_and_scale_of_a_window():
    method, found = filled(), batch()
    moved = {"series": 5 + 3 * found["series"]}
    torch.testing.assert_close(
        method.features(moved).pooled, method.features(found).pooled, atol=1e-3, rtol=1e-3
    )  # the variance has 1e-5 added


def test_pooling_takes_the_largest_value_over_patches_channel_by_channel():
    found = filled().features(batch())
    tokens = found.tokens.unflatten(1, found.grid)
    assert torch.equal(found.pooled, torch.cat([tokens[:, c].amax(1) for c in range(CHANNELS)], dim=1))
    assert len(found.blocks) == 2


def test_dropout_is_drawn_from_the_step_and_only_in_training():
    method, found = filled(dropout=0.5), batch()
    plain = method.losses(found, context(), reference_mask())["reconstruction"]
    assert torch.equal(plain, method.losses(found, context(1), reference_mask())["reconstruction"])
    method.train()
    first, again, other = (
        method.losses(found, context(seed), reference_mask())["reconstruction"] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: PatchPerceptron(20, 12), "fewer than two patches"),
        (lambda: PITS(PatchPerceptron(26, 6), task="XX"), "task 'XX' is unknown; choose one of PI, PD"),
        (lambda: PITS(PatchPerceptron(26, 6), contrast="all"), "contrast 'all' is unknown"),
        (lambda: PITS(PatchPerceptron(26, 6), ratio=1.0), "mask ratio 1.0"),
        (lambda: PITS(PatchPerceptron(26, 6), dropout=1.0), "dropout 1.0"),
    ],
)
def test_settings_that_cannot_be(build, words):
    with pytest.raises(ValueError, match=words):
        build()
