"""Explicit attention is the fused one, in half precision to its rounding."""

import pytest
import torch
import torch.nn.functional as F

from unmask.parts.ops.attention import CACHED, _groups, attend


def heads(b: int, h: int, n: int, d: int, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    packed = torch.randn(b, n, 3 * h * d, generator=generator).to(dtype)
    return [x.detach().requires_grad_() for x in packed.reshape(b, n, 3, h, d).permute(2, 0, 3, 1, 4)]


def outcome(function, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    out = function(*inputs)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    return [out, *torch.autograd.grad((out * weight).sum(), inputs)]


@pytest.mark.parametrize("shape", [(2, 3, 17, 32), (3, 4, 65, 16), (1, 2, 197, 64)])
def test_half_precision_stays_within_its_rounding_of_full_precision(shape):
    half = heads(*shape, torch.bfloat16)
    full = [x.detach().float().requires_grad_() for x in half]
    for found, wanted in zip(outcome(attend, half), outcome(F.scaled_dot_product_attention, full), strict=True):
        assert found.dtype == torch.bfloat16
        error = (found.float() - wanted).norm() / wanted.norm()
        assert error < 2 * torch.finfo(torch.bfloat16).eps  # two roundings: attention weights and result


def test_the_softmax_is_computed_in_float32():
    q, k, v = heads(1, 1, 400, 8, torch.bfloat16)
    uniform = attend(q * 0, k, torch.ones_like(v))  # 400 equal weights: a sum in bfloat16 would stop at 256
    torch.testing.assert_close(uniform.float(), torch.ones(1, 1, 400, 8), atol=4e-3, rtol=0)  # of a rounded 1/400


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keys_that_are_not_allowed_change_nothing(dtype):
    q, k, v = heads(2, 2, 9, 8, dtype)
    allowed = torch.ones(2, 1, 1, 9, dtype=torch.bool)
    allowed[:, :, :, 6:] = False
    found = attend(q, k, v, allowed)
    torch.testing.assert_close(found, attend(q, k[:, :, :6], v[:, :, :6]), atol=2e-2, rtol=2e-2)


def test_queries_and_keys_may_differ_in_number():
    q, k, v = heads(2, 2, 9, 8, torch.bfloat16)
    few = [q[:, :, :4].detach().requires_grad_(), k, v]
    for found, whole in zip(outcome(attend, few)[:1], outcome(attend, [q, k, v])[:1], strict=True):
        torch.testing.assert_close(found, whole[:, :, :4], atol=1e-2, rtol=1e-2)


def test_groups_cover_every_head_once_and_fit_the_cache():
    weights = torch.empty(100, 197, 197, dtype=torch.bfloat16)
    groups = _groups(weights)
    assert [i for some in groups for i in range(100)[some]] == list(range(100))
    assert all(weights[some].nbytes <= CACHED for some in groups)
    assert len(_groups(torch.empty(3, 2000, 2000, dtype=torch.bfloat16))) == 3
