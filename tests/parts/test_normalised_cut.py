"""The cut of tokens in pieces, and what relevance is."""

import torch
import torch.nn.functional as F

from unmask.parts.masks import normalised_cut
from unmask.parts.masks.normalised_cut import NormalisedCut, relevance_to


def fields(b: int = 11, n: int = 25, width: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(b, width, 3, 3, generator=generator)
    return F.interpolate(coarse, size=(5, 5), mode="bicubic").flatten(2).transpose(1, 2)


def test_a_row_does_not_depend_on_the_batch_it_is_in(monkeypatch):
    tokens = fields()
    attention = torch.rand(11, 25, generator=torch.Generator().manual_seed(1))
    places = torch.arange(25) < torch.arange(15, 26).unsqueeze(-1)
    cut = NormalisedCut(side="attention")
    whole, usable = cut(tokens, attention, places)
    relevance = relevance_to(tokens, whole)
    monkeypatch.setattr(normalised_cut, "CACHED", 3 * 25**2)
    parts, alike = cut(tokens, attention, places)
    assert torch.equal(whole, parts)
    assert torch.equal(usable, alike)
    torch.testing.assert_close(relevance_to(tokens, whole), relevance, atol=1e-6, rtol=0)  # other matrix products


def test_relevance_is_the_cosine_with_the_mean_direction():
    tokens = torch.tensor([[[2.0, 0.0], [0.0, 5.0], [3.0, 3.0], [0.0, 0.0]]])
    found = relevance_to(tokens, torch.tensor([[True, True, False, False]]))
    torch.testing.assert_close(found, torch.tensor([[0.5**0.5, 0.5**0.5, 1.0, 0.0]]))


def test_an_empty_cluster_has_no_relevance():
    assert not relevance_to(fields(), torch.zeros(11, 25, dtype=torch.bool)).any()


def test_half_precision_tokens_are_cut_in_full_precision():
    half = fields().bfloat16()
    for one, other in zip(NormalisedCut()(half), NormalisedCut()(half.float()), strict=True):
        assert torch.equal(one, other)
