"""The decoder of seen and hidden places: no place too many, rows of unequal length."""

import torch

from formulas import pictures
from unmask.core import Mask
from unmask.parts.nets.concat_decoder import ConcatDecoder
from unmask.parts.nets.video_vit import VideoViT


def network() -> tuple[VideoViT, ConcatDecoder]:
    torch.manual_seed(0)
    encoder = VideoViT("16x1x2", image_size=8, patch_size=4, frames=4)
    return encoder.eval(), ConcatDecoder(encoder, width=16, depth=2, heads=2).eval()


def predicted(hidden: torch.Tensor, places: torch.Tensor | None = None) -> torch.Tensor:
    encoder, decoder = network()
    video = pictures(len(hidden), 3, 4, 8, 8)
    mask = Mask.of(hidden, places)
    with torch.no_grad():
        return decoder(encoder(video, mask), mask, encoder.grid_of(video))


def test_only_hidden_places_are_predicted():
    hidden = torch.tensor([[True, False, False, True, True, False, False, True]])
    found = predicted(hidden)
    assert torch.equal(found[0].abs().sum(-1) > 0, hidden[0])


def test_a_place_that_is_neither_seen_nor_hidden_changes_nothing():
    hidden = torch.tensor([[True, False, False, True, True, False, False, False]])
    places = torch.tensor([[True] * 7 + [False]])
    encoder, decoder = network()
    video = pictures(1, 3, 4, 8, 8)
    other = video.clone()
    other[..., 2:, 4:, 4:] = 9  # the last cube
    mask = Mask.of(hidden, places)
    with torch.no_grad():
        one, two = (decoder(encoder(v, mask), mask, encoder.grid_of(v)) for v in (video, other))
    assert torch.equal(one, two)
    assert one[0, 7].abs().sum() == 0


def test_rows_may_hide_different_numbers():
    rows = torch.tensor([[True] * 6 + [False] * 2, [True] * 3 + [False] * 5])
    together = predicted(rows)
    encoder, decoder = network()
    video = pictures(2, 3, 4, 8, 8)
    for row in range(2):
        mask = Mask.of(rows[row : row + 1])
        with torch.no_grad():
            alone = decoder(encoder(video[row : row + 1], mask), mask, encoder.grid_of(video))
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-5)
