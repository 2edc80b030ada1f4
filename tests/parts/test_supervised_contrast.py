"""The supervised contrastive loss."""

import math

import pytest
import torch

from formulas import pictures
from unmask.parts.losses.supervised_contrast import supervised_contrast


@pytest.mark.parametrize("temperature", [0.25, 1.0])
def test_it_is_the_sum_written_out(temperature):
    z, label = pictures(1, 6, 4), torch.tensor([[0, 1, 0, 2, 1, 0]])
    unit = (z[0] / z[0].norm(dim=-1, keepdim=True)).tolist()
    rows = []
    for i in range(6):
        alike = [j for j in range(6) if j != i and label[0, i] == label[0, j]]
        scores = {
            j: math.exp(sum(a * b for a, b in zip(unit[i], unit[j], strict=True)) / temperature)
            for j in range(6)
            if j != i
        }
        if alike:
            rows.append(-sum(math.log(scores[j] / sum(scores.values())) for j in alike) / len(alike))
    assert len(rows) == 5
    found = supervised_contrast(z, label, temperature).item()
    assert found == pytest.approx(sum(rows) / 5, rel=1e-5)


def test_what_is_not_valid_does_not_count():
    z, label = pictures(2, 6, 4), torch.tensor([[0, 1, 0, 0, 1, 1]]).expand(2, 6)
    valid = torch.tensor([[True, True, True, False, True, False]]).expand(2, 6)
    kept = [0, 1, 2, 4]
    found = supervised_contrast(z, label, 0.5, valid)
    torch.testing.assert_close(found, supervised_contrast(z[:, kept], label[:, kept], 0.5))


def test_vectors_without_company_cost_nothing():
    z = pictures(1, 3, 4).requires_grad_()
    loss = supervised_contrast(z, torch.tensor([[0, 1, 2]]), 0.5)
    loss.backward()
    assert loss == 0
    assert z.grad.isfinite().all()


def test_it_is_finite_and_near_in_half_precision():
    z, label = pictures(2, 6, 4), torch.tensor([[0, 1, 0, 2, 1, 0]]).expand(2, 6)
    with torch.autocast("cpu", torch.bfloat16):
        half = supervised_contrast(z, label, 0.25)
    torch.testing.assert_close(half, supervised_contrast(z, label, 0.25), rtol=0.02, atol=0.02)  # 8 bits of cosine
