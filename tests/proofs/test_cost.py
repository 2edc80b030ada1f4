"""What a training costs beside another."""

from dataclasses import replace

import torch

from unmask.proofs import cost
from unmask.proofs.cost import by_the_clock, equal_compute, in_quarters, side_by_side
from unmask.proofs.experiment import Arm, Laboratory

ARM = Arm("arm", "mae", {}, epochs=3, lr=1e-3, batch=8, warmup=0.1)


def test_the_fastest_seeds_are_compared_so_that_a_busy_machine_changes_little(tmp_path):
    laboratory = object.__new__(Laboratory)  # only what was measured once is needed of it
    laboratory.arms = tmp_path
    rows, baseline = ([{"seconds": seconds} for seconds in some] for some in ((150, 400, 160), (100, 101, 300)))
    assert by_the_clock(laboratory, ARM, rows, baseline) == 1.5
    assert by_the_clock(laboratory, ARM, baseline, rows) == 1.5  # it was measured, and is not measured again


def test_a_step_is_compared_where_the_laboratory_trains_and_once_for_every_kind_of_device(tmp_path, monkeypatch):
    laboratory = object.__new__(Laboratory)
    laboratory.arms, laboratory.device = tmp_path, "cuda"
    monkeypatch.setattr(cost, "choose_device", torch.device)
    monkeypatch.setattr(cost, "step_cost_ratio", lambda *_, device: {"cuda": 1.25, "cpu": 2.0}[device])
    assert side_by_side(laboratory, ARM, ARM) == 1.25
    laboratory.device = "cpu"
    assert side_by_side(laboratory, ARM, ARM) == 2.0
    monkeypatch.setattr(cost, "step_cost_ratio", lambda *_, device: 3.0)
    assert side_by_side(laboratory, ARM, ARM) == 2.0  # it was measured, and is not measured again


def test_one_arm_beside_two_others_is_measured_twice(tmp_path, monkeypatch):
    laboratory = object.__new__(Laboratory)
    laboratory.arms, laboratory.device = tmp_path, "cpu"
    monkeypatch.setattr(cost, "step_cost_ratio", lambda _, baseline, device: baseline.batch / 4)
    assert [side_by_side(laboratory, ARM, replace(ARM, batch=batch)) for batch in (8, 16)] == [2.0, 4.0]


def test_a_baseline_gets_at_least_the_compute():
    assert [in_quarters(ratio) for ratio in (0.9, 1.0, 1.01, 1.25, 1.26)] == [1.0, 1.0, 1.25, 1.25, 1.5]
    assert equal_compute(ARM, 1.43).epochs == 4.5
