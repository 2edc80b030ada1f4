"""BoW prediction: what is hidden, what the bag asks for, and the reference's numbers."""

import math

import pytest
import torch

from formulas import formula_noise, formula_weights, recorded
from unmask.core import Context, Mask
from unmask.interop.bert import ours
from unmask.methods.bow_dpr import BottleneckDecoder, BowDPR, pooled, tiny
from unmask.parts.losses.bag_of_words import bag_cross_entropy, bag_of_words
from unmask.parts.masks.words import whole_words
from unmask.parts.nets.bert import Bert
from unmask.parts.ops.tokens import corrupted

REFERENCE = recorded(__file__, "bow_dpr_reference.json")
faithful = pytest.mark.faithful("bow_dpr")
VOCABULARY, LENGTH, RESERVED, MASK = 1012, 14, 999, 103
ROWS = len(REFERENCE["passages"])


def batch() -> dict[str, torch.Tensor]:
    """The passages that the reference was given; pieces that go on with a word begin with ##."""
    ids = torch.zeros(ROWS, LENGTH, dtype=torch.int64)
    word = torch.full((ROWS, LENGTH), -1)
    for row, (passage, pieces) in enumerate(zip(REFERENCE["passages"], REFERENCE["words"], strict=True)):
        ids[row, : len(passage)] = torch.tensor(passage)
        number = -1
        for place in range(1, len(passage) - 1):
            number += number < 0 or not pieces[place].startswith("##")
            word[row, place] = number
    return {"ids": ids, "ids_valid": ids > 0, "word": word}


def hidden(ratio: float) -> torch.Tensor:
    data = batch()
    count = (data["ids_valid"].sum(1) * ratio).round().long()
    return whole_words(formula_noise(ROWS, LENGTH), data["word"], count)


def covered(ratio: float) -> torch.Tensor:
    choice, other = formula_noise(6, LENGTH)[3:], formula_noise(9, LENGTH)[6:]
    return corrupted(batch()["ids"], hidden(ratio), choice, other, MASK, VOCABULARY)


def filled(depth: int = 0, **settings) -> BowDPR:
    """With the weights that the reference was given, by way of its names for them."""
    encoder = Bert("16x2x2", VOCABULARY, LENGTH, dropout=0.0)
    method = BowDPR(encoder, BottleneckDecoder(encoder, depth), reserved=RESERVED, mask_token=MASK, **settings)
    shapes = shapes_of(method)
    weights = ours(formula_weights({name: shapes[name] for name in REFERENCE["names"]}))
    if depth:
        names = {f"c_head.{name}": shapes[f"bert.encoder.layer.{name[8:]}"] for name in decoder_names()}
        theirs = formula_weights(names)
        plain = {name.replace("c_head.decoder", "bert.encoder.layer"): value for name, value in theirs.items()}
        weights |= {name.replace("encoder", "decoder"): value for name, value in ours(plain).items()}
    method.load_state_dict(weights)
    return method.eval()


def decoder_names() -> list[str]:
    return [name.removeprefix("c_head.") for name in REFERENCE["decoder names"]]


def shapes_of(method: BowDPR) -> dict[str, tuple[int, ...]]:
    """The sizes under the reference's names."""
    own = {name: tuple(value.shape) for name, value in method.state_dict().items()}
    found = {}
    for name in REFERENCE["names"]:
        (mine,) = ours({name: torch.zeros(1)}) if ".self." not in name else (None,)
        end = name.rpartition(".")[2]
        shape = own[mine] if mine else (16, 16) if end == "weight" else (16,)
        found[name] = shape
    return found


def given(method: BowDPR, monkeypatch, *inputs: torch.Tensor) -> None:
    """What the method sees is fixed, in the order in which it asks."""
    waiting = list(inputs)
    monkeypatch.setattr(type(method), "_covered", lambda *_: waiting.pop(0))


@faithful
@pytest.mark.parametrize("ratio", [0.3, 0.6])
def test_whole_words_and_what_stands_for_them_are_the_references_for_the_same_noise(ratio):
    assert hidden(ratio).int().tolist() == REFERENCE[f"hidden {ratio}"]
    assert covered(ratio).tolist() == REFERENCE[f"covered {ratio}"]


@faithful
def test_bags_are_the_references():
    data = batch()
    found = bag_of_words(data["ids"], data["ids_valid"] & (data["ids"] >= RESERVED), VOCABULARY)
    for row, wanted in zip(found, REFERENCE["bags"], strict=True):
        assert {str(int(i)): float(row[i]) for i in row.nonzero()} == pytest.approx(wanted)


