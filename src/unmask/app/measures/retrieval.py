"""Retrieval with the vectors of a run: documents are found for queries, and beside it by shared words alone."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.app.catalogue import complete
from unmask.app.measure import Asked, Measured
from unmask.app.runs import Loaded
from unmask.core import Batch
from unmask.data.loading import collate
from unmask.data.retrieval import LAYOUT, Collection, read_collection
from unmask.data.text_card import TextCard
from unmask.data.text_views import framed
from unmask.evaluate.features import frozen, represent
from unmask.evaluate.retrieval import retrieval_scores, vector_similarity, word_similarity

BATCH = 64
VECTORS, WORDS = "vectors of the network", "shared words, BM25"


def measure(
    loaded: Loaded, asked: Asked, *, similarity: str = "cosine", cutoff: int = 10, depth: int = 100
) -> Measured:
    """Reciprocal rank and nDCG at `cutoff`, and recall at `depth`, of documents found for queries; nothing is trained.

    similarity: of vectors, "cosine" after the documents' mean is taken off, or "dot". Documents are cut at the length
    of the run's passages. BM25 on the same tokens is what needs no network.
    """
    if not isinstance(loaded.card, TextCard):
        raise ValueError(f"{loaded.config.method} does not work on text; retrieval needs a method that does")
    if asked.data is None:
        raise ValueError(f"retrieval needs DATA, {LAYOUT}")
    collection = read_collection(asked.data)
    usable = {name: text for name, text in collection.documents.items() if text.strip()}
    faults = {name: "is empty" for name in collection.documents if name not in usable}
    relevant, left_out = judged(collection, list(usable))
    texts = [collection.queries[name] for name in collection.grades], list(usable.values())
    queries, documents = (vectors(loaded, some, asked.device) for some in texts)
    near = vector_similarity(queries, documents, similarity)
    shared = word_similarity(*(counts(loaded.card, some) for some in texts))
    scores = {
        name: retrieval_scores(found, relevant, left_out, cutoff, depth)
        for name, found in ((VECTORS, near), (WORDS, shared))
    }
    found = {"queries": len(queries), "documents": len(documents), "similarity": similarity, "scores": scores}
    return Measured(found, _table(found), faults)


def judged(collection: Collection, documents: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Which documents answer every query, and which count neither way; [q n]."""
    places = {name: place for place, name in enumerate(documents)}
    grades = torch.full((len(collection.grades), len(documents)), -1)
    for row, given in enumerate(collection.grades.values()):
        for name, grade in given.items():
            if name in places:
                grades[row, places[name]] = max(grade, 0)
    return grades > 0, grades == 0


def vectors(loaded: Loaded, texts: Sequence[str], device: torch.device | str = "cpu") -> Float[Tensor, "n d"]:
    """One vector for every text."""
    method = loaded.method.to(device)
    with frozen(method):
        return torch.cat(
            [represent(method, batch, device).pooled.float().cpu() for batch in text_batches(loaded, texts)]
        )


def text_batches(loaded: Loaded, texts: Sequence[str]) -> list[Batch]:
    """The texts as the run's network expects them, cut at its length."""
    length = complete(loaded.config.method, loaded.config.settings)["length"]
    tokenizer = loaded.card.tokenizer
    samples = [framed(passage, tokenizer, length) for passage in tokenizer.encode(list(texts))]
    return [collate(samples[first : first + BATCH]) for first in range(0, len(samples), BATCH)]


def counts(card: TextCard, texts: Sequence[str]) -> Float[Tensor, "n v"]:
    """How often every token of the vocabulary stands in every text, all of it."""
    rows = [torch.from_numpy(ids).long() for ids in card.tokenizer.encode(list(texts))]
    return torch.stack([torch.bincount(row, minlength=card.vocabulary).float() for row in rows])


def _table(found: dict) -> str:
    head = f"{found['documents']:,} documents found for {found['queries']:,} queries, vectors by {found['similarity']}"
    names = list(next(iter(found["scores"].values())))
    rows = [f"{name:24}" + "".join(f"{row[n]:>12.4f}" for n in names) for name, row in found["scores"].items()]
    return "\n".join([head, " " * 24 + "".join(f"{n:>12}" for n in names), *rows])
