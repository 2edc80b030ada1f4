"""VQ tokenizer: equal to MaskGIT's on the same weights; ids come back as pictures."""

import json
import math

import pytest
import torch

from formulas import recorded, wave
from small_run import make_pictures, unmask
from unmask.core import Context
from unmask.methods.vq_tokenizer import VQTokenizer, tiny
from unmask.parts.losses.codebook import codebook_terms, straight_through, usage_entropy
from unmask.parts.nets.pixel_range import PixelRange
from unmask.parts.nets.tokenizer import Codebook, Tokenizer

faithful = pytest.mark.faithful("vq_tokenizer")

# How maskgit_reference.json was made: see its entry "how".
REFERENCE = recorded(__file__, "maskgit_reference.json")["tokenizer"]


def formula(shape, place, name):
    values = wave(math.prod(shape), place).reshape(shape)
    scales = {"bias": 0.1 * values, "scale": 1 + 0.1 * values, "codebook": 0.5 * values}
    return scales.get(name.split("/")[-1], values * (2 / math.prod(shape[:-1])) ** 0.5).float()


def names_of_blocks(ours: str, theirs: str, count: int, widened: set[int]):
    """Our residual blocks and flax's: their parts are numbered by kind, in the order in which they are made."""
    for i in range(count):
        block = f"{theirs}/ResBlock_{i}"
        for number in (0, 1):
            yield f"{ours.format(i)}.norm{number + 1}.weight", f"{block}/GroupNorm_{number}/scale"
            yield f"{ours.format(i)}.norm{number + 1}.bias", f"{block}/GroupNorm_{number}/bias"
            yield f"{ours.format(i)}.conv{number + 1}.weight", f"{block}/Conv_{number}/kernel"
        if i in widened:
            yield f"{ours.format(i)}.project.weight", f"{block}/Conv_2/kernel"


def reference_tokenizer() -> Tokenizer:
    """The network of the recorded numbers: two stages of 32 and 64, one block each, the shortcut as released."""
    tokenizer = Tokenizer(3, 16, 4, 32, (1, 2), 1, shortcut="output")
    named = {n: formula(shape, place, n) for place, (n, shape) in enumerate(REFERENCE["variables"])}
    pairs = [("codebook.vectors", "quantizer/codebook")]
    places = {"encoder": ("stages.0.0", "stages.1.0", "middle.0"), "decoder": ("middle.0", "stages.0.0", "stages.1.0")}
    for side, blocks in places.items():
        for i, block in enumerate(blocks):
            widened = {("encoder", 1), ("decoder", 2)}
            found = names_of_blocks(
                f"{side}.{block}", f"{side}/ResBlock_{i}", 1, {0} if (side, i) in widened else set()
            )
            pairs += [(mine, theirs.replace(f"ResBlock_{i}/ResBlock_0", f"ResBlock_{i}")) for mine, theirs in found]
        pairs += [
            (f"{side}.norm.{mine}", f"{side}/GroupNorm_0/{other}")
            for mine, other in (("weight", "scale"), ("bias", "bias"))
        ]
    convolutions = {
        "encoder.first": "encoder/Conv_0",
        "encoder.last": "encoder/Conv_1",
        "decoder.first": "decoder/Conv_0",
    }
    convolutions |= {"decoder.doublings.0": "decoder/Conv_1", "decoder.last": "decoder/Conv_2"}
    for mine, other in convolutions.items():
        pairs += [(f"{mine}.weight", f"{other}/kernel"), (f"{mine}.bias", f"{other}/bias")]
    own, used = dict(tokenizer.named_parameters()), set()
    with torch.no_grad():
        for mine, other in pairs:
            if mine not in own:  # the encoder's first convolution has no bias
                continue
            value = named[other]
            own[mine].copy_(value.permute(3, 2, 0, 1) if value.ndim == 4 else value)
            used |= {mine, other}
    assert used == set(own) | set(named)
    return tokenizer


def image():
    return ((wave(2 * 8 * 8 * 3, 0.5).reshape(2, 8, 8, 3) + 1) / 2).permute(0, 3, 1, 2).float()


@faithful
def test_vectors_ids_and_pictures_are_the_reference_s():
    tokenizer = reference_tokenizer()
    raw, found = tokenizer.quantised(image())
    torch.testing.assert_close(
        raw[0].permute(1, 2, 0).contiguous(), torch.tensor(REFERENCE["raw"]), atol=2e-5, rtol=1e-4
    )
    assert found.ids.unflatten(1, (4, 4)).tolist() == REFERENCE["ids"]
    again = tokenizer.decoder(found.values)
    torch.testing.assert_close(
        again[1].permute(1, 2, 0).contiguous(), torch.tensor(REFERENCE["again"]), atol=5e-5, rtol=1e-4
    )


