"""Pictures: what is drawn is what was seen and predicted."""

import dataclasses

import numpy as np
import pytest
import torch

from unmask.app.pictures import Display, display, grid_of_images, reconstruct, reconstruction_panel, save_png
from unmask.core import Mask
from unmask.data.card import DataCard
from unmask.methods import mae, self_guided_mae
from unmask.methods.mae import MAE
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT


def card(channels=("red", "green", "blue"), dtype="uint8", low=0.0, high=255.0, mean=100.0, std=50.0):
    n = len(channels)
    spread = {"minimum": (low,) * n, "maximum": (high,) * n, "mean": (mean,) * n, "std": (std,) * n}
    return DataCard("pictures", "0", 4, (), {}, tuple(channels), dtype, sizes=((12, 12),) * 3, **spread)


def gradients(channels=3, size=12):
    """Ramps in three directions, standardised; no patch is flat."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    ramps = torch.stack([x, y, (x + y) / 2, x - y, y - x])[:channels]
    return torch.stack([ramps, -ramps])


def small(channels=3, normalise=True):
    encoder = ViT("16x1x2", 12, 4, channels)
    return MAE(encoder, TokenDecoder(encoder, 16, 1, 2), normalise=normalise)


def half():
    return Mask.of(torch.tensor([[True, False, True, False, True, False, True, False, True]] * 2))


def axes_of(figure, title):
    return [axis for axis in figure.axes if axis.get_title().startswith(title)]


def drawn(figure, title):
    """The first of the square pictures under this title."""
    column = np.asarray(axes_of(figure, title)[0].images[0].get_array())
    return torch.from_numpy(column[: column.shape[1]])


def test_the_truth_with_true_statistics_is_the_input_where_hidden():
    method, image = small(), gradients()
    method.predict = lambda batch, mask, record=None: method.target(batch).values
    found = reconstruct(method, {"image": image}, half())
    assert torch.allclose(found.true, image, atol=1e-5)  # subtracting and adding a mean rounds


def test_the_pasted_picture_is_the_input_where_visible():
    method, image = small(), gradients()
    found = reconstruct(method, {"image": image}, half())
    seen = found.seen.expand_as(image)
    assert torch.equal(found.pasted[seen], image[seen])
    assert not torch.allclose(found.pasted, image, atol=0.1)


def test_estimated_statistics_do_not_know_the_hidden_brightness():
    method, image = small(), gradients()
    fixed = torch.randn(2, 9, 48)
    method.predict = lambda batch, mask, record=None: fixed
    first = reconstruct(method, {"image": image}, half())
    brighter = torch.where(first.hidden, image + 5, image)
    second = reconstruct(method, {"image": brighter}, half())
    assert torch.equal(first.estimated, second.estimated)
    assert not torch.allclose(first.true, second.true, atol=1)


def test_plain_targets_are_drawn_as_predicted():
    method, image = small(normalise=False), gradients()
    method.predict = lambda batch, mask, record=None: torch.full((2, 9, 48), 0.25)
    found = reconstruct(method, {"image": image}, half())
    assert found.true.eq(0.25).all()
    assert torch.equal(found.true, found.estimated)


def test_visible_patches_of_a_prediction_are_left_blank():
    figure = reconstruction_panel(small(), {"image": gradients()}, card(), half())
    masked, predicted = drawn(figure, "masked"), drawn(figure, "prediction,\ntrue")
    assert predicted[:4, 4:8].eq(0.5).all()
    assert masked[:4, :4].eq(0.5).all()
    assert torch.equal(masked[:4, 4:8], drawn(figure, "input")[:4, 4:8])


def test_the_caption_says_which_statistics_leak():
    caption = reconstruction_panel(small(), {"image": gradients()}, card(), half()).get_supxlabel()
    assert "true patch mean and std: leaks brightness" in caption
    assert "estimated from the visible neighbours" in caption
    assert "44 % of the patches visible" not in caption
    assert "56 % of the patches hidden" in caption
    plain = reconstruction_panel(small(normalise=False), {"image": gradients()}, card(), half())
    assert "not normalised" in plain.get_supxlabel()
    assert not axes_of(plain, "prediction,")


def test_guided_masks_are_drawn_with_their_reasons():
    method, batch = self_guided_mae.tiny()
    figure = reconstruction_panel(method, batch, card())
    assert all(axes_of(figure, title) for title in ("cut", "relevance", "hints"))
    plain, batch = mae.tiny()
    assert not axes_of(reconstruction_panel(plain, batch, card()), "cut")


def test_drawing_twice_gives_the_same_picture_and_leaves_the_method_in_training():
    method, batch = mae.tiny()
    method.train()
    first, second = (drawn(reconstruction_panel(method, batch, card()), "visible + prediction") for _ in range(2))
    assert torch.equal(first, second)
    assert method.training


def test_bytes_are_shown_in_their_own_units():
    image = torch.tensor([-2.0, 0.0, 3.1])[None, :, None, None].expand(1, 3, 12, 12)
    shown = display(card(), image)(image)
    assert torch.allclose(shown[0, :, 0, 0], torch.tensor([0.0, 100 / 255, 255 / 255]), atol=1e-6)


def test_bytes_of_few_levels_are_shown_over_their_own_range():
    shown = display(card(("grey",), high=16.0, mean=8.0, std=4.0), torch.zeros(1, 1, 2, 2))
    assert shown(torch.tensor([-2.0, 2.0]).reshape(2, 1, 1, 1))[:, 0].flatten().tolist() == [0.0, 1.0]


def test_wide_ranges_are_cut_at_three_deviations():
    image = torch.tensor([-3.0, 0.0, 3.0])[None, None, None, :].expand(1, 1, 4, 3)
    shown = display(card(("depth",), "uint16", 0, 65535, mean=5000, std=100), image)(image)
    assert torch.allclose(shown[0, 0, 0], torch.tensor([0.0, 0.5, 1.0]))


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        (("grey",), "channels shown: grey"),
        (("blue", "green", "red", "infrared"), "channels shown: red, green, blue"),
        (("a", "b", "c", "d"), "channels shown: a, b, c"),
        (("a", "b"), "channels shown: a"),
    ],
)
def test_the_caption_names_the_channels_shown(channels, words):
    image = torch.randn(2, len(channels), 12, 12)
    figure = reconstruction_panel(small(len(channels)), {"image": image}, card(channels), half())
    assert words in figure.get_supxlabel()


def test_channels_can_be_chosen():
    image = gradients(5)
    five = card(("a", "b", "c", "d", "e"))
    assert display(five, image, "e").words == "channels shown: e"
    assert display(five, image, ["e", "a", "b"]).weights.argmax(-1).tolist() == [4, 0, 1]
    assert "main components" in display(five, image, "pca").words
    with pytest.raises(ValueError, match="one or three of a, b, c, d, e"):
        display(five, image, "infrared")


def test_main_components_show_the_channel_that_varies():
    image = (
        torch.randn(4, 5, 12, 12, generator=torch.Generator().manual_seed(0))
        * torch.tensor([0.1, 9, 0.1, 0.1, 0.1])[None, :, None, None]
    )
    assert display(card(("a", "b", "c", "d", "e")), image, "pca").weights[0].abs().argmax() == 1


def test_a_constant_channel_is_shown_without_dividing_by_zero():
    flat = dataclasses.replace(
        card(dtype="float32"), minimum=(1.0,) * 3, maximum=(1.0,) * 3, mean=(1.0,) * 3, std=(0.0,) * 3
    )
    assert display(flat, torch.zeros(1, 3, 4, 4))(torch.zeros(1, 3, 4, 4)).isfinite().all()


def test_padding_is_white_and_odd_sizes_keep_their_size():
    image = torch.randn(2, 3, 11, 10)
    valid = torch.ones(2, 11, 10, dtype=torch.bool)
    valid[:, 9:] = False
    figure = reconstruction_panel(small(), {"image": image, "image_valid": valid}, card(), half())
    for axis in figure.axes:
        column = np.asarray(axis.images[0].get_array())
        assert column.shape == (11 + 1 + 11, 10, 3), "two pictures, a line of white between them"
        assert (column[9:12] == 1).all()
        assert (column[21:] == 1).all()


def test_a_grid_shows_every_picture_with_its_title():
    figure = grid_of_images(torch.randn(5, 3, 8, 8), card(), [f"a$_{i}" for i in range(5)], columns=3)
    assert [axis.get_title() for axis in figure.axes if axis.images] == [f"a$_{i}" for i in range(5)]


def test_saved_pictures_can_be_read_and_nothing_is_left_beside(tmp_path):
    from PIL import Image

    path = save_png(grid_of_images(torch.randn(2, 3, 8, 8), card()), tmp_path / "grid.png")
    assert Image.open(path).size[0] > 100
    assert [file.name for file in tmp_path.iterdir()] == ["grid.png"]


def test_display_mixes_channels_linearly():
    shown = Display(torch.tensor([[0.5, 0.25]]), torch.tensor([0.1]), "")(torch.ones(1, 2, 2, 2))
    assert torch.allclose(shown, torch.full((1, 3, 2, 2), 0.85))
