"""Activations from files: names, labels and parts; what is refused, and what is counted."""

import numpy as np
import pytest

from small_activations import make_activations
from unmask.data.activation_card import ActivationCard, inspect_activations
from unmask.data.activation_views import ActivationView
from unmask.data.activations import open_activations
from unmask.data.picture import Unreadable


def test_rows_of_an_array_are_named_by_their_numbers(tmp_path):
    source = open_activations(make_activations(tmp_path / "a.npy", rows=30))
    assert (len(source), source.width, source.items[3].name, source.classes) == (30, 12, "00000003", ())
    assert np.array_equal(source.read(7), np.load(tmp_path / "a.npy")[7])
    assert source.splits() == {}


def test_places_of_a_sample_are_rows_of_their_own(tmp_path):
    values = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float16)
    np.save(tmp_path / "tokens.npy", values)
    source = open_activations(tmp_path / "tokens.npy")
    assert (len(source), source.items[4].name) == (12, "00000001[1]")
    assert np.array_equal(source.read(4), values[1, 1].astype(np.float32))


def test_names_labels_and_parts_come_from_what_embed_writes(tmp_path):
    source = open_activations(make_activations(tmp_path / "a.parquet", rows=40, labelled=True))
    assert source.classes == ("high", "low")
    assert {name: len(rows) for name, rows in source.splits().items()} == {"test": 8, "train": 32}
    assert source.items[5].name == "test/0005.png"
    assert source.label(0) in (0, 1)


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    make_activations(tmp_path / "set" / "b.npy", rows=5)
    make_activations(tmp_path / "set" / "a.npy", rows=4)
    source = open_activations(tmp_path / "set")
    assert len(source) == 9
    assert source.items[4].name == "b/00000000"
    assert np.array_equal(source.read(4), np.load(tmp_path / "set" / "b.npy")[0])
    assert np.array_equal(source.rows(np.array([8, 0])), np.stack([source.read(8), source.read(0)]))


def test_changed_values_change_the_fingerprint_of_a_part(tmp_path):
    path = make_activations(tmp_path / "a.npy", rows=20)
    before = open_activations(path).subset(range(10)).fingerprint()
    assert before == open_activations(path).subset(range(10)).fingerprint()
    values = np.load(path)
    values[15] += 1
    np.save(path, values)
    assert open_activations(path).subset(range(10)).fingerprint() != before


def test_rows_that_are_not_finite_or_do_not_vary_cannot_be_used(tmp_path):
    path = make_activations(tmp_path / "a.npy", rows=20, broken=1)
    values = np.load(path)
    values[1] = 3.0
    np.save(path, values)
    source = open_activations(path)
    with pytest.raises(Unreadable, match="has 1 value"):
        source.read(0)
    with pytest.raises(Unreadable, match="is 3 throughout"):
        source.read(1)
    card = inspect_activations(source)
    assert card.unreadable == {"00000000": "is not finite", "00000001": "does not vary"}


def test_the_card_says_what_is_there_and_comes_back_from_its_text(tmp_path):
    values = np.zeros((50, 4), np.float32)
    values[:, 0] = np.tile([-3.0, 3.0], 25)
    values[:, 1] = np.tile([-1.0, -1.0, 1.0, 1.0], 13)[:50] * 0.5
    values[:, 2] = 2.0
    np.save(tmp_path / "a.npy", values)
    card = inspect_activations(open_activations(tmp_path / "a.npy"))
    assert (card.width, card.dimensions, card.constant, card.minimum, card.maximum) == (4, 1, 2, -3.0, 3.0)
    assert card.mean_norm == pytest.approx(2.0, abs=0.01)
    assert ActivationCard.from_json(card.to_json()) == card
    text = card.to_text(ActivationView())
    assert "1 of 4 hold 90 % of the variance; 2 are constant" in text
    assert "50 of 4 numbers" in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((3, 2, 2, 2), np.float32), "has the shape"),
        (np.zeros((0, 4), np.float32), "has the shape"),
        (np.zeros((5, 4), np.int64), "of int64; activations are real numbers"),
        (np.zeros((5, 1), np.float32), "holds vectors of 1 number"),
    ],
)
def test_arrays_that_are_no_activations_are_refused_with_a_sentence(tmp_path, values, words):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=words):
        open_activations(tmp_path / "a.npy")


def test_what_cannot_be_read_is_refused_with_a_sentence(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "bad.npy").write_bytes(b"nothing")
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "x.parquet")
    pq.write_table(pa.table({"vector": [[1.0, 2.0], [1.0]]}), tmp_path / "ragged.parquet")
    pq.write_table(pa.table({"vector": ["a", "b"]}), tmp_path / "words.parquet")
    make_activations(tmp_path / "two" / "a.npy", width=4)
    make_activations(tmp_path / "two" / "b.npy", width=6)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("x")
    for name, words in (
        ("bad.npy", "is not a readable .npy file"),
        ("x.parquet", "has no rows in a column `vector`; it has x"),
        ("ragged.parquet", "have 1 to 2 numbers; give one width"),
        ("words.parquet", "holds string, not lists of numbers"),
        ("two", "holds vectors of 4 and of 6 numbers"),
        ("empty", "holds no activations"),
        ("a.txt", "is not a kind of file that holds activations"),
    ):
        with pytest.raises(ValueError, match=words):
            open_activations(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        open_activations(tmp_path / "nothing.npy")
