"""Text: files, passages, what is refused, and the card."""

import json

import numpy as np
import pytest
import torch

from small_text import make_lines, make_text, sentences
from unmask.core import check_batch
from unmask.data.evaluation import evaluation_batches
from unmask.data.loading import TooManyUnreadable
from unmask.data.picture import Unreadable
from unmask.data.source import Source
from unmask.data.stream import TrainingStream
from unmask.data.text import TextSource, open_text, passages
from unmask.data.text_card import TextCard, inspect_text
from unmask.data.text_files import holds_text, read_documents
from unmask.data.text_views import TextView, framed, trimmed
from unmask.data.tokenizer import WordPieces
from unmask.data.values import ValueSubset, whole_of


@pytest.fixture
def text(tmp_path):
    return make_text(tmp_path / "sense.txt")


def test_a_file_of_text_is_one_document_and_a_line_of_json_is_one(tmp_path, text):
    assert [document.name for document in read_documents(text)] == ["sense.txt"]
    rows = [{"id": 7, "text": "a b", "label": "x"}, {"text": "c"}, {"id": 9, "text": "d", "split": "val"}]
    found = read_documents(make_lines(tmp_path / "a.jsonl", rows))
    assert [(d.name, d.text, d.label, d.split) for d in found] == [
        ("a.jsonl[7]", "a b", "x", None),
        ("a.jsonl[1]", "c", None, None),
        ("a.jsonl[9]", "d", None, "validation"),
    ]


def test_another_field_of_json_is_named_behind_the_file(tmp_path):
    path = make_lines(tmp_path / "a.jsonl", [{"title": "t", "text": "b"}])
    assert read_documents(f"{path}::title")[0].text == "t"
    with pytest.raises(ValueError, match=r"has no field 'body'; it has title, text; .* a\.jsonl::FIELD"):
        read_documents(f"{path}::body")


def test_folders_are_labels_and_files_or_folders_are_parts(tmp_path, make):
    for name in ("train/cats/1.txt", "train/dogs/1.txt", "test/cats/2.txt"):
        make_text(tmp_path / "in" / name, 2)
    found = {d.name: (d.label, d.split) for d in read_documents(tmp_path / "in")}
    assert found == {
        "test/cats/2.txt": ("cats", "test"),
        "train/cats/1.txt": ("cats", "train"),
        "train/dogs/1.txt": ("dogs", "train"),
    }
    members = {name: (tmp_path / "in" / name).read_bytes() for name in found}
    archived = read_documents(make.write_tar(tmp_path / "in.tar", members))
    assert archived == read_documents(tmp_path / "in")
    make_text(tmp_path / "wiki" / "valid.txt"), make_text(tmp_path / "wiki" / "test.txt")
    assert [d.split for d in read_documents(tmp_path / "wiki")] == ["test", "validation"]


def test_what_holds_text_is_told_by_names(tmp_path, text, make):
    assert holds_text(text)
    assert holds_text(tmp_path)
    assert holds_text("a.jsonl::title")
    assert not holds_text("pictures.tar")
    assert not holds_text(make.write_tar(tmp_path / "p.tar", {"a.png": b""}))


def test_passages_end_with_a_word_unless_it_is_too_long():
    continues = np.array([0, 0, 1, 0, 1, 1, 1, 1, 0], dtype=bool)
    assert passages(continues, 4) == [(0, 3), (3, 7), (7, 9)]
    assert passages(continues, 9) == [(0, 9)]
    assert passages(np.zeros(0, dtype=bool), 4) == []
    assert passages(np.zeros(7, dtype=bool), 3) == [(0, 3), (3, 6), (6, 7)]


def test_passages_hold_the_whole_text_in_order(text):
    for kind in ("characters", "bytes"):
        source = open_text(text, 32, kind, 0)
        whole = np.concatenate([source.read(i) for i in range(len(source))])
        assert source.tokenizer.decode(whole.tolist()) == text.read_text()
        assert source.items[1].name == "sense.txt[0032]"
        assert source.items[1].size == 32


def test_a_passage_in_its_frame_numbers_its_words(text):
    tokenizer = WordPieces.train(["cats nap"], 17)  # single characters
    ids = tokenizer.encode(["cats nap"])[0]
    found = framed(ids, tokenizer, len(ids) + 4)
    assert found["ids"].tolist() == [*tokenizer.begin, *ids, *tokenizer.end, 0, 0]
    assert found["ids_valid"].tolist() == [True] * (len(ids) + 2) + [False] * 2
    assert found["word"].tolist() == [-1, 0, 0, 0, 0, 1, 1, 1, -1, -1, -1]
    cut = framed(ids[1:], tokenizer, 6)
    assert cut["word"].tolist() == [-1, 0, 0, 0, 1, -1]


