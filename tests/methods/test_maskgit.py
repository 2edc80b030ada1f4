"""MaskGIT: schedule, transformer, loss and decoding equal to the released code; two stages from the command line."""

import json
import math
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from formulas import recorded, wave
from small_run import make_pictures, unmask, without_drawing  # noqa: F401
from unmask.app.runs import load
from unmask.core import Context, Mask
from unmask.methods.maskgit import MaskGIT, tiny
from unmask.parts.generate.parallel import ParallelDecoding, decoded, gumbel, hidden_counts, least_confident
from unmask.parts.losses.smoothed import smoothed_cross_entropy
from unmask.parts.masks.scheduled import ScheduledMask, scheduled_mask
from unmask.parts.nets.id_transformer import BertTrunk, IdEmbeddings, TiedHead
from unmask.parts.ops.mask_schedule import masking_rate
from unmask.train.checkpoint import newest, state_hash

faithful = pytest.mark.faithful("maskgit")
works = pytest.mark.works("maskgit")

# How maskgit_reference.json was made: see its entry "how".
REFERENCE = recorded(__file__, "maskgit_reference.json")
VOCABULARY, CODES, BLANK = 12, 7, 11  # of the recorded transformer


def context(seed=0):
    return Context(progress=0.5, generator=torch.Generator().manual_seed(seed))


@faithful
@pytest.mark.parametrize("schedule", REFERENCE["schedules"])
def test_schedules_are_the_reference_s(schedule):
    moments = torch.tensor(REFERENCE["ratios"])
    found = masking_rate(moments, torch.full_like(moments, 256.0), schedule)
    torch.testing.assert_close(found, torch.tensor(REFERENCE["schedules"][schedule]), atol=1e-6, rtol=1e-5)


@faithful
def test_places_hidden_again_fall_from_253_to_1_of_256_in_12_steps():
    left, counts = torch.tensor([256]), []
    for step in range(12):
        left = hidden_counts(torch.tensor([256]), left, (step + 1) / 12, "cosine")
        counts.append(int(left))
    assert (counts[0], counts[-2], counts[-1]) == (253, 33, 1)
    assert all(before > after for before, after in pairwise(counts))


@faithful
def test_exactly_so_many_places_are_hidden_again_even_where_all_are_equally_sure():
    found = least_confident(torch.zeros(2, 6), torch.tensor([4, 1]))
    assert found.tolist() == [[True] * 4 + [False] * 2, [True] + [False] * 5]


def recorded_transformer():
    """Embeddings, trunk and head filled as the recorded one was."""
    parts = IdEmbeddings(VOCABULARY, 10, 8, 0.0), BertTrunk("8x2x2", 0.0), TiedHead(VOCABULARY, 8)
    values = {}
    for place, (name, shape) in enumerate(REFERENCE["transformer"]["variables"]):
        value, last = wave(math.prod(shape), place).reshape(shape), name.split("/")[-1]
        scales = {"bias": 0.1 * value, "scale": 1 + 0.1 * value, "embedding": 0.5 * value}
        values[name] = scales.get(last, value * (2 / math.prod(shape[:-1])) ** 0.5).float()

    def pair(module, name, shape=None):
        kernel, bias = values.pop(f"{name}/kernel"), values.pop(f"{name}/bias")
        module.weight.copy_(kernel.reshape(shape or kernel.shape).T)
        module.bias.copy_(bias.flatten())

    def scaled(module, name):
        module.weight.copy_(values.pop(f"{name}/scale"))
        module.bias.copy_(values.pop(f"{name}/bias"))

    with torch.no_grad():
        embeddings, trunk, head = parts
        embeddings.words.weight.copy_(values.pop("Embed_0/word_embeddings/embedding"))
        embeddings.positions.weight.copy_(values.pop("Embed_0/position_embeddings/embedding"))
        scaled(embeddings.norm, "Embed_0/embeddings_ln")
        for number, block in enumerate(trunk.blocks):
            name = f"TransformerLayer_{number}"
            own = f"{name}/Attention_0/self_attention"
            kernels = [values.pop(f"{own}/{part}/kernel").reshape(8, 8).T for part in ("query", "key", "value")]
            block.attention.qkv.weight.copy_(torch.cat(kernels))
            biases = [values.pop(f"{own}/{part}/bias").flatten() for part in ("query", "key", "value")]
            block.attention.qkv.bias.copy_(torch.cat(biases))
            pair(block.attention.out, f"{own}/out", (8, 8))
            scaled(block.norm1, f"{name}/Attention_0/attention_output_ln")
            pair(block.mlp[0], f"{name}/Mlp_0/intermediate_output")
            pair(block.mlp[2], f"{name}/Mlp_0/layer_output")
            scaled(block.norm2, f"{name}/Mlp_0/layer_output_ln")
        pair(head.transform, "MlmLayer_0/mlm_dense")
        scaled(head.norm, "MlmLayer_0/mlm_ln")
        head.bias.copy_(values.pop("MlmLayer_0/mlm_bias/bias"))
    assert not values
    return lambda ids: head(trunk(embeddings(ids)), embeddings.words.weight)


