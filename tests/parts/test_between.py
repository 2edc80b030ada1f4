"""Modules between the blocks of a transformer: run after their block, recorded, and refused by formats without them."""

import pytest
import torch
from torch import nn

from formulas import pictures
from unmask.interop.architecture import architecture_of
from unmask.interop.folder import weights
from unmask.interop.names import TIMM, to_theirs
from unmask.methods.mae import tiny
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.vit import ViT


class Plus(nn.Module):
    def __init__(self):
        super().__init__()
        self.amount = nn.Parameter(torch.tensor(1.0))

    def forward(self, x, valid=None, record=None):
        return x + self.amount


def test_a_module_runs_after_its_block_and_the_names_of_the_others_stay():
    torch.manual_seed(0)
    vit, image, before, after = ViT("16x2x2", 16, 4).eval(), pictures(1, 3, 16, 16), Record(), Record()
    names = set(vit.state_dict())
    vit(image, record=before)
    vit.trunk.between["1"] = Plus()
    vit(image, record=after)
    assert set(vit.state_dict()) == names | {"trunk.between.1.amount"}
    torch.testing.assert_close(after.tokens[0], before.tokens[0] + 1)
    torch.testing.assert_close(after.tokens[1], vit.trunk.blocks[1](before.tokens[0] + 1))


def test_other_libraries_formats_have_no_place_for_it():
    method, _ = tiny()
    to_theirs(weights(method, encoder_only=True), TIMM, architecture_of(method, encoder_only=True))
    method.encoder.trunk.between["1"] = Plus()
    with pytest.raises(ValueError, match="timm has no place for the modules between"):
        to_theirs(weights(method, encoder_only=True), TIMM, architecture_of(method, encoder_only=True))
