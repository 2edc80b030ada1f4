"""The encoder of BERT beside transformers' own, and weights under its names."""

import pytest
import torch

from unmask.interop.bert import holds_bert, load_bert, ours
from unmask.methods.bow_dpr import BowDPR
from unmask.parts.nets.bert import Bert

transformers = pytest.importorskip("transformers")
SIZES = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    config = transformers.BertConfig(**SIZES, intermediate_size=64, max_position_embeddings=12)
    return transformers.BertForMaskedLM(config).eval()


def method(vocabulary: int = 50) -> BowDPR:
    return BowDPR(Bert("16x2x2", vocabulary, 12), reserved=5, mask_token=4).eval()


@pytest.mark.faithful("bow_dpr")
def test_logits_are_those_of_transformers_with_the_same_weights(theirs):
    mine = method()
    mine.load_state_dict(ours(theirs.state_dict()))
    ids = torch.arange(20).reshape(2, 10)
    valid = torch.arange(10) < torch.tensor([[10], [7]])
    with torch.no_grad():
        wanted = theirs(input_ids=ids, attention_mask=valid.long()).logits
        found = mine.predict_tokens(mine.encoder(ids, valid))
    torch.testing.assert_close(found[valid], wanted[valid], atol=1e-5, rtol=1e-5)


def test_a_file_of_berts_weights_is_a_beginning(theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    mine = method()
    assert holds_bert(tmp_path)
    assert "new:" not in load_bert(mine, tmp_path)
    assert torch.equal(mine.encoder.tokens.weight, theirs.bert.embeddings.word_embeddings.weight)
    with pytest.raises(ValueError, match=r"is \(50, 16\), here \(60, 16\); set model, vocabulary"):
        load_bert(method(60), tmp_path)


def test_names_of_the_first_files_are_known_and_strange_ones_are_not():
    old = {"bert.embeddings.LayerNorm.gamma": torch.ones(3), "bert.pooler.dense.weight": torch.ones(3)}
    assert list(ours(old)) == ["encoder.norm.weight"]
    with pytest.raises(ValueError, match=r"'gpt\.wte\.weight' has no place in an encoder of BERT's kind"):
        ours({"gpt.wte.weight": torch.ones(1)})


def test_new_weights_are_small_and_dropout_is_drawn_in_training_alone():
    encoder = Bert("16x2x2", 500, 12, dropout=0.5)
    assert encoder.tokens.weight.std().item() == pytest.approx(0.02, rel=0.1)
    ids = torch.arange(12)[None]
    assert not torch.equal(encoder(ids), encoder(ids))
    assert torch.equal(encoder.eval()(ids), encoder(ids))
    with pytest.raises(ValueError, match=r"dropout 1 in \[0, 1\)"):
        Bert("16x2x2", 500, 12, dropout=1)