def test_batches_of_training_are_no_longer_than_their_longest_passage(text):
    source = open_text(text, 30, "wordpiece", 100)
    card = inspect_text(source)
    batch = next(iter(TrainingStream(source, card, TextView(30), seed=0, batch=4, steps=1)))
    check_batch(batch)
    assert batch["ids"].shape == (4, int(batch["ids_valid"].sum(1).max()))
    whole = {name: torch.zeros(2, 5) for name in ("ids", "word")} | {"index": torch.arange(2)}
    whole["ids_valid"] = torch.arange(5) < torch.tensor([[2], [3]])
    assert trimmed(whole)["ids"].shape == (2, 3)


def test_what_cannot_be_used_is_counted_and_named(tmp_path):
    rows = [{"text": line} for line in sentences(40)] + [{"text": "  "}, {"text": None}]
    path = make_lines(tmp_path / "a.jsonl", rows)
    with path.open("ab") as file:
        file.write(b"not json\n[1]\n\xff\xfe\n")
    source = open_text(path, 24, "characters", 0)
    card = inspect_text(source)
    reasons = [card.unreadable[f"a.jsonl[{i}]"] for i in range(40, 45)]
    assert reasons[0] == "is empty"
    assert reasons[1] == "has no text: text is None"
    assert reasons[2].startswith("is not a line of JSON")
    assert reasons[3] == "is not an object of JSON"
    assert reasons[4] == "is not text in UTF-8: byte 0 is 0xff"
    with pytest.raises(Unreadable, match="is empty"):
        source.read(next(i for i in range(len(source)) if source.items[i].name == "a.jsonl[40]"))
    with pytest.raises(TooManyUnreadable, match="passages cannot be used"):
        list(evaluation_batches(source, card, TextView(24)))
    assert "5: a.jsonl[40] is empty; " in card.to_text()


def test_the_card_counts_and_comes_back_equal(tmp_path):
    rows = [{"text": "cat cat dog"}, {"text": "cat cat dog"}, {"text": "dog"}]
    card = inspect_text(open_text(make_lines(tmp_path / "a.jsonl", rows), 16, "characters", 0))
    assert (card.count, card.tokens, card.sizes, card.characters) == (3, 25, (3, 11, 11), 1.0)
    assert card.duplicates == {"a.jsonl[1]": "is the same as a.jsonl[0]"}
    assert card.frequent["c"] == pytest.approx(4 / 25)
    assert TextCard.from_json(card.to_json()) == card
    with pytest.raises(ValueError, match="unknown entry 'x'"):
        TextCard.from_json({**json.loads(card.to_json()), "x": 1})


def test_the_tokenizer_is_made_of_training_text_alone(tmp_path):
    rows = [{"text": "abc" * 9, "split": "train"}, {"text": "xyz", "split": "test"}]
    source = open_text(make_lines(tmp_path / "a.jsonl", rows), 16, "characters", 0)
    assert source.tokenizer.alphabet == ("a", "b", "c")
    assert inspect_text(source).unknown == pytest.approx(3 / 30)
    assert inspect_text(source.subset(source.splits()["train"])).unknown == 0


def test_changed_text_changes_the_fingerprint_also_of_a_part(tmp_path, text):
    before = open_text(text, 32, "bytes", 0)
    part = before.subset([1, 2]).subset([0])
    assert isinstance(part, ValueSubset)
    text.write_text(text.read_text()[:-2] + "!\n")
    after = open_text(text, 32, "bytes", 0)
    assert before.fingerprint() != after.fingerprint()
    assert part.fingerprint() != after.subset([1]).fingerprint()


def test_mistakes_get_one_sentence(tmp_path, text):
    with pytest.raises(FileNotFoundError, match=r"DATA is a \.txt or \.jsonl file"):
        read_documents(tmp_path / "none.txt")
    (tmp_path / "a.pdf").write_bytes(b"x")
    with pytest.raises(ValueError, match="is not a kind of file that holds text"):
        read_documents(tmp_path / "a.pdf")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no text; DATA is"):
        read_documents(tmp_path / "empty")
    (tmp_path / "b.jsonl").write_text("\n")
    with pytest.raises(ValueError, match="is empty; text is needed"):
        read_documents(tmp_path / "b.jsonl")
    (tmp_path / "b.txt").write_text(" \n")
    with pytest.raises(ValueError, match=r"none of 1 documents can be used: b\.txt is empty"):
        open_text(tmp_path / "b.txt", 32, "characters", 0)
    with pytest.raises(ValueError, match="passages of 3 tokens leave room for 1"):
        open_text(text, 3, "wordpiece", 100)
    with pytest.raises(TypeError, match="pictures, not passages"):
        whole_of(Source("somewhere", []), TextSource)
