"""Tokenizers: how text becomes numbers. Kept whole in the data card, so that a run needs no other file."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32

BYTES = 256
UNKNOWN = "\ufffd"  # shown for a character that the training text does not have
PAD, UNK, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTINUES = "##"  # how a piece begins that goes on with a word
MISSING = "tokenizers of word pieces need the tokenizers package: pip install 'unmask[text]'"

Ids = Int32[np.ndarray, "t"]


class Tokenizer(ABC):
    """Text to numbers and back.

    size: how many tokens there are. reserved: how many of them, from 0, stand for no text. pad: fills up batches.
    mask: stands where something is hidden, or None. begin, end: put around every passage.
    """

    kind: str
    size: int
    reserved: int = 0
    pad: int = 0
    mask: int | None = None
    begin: tuple[int, ...] = ()
    end: tuple[int, ...] = ()
    unknown: int | None = None

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """The tokens of every text, without `begin` and `end`."""

    @abstractmethod
    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Every token as it may be shown."""

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """The text of these tokens; reserved ones are left out where they stand for no text."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything that `tokenizer_from_json` needs."""

    @property
    def framed(self) -> int:
        """How many tokens stand around every passage."""
        return len(self.begin) + len(self.end)

    def continues(self, ids: Ids) -> Bool[np.ndarray, "t"]:
        """Where a token goes on with the word before it."""
        return np.zeros(len(ids), dtype=bool)


class Characters(Tokenizer):
    """One token for every character of the training text; 0 stands for all others."""

    kind = "characters"
    reserved = 1
    unknown = 0

    def __init__(self, alphabet: Sequence[str]):
        self.alphabet = tuple(alphabet)
        self.size = 1 + len(self.alphabet)
        self._codes = np.array([ord(character) for character in self.alphabet], dtype=np.uint32)
        if not len(self._codes) or (np.diff(self._codes.astype(np.int64)) <= 0).any():
            raise ValueError("the alphabet of a tokenizer must be sorted characters, each once, and at least one")

    @classmethod
    def train(cls, texts: Iterable[str]) -> "Characters":
        return cls(sorted(set().union(*texts)))

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        found = []
        for text in texts:
            codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
            places = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
            found.append(np.where(self._codes[places] == codes, places + 1, 0).astype(np.int32))
        return found

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return [self.alphabet[i - 1] if 0 < i < self.size else UNKNOWN for i in ids]

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(self.pieces(ids))

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "alphabet": "".join(self.alphabet)}


class Bytes(Tokenizer):
    """The bytes of UTF-8: any text, nothing to train."""

    kind = "bytes"
    size = BYTES

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        return [np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) for text in texts]

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return [chr(i) if 31 < i < 127 or i == 10 else f"<{i:02x}>" for i in ids]

    def decode(self, ids: Iterable[int]) -> str:
        return bytes(i for i in ids if 0 <= i < BYTES).decode("utf-8", "replace")

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind}


