"""MP3: no position leaks, nothing outside the context is attended to, and the loss is the cross-entropy of places."""

import math

import pytest
import torch
import torch.nn.functional as F

from formulas import pictures
from small_run import without_drawing  # noqa: F401
from unmask.app.catalogue import create
from unmask.core import Context, Mask
from unmask.methods.mp3_position_prediction import tiny, whole_context
from unmask.parts.masks.random import random_mask
from unmask.parts.ops.patches import patchify, unpatchify
from whole_run import run_and_look

SLUG = "mp3_position_prediction"
faithful, works = pytest.mark.faithful(SLUG), pytest.mark.works(SLUG)
SIZES = {"model": "16x2x2", "image_size": 16, "patch_size": 4}


def noise(b: int, n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(b, n, generator=torch.Generator().manual_seed(seed))


@faithful
def test_permuting_the_patches_permutes_the_logits():
    method, batch = tiny()
    scores, order = noise(4, 16), noise(1, 16, 1)[0].argsort()
    logits = method.place_logits(batch, random_mask(scores, 0.75))
    moved = {"image": unpatchify(patchify(batch["image"], 4)[:, order], (4, 4), 4)}
    found = method.place_logits(moved, random_mask(scores[:, order], 0.75))
    torch.testing.assert_close(found, logits[:, order], rtol=0, atol=1e-5)


@faithful
def test_a_patch_outside_the_context_influences_no_other():
    method, batch = tiny()
    mask = random_mask(noise(4, 16), 0.75)
    outside, inside = (int(where[0].nonzero()[0]) for where in (mask.hidden, ~mask.hidden))
    logits = method.place_logits(batch, mask)[0]
    for place, reach in ((outside, 1), (inside, 16)):
        patches = patchify(batch["image"], 4)
        patches[0, place] += pictures(48, seed=1)
        changed = method.place_logits({"image": unpatchify(patches, (4, 4), 4)}, mask)[0]
        assert (changed != logits).any(-1).sum() == reach
        assert (changed[place] != logits[place]).any()


@faithful
def test_a_quarter_of_the_patches_is_the_context():
    method = create(SLUG, model="16x1x2", image_size=32, patch_size=4)
    context = Context(generator=torch.Generator().manual_seed(0))
    assert method.sampler(method, {"image": pictures(3, 3, 32, 32)}, context).count == 16


@faithful
@pytest.mark.parametrize("counted", ["all", "hidden"])
def test_the_loss_is_the_cross_entropy_of_every_patch_s_own_place(counted):
    method = create(SLUG, **SIZES, counted=counted)
    batch, mask = {"image": pictures(2, 3, 16, 16)}, random_mask(noise(2, 16), 0.75)
    logits = method.place_logits(batch, mask)
    errors = [
        -logits[i, place].log_softmax(-1)[place]
        for i in range(2)
        for place in range(16)
        if counted == "all" or mask.hidden[i, place]
    ]
    assert len(errors) == (32 if counted == "all" else 24)
    expected = torch.stack(errors).mean()
    torch.testing.assert_close(method.losses(batch, Context(), mask)["position"], expected, rtol=1e-5, atol=1e-6)


@faithful
def test_nothing_learned_is_chance_and_alike_patches_stay_there():
    method, batch = tiny()
    mask = random_mask(noise(4, 16), 0.75)
    flat = {"image": torch.ones(4, 3, 16, 16)}
    assert method.accuracy(flat, mask).item() == pytest.approx(1 / 16)
    with torch.no_grad():
        method.head.weight.zero_()
    assert method.losses(batch, Context(), mask)["position"].item() == pytest.approx(math.log(16), abs=1e-6)


@faithful
def test_without_hidden_patches_it_is_a_jigsaw_of_full_attention():
    method = create(SLUG, **SIZES, ratio=0.0)
    batch = {"image": pictures(2, 3, 16, 16)}
    mask = method.sampler(method, batch, Context())
    assert not mask.hidden.any()
    expected = method.head(method.encoder(batch["image"]))
    torch.testing.assert_close(method.place_logits(batch, mask), expected, rtol=0, atol=1e-6)


@faithful
def test_positions_are_zero_and_stay_so():
    method, batch = tiny()
    optimiser = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.1)
    method.losses(batch, Context(generator=torch.Generator().manual_seed(0)))["position"].backward()
    optimiser.step()
    assert not method.encoder.positions.table.any()
    assert method.encoder.prefix == 0


@works
def test_a_network_that_knows_every_place_puts_the_picture_together(monkeypatch):
    method, batch = tiny()
    monkeypatch.setattr(method, "place_logits", lambda batch, mask: torch.eye(16).expand(4, 16, 16))
    assert method.accuracy(batch, whole_context(method, batch, Context())) == 1
    torch.testing.assert_close(method.reconstruct(batch), batch["image"], rtol=0, atol=1e-6)


@works
def test_padded_patches_are_neither_asked_nor_attended_to():
    method, image = tiny()[0], pictures(2, 3, 16, 16)
    valid = torch.ones(2, 16, 16, dtype=torch.bool)
    valid[:, :, 10:] = False
    batch = {"image": image, "image_valid": valid}
    assert method.places(batch).view(2, 4, 4)[0, 0].tolist() == [True, True, False, False]
    mask = Mask.nothing(2, 16)
    logits = method.place_logits({"image": image.masked_fill(~valid[:, None], 0), "image_valid": valid}, mask)
    own = torch.arange(16).view(4, 4)[:, :2].flatten()
    expected = F.cross_entropy(logits[:, own].flatten(0, 1), own.repeat(2))
    torch.testing.assert_close(method.losses(batch, Context(), mask)["position"], expected, rtol=1e-5, atol=1e-6)


@works
def test_what_cannot_be_placed_is_refused_in_a_sentence():
    method = tiny()[0]
    for shape, words in (((20, 20), "grid of 5x5 cannot be told by a head for 4x4"), ((15, 16), "does not divide")):
        with pytest.raises(ValueError, match=words):
            method.losses({"image": pictures(2, 3, *shape)}, Context(generator=torch.Generator().manual_seed(0)))
    assert method.features({"image": pictures(2, 3, 20, 20)}).pooled.shape == (2, 16)
    with pytest.raises(ValueError, match="count all of them"):
        create(SLUG, **SIZES, ratio=0.0, counted="hidden")


@works
@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_a_run_trains_shows_its_pictures_and_is_evaluated(tmp_path):
    run_and_look(tmp_path, SLUG, **SIZES)