@faithful
def test_the_transformer_is_the_reference_s():
    expected = REFERENCE["transformer"]
    with torch.no_grad():
        found = recorded_transformer()(torch.tensor(expected["ids"]))
    torch.testing.assert_close(found, torch.tensor(expected["logits"]), atol=1e-5, rtol=1e-5)


@faithful
@pytest.mark.parametrize(("smoothing", "name"), [(0.1, "value"), (0.0, "without smoothing")])
def test_the_loss_is_the_reference_s(smoothing, name):
    expected = REFERENCE["loss"]
    logits = torch.tensor(REFERENCE["transformer"]["logits"])
    counted = torch.tensor(expected["mask"]) > 0
    found = smoothed_cross_entropy(logits, torch.tensor(expected["labels"]), counted, smoothing)
    assert found.item() == pytest.approx(expected[name], rel=1e-5)


@faithful
@pytest.mark.parametrize("case", REFERENCE["decoding"])
def test_decoding_is_the_reference_s_with_the_same_noise(case):
    start, schedule, first = case.split(", ")
    network, calls = recorded_transformer(), [0]

    def noise(shape):
        calls[0] += 1
        places = torch.arange(math.prod(shape), dtype=torch.float64) + 1 + 100 * calls[0]
        return -(-((places * 0.6180339887498949) % 1.0).log()).log().reshape(shape).float()

    ids = torch.tensor(REFERENCE["starts"][start])
    ids[ids == -1] = BLANK
    with torch.no_grad():
        found = decoded(lambda x: network(x)[..., :CODES], ids, BLANK, noise, 4, 4.5, schedule, int(first[-1]))
    steps = REFERENCE["decoding"][case]
    for row, guesses in enumerate(steps):
        expected = guesses[int(first[-1]) :]
        assert [guess[row].tolist() for guess in found] == expected


@faithful
def test_known_ids_never_change_and_fewer_are_hidden_at_every_step():
    shown = []

    def scores(ids):
        shown.append(ids.clone())
        return torch.randn(*ids.shape, 5, generator=generator)

    generator = torch.Generator().manual_seed(0)
    ids = torch.full((3, 20), 9)
    ids[:, :4] = torch.tensor([0, 1, 2, 3])
    found = ParallelDecoding(6)(scores, ids, 9, generator)
    assert torch.equal(found[:, :4], ids[:, :4])
    assert (found < 5).all()
    hidden = torch.stack([(x == 9).sum(-1) for x in shown])
    assert (hidden.diff(dim=0) < 0).all()
    for before, after in pairwise(shown):
        known = before != 9
        assert torch.equal(after[known], before[known])


@faithful
def test_masks_hide_the_share_of_the_schedule_rounded_up():
    noise = torch.rand(3, 17, generator=torch.Generator().manual_seed(0))
    noise[:, 0] = torch.tensor([0.0, 0.5, 0.9999])
    assert scheduled_mask(noise, "cosine").hidden.sum(-1).tolist() == [16, math.ceil(16 * math.cos(math.pi / 4)), 1]
    places = torch.arange(16)[None].expand(3, -1) < 10
    found = scheduled_mask(noise, "uniform", places).hidden
    assert found.sum(-1).tolist() == [10, 5, 1]
    assert not (found & ~places).any()


@faithful
def test_the_vocabulary_is_codes_classes_and_the_hidden_id():
    tokenizer = tiny()[0].tokenizer
    method = MaskGIT(BertTrunk("16x1x2"), tokenizer, image_size=16, classes=1000)
    assert method.embeddings.words.num_embeddings == 8 + 1000 + 1
    batch = {"image": torch.zeros(3, 3, 16, 16), "label": torch.tensor([0, 999, -1])}
    assert method.class_ids(batch, 3).tolist() == [8, 1007, 1008]
    assert method.class_ids({"image": batch["image"]}, 3).tolist() == [1008] * 3
    ids = method.eval().ids(batch)
    one, other = (method.scores(ids, torch.full((3,), kind)) for kind in (8, 9))
    assert not torch.allclose(one, other)