@faithful
def test_the_losses_of_the_codebook_are_the_reference_s():
    raw, found = reference_tokenizer().quantised(image())
    vectors, entries = codebook_terms(raw, found.values)
    entropy = usage_entropy(found.distances)
    assert 0.25 * vectors.item() == pytest.approx(REFERENCE["e_latent_loss"], rel=1e-5)
    assert entries.item() == pytest.approx(REFERENCE["q_latent_loss"], rel=1e-5)
    assert 0.1 * entropy.item() == pytest.approx(REFERENCE["entropy_loss"], rel=1e-4)
    method = VQTokenizer(reference_tokenizer(), PixelRange(0.0, 1.0), image_size=8)
    terms = method.losses({"image": image()}, Context())
    total = sum(float(terms[name]) for name in ("commitment", "codebook", "entropy"))
    assert total == pytest.approx(REFERENCE["quantizer_loss"], rel=1e-4)


@faithful
def test_the_gradient_passes_the_choice_straight_through():
    raw = torch.tensor([0.4, 2.6], requires_grad=True)
    chosen = torch.tensor([0.0, 3.0], requires_grad=True)
    out = straight_through(raw, chosen)
    torch.testing.assert_close(out, chosen)
    out.square().sum().backward()
    assert raw.grad.tolist() == [0.0, 6.0]
    assert chosen.grad is None


@faithful
def test_the_entropy_is_least_where_choices_are_clear_and_all_entries_used():
    clear = torch.full((4, 4), 5.0).fill_diagonal_(0.0)
    assert usage_entropy(clear).item() == pytest.approx(-math.log(4), abs=1e-3)
    assert usage_entropy(torch.ones(4, 4)).item() == pytest.approx(0.0, abs=1e-3)
    one = torch.full((4, 4), 5.0)
    one[:, 0] = 0.0
    assert usage_entropy(one).item() == pytest.approx(0.0, abs=1e-3)


def test_the_nearest_entry_is_chosen_and_comes_back_by_its_id():
    book = Codebook(5, 3)
    x = book.vectors.detach()[torch.tensor([[4, 0], [2, 2]])].permute(2, 0, 1)[None] + 1e-3
    found = book(x)
    assert found.ids.tolist() == [[4, 0, 2, 2]]
    assert torch.equal(found.values, book.of(found.ids, (2, 2)))


def test_what_is_not_there_does_not_count():
    method, batch = tiny()
    valid = torch.ones(4, 8, 8, dtype=torch.bool)
    valid[:, 5:] = False
    spoiled = torch.where(valid.unsqueeze(1), batch["image"], 5.0)
    one, other = (method.losses({"image": x, "image_valid": valid}, Context()) for x in (batch["image"], spoiled))
    assert torch.equal(one["reconstruction"], other["reconstruction"])


def test_mistakes_give_one_sentence():
    with pytest.raises(ValueError, match="pictures of 10x10 do not divide into ids of 4x4 pixels"):
        VQTokenizer(tiny()[0].tokenizer, image_size=10)
    with pytest.raises(ValueError, match="temperature 0 must be positive"):
        VQTokenizer(tiny()[0].tokenizer, image_size=8, temperature=0)
    with pytest.raises(ValueError, match="codebook_size 1 must be at least 2"):
        Tokenizer(codebook_size=1)
    with pytest.raises(ValueError, match="image has 1 channels, this tokenizer 3"):
        tiny()[0].tokenizer.quantised(torch.zeros(1, 1, 8, 8))


@pytest.mark.works("vq_tokenizer")
def test_pictures_are_learned_and_drawn(tmp_path):
    data = make_pictures(tmp_path / "data", count=40)
    sizes = ["codebook_size=8", "latent=4", "width=8", "multipliers=1,1,2", "blocks=1"]
    options = [word for pair in sizes for word in ("--set", f"tokenizer_{pair}")]
    options += ["--method", "vq_tokenizer", "--batch", 8, "--quiet", "--monitor-every", 12, "--lr", 0.1]
    assert unmask("pretrain", data, "--steps", 12, "--out", tmp_path / "run", *options) == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    held = [row for row in rows if row["kind"] == "held_out"]
    assert held[-1]["loss/reconstruction"] < held[0]["loss/reconstruction"]
    assert unmask("view", tmp_path / "run", "--images", 2) == 0
