"""Cross-attention, and the learned sums of layers."""

import pytest
import torch
import torch.nn.functional as F

from formulas import pictures
from unmask.parts.nets.cross_decoder import CrossAttention, LayerMix


def test_attention_is_softmax_of_scaled_products_over_the_valid_sources():
    torch.manual_seed(0)
    attention, norm = CrossAttention(8, 2, 6), torch.nn.LayerNorm(8)
    x, source = pictures(2, 3, 8), pictures(2, 5, 6, seed=1)
    valid = torch.tensor([[True] * 5, [True, True, False, True, False]])
    q, (k, v) = attention.q(norm(x)), attention.kv(source).split(8, -1)
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        scores = (q[..., part] @ k[..., part].mT / 2).masked_fill(~valid.unsqueeze(1), -torch.inf)
        heads.append(scores.softmax(-1) @ v[..., part])
    expected = F.linear(torch.cat(heads, -1), attention.out.weight, attention.out.bias)
    torch.testing.assert_close(attention(x, norm, source, valid), expected, rtol=1e-5, atol=1e-6)


def test_a_width_that_its_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="width 10 cannot be divided into 4 heads"):
        CrossAttention(10, 4, 6)


def test_a_mixture_with_one_weight_is_that_layer_normalised():
    mix, layers = LayerMix(3, 2, 8), [pictures(2, 4, 8, seed=seed) for seed in range(3)]
    with torch.no_grad():
        mix.weights.copy_(torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, -1.0]]))
    first, second = mix(layers)
    torch.testing.assert_close(first, F.layer_norm(2 * layers[1], (8,), eps=1e-6))
    torch.testing.assert_close(second, F.layer_norm(layers[0] - layers[2], (8,), eps=1e-6))
