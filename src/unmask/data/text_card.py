"""TextCard: what a set of texts is, measured once and kept, with its tokenizer, in every run that trained on it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from unmask.data.card_json import JsonCard
from unmask.data.card_text import laid_out
from unmask.data.picture import Unreadable
from unmask.data.source import Source
from unmask.data.text import TextSource
from unmask.data.tokenizer import Tokenizer, tokenizer_from_json
from unmask.data.values import whole_of

FREQUENT = 12  # tokens named, most frequent first
LISTED = 3  # names given of a long list


@dataclass(frozen=True)
class TextCard(JsonCard):
    """Counts of the passages that are trained on.

    length: most tokens of a passage, its frame included. vocabulary: tokens that the tokenizer knows. parts, documents:
    passages and documents of every part, "" where none is named. sizes: least, median and most tokens of a passage.
    frequent: tokens and their shares. unknown: share of tokens of which the tokenizer knows nothing. unreadable,
    duplicates: names and reasons. characters: of the text per token.
    """

    origin: str
    fingerprint: str
    count: int
    length: int
    vocabulary: int
    tokenizer_state: dict[str, Any]
    documents: dict[str, int]
    parts: dict[str, int]
    tokens: int
    sizes: tuple[int, int, int]
    characters: float
    unknown: float
    frequent: dict[str, float]
    unreadable: dict[str, str] = field(default_factory=dict)
    duplicates: dict[str, str] = field(default_factory=dict)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return tokenizer_from_json(self.tokenizer_state)

    @property
    def channels(self) -> tuple[str, ...]:
        """Text has one: its tokens."""
        return ("tokens",)

    def check_uniform(self) -> None:
        """Passages are padded to one length."""

    def to_text(self, view=None, estimate: str | None = None) -> str:
        """The card for people. view: the training view, which says what it would do. estimate: e.g. of the time."""
        low, middle, high = self.sizes
        head = [
            ("data", self.origin),
            ("documents", _counts(self.documents)),
            ("passages", f"{self.count:,} of {low:,} to {high:,} tokens, median {middle:,}; {_counts(self.parts)}"),
            ("text", f"{self.tokens:,} tokens, {self.characters:.2f} characters each"),
            ("tokenizer", f"{self.tokenizer_state['kind']}, {self.vocabulary:,} tokens"),
            ("unknown", f"{self.unknown:.3%} of the tokens"),
            ("frequent", " ".join(f"{piece!r} {share:.1%}" for piece, share in self.frequent.items())),
            ("unreadable", _few(self.unreadable)),
            ("duplicates", _few(self.duplicates)),
        ]
        return laid_out(self, head, view, estimate)


def inspect_text(source: Source) -> TextCard:
    """The card of these passages, all of which are counted."""
    whole = whole_of(source, TextSource)
    tokenizer, counts, sizes = whole.tokenizer, np.zeros(whole.tokenizer.size, dtype=np.int64), []
    unreadable: dict[str, str] = {}
    duplicates: dict[str, str] = {}
    seen: dict[bytes, str] = {}
    for i, item in enumerate(source.items):
        try:
            ids = source.read(i)
        except Unreadable as error:
            unreadable[item.name] = error.reason
            continue
        counts += np.bincount(ids, minlength=tokenizer.size)
        sizes.append(len(ids) + tokenizer.framed)
        first = seen.setdefault(ids.tobytes(), item.name)
        if first != item.name:
            duplicates[item.name] = f"is the same as {first}"
    if not sizes:
        name, reason = next(iter(unreadable.items()))
        raise ValueError(f"none of {len(source):,} {source.noun} of {source.origin} can be used: {name} {reason}")
    total = max(int(counts.sum()), 1)
    often = np.argsort(-counts, kind="stable")[:FREQUENT]
    usable = [n for n, document in enumerate(whole.documents) if not document.fault]
    letters = sum(len(whole.documents[n].text) for n in usable)
    return TextCard(
        origin=whole.origin,
        fingerprint=source.fingerprint(),
        count=len(source),
        length=whole.length,
        vocabulary=tokenizer.size,
        tokenizer_state=tokenizer.to_json(),
        documents=dict(Counter(document.split or "" for document in whole.documents)),
        parts=dict(Counter(item.split or "" for item in source.items)),
        tokens=total,
        sizes=(min(sizes), int(np.median(sizes)), max(sizes)),
        characters=letters / max(sum(len(whole.tokens[n]) for n in usable), 1),
        unknown=0.0 if tokenizer.unknown is None else float(counts[tokenizer.unknown] / total),
        frequent={tokenizer.pieces([int(i)])[0]: float(counts[i] / total) for i in often if counts[i]},
        unreadable=unreadable,
        duplicates=duplicates,
    )


def _counts(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}".strip() for name, count in parts.items())


def _few(found: Mapping[str, str]) -> str:
    """How many, and the first of them."""
    if not found:
        return "none"
    named = "; ".join(f"{name} {what}" for name, what in list(found.items())[:LISTED])
    return f"{len(found)}: {named}" + "; ..." * (len(found) > LISTED)