def test_only_hidden_ids_count_and_they_are_not_seen():
    method, batch = tiny()
    mask = Mask.of(torch.arange(16)[None].expand(4, -1) < 5)
    ids = method.ids(batch)
    kind = method.class_ids(batch, 4)
    shown = ids.masked_fill(mask.hidden, method.hidden_id)
    expected = smoothed_cross_entropy(method.scores(shown, kind), ids, mask.hidden)
    torch.testing.assert_close(method.losses(batch, context(), mask)["ids"], expected)


def test_a_raster_network_sees_what_is_before_only_and_decodes_one_by_one():
    method, batch = tiny()
    method = MaskGIT(method.encoder, method.tokenizer, decoding=ParallelDecoding(order="raster"), image_size=16).eval()
    ids, kind = method.ids(batch), method.class_ids(batch, 4)
    other = ids.clone()
    other[:, 7] = (other[:, 7] + 1) % 8
    with torch.no_grad():
        one, two = method.scores(ids, kind), method.scores(other, kind)
    torch.testing.assert_close(one[:, :8], two[:, :8])
    assert not torch.allclose(one[:, 8], two[:, 8])
    assert torch.isfinite(method.losses(batch, context())["ids"])
    calls = []
    scores = method.scores
    method.scores = lambda *given: calls.append(1) or scores(*given)
    method.sample(2, torch.Generator().manual_seed(0))
    assert len(calls) == 16


def test_the_tokenizer_is_frozen_and_stays_with_the_method():
    method, _ = tiny()
    assert not any(p.requires_grad for p in method.tokenizer.parameters())
    assert {name.split(".")[0] for name in method.state_dict()} >= {"tokenizer", "encoder", "head"}
    owned = {id(p) for phase in method.phases() for p in phase.parameters}
    assert not owned & {id(p) for p in method.tokenizer.parameters()}


def test_filling_in_changes_hidden_pixels_only_and_does_not_look_at_them():
    method, batch = tiny()
    hidden = torch.zeros(4, 16, 16, dtype=torch.bool)
    hidden[:, 3:9, 5:12] = True
    spoiled = torch.where(hidden.unsqueeze(1), 9.0, batch["image"])
    found = [
        method.eval().inpaint(b | {}, hidden, torch.Generator().manual_seed(0)) for b in (batch, {"image": spoiled})
    ]
    assert torch.equal(*found)
    seen = ~hidden.unsqueeze(1).expand_as(spoiled)
    assert torch.equal(found[0][seen], batch["image"][seen])


def test_gumbel_numbers_have_the_mean_of_their_law():
    found = gumbel(torch.rand(100_000, generator=torch.Generator().manual_seed(0)))
    assert found.mean().item() == pytest.approx(0.5772, abs=0.02)
    assert torch.isfinite(gumbel(torch.zeros(1))).all()


def test_mistakes_give_one_sentence():
    method, _ = tiny()
    with pytest.raises(ValueError, match="schedule 'sine' is unknown; choose cosine"):
        ScheduledMask("sine")
    with pytest.raises(ValueError, match="schedule 'powx' is unknown"):
        ParallelDecoding(schedule="powx")
    with pytest.raises(ValueError, match="steps 0 must be at least 1"):
        ParallelDecoding(0)
    with pytest.raises(ValueError, match="do not divide into ids of 4x4"):
        MaskGIT(method.encoder, method.tokenizer, image_size=18)
    with pytest.raises(ValueError, match="have other ids than the 4x4 that this network was made for"):
        method.ids({"image": torch.zeros(1, 3, 8, 8)})
    with pytest.raises(ValueError, match="class 0 is not one of the 0"):
        method.sample(1, label=0)