@faithful
@pytest.mark.parametrize(("pooling", "theirs"), [("first", "cls"), ("mean", "avg")])
def test_losses_are_the_references(pooling, theirs, monkeypatch):
    method = filled(pooling=pooling)
    given(method, monkeypatch, covered(0.3))
    terms = method.losses(batch(), Context(progress=0.5), Mask.of(hidden(0.3)))
    wanted = REFERENCE[f"losses {theirs}"]
    assert terms["hidden_tokens"].item() == pytest.approx(wanted["bert_mlm_loss"], rel=1e-5)
    assert terms["bag_of_words"].item() == pytest.approx(wanted["dec_bow_loss"], rel=1e-5)


@faithful
def test_states_are_the_references():
    states = filled().encoder(covered(0.3), batch()["ids_valid"])
    torch.testing.assert_close(states[:, :2, :3], torch.tensor(REFERENCE["states"]), atol=1e-5, rtol=1e-5)


@faithful
def test_the_autoencoding_baseline_has_the_references_loss(monkeypatch):
    method = filled(depth=1, bow=0.0)
    given(method, monkeypatch, covered(0.3), covered(0.6))
    monkeypatch.setattr(method.decoder, "sampler", lambda *_: Mask.of(hidden(0.6)))
    terms = method.losses(batch(), Context(progress=0.5), Mask.of(hidden(0.3)))
    assert set(terms) == {"hidden_tokens", "decoder"}
    assert terms["decoder"].item() == pytest.approx(REFERENCE["losses decoder"]["enc_head_mlm_loss"], rel=1e-5)


@faithful
def test_the_weight_of_the_bag_falls_as_the_references():
    for step, wanted in REFERENCE["weights"].items():
        assert tiny()[0].weight(int(step) / 100) == pytest.approx(wanted)


@faithful
def test_the_best_logits_cost_the_logarithm_of_the_number_of_words():
    ids = torch.tensor([[5, 6, 6, 7, 0]])
    bag = bag_of_words(ids, ids > 0, 9)
    assert bag.sum() == pytest.approx(1)
    best = torch.where(bag > 0, 0.0, -1e9)
    assert bag_cross_entropy(best, bag).item() == pytest.approx(math.log(3))
    assert bag_cross_entropy(torch.randn(1, 9), bag).item() > math.log(3)


@faithful
def test_the_bag_reaches_the_encoder_by_the_first_place_and_the_table_alone():
    method, data = tiny()
    states = method.encoder(data["ids"], data["ids_valid"]).detach().requires_grad_()
    bag = bag_of_words(data["ids"], data["ids"] >= 5, 40)
    bag_cross_entropy(method._summary(states, data["ids_valid"]), bag).backward()
    assert states.grad[:, 0].abs().sum() > 0
    assert states.grad[:, 1:].abs().sum() == 0
    assert method.encoder.tokens.weight.grad.abs().sum() > 0


@faithful
def test_it_has_no_parameter_that_masked_language_modelling_lacks():
    with_bag, without = BowDPR(Bert("16x2x2", 200, 12)), BowDPR(Bert("16x2x2", 200, 12), bow=0.0)
    assert [p.shape for p in with_bag.parameters()] == [p.shape for p in without.parameters()]


def test_the_features_of_a_passage_do_not_depend_on_its_padding():
    method, data = tiny()
    longer = {key: torch.nn.functional.pad(value, (0, 4)) for key, value in data.items()}
    short = {key: value[:, :9] for key, value in data.items()}
    short = {**short, "ids_valid": short["ids_valid"]}
    padded = {key: torch.nn.functional.pad(value, (0, 3)) for key, value in short.items()}
    method.eval()
    torch.testing.assert_close(method.features(short).pooled, method.features(padded).pooled)
    with pytest.raises(ValueError, match="passages of 16 tokens are longer than the 12 places"):
        method.features(longer)


def test_the_mean_is_over_what_is_real():
    x = torch.tensor([[[1.0], [3.0], [9.0]]])
    assert pooled(x, torch.tensor([[True, True, False]]), "mean").item() == 2
    assert pooled(x, torch.tensor([[True, True, False]]), "first").item() == 1


def test_a_passage_without_words_is_asked_for_nothing():
    method, data = tiny()
    data = {**data, "ids": torch.zeros_like(data["ids"]), "word": torch.full_like(data["word"], -1)}
    terms = method.losses(data, Context(generator=torch.Generator().manual_seed(0)))
    assert all(term == 0 for term in terms.values())


def test_mistakes_get_one_sentence():
    encoder = Bert("16x2x2", 40, 12)
    with pytest.raises(ValueError, match="pooling 'max' is unknown"):
        BowDPR(encoder, pooling="max")
    with pytest.raises(ValueError, match="bow -1"):
        BowDPR(encoder, bow=-1.0)
