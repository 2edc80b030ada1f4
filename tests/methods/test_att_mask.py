"""AttMask: the released code's masks, losses, centres and gradients, and who learns from whom."""

import pytest
import torch

from formulas import formula_image, formula_noise, formula_weights, pictures, recorded, wave
from reference_names import VIT, fill, replaced
from small_run import without_drawing  # noqa: F401
from unmask.app.catalogue import create
from unmask.core import Context, Mask
from unmask.methods.att_mask import RECIPE, AttMask, tiny
from unmask.parts.masks.attention import most_attended, revealed
from unmask.parts.nets.covered import encode_covered
from unmask.parts.nets.prototype_head import PrototypeHead
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.crops import crop, mirrored, random_boxes
from unmask.train.checkpoint import newest
from whole_run import resumes_alike, run_and_look

faithful, works = pytest.mark.faithful("att_mask"), pytest.mark.works("att_mask")

# How att_mask_reference.json was made is said in it.
REFERENCE = recorded(__file__, "att_mask_reference.json")
NAMES = (
    ("encoder.positions.table", "backbone.pos_embed"),
    ("mask_embedding", "backbone.masked_embed"),
    ("head.layers.0.", "head.mlp.0."),
    ("head.layers.1.", "head.mlp.2."),
    ("head.layers.2.", "head.mlp.4."),
    ("head.prototypes", "head.last_layer.weight_v"),
    ("head.gains", "head.last_layer.weight_g"),
)


def released_name(name: str) -> str:
    """What the released code calls a parameter of ours."""
    found = replaced(name, NAMES)
    return "backbone." + replaced(found, VIT) if found.startswith("encoder.") else found


@pytest.fixture
def reference():
    """Our method with the weights of the record, which is given its three crops and its centres."""
    encoder = ViT("16x2x2", 16, 4, positions="learned")
    method = AttMask(encoder, PrototypeHead(encoder, 32, 32, 16), local_crops=1, warm=1.0)
    shapes = {"backbone.masked_embed": (1, 16), "head.last_layer.weight_g": (32, 1), "backbone.pos_embed": (16, 16)}
    ours = fill(method, released_name, shapes)
    assert sorted(ours) == REFERENCE["names"]
    whole = {name: tuple(p.shape) for name, p in ours.items()} | {"backbone.pos_embed": (1, 17, 16)}
    method.encoder.positions.table.data.copy_(formula_weights(whole)["backbone.pos_embed"][0, 1:])
    method.teacher.follow(method._student(), 0.0)
    for parameter in method.teacher.parameters():
        parameter.data *= 0.9
    method.center.copy_(0.1 * wave(32, 1))
    method.place_center.copy_(0.1 * wave(32, 2))
    method._temperature = lambda progress: REFERENCE["temperature"]
    crops = iter(formula_image(6, 16).chunk(3))
    method._crop = lambda *_: {"image": next(crops)}
    return method


@faithful
@pytest.mark.parametrize("case", REFERENCE["masks"], ids=lambda case: f"{case['hide']}{case['ratio']}")
def test_masks_are_the_reference_s(case):
    attention = formula_noise(4, 36)
    hidden = most_attended(attention, case["ratio"], least=case["hide"] == "low")
    hidden &= (torch.tensor(case["chance"]) <= case["probability"]).unsqueeze(-1)
    if case["hide"] == "hint":
        selected = torch.tensor(case["selected"])
        noise = torch.ones(4, 36).scatter(1, selected, 0.0)
        assert selected.shape[1] == int(case["share"] * 36)
        hidden &= ~revealed(attention, noise, case["top"], case["share"])
    assert [row.nonzero().flatten().tolist() for row in hidden] == case["hidden"]


@faithful
def test_losses_centres_and_gradients_are_the_reference_s(reference):
    attention = torch.tensor(REFERENCE["attention"])
    masks = iter(Mask.of(most_attended(half, 0.4)) for half in attention.chunk(2))
    looked = []

    def hide(view, seen, context):
        looked.append(seen)
        return next(masks)

    reference._hide = hide
    terms = reference.losses({"image": pictures(2, 3, 16, 16)}, Context())
    torch.testing.assert_close(torch.cat(looked), attention, rtol=0, atol=1e-5)
    assert terms["class"].item() == pytest.approx(REFERENCE["class"], rel=0, abs=1e-5)
    assert terms["places"].item() == pytest.approx(REFERENCE["places"], rel=0, abs=1e-5)
    reference.after_step(Context(progress=1.0))  # the teacher stays where it is
    for name in ("center", "place_center"):
        torch.testing.assert_close(getattr(reference, name), torch.tensor(REFERENCE[name]), rtol=0, atol=1e-5)
    sum(terms.values()).backward()
    slopes = {released_name(n): p.grad for n, p in reference.named_parameters() if p.requires_grad}
    for name, expected in REFERENCE["gradients"].items():
        if name != "backbone.pos_embed":  # theirs has the class token's position as well
            assert slopes[name].double().square().mean().item() == pytest.approx(expected, rel=1e-3), name


