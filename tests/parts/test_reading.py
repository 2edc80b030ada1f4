"""Reading encoders: padding counts in no mean, and blocks end in what is pooled."""

import pytest
import torch

from formulas import pictures
from unmask.parts.nets.convnet import ConvNet
from unmask.parts.nets.reading import read_stages, read_tokens, real_places
from unmask.parts.nets.vit import ViT


def encoders():
    torch.manual_seed(0)
    return {
        "vit": (ViT("16x2x2", image_size=16, patch_size=4).eval(), read_tokens),
        "convnet": (ConvNet("resnet:8-12/1-1", image_size=16, cell_size=4).eval(), read_stages),
    }


@pytest.mark.parametrize("kind", ["vit", "convnet"])
def test_a_padded_picture_reads_as_the_picture_alone(kind):
    encoder, read = encoders()[kind]
    small, canvas, valid = pictures(2, 3, 8, 12), torch.full((2, 3, 16, 16), 9.0), torch.zeros(2, 16, 16).bool()
    canvas[..., :8, :12], valid[:, :8, :12] = small, True
    batch = {"image": canvas, "image_valid": valid}
    alone, padded = read(encoder, {"image": small}), read(encoder, batch)
    assert real_places(encoder, batch).sum(-1).tolist() == [6, 6]
    for one, other in zip(alone.blocks, padded.blocks, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "grid"), [("vit", (2, 3)), ("convnet", (2, 3))])
def test_tokens_lie_on_the_grid_and_the_last_block_is_what_is_pooled(kind, grid):
    encoder, read = encoders()[kind]
    features = read(encoder, {"image": pictures(2, 3, 8, 12)})
    assert features.grid == grid
    assert features.tokens.shape[:2] == (2, 6)
    assert len(features.blocks) == 2
    assert torch.equal(features.blocks[-1], features.pooled)
    torch.testing.assert_close(features.tokens.mean(1), features.pooled, rtol=1e-4, atol=1e-5)


def test_an_encoder_reads_the_entry_of_the_batch_that_it_names():
    torch.manual_seed(0)
    encoder, values = ViT("16x1x2", image_size=16, patch_size=4, channels=1).eval(), pictures(2, 1, 16, 16)
    valid = torch.arange(16)[:, None].expand(2, 16, 16) < 8
    read = read_tokens(encoder, {"image": values, "image_valid": valid}).pooled
    encoder.key = "spectrogram"
    batch = {"spectrogram": values, "spectrogram_valid": valid}
    assert real_places(encoder, batch).sum(-1).tolist() == [8, 8]
    assert torch.equal(read_tokens(encoder, batch).pooled, read)
