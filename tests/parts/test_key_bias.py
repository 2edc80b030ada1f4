"""Attention without a bias of the keys: the same function, with fewer parameters."""

import torch
from torch import nn

from formulas import pictures
from unmask.parts.nets.transformer import Attention, Record


def test_the_bias_of_the_keys_changes_nothing():
    torch.manual_seed(0)
    whole, without, norm = Attention(16, 2).eval(), Attention(16, 2, key_bias=False).eval(), nn.LayerNorm(16)
    nn.init.normal_(whole.qkv.bias)
    with torch.no_grad():
        without.qkv.weight.copy_(whole.qkv.weight)
        without.out.load_state_dict(whole.out.state_dict())
        query, _, value = whole.qkv.bias.view(3, 2, 1, 8)
        without.query_bias.copy_(query)
        without.value_bias.copy_(value)
        x = pictures(3, 5, 16)
        torch.testing.assert_close(without(x, norm), whole(x, norm), atol=1e-6, rtol=1e-5)
        record = Record(attention=True)
        torch.testing.assert_close(without(x, norm, None, record), whole(x, norm), atol=1e-6, rtol=1e-5)
    assert sum(p.numel() for p in whole.parameters()) - sum(p.numel() for p in without.parameters()) == 16
