"""Retrieval: scores worked by hand, and words that are shared."""

import math

import pytest
import torch

from unmask.evaluate.retrieval import retrieval_scores, vector_similarity, word_similarity


def test_scores_of_one_query_by_hand():
    similarity = torch.tensor([[0.9, 0.8, 0.7, 0.6]])
    relevant = torch.tensor([[False, True, False, True]])
    found = retrieval_scores(similarity, relevant, cutoff=3, depth=2)
    assert found["mrr@3"] == pytest.approx(1 / 2)
    gain = 1 / math.log2(3)
    assert found["ndcg@3"] == pytest.approx(gain / (1 + gain))
    assert found["recall@2"] == pytest.approx(1 / 2)


def test_queries_without_an_answer_and_documents_left_out_do_not_count():
    similarity = torch.tensor([[0.9, 0.8, 0.7], [0.9, 0.8, 0.7]])
    relevant = torch.tensor([[False, True, False], [False, False, False]])
    left_out = torch.tensor([[True, False, False], [False, False, False]])
    assert retrieval_scores(similarity, relevant, left_out)["mrr@10"] == 1
    with pytest.raises(ValueError, match="no query has an answer"):
        retrieval_scores(similarity, relevant & False)


def test_an_answer_below_the_cutoff_gives_nothing():
    similarity, relevant = torch.arange(20.0).flip(0)[None], torch.arange(20)[None] == 12
    found = retrieval_scores(similarity, relevant, cutoff=10, depth=13)
    assert (found["mrr@10"], found["ndcg@10"], found["recall@13"]) == (0, 0, 1)


def test_the_cosine_is_around_the_mean_of_the_documents():
    documents = torch.tensor([[100.0, 1.0], [100.0, -1.0]])
    near = vector_similarity(torch.tensor([[100.0, 5.0]]), documents)
    torch.testing.assert_close(near, torch.tensor([[1.0, -1.0]]))
    assert vector_similarity(torch.ones(1, 2), documents, "dot").tolist() == [[101, 99]]
    with pytest.raises(ValueError, match="similarity 'l2' is unknown"):
        vector_similarity(documents, documents, "l2")


def test_bm25_by_hand():
    documents = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    found = word_similarity(torch.tensor([[1.0, 0.0]]), documents)
    assert found[0, 0].item() == pytest.approx(math.log(1 + 1.5 / 1.5) * 2 * 1.9 / (2 + 0.9))
    assert found[0, 1] == 0
