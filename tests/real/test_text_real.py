"""Text on real data: WikiText-2 cut into passages, Cranfield found by shared words."""

import pytest
import torch

from small_run import unmask, without_drawing  # noqa: F401
from unmask.app.measures.retrieval import counts, judged
from unmask.data.retrieval import read_collection
from unmask.data.text import open_text
from unmask.data.text_card import inspect_text
from unmask.evaluate.retrieval import retrieval_scores, word_similarity

pytestmark = pytest.mark.real


def test_the_articles_are_cut_into_passages_of_words(data_folder):
    source = open_text(data_folder / "wikitext2", 128, "wordpiece", 4000)
    card = inspect_text(source)
    assert set(card.parts) == {"validation", "test"}
    assert (card.vocabulary, card.length, card.unreadable) == (4000, 128, {})
    assert card.unknown < 0.001  # characters of the test part alone
    begins = [source.read(i)[:1] for i in range(200)]
    assert not any(source.tokenizer.continues(first)[0] for first in begins)


def test_characters_give_the_articles_back(data_folder):
    path = data_folder / "wikitext2/valid.txt"
    source = open_text(path, 256, "characters", 0)
    text = "".join(source.tokenizer.decode(source.read(i).tolist()) for i in range(len(source)))
    assert text == path.read_text()


def test_shared_words_find_cranfields_answers(data_folder):
    """Published scores of BM25 on the whole collection are near these; grade 0 is taken out of the ranking."""
    collection = read_collection(data_folder / "cranfield")
    assert (len(collection.documents), len(collection.queries)) == (1400, 225)
    usable = {name: text for name, text in collection.documents.items() if text.strip()}
    assert sorted(set(collection.documents) - set(usable)) == ["471", "995"]
    card = inspect_text(open_text(data_folder / "cranfield/corpus.jsonl", 128, "wordpiece", 4000))
    assert len(card.unreadable) == 2
    texts = [collection.queries[name] for name in collection.grades], list(usable.values())
    similarity = word_similarity(*(counts(card, some) for some in texts))
    found = retrieval_scores(similarity, *judged(collection, list(usable)))
    assert 0.5 < found["mrr@10"] < 0.6
    assert 0.33 < found["ndcg@10"] < 0.42
    assert torch.isfinite(similarity).all()


@pytest.mark.slow
@pytest.mark.works("bow_dpr")
@pytest.mark.usefixtures("without_drawing")
def test_a_run_on_abstracts_learns(data_folder, tmp_path):
    network = ["--method", "bow_dpr", "--model", "32x1x2", "--set", "vocabulary=1000", "--set", "length=64"]
    options = ["--steps", 20, "--batch", 8, "--lr", "0.05", "--limit", 400, "--monitor-every", 20, "--quiet"]
    data = data_folder / "cranfield/corpus.jsonl"
    assert unmask("pretrain", data, "--out", tmp_path / "run", *network, *options, "--bad-budget", 0.01) == 0
    assert (tmp_path / "run" / "advice.txt").read_text().startswith("learning")
