"""Tokenizers: to numbers and back, the same for the same text, kept whole."""

import json

import numpy as np
import pytest

from small_text import sentences
from unmask.data.tokenizer import Bytes, Characters, WordPieces, make_tokenizer, tokenizer_from_json

TEXT = "\n".join(sentences(60))


@pytest.mark.parametrize("kind", ["characters", "bytes", "wordpiece"])
def test_a_tokenizer_that_was_kept_says_the_same(kind):
    made = make_tokenizer(kind, [TEXT], 100)
    kept = tokenizer_from_json(json.loads(json.dumps(made.to_json())))
    ids = made.encode([TEXT])[0]
    assert np.array_equal(kept.encode([TEXT])[0], ids)
    assert (kept.size, kept.reserved, kept.mask, kept.framed) == (made.size, made.reserved, made.mask, made.framed)
    assert ids.dtype == np.int32
    assert ids.max() < made.size


@pytest.mark.parametrize("kind", ["characters", "bytes"])
def test_characters_and_bytes_give_the_text_back(kind):
    text = "Ä b\ncat ☂"
    made = make_tokenizer(kind, [text], 0)
    assert made.decode(made.encode([text])[0].tolist()) == text


def test_a_character_that_training_did_not_have_is_0():
    made = Characters.train(["abc"])
    assert made.encode(["abxc"])[0].tolist() == [1, 2, 0, 3]
    assert made.pieces([0]) == ["\ufffd"]


def test_word_pieces_are_the_same_for_the_same_text():
    first, second = (WordPieces.train([TEXT], 90) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert first.size == 90


def test_pieces_join_to_words_and_say_where_words_go_on():
    made = WordPieces.train(["sleeping sleeper sleep ing er"], 40)
    ids = made.encode(["Sleeping"])[0]
    assert made.decode([*made.begin, *ids.tolist(), *made.end]) == "sleeping"
    assert made.continues(ids).tolist() == [False] + [True] * (len(ids) - 1)
    assert made.reserved == 5


def test_berts_own_vocabulary_has_999_tokens_that_are_no_text(tmp_path):
    from tokenizers import Tokenizer, models

    names = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
    pieces = {names.get(i, f"[unused{i}]" if i < 999 else f"w{i}"): i for i in range(1010)}
    path = tmp_path / "tokenizer.json"
    Tokenizer(models.WordPiece(pieces, unk_token="[UNK]")).save(str(path))
    made = make_tokenizer(str(path), [], 0)
    assert (made.reserved, made.mask, made.begin, made.size) == (999, 103, (101,), 1010)


def test_mistakes_get_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="vocabulary 20 is too small for a text with"):
        make_tokenizer("wordpiece", [TEXT], 20)
    with pytest.raises(ValueError, match="tokenizer 'words' is unknown; choose characters, bytes, wordpiece"):
        make_tokenizer("words", [TEXT], 20)
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match="not the state of a tokenizer"):
        make_tokenizer(str(path), [TEXT], 20)
    with pytest.raises(ValueError, match="unknown kind 'x'"):
        tokenizer_from_json({"kind": "x"})
    with pytest.raises(ValueError, match="sorted characters"):
        Characters("ba")
    assert Bytes().decode([195, 164, 255]) == "ä\ufffd"


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"pip install 'unmask\[text\]'"):
        make_tokenizer("wordpiece", [TEXT], 90)
    assert make_tokenizer("characters", [TEXT], 0).size > 10