class WordPieces(Tokenizer):
    """Words cut into frequent pieces, as BERT's; the state is that of the tokenizers library."""

    kind = "wordpiece"

    def __init__(self, state: str):
        try:
            import tokenizers
        except ImportError:
            raise ImportError(MISSING) from None
        try:
            self._inner = tokenizers.Tokenizer.from_str(state)
        except Exception as error:
            raise ValueError(f"not the state of a tokenizer: {str(error).splitlines()[0]}") from None
        vocabulary = self._inner.get_vocab(with_added_tokens=True)
        lost = [name for name in SPECIAL if name not in vocabulary]
        if lost:
            raise ValueError(f"the tokenizer has no {', '.join(lost)}; it must know {', '.join(SPECIAL)}, as BERT's do")
        self.state = state
        self.size = max(vocabulary.values()) + 1
        self.pad, self.unknown, self.mask = (vocabulary[name] for name in (PAD, UNK, MASK))
        self.begin, self.end = (vocabulary[CLS],), (vocabulary[SEP],)
        self.reserved = _first_word([vocabulary[name] for name in SPECIAL], vocabulary)
        self._pieces = [""] * self.size
        for piece, number in vocabulary.items():
            self._pieces[number] = piece
        self._continues = np.array([piece.startswith(CONTINUES) for piece in self._pieces])

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> "WordPieces":
        """Pieces for these texts, in lower case and without accents; the same for the same texts."""
        try:
            from tokenizers import Tokenizer as Inner
            from tokenizers import models, normalizers, pre_tokenizers, trainers
        except ImportError:
            raise ImportError(MISSING) from None
        normaliser = normalizers.BertNormalizer(lowercase=True)
        lines = [line for text in texts for line in text.splitlines()]
        characters = sorted(set("".join(normaliser.normalize_str(line) for line in lines)))
        # the library numbers pieces such as ##a in an order of its own each time; named beforehand, they keep theirs
        named = [*SPECIAL, *(CONTINUES + character for character in characters if not character.isspace())]
        if size < len(named) + 1:
            raise ValueError(
                f"vocabulary {size} is too small for a text with {len(characters)} characters; give at least"
                f" {2 * len(named)}"
            )
        inner = Inner(models.WordPiece(unk_token=UNK))
        inner.normalizer, inner.pre_tokenizer = normaliser, pre_tokenizers.BertPreTokenizer()
        inner.train_from_iterator(
            lines, trainers.WordPieceTrainer(vocab_size=size, special_tokens=named, show_progress=False)
        )
        plain = Inner(models.WordPiece(inner.get_vocab(), unk_token=UNK))
        plain.normalizer, plain.pre_tokenizer = normaliser, pre_tokenizers.BertPreTokenizer()
        return cls(plain.to_str())

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        found = []
        for text in texts:  # line by line: in a long text the library is far slower
            rows = self._inner.encode_batch_fast(text.splitlines(), add_special_tokens=False)
            found.append(np.concatenate([np.zeros(0, np.int32), *(np.array(row.ids, np.int32) for row in rows)]))
        return found

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return [self._pieces[i] if 0 <= i < self.size else UNKNOWN for i in ids]

    def decode(self, ids: Iterable[int]) -> str:
        hidden = {PAD, CLS, SEP}
        text = " ".join(piece for piece in self.pieces(ids) if piece not in hidden)
        return text.replace(" " + CONTINUES, "")

    def continues(self, ids: Ids) -> Bool[np.ndarray, "t"]:
        return self._continues[ids]

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "state": json.loads(self.state)}


def _first_word(special: Sequence[int], vocabulary: Mapping[str, int]) -> int:
    """The number of the first token after the special and the unused ones that stand at the beginning."""
    names = {number: piece for piece, number in vocabulary.items()}
    first = 0
    while first in special or names.get(first, "[unused").startswith("[unused"):
        first += 1
    return first


def make_tokenizer(kind: str, texts: Iterable[str], size: int) -> Tokenizer:
    """The tokenizer that a word names, made for these texts, or the one in a tokenizer.json file."""
    if kind == Characters.kind:
        return Characters.train(texts)
    if kind == Bytes.kind:
        return Bytes()
    if kind == WordPieces.kind:
        return WordPieces.train(texts, size)
    path = Path(kind)
    if path.suffix == ".json" and path.is_file():
        return WordPieces(path.read_text())
    raise ValueError(f"tokenizer {kind!r} is unknown; choose characters, bytes, wordpiece, or a tokenizer.json file")


def tokenizer_from_json(facts: Mapping[str, Any]) -> Tokenizer:
    """From what `to_json` gave."""
    kind = facts.get("kind")
    if kind == Characters.kind:
        return Characters(tuple(facts["alphabet"]))
    if kind == Bytes.kind:
        return Bytes()
    if kind == WordPieces.kind:
        return WordPieces(json.dumps(facts["state"]))
    raise ValueError(f"the data card has a tokenizer of the unknown kind {kind!r}; it is of another version")