SIZES = ["codebook_size=8", "latent=4", "width=8", "multipliers=1,1,2", "blocks=1"]
TOKENIZER = ["--method", "vq_tokenizer", *(word for pair in SIZES for word in ("--set", f"tokenizer_{pair}"))]
NETWORK = ["--method", "maskgit", "--model", "16x2x2", "--set", "decoding_steps=3", "--batch", 8, "--quiet"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> tuple[Path, Path]:
    """Pictures of two classes, and the run of a tokenizer on them."""
    folder = tmp_path_factory.mktemp("stage")
    data = make_pictures(folder / "data")
    options = ["--steps", 3, "--batch", 8, "--quiet", "--monitor-every", 3]
    assert unmask("pretrain", data, "--out", folder / "tokenizer", *TOKENIZER, *options) == 0
    return data, folder / "tokenizer"


@pytest.fixture(scope="module")
def run(stage, tmp_path_factory) -> Path:
    """A run on the ids of that tokenizer; not to be changed."""
    data, tokenizer = stage
    out = tmp_path_factory.mktemp("runs") / "run"
    options = ["--steps", 6, "--save-every", 3, "--monitor-every", 6, "--set", f"tokenizer={tokenizer}"]
    assert unmask("pretrain", data, "--out", out, *NETWORK, *options) == 0
    return out


@works
def test_the_second_stage_holds_the_first_and_needs_it_no_more(stage, run, tmp_path):
    _, tokenizer = stage
    first, second = load(tokenizer), load(run)
    assert second.config.settings["tokenizer_codebook_size"] == 8
    assert second.config.settings["classes"] == 2
    one, other = (x.method.tokenizer.state_dict() for x in (first, second))
    assert state_hash(one) == state_hash(other)
    again = Path(shutil.copytree(run, tmp_path / "again"))
    shutil.rmtree(again / "checkpoints" / "step-00000006")
    gone = tokenizer.rename(tokenizer.with_name("gone"))
    try:
        assert newest(again).step == 3
        assert unmask("resume", again, "--quiet") == 0
    finally:
        gone.rename(tokenizer)
    one, other = newest(run), newest(again)
    for section in one.sections:
        assert state_hash(one.tensors(section)) == state_hash(other.tensors(section)), section


@works
def test_pictures_of_a_class_are_made_and_drawn(run, tmp_path, capsys):
    for name, more in (("a", ["--class", "class1"]), ("b", ["--class", "1"]), ("c", []), ("d", ["--seed", 1])):
        assert unmask("generate", run, "--count", 2, "--out", tmp_path / f"{name}.png", *more) == 0
    a, b, c, d = (path.read_bytes() for path in sorted(tmp_path.glob("?.png")))
    assert a == b
    assert c != d
    assert unmask("view", run, "--images", 2) == 0
    capsys.readouterr()
    assert unmask("generate", run, "--class", "dog") == 2
    assert "class 'dog' is unknown to the run; choose one of class0, class1, or 0 to 1" in capsys.readouterr().err


@pytest.mark.usefixtures("without_drawing")
def test_a_stage_that_does_not_fit_is_refused_with_one_sentence(stage, run, tmp_path, capsys):
    data, tokenizer = stage

    def refused(*more) -> str:
        capsys.readouterr()
        assert unmask("pretrain", data, "--out", tmp_path / "new", "--steps", 2, *NETWORK, *more) == 2
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unmask: ")]
        assert len(said) == 1
        return said[0]

    assert "needs a trained tokenizer: pretrain one with --method vq_tokenizer" in refused()
    named = ["--set", f"tokenizer={tokenizer}"]
    said = refused(*named, "--set", "tokenizer_codebook_size=16")
    assert f"tokenizer_codebook_size=16 contradicts {tokenizer}, where it is 8; leave it out" in said
    assert "holds no run" in refused("--set", f"tokenizer={tmp_path / 'nothing'}")
    assert "do not divide into ids" in refused(*named, "--set", "image_size=18")
    assert "MaskGIT hides ids by its schedule" in refused(*named, "--mask", "random")
    settings = [word for pair in ("width=8", "latent=3", "layers=2") for word in ("--set", pair)]
    other = tmp_path / "wae"
    assert unmask("pretrain", data, "--method", "wae", "--epochs", 0, "--out", other, *settings) == 0
    assert "is a run of wae, which has no tokenizer that maskgit can take" in refused("--set", f"tokenizer={other}")
    grey = make_pictures(tmp_path / "grey", shape=(16, 16), count=20)
    assert unmask("pretrain", grey, "--out", tmp_path / "g", "--steps", 2, *NETWORK, *named) == 2
    assert "has the channels grey, the run was trained on" in capsys.readouterr().err


@pytest.mark.usefixtures("without_drawing")
def test_ids_stay_the_same_where_new_data_have_another_mean(stage, tmp_path):
    """Pixels are brought to the range that the tokenizer saw, whatever the new card says of them."""
    data, tokenizer = stage
    dark = tmp_path / "dark"
    shutil.copytree(data / "class0", dark / "class0")
    options = ["--epochs", 0, "--set", f"tokenizer={tokenizer}"]
    assert unmask("pretrain", dark, "--out", tmp_path / "run", *NETWORK, *options) == 0
    first, second = load(tokenizer), load(tmp_path / "run")
    assert first.card.mean != second.card.mean
    values = torch.randint(60, 120, (2, 3, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    one, other = (x.method.ids({"image": x.card.scaled(values)}) for x in (first, second))
    assert torch.equal(one, other)


@works
@pytest.mark.usefixtures("without_drawing")
def test_features_and_filling_in_are_measured(run, tmp_path):
    own = Path(shutil.copytree(run, tmp_path / "run"))
    assert unmask("evaluate", own, "--with", "knn,inpainting", "--limit", 20) == 0
    found = json.loads((own / "evaluation.json").read_text())
    assert found["measures"]["inpainting"]["psnr"] > 0
    assert found["outcomes"][0]["name"] == "knn"
