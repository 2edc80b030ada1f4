"""Every sampler under every method that hides places: the cross product."""

import importlib

import pytest
import torch

from unmask.app.catalogue import card, slugs
from unmask.app.masking import SAMPLERS, use_mask
from unmask.core import Context

CLIPS = ("tube", "frame")  # words for places that have a time
BOTH = ("random", "hard")


def masked(slug: str):
    """The method's smallest form and a batch for it, if it hides places of pictures or clips."""
    if card(slug).data not in ("image", "video"):
        return None
    torch.manual_seed(0)
    method, batch = importlib.import_module(f"unmask.methods.{slug}").tiny()
    return (method, batch) if hasattr(method, "sampler") else None


REFUSED = {  # what a sampler needs and a method has not
    ("spark", "ncut"): "tokens of a transformer",
    ("spark", "attention"): "class token",
    ("mp3_position_prediction", "attention"): "class token",
    ("att_mask", "hard"): "predicts no places",
    ("mp3_position_prediction", "hard"): "predicts no places",
}
REFUSED |= {("mixed_ae", word): "masks of its own" for word in SAMPLERS}
REFUSED |= {("maskgit", word): "MaskGIT (hides ids|predicts no places|has none)" for word in SAMPLERS}


def fits(slug: str, word: str) -> bool:
    """Whether the sampler is for the kind of places that the method hides."""
    return word in BOTH or (word in CLIPS) == (card(slug).data == "video")


PAIRS = [(slug, word) for slug in slugs() if masked(slug) is not None for word in SAMPLERS if fits(slug, word)]


@pytest.mark.parametrize(("slug", "word"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_every_sampler_trains_every_masked_method(slug, word):
    method, batch = masked(slug)
    if (slug, word) in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[slug, word]):
            use_mask(method, word)
        return
    use_mask(method, word)
    context = Context(progress=0.9, step=9, generator=torch.Generator().manual_seed(0))
    mask = method.sampler(method, batch, context)
    hidden = mask.hidden.sum(-1)
    assert (hidden > 0).all()
    assert (hidden < mask.hidden.shape[-1]).all()
    terms = method.losses(batch, context)
    sum(terms.values()).backward()
    assert all(term.isfinite() for term in terms.values())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in method.encoder.parameters())
