"""Half-precision linear layers give torch's numbers, whatever way their products are arranged."""

import pytest
import torch
import torch.nn.functional as F

from unmask.parts.nets.linear import Linear, of_gelu, of_norm
from unmask.parts.ops.linear import FEW_ROWS, SMALL, product, transposed, transposed_product, uses_half

EPS = torch.finfo(torch.bfloat16).eps
WIDE = SMALL + 8


def rows(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def apart(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.detach().float() - wanted.detach().float()).norm() / wanted.detach().float().norm())


@pytest.mark.parametrize("m", [1, 7, FEW_ROWS, FEW_ROWS + 5])
@pytest.mark.parametrize("bias", [True, False])
def test_a_product_in_parts_is_the_product(m, bias):
    left, right = rows(m, 40), rows(40, 24, seed=1)
    added = rows(24, seed=2) if bias else None
    wanted = left.float() @ right.float() + (added.float() if bias else 0)
    assert apart(product(left, right, added), wanted) < EPS


@pytest.mark.parametrize(("n", "k"), [(24, 40), (40, 24)])
def test_a_weight_gradient_is_the_transposed_product_whichever_factor_is_copied(n, k):
    left, right = rows(300, n), rows(300, k, seed=1)
    found = transposed_product(left, right, torch.float32)
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    assert apart(found, left.float().T @ right.float()) < EPS


def test_a_transposed_copy_is_exact():
    x = rows(301, 70)
    assert torch.equal(transposed(x, x.dtype), x.T)
    assert transposed(x, x.dtype).is_contiguous()


@pytest.mark.parametrize("shape", [(5, WIDE), (2, 3, WIDE)])
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_gradients_are_those_of_autocast(shape, bias):
    layer = Linear(WIDE, SMALL, bias=bias)
    inputs = [torch.randn(*shape, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2)]
    outcomes = []
    for x, function in zip(inputs, (layer, lambda x: F.linear(x, layer.weight, layer.bias)), strict=True):
        with torch.autocast("cpu", torch.bfloat16):
            y = function(x)
        gradients = torch.autograd.grad(y.float().square().sum(), [x, *layer.parameters()])
        outcomes.append([y, *gradients])
    for found, wanted in zip(*outcomes, strict=True):
        assert found.dtype == wanted.dtype
        assert found.shape == wanted.shape
        assert apart(found, wanted) < 2 * EPS


def test_full_precision_and_small_layers_are_left_to_torch():
    x = torch.randn(3, WIDE)
    large, small = Linear(WIDE, SMALL), Linear(WIDE, SMALL - 1)
    assert not uses_half(x, large.weight)
    assert torch.equal(large(x), F.linear(x, large.weight, large.bias))
    with torch.autocast("cpu", torch.bfloat16):
        assert uses_half(x, large.weight)
        assert not uses_half(x, small.weight)


def test_weights_keep_the_names_of_torch():
    assert set(Linear(3, 2).state_dict()) == set(torch.nn.Linear(3, 2).state_dict())


def of_norm_plain(linear: Linear, norm: torch.nn.LayerNorm, x: torch.Tensor) -> torch.Tensor:
    return F.linear(norm(x), linear.weight, linear.bias)


def of_gelu_plain(linear: Linear, _, x: torch.Tensor) -> torch.Tensor:
    return F.linear(F.gelu(x), linear.weight, linear.bias)


@pytest.mark.parametrize(
    ("function", "plain"), [(of_norm, of_norm_plain), (lambda linear, _, x: of_gelu(linear, x), of_gelu_plain)]
)
def test_what_is_computed_again_has_the_gradients_of_what_is_kept(function, plain):
    layer, norm = Linear(WIDE, SMALL), torch.nn.LayerNorm(WIDE)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    outcomes = []
    for one in (function, plain):
        x = torch.randn(2, 3, WIDE, generator=torch.Generator().manual_seed(1)).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            y = one(layer, norm, x if one in (of_norm, of_norm_plain) else x.bfloat16())
        used = [x, *layer.parameters(), *(norm.parameters() if one in (of_norm, of_norm_plain) else ())]
        outcomes.append([y, *torch.autograd.grad(y.float().square().sum(), used)])
    for found, wanted in zip(*outcomes, strict=True):
        assert found.dtype == wanted.dtype
        assert apart(found, wanted) < 2 * EPS


def test_neither_norms_nor_activations_are_kept_for_the_backward_pass():
    layer, norm = Linear(SMALL, SMALL), torch.nn.LayerNorm(SMALL)
    x = torch.randn(100, SMALL, requires_grad=True)
    for function in (lambda: of_norm(layer, norm, x), lambda: of_gelu(layer, x)):
        with torch.autocast("cpu", torch.bfloat16):
            assert sum(t.shape == x.shape for t in kept_by(function)) == 1


def kept_by(function) -> list[torch.Tensor]:
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        function()
    return kept
