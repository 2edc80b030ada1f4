"""A method that names its own pictures is shown by them."""

import numpy as np
import torch

from unmask.app.pictures import draws, panel_of
from unmask.core import Context, Method
from unmask.data.card import DataCard


class Negative(Method):
    def pictures(self, batch, context):
        return {"negative": -batch["image"]}


def test_the_input_and_what_the_method_shows_are_drawn_and_padding_is_white():
    spread = {"minimum": (0.0,), "maximum": (255.0,), "mean": (127.5,), "std": (127.5,)}
    card = DataCard("pictures", "0", 4, (), {}, ("grey",), "uint8", sizes=((4, 4),) * 3, **spread)
    valid = torch.ones(1, 4, 4, dtype=torch.bool)
    valid[:, 3] = False
    batch = {"image": torch.full((1, 1, 4, 4), 0.6), "image_valid": valid}
    assert draws(Negative())
    figure = panel_of(Negative(), batch, card, Context())
    shown = {axis.get_title(): np.asarray(axis.images[0].get_array()) for axis in figure.axes}
    assert list(shown) == ["input", "negative"]
    np.testing.assert_allclose(shown["input"][:3], 0.8, atol=1e-6)
    np.testing.assert_allclose(shown["negative"][:3], 0.2, atol=1e-6)
    np.testing.assert_allclose(shown["negative"][3], 1.0)
