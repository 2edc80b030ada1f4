"""A vector that must tell the words of its passage holds them, and finds passages better than one made by other tasks.

Arms: BoW prediction; an autoencoding decoder of one layer on the same vector instead; hidden tokens alone; the network
untrained. All are trained on the abstracts of Cranfield for as many steps, and nothing is fine-tuned. Measured: the
share of a passage's different words among as many of the most likely tokens at [CLS]; how well the first half of an
abstract finds its second half among all; how well Cranfield's queries find their answers; and the time of a step.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from unmask.app.measures.retrieval import judged, text_batches, vectors
from unmask.app.runs import Loaded, load
from unmask.core import Batch
from unmask.data.retrieval import Collection, read_collection
from unmask.evaluate.features import frozen
from unmask.evaluate.retrieval import retrieval_scores, vector_similarity
from unmask.parts.losses.bag_of_words import bag_of_words
from unmask.proofs.cost import step_cost_ratio
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference
from unmask.proofs.presets import Preset

DATA = ("cranfield/corpus.jsonl",)
SMALL = 20_000  # training samples up to which a preset counts as small
EPOCHS = {True: 10, False: 200}
RATE, BATCH = 1.6e-2, 16  # the first per 256 samples
SETTINGS: dict[str, Any] = {"vocabulary": 2000, "length": 64, "dropout": 0.0}
MODELS = {True: "64x2x2", False: "256x4x4"}
BOW, DECODER, TOKENS, UNTRAINED = "bow", "autoencoding decoder", "hidden tokens alone", "untrained"


def arms_of(preset: Preset) -> list[Arm]:
    """BoW prediction, the decoder, hidden tokens alone, untrained, in this order."""
    small = preset.limit <= SMALL
    settings, epochs = {**SETTINGS, "model": MODELS[small]}, EPOCHS[small]
    bow = Arm(BOW, "bow_dpr", settings, epochs, RATE, BATCH, epochs * 0.1)
    decoder, tokens = (
        replace(bow, name=name, settings={**settings, "bow": 0.0, **change})
        for name, change in ((DECODER, {"decoder_depth": 1}), (TOKENS, {}))
    )
    return [bow, decoder, tokens, replace(bow, name=UNTRAINED, epochs=0)]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    laboratory.train(arms, seeds, "retrieval")
    numbers = {
        arm.name: [laboratory.noted(arm, seed, "retrieval", partial(measured, laboratory, arm, seed)) for seed in seeds]
        for arm in arms
    }
    claims = []
    for number, words in (("coverage", "words told"), ("halves", "halves found"), ("ndcg@10", "answers found")):
        for other in (DECODER, TOKENS, UNTRAINED):
            gain = difference(numbers, BOW, other, number)
            claims.append(Claim(f"{words}: BoW prediction above {other}", clear(gain), gain))
    longer = laboratory.noted(arms[1], seeds[0], "step", partial(step_cost_ratio, arms[1], arms[0], passages(arms[0])))
    words = "a step takes longer with the autoencoding decoder than with BoW prediction"
    claims.append(Claim(words, longer > 1, {"times as long": longer}))
    return Findings(arms, seeds, numbers, claims)


def passages(arm: Arm) -> Batch:
    """Passages without sense of the arm's length, for measuring time."""
    size, length = (arm.batch, arm.settings["length"]), arm.settings["length"]
    ids = torch.randint(arm.settings["vocabulary"], size, generator=torch.Generator().manual_seed(0))
    return {"ids": ids, "ids_valid": torch.ones(size, dtype=torch.bool), "word": torch.arange(length).expand(size)}


def measured(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    """What the arm's vectors are worth."""
    loaded = load(laboratory.trained(arm, seed))
    collection = read_collection(Path(laboratory.data).parent)
    texts = [text for text in collection.documents.values() if text.strip()]
    found = {"coverage": coverage(loaded, texts), "halves": halves(loaded, texts), **answers(loaded, collection)}
    laboratory.say(f"{arm.name}, seed {seed}: " + ", ".join(f"{name} {value:.4f}" for name, value in found.items()))
    return found


@torch.no_grad()
def coverage(loaded: Loaded, texts: Sequence[str]) -> float:
    """The share of a passage's n different words that are among the n most likely tokens at the first place."""
    method: Any = loaded.method
    shares = []
    with frozen(method):
        for batch in text_batches(loaded, texts):
            counted = batch["ids_valid"] & (batch["ids"] >= method.reserved)
            bag = bag_of_words(batch["ids"], counted, method.encoder.vocabulary) > 0
            logits = method.predict_tokens(method.encoder(batch["ids"], batch["ids_valid"])[:, 0])
            rank = logits.argsort(dim=1, descending=True).argsort(dim=1)
            count = bag.sum(1, keepdim=True)
            shares.append(((rank < count) & bag).sum(1) / count.squeeze(1).clamp(min=1))
    return float(torch.cat(shares).mean())


def halves(loaded: Loaded, texts: Sequence[str]) -> float:
    """Reciprocal rank of the second half of every text, asked for by its first half, among all second halves."""
    parts = [(words[: len(words) // 2], words[len(words) // 2 :]) for words in (text.split() for text in texts)]
    first, second = (vectors(loaded, [" ".join(part[side]) for part in parts]) for side in (0, 1))
    near = vector_similarity(first, second)
    return retrieval_scores(near, torch.eye(len(near), dtype=torch.bool))["mrr@10"]


def answers(loaded: Loaded, collection: Collection) -> dict[str, float]:
    """Scores of the answers to the collection's own queries."""
    usable = {name: text for name, text in collection.documents.items() if text.strip()}
    queries = vectors(loaded, [collection.queries[name] for name in collection.grades])
    near = vector_similarity(queries, vectors(loaded, list(usable.values())))
    return retrieval_scores(near, *judged(collection, list(usable)))
