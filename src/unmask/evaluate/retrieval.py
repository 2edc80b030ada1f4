"""How well documents are found for queries, by vectors and by the words that they share."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import check_choice

SIMILARITIES = ("cosine", "dot")
SATURATION, LENGTHS = 0.9, 0.4  # k1 and b of BM25, as in Anserini


def retrieval_scores(
    similarity: Float[Tensor, "q n"],
    relevant: Bool[Tensor, "q n"],
    left_out: Bool[Tensor, "q n"] | None = None,
    cutoff: int = 10,
    depth: int = 100,
) -> dict[str, float]:
    """Means over the queries that have an answer: reciprocal rank and nDCG at `cutoff`, recall at `depth`.

    left_out: documents that are taken out of the ranking of a query.
    """
    if left_out is not None:
        similarity, relevant = similarity.masked_fill(left_out, -torch.inf), relevant & ~left_out
    asked = relevant.any(1)
    if not asked.any():
        raise ValueError("no query has an answer among the documents; check the names in the judgements")
    order = similarity[asked].argsort(dim=1, descending=True, stable=True)
    hits = relevant[asked].gather(1, order).double()
    answers = hits.sum(1)
    first = hits[:, :cutoff]
    gain = 1 / torch.arange(2, first.shape[1] + 2, dtype=torch.float64).log2()
    best = gain.cumsum(0)[answers.clamp(max=len(gain)).long() - 1]
    rank = 1 / (first.argmax(1) + 1.0)
    return {
        f"mrr@{cutoff}": float(torch.where(first.any(1), rank.double(), 0.0).mean()),
        f"ndcg@{cutoff}": float(((first * gain).sum(1) / best).mean()),
        f"recall@{depth}": float((hits[:, :depth].sum(1) / answers).mean()),
    }


def vector_similarity(
    queries: Float[Tensor, "q d"], documents: Float[Tensor, "n d"], how: str = "cosine"
) -> Float[Tensor, "q n"]:
    """The dot product, or the cosine after the documents' mean is taken off both.

    Untrained and merely pretrained encoders give vectors that nearly agree; what tells them apart is around the mean.
    """
    check_choice("similarity", how, SIMILARITIES)
    queries, documents = queries.double(), documents.double()
    if how == "cosine":
        mean = documents.mean(0)
        queries, documents = F.normalize(queries - mean, dim=-1), F.normalize(documents - mean, dim=-1)
    return (queries @ documents.T).float()


def word_similarity(queries: Float[Tensor, "q v"], documents: Float[Tensor, "n v"]) -> Float[Tensor, "q n"]:
    """BM25 of counts of words. Source: Robertson and Zaragoza 2009, equation 3.15, with Lucene's idf."""
    lengths = documents.sum(1, keepdim=True)
    found = (documents > 0).sum(0)
    idf = torch.log1p((len(documents) - found + 0.5) / (found + 0.5))
    scale = SATURATION * (1 - LENGTHS + LENGTHS * lengths / lengths.mean().clamp(min=1))
    weights = documents * (SATURATION + 1) / (documents + scale)
    return queries @ (weights * idf).T
