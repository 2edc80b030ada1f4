"""Attention as a low-pass filter: the bound, and what repeated attention leaves."""

import pytest
import torch

from formulas import pictures
from unmask.parts.ops.smoothing import detail, detail_kept, detail_share, mean_likeness

bamboo = pytest.mark.faithful("bamboo_config_study")


def attention(n: int, sharpness: float, seed: int = 0) -> torch.Tensor:
    return (sharpness * pictures(4, n, n, seed=seed).double()).softmax(-1)


def length(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.matrix_norm(detail(x))


@bamboo
@pytest.mark.parametrize("sharpness", [0.1, 1.0, 10.0])
def test_attention_leaves_no_more_detail_than_the_bound(sharpness):
    a, x = attention(12, sharpness), pictures(4, 12, 5, seed=1).double() + 3
    assert (length(a @ x) <= detail_kept(a) * length(x) + 1e-6).all()


@bamboo
def test_the_bound_is_reached_by_the_worst_detail():
    a = attention(12, 1.0)
    _, values, right = torch.linalg.svd(detail(a))
    worst = right[:, :1].transpose(1, 2)
    torch.testing.assert_close(length(a @ worst), values[:, 0])
    torch.testing.assert_close(detail_kept(a), values[:, 0])


@bamboo
def test_peaked_attention_may_add_detail():
    two_of_three = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert detail_kept(two_of_three).item() == pytest.approx((4 / 3) ** 0.5)
    assert detail_kept(torch.full((3, 3), 1 / 3)).item() == pytest.approx(0, abs=1e-6)


@bamboo
def test_repeated_attention_loses_detail_by_its_second_eigenvalue():
    """A stack of the same positive attention, without residual path: tokens become alike geometrically."""
    a = attention(8, 1.0)[:1]
    a = (a + a.transpose(1, 2)) / 2
    a = a / a.sum(-1, keepdim=True)
    second = torch.linalg.eigvals(a[0]).abs().sort().values[-2]
    x, lengths = pictures(1, 8, 3).double(), []
    for _ in range(40):
        x = a @ x
        lengths.append(length(x).item())
    assert lengths[-1] < 1e-6
    rate = (lengths[30] / lengths[20]) ** 0.1
    assert rate == pytest.approx(second.item(), rel=1e-3)  # the next smaller eigenvalue has not quite died out


def test_alike_tokens_have_no_detail_and_are_all_alike():
    x = pictures(2, 1, 5).expand(2, 7, 5)
    assert detail_share(x) == pytest.approx([0, 0], abs=1e-6)
    torch.testing.assert_close(mean_likeness(x), torch.ones(2))


def test_the_share_and_the_likeness_on_two_tokens_by_hand():
    x = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    assert detail_share(x).item() == pytest.approx(1.0)  # mean and difference of orthogonal vectors have one length
    assert mean_likeness(x).item() == pytest.approx(0.0, abs=1e-7)
    x = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    assert detail_share(x).item() == pytest.approx(0.5)
    assert mean_likeness(x).item() == pytest.approx(1.0)
