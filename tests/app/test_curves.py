"""Learning curves show what was logged and nothing else."""

import pytest

from unmask.app.curves import loss_curve, points


def rows(steps=5, **more):
    held_out = {"explained_variance": 0.4, "trivial/mean": 1.0, "trivial/visible": 0.9, "trivial/nearest": 0.8}
    held_out |= {"trivial/inpainted": 0.7, "rankme": 10.0, "knn/01": 0.3, "knn/02": 0.5} | more
    train = [{"kind": "train", "step": step, "loss": 1 / (1 + step)} for step in range(steps * 10)]
    return train + [{"kind": "held_out", "step": 10 * step, "loss": 0.5, **held_out} for step in range(steps)]


def titles(figure):
    return [axis.get_title("left").split(":")[0].split(",")[0] for axis in figure.axes if axis.axison]


def test_every_kind_of_number_has_its_curve():
    assert titles(loss_curve(rows())) == ["loss", "explained variance", "RankMe", "kNN accuracy after each block"]


def test_what_was_not_logged_is_left_out():
    assert titles(loss_curve([row for row in rows() if row["kind"] == "train"])) == ["loss"]
    assert titles(loss_curve([])) == ["loss"]


def test_trivial_predictors_are_drawn_as_the_variance_they_explain():
    axis = loss_curve(rows()).axes[1]
    drawn = {line.get_label(): line.get_ydata()[-1] for line in axis.lines}
    assert drawn["nearest patch copied"] == pytest.approx(0.2)
    assert drawn["visible pixels continued"] == pytest.approx(0.3)
    assert drawn["this run"] == 0.4


def test_numbers_that_are_not_finite_are_skipped():
    logged = [{"step": 1, "loss": "NaN"}, {"step": 2, "loss": 0.5}, {"step": 3, "loss": "Infinity"}, {"step": 4}]
    assert points(logged, "loss") == ([2.0], [0.5])


def test_knn_is_drawn_in_per_cent_for_every_block():
    assert [line.get_ydata()[0] for line in loss_curve(rows()).axes[3].lines] == [30, 50]
