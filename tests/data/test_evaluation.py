import numpy as np
import pytest
import torch

from unmask.core import check_batch
from unmask.data.card import inspect
from unmask.data.sources import open_source
from unmask.data.stream import TooManyUnreadable, evaluation_batches
from unmask.data.views import EvaluationView


@pytest.fixture
def source(make, tmp_path):
    return open_source(make.write_folder(tmp_path / "set", [f"{'ab'[i % 2]}/{i}.png" for i in range(7)]))


def test_batches_follow_the_data_set_and_can_be_repeated(source):
    batches = evaluation_batches(source, inspect(source), EvaluationView(8), batch=3)
    assert len(batches) == 3
    for _ in range(2):
        found = list(batches)
        assert [len(batch["image"]) for batch in found] == [3, 3, 1]
        assert torch.cat([batch["index"] for batch in found]).tolist() == list(range(7))
        assert torch.cat([batch["label"] for batch in found]).tolist() == [0, 0, 0, 0, 1, 1, 1]
        for batch in found:
            check_batch(batch)


def test_the_size_of_batches_and_workers_change_no_bit(source):
    card = inspect(source)
    one = torch.cat([b["image"] for b in evaluation_batches(source, card, EvaluationView(8), batch=1)])
    all_at_once = next(iter(evaluation_batches(source, card, EvaluationView(8), batch=64)))["image"]
    workers = torch.cat([b["image"] for b in evaluation_batches(source, card, EvaluationView(8), batch=2, workers=2)])
    assert torch.equal(one, all_at_once)
    assert torch.equal(one, workers)


def test_labels_are_left_out_when_there_are_none_or_none_are_wanted(source, make, tmp_path):
    flat = open_source(make.write_folder(tmp_path / "flat", ["1.png"]))
    assert "label" not in next(iter(evaluation_batches(flat, inspect(flat), EvaluationView(8))))
    assert "label" not in next(iter(evaluation_batches(source, inspect(source), EvaluationView(8), labels=False)))


def test_unreadable_samples_are_left_out_counted_and_limited(source):
    card = inspect(source)
    for i in (0, 1, 5):
        (source.root / source.items[i].name).write_bytes(b"")
    batches = evaluation_batches(source, card, EvaluationView(8), batch=2, budget=0.5)
    assert torch.cat([batch["index"] for batch in batches]).tolist() == [2, 3, 4, 6]
    assert sorted(batches.faults) == sorted(source.items[i].name for i in (0, 1, 5))
    with pytest.raises(TooManyUnreadable):
        list(evaluation_batches(source, card, EvaluationView(8)))


def test_segmentation_comes_with_its_picture_or_is_refused(make, tmp_path, source):
    make.write_folder(tmp_path / "pairs", ["image/1.png", "image/2.png"])
    (tmp_path / "pairs/mask").mkdir()
    for i in (1, 2):
        (tmp_path / f"pairs/mask/{i}.png").write_bytes(make.encode(np.full((12, 16), i, np.uint8)))
    pairs = open_source(tmp_path / "pairs")
    batch = next(iter(evaluation_batches(pairs, inspect(pairs), EvaluationView(8), targets=True)))
    assert batch["segmentation"].shape == (2, 8, 8)
    assert batch["segmentation"].amax((1, 2)).tolist() == [1, 2]
    with pytest.raises(ValueError, match="has no segmentation masks; put them in masks/"):
        evaluation_batches(source, inspect(source), EvaluationView(8), targets=True)
