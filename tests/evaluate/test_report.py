import json

import pytest
import torch

from unmask.core import Card, Features, Method
from unmask.evaluate.few_label import FewLabels
from unmask.evaluate.knn import KNN
from unmask.evaluate.outcome import best_block
from unmask.evaluate.report import evaluate

CARD = Card("Plain", "https://example.org", 2030, "image", "patches", "pixels", "none", 0, usual="kNN about 12")


class Layers(Method):
    """A network whose features are the columns of its batch: two blocks of 8 numbers."""

    def features(self, batch):
        first, second = batch["columns"].split(8, -1)
        return Features(second, blocks=(first, second))


def part(good, points, seed, count=100):
    """Clusters in one block, noise in the other."""
    clear, labels = points(count, seed=seed)
    noise = torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))
    return [{"columns": torch.cat([clear, noise] if good == 1 else [noise, clear], 1), "label": labels}]


@pytest.mark.parametrize("probe", ["knn", "linear", "ridge", "linear_lars"])
def test_the_block_is_chosen_by_validation_even_when_test_disagrees(points, probe):
    """Validation is clear in block 1, test in block 2: the honest score is that of block 1, near chance."""
    mixed = [{"columns": points(300, seed=1)[0].repeat(1, 2), "label": points(300, seed=1)[1]}]
    report = evaluate(Layers(), mixed, part(1, points, 2), part(2, points, 3), probes=(probe,))
    outcome = report[probe]
    assert outcome.best == 1
    assert outcome.validation[1] > outcome.validation[2]
    assert outcome.test < 0.5


def test_the_test_part_is_scored_once_per_probe(points):
    calls = []

    class Counted(KNN):
        def fit(self, train, labels, validation, validation_labels, classes):
            (votes,) = super().fit(train, labels, validation, validation_labels, classes)

            def watched(x):
                calls.append(len(x))
                return votes(x)

            return [watched]

    evaluate(Layers(), part(1, points, 1), part(1, points, 2, 50), part(1, points, 3, 30), probes=(Counted(),))
    assert calls.count(30) == 1
    assert calls.count(50) == 2


def test_test_labels_do_not_reach_the_choice(points):
    def report(test):
        return evaluate(Layers(), part(2, points, 1), part(2, points, 2), test, probes=("knn", "linear"))

    true = part(2, points, 3)
    wrong = [{**batch, "label": (batch["label"] + 1) % 4} for batch in true]
    for right, other in zip(report(true).outcomes, report(wrong).outcomes, strict=True):
        assert right.validation == other.validation
        assert right.best == other.best
        assert other.test < 0.1 < right.test


def test_of_equal_blocks_the_last_is_taken():
    assert best_block({1: 0.5, 2: 0.7, 3: 0.7, 4: 0.1}) == 3


def test_chance_is_the_share_of_the_commonest_training_class(points):
    train = part(1, points, 1)
    test = [{**batch, "label": torch.arange(100) // 25} for batch in part(1, points, 3)]
    common = int(train[0]["label"].mode().values)
    test[0]["label"][:10] = common
    expected = float((test[0]["label"] == common).double().mean())
    assert evaluate(Layers(), train, part(1, points, 2), test, probes=("knn",))["knn"].chance == expected


def test_draws_give_a_mean_and_a_spread(points):
    probe = FewLabels(1, draws=4)
    outcome = evaluate(Layers(), part(1, points, 1), part(1, points, 2), part(1, points, 3), probes=(probe,)).outcomes[
        0
    ]
    assert outcome.name == "1 per class"
    assert outcome.spread > 0
    assert 0.25 < outcome.test < 1


def test_more_labels_do_better(points):
    report = evaluate(Layers(), part(1, points, 1), part(1, points, 2), part(1, points, 3), probes=("few_label",))
    assert report["1 per class"].test < report["10 per class"].test


def test_raw_pixels_are_measured_beside(method, batches):
    parts = batches(96), batches(48, seed=1), batches(48, seed=2)
    assert evaluate(method, *parts, probes=("knn",))["knn"].pixels > 0.9
    assert evaluate(method, *parts, probes=("knn",), pixels=False)["knn"].pixels is None


def test_missing_parts_are_held_out_and_said(method, batches):
    report = evaluate(method, batches(100), probes=("knn",), pixels=False)
    assert sum(report.samples.values()) == 100
    assert "held out from train" in report.to_text()


def test_unlabelled_samples_are_left_out(points):
    train = part(1, points, 1)
    train[0]["label"][:40] = -1
    report = evaluate(Layers(), train, part(1, points, 2), part(1, points, 3), probes=("knn",))
    assert report.samples == {"train": 60, "validation": 100, "test": 100}


@pytest.mark.parametrize("probe", ["knn", "attentive", "finetune"])
def test_data_without_labels_give_one_clear_sentence(method, batches, probe):
    for plain in ({"label": torch.full((16,), -1)}, {}):
        parts = [[{"image": batch["image"], **plain} for batch in batches(16)]] * 3
        with pytest.raises(ValueError, match="the data has no labels") as caught:
            evaluate(method, *parts, probes=(probe,))
        assert "folder per class" in str(caught.value)


def test_labels_that_are_no_classes_are_refused(points):
    parts = [[{**batch, "label": batch["label"].float()} for batch in part(1, points, seed)] for seed in (1, 2, 3)]
    with pytest.raises(ValueError, match="regression"):
        evaluate(Layers(), *parts)


def test_an_unknown_probe_is_refused_before_anything_is_read(method):
    with pytest.raises(ValueError, match="knn, linear"):
        evaluate(method, iter([]), probes=("forest",))


def test_the_report_is_json_and_a_table_of_equal_columns(method, batches):
    report = evaluate(method, batches(48), batches(32, seed=1), batches(32, seed=2), card=CARD)
    copy = json.loads(json.dumps(report.to_json()))
    assert copy["outcomes"][0]["name"] == "knn"
    assert copy["outcomes"][0]["test"] == report["knn"].test
    lines = report.to_text().splitlines()
    assert lines[-1] == "usual for Plain: kNN about 12"
    table = lines[2 : lines.index("", 2)]
    assert table[0].split() == ["block", "knn", "linear"]
    assert [line.split()[0] for line in table[1:]][:2] == ["1", "2"]
    assert table[4].split()[0] == "test"
    ends = {
        line.rstrip("*").index(line.split()[0]) + len(line.split()[0])
        for line in table
        if "-" not in line and "raw" not in line
    }
    assert len(ends) == 1
    assert sum(line.count("*") for line in table) == 2


def test_a_name_that_is_not_there_says_what_is(method, batches):
    report = evaluate(method, batches(48), batches(32), batches(32), probes=("knn",), pixels=False)
    with pytest.raises(KeyError, match="knn"):
        report["linear"]