@faithful
def test_the_student_learns_and_the_teacher_only_follows():
    method, batch = tiny()
    sum(method.losses(batch, Context(generator=torch.Generator().manual_seed(0))).values()).backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    assert all(p.grad is not None for p in method.parameters() if p.requires_grad)
    before = method.teacher.network["head"].gains.clone()
    method.head.gains.data += 1.0
    method.after_step(Context(progress=0.0))
    moved = method.teacher.network["head"].gains - before
    torch.testing.assert_close(moved, torch.full_like(moved, 0.004), rtol=1e-3, atol=0)
    method.after_step(Context(progress=1.0))
    torch.testing.assert_close(method.teacher.network["head"].gains - before, moved)


@faithful
def test_hidden_patches_of_a_crop_do_not_reach_the_student():
    method, _ = tiny()
    image, mask = pictures(2, 3, 16, 16), Mask.of(torch.arange(16).expand(2, -1) >= 8)
    changed = image.clone()
    changed[..., 8:, :] += 1.0
    found = [encode_covered(method.encoder, x, mask, method.mask_embedding) for x in (image, changed)]
    assert torch.equal(*found)


@works
@pytest.mark.parametrize("training", [True, False])
def test_centres_move_after_a_step_of_training_only(training):
    method, batch = tiny()
    method.train(training)
    method.losses(batch, Context(generator=torch.Generator().manual_seed(0)))
    assert not method.center.any()
    method.after_step(Context())
    assert method.center.any() == method.place_center.any() == training


@works
def test_centres_of_a_step_in_two_halves_are_those_of_the_whole():
    method, batch = tiny()
    halves, _ = tiny()
    halves.load_state_dict(method.state_dict())
    method.losses(batch, Context(generator=torch.Generator().manual_seed(0), total=4))
    for first in (0, 2):
        part = {"image": batch["image"][first : first + 2]}
        halves.losses(part, Context(generator=torch.Generator().manual_seed(0), first=first, total=4))
    for one in (method, halves):
        one.after_step(Context(progress=1.0))
    torch.testing.assert_close(halves.center, method.center)
    torch.testing.assert_close(halves.place_center, method.place_center)


@works
def test_crops_are_where_their_boxes_say():
    image = torch.arange(64.0).reshape(1, 1, 8, 8)
    box = torch.tensor([[0.25, 0.5, 0.5, 0.5]])
    assert torch.equal(crop(image, box, (4, 4)), image[..., 2:6, 4:8])
    assert torch.equal(crop(image, mirrored(box, torch.tensor([0.2])), (4, 4)), image[..., 2:6, 4:8].flip(-1))
    boxes = random_boxes(torch.rand(500, 4, generator=torch.Generator().manual_seed(0)), 0.05, 0.25)
    top, left, height, width = boxes.unbind(-1)
    assert ((top >= 0) & (left >= 0) & (top + height <= 1 + 1e-6) & (left + width <= 1 + 1e-6)).all()
    assert (height * width).min() >= 0.05 - 1e-6
    assert (height * width).max() <= 0.25 + 1e-6


@works
def test_pictures_with_padding_train():
    method, batch = tiny()
    valid = torch.zeros(4, 16, 16, dtype=torch.bool)
    valid[:, :12, :9] = True
    terms = method.losses(batch | {"image_valid": valid}, Context(generator=torch.Generator().manual_seed(0)))
    assert all(term.isfinite() for term in terms.values())


@works
@pytest.mark.usefixtures("without_drawing")
def test_it_trains_is_looked_at_and_evaluated_from_the_command_line(tmp_path):
    sizes = {"image_size": 16, "patch_size": 4, "head_outputs": 32, "head_hidden": 32, "head_bottleneck": 16}
    run_and_look(tmp_path, "att_mask", "16x2x2", **sizes, local_crops=1)


@works
@pytest.mark.usefixtures("without_drawing")
def test_a_run_taken_up_again_ends_with_the_bits_of_its_teacher_and_centres_too(tmp_path):
    sizes = {"image_size": 16, "patch_size": 4, "head_outputs": 32, "head_hidden": 32, "head_bottleneck": 16}
    run = resumes_alike(tmp_path, "att_mask", "16x2x2", **sizes, local_crops=1)
    held = newest(run).tensors("method")
    assert any(name.startswith("teacher.") for name in held)
    assert held["center"].abs().max() > 0


@works
def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="class_token=True"):
        AttMask(ViT("16x2x2", 16, 4, class_token=False))
    with pytest.raises(ValueError, match="momentum 2"):
        AttMask(ViT("16x2x2", 16, 4), PrototypeHead(ViT("16x2x2", 16, 4), 8, 8, 8), momentum=2.0)


@works
def test_defaults_and_recipe_are_the_released_ones():
    sizes = {"model": "16x2x2", "image_size": 16, "patch_size": 4, "head_outputs": 8, "head_hidden": 8}
    sampler = create("att_mask", **sizes).sampler  # as the command line makes it
    found = (sampler.hide, sampler.ratio, sampler.spread, sampler.probability, sampler.top)
    assert found == ("hint", 0.3, 0.2, 0.5, 0.1)
    assert (RECIPE.lr, RECIPE.epochs, RECIPE.warmup, RECIPE.weight_decay, RECIPE.clip) == (5e-4, 100, 10, 0.04, 3.0)
