"""Text as passages: every sample is a run of consecutive tokens of one document."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from unmask.data.picture import Unreadable
from unmask.data.source import Item, Listing
from unmask.data.text_files import Document, read_documents
from unmask.data.tokenizer import Tokenizer, make_tokenizer
from unmask.data.values import ValueSource

PARTS = ("train", "validation", "test")


class TextSource(ValueSource):
    """Passages of at most `length` tokens, the frame included, one after the other.

    A passage ends where a word ends, unless a single word is longer. Documents that cannot be used are samples that
    cannot be read, so that they are counted and named.
    """

    noun = "passages"

    def __init__(self, origin: str, documents: Sequence[Document], tokenizer: Tokenizer, length: int):
        room = length - tokenizer.framed
        if room < 2:
            raise ValueError(f"passages of {length} tokens leave room for {room}; set a larger length")
        self.documents, self.tokenizer, self.length = tuple(documents), tokenizer, length
        self.tokens = tokenizer.encode([document.text for document in documents])
        items: list[Item] = []
        places: list[tuple[int, int, int]] = []  # document, first token, and one behind the last
        for number, (document, ids) in enumerate(zip(documents, self.tokens, strict=True)):
            digits = len(str(len(ids)))
            for first, last in passages(tokenizer.continues(ids), room) or [(0, 0)]:
                name = document.name if last - first == len(ids) else f"{document.name}[{first:0{digits}d}]"
                items.append(Item(name, document.label, document.split, last - first))
                places.append((number, first, last))
        super().__init__(origin, Listing(items))
        self._places = np.array(places)

    def read(self, i: int) -> Int32[np.ndarray, "t"]:
        """The tokens of one passage, without the frame; raises Unreadable where there is no text."""
        number, first, last = self._places[i]
        document = self.documents[number]
        if document.fault:
            raise Unreadable(document.fault)
        if first == last:
            raise Unreadable("holds nothing that the tokenizer takes for text")
        return self.tokens[number][first:last]

    def fingerprint(self) -> str:
        """Of the texts themselves, their names, and how they are cut."""
        digest = hashlib.sha256(f"{self.length} {self.tokenizer.kind} {self.tokenizer.size}\n".encode())
        for document in self.documents:
            digest.update(f"{document.name}\0{len(document.text)}\n".encode("utf-8", "surrogateescape"))
            digest.update(document.text.encode())
        return digest.hexdigest()


def passages(continues: np.ndarray, room: int) -> list[tuple[int, int]]:
    """First token, and one behind the last, of every passage; each ends with a word where that is possible."""
    count = len(continues)
    begins = np.append(np.flatnonzero(~continues), count)
    found, first = [], 0
    while first < count:
        last = min(first + room, count)
        whole = int(begins[np.searchsorted(begins, last, side="right") - 1]) if last < count else count
        last = whole if whole > first else last
        found.append((first, last))
        first = last
    return found


def training_texts(documents: Sequence[Document]) -> list[str]:
    """What a tokenizer may be made of: the training documents, or those of the first part that there is."""
    usable = [document for document in documents if not document.fault]
    for part in ("train", None, *PARTS[1:]):
        found = [document.text for document in usable if document.split == part]
        if found:
            return found
    first = next(iter(documents))
    raise ValueError(f"none of {len(documents)} documents can be used: {first.name} {first.fault}")


def open_text(spec: str | Path, length: int, tokenizer: str | Tokenizer, vocabulary: int) -> TextSource:
    """The passages of the text that `spec` names.

    tokenizer: "characters", "bytes", "wordpiece" (of `vocabulary` tokens, made of the training documents), the name
    of a tokenizer.json file, or one that is there already.
    """
    documents = read_documents(spec)
    texts = training_texts(documents)
    made = make_tokenizer(tokenizer, texts, vocabulary) if isinstance(tokenizer, str) else tokenizer
    return TextSource(str(spec), documents, made, length)
