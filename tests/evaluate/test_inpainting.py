"""Inpainting in numbers: decibels and gradients on cases worked by hand."""

import pytest
import torch

from unmask.evaluate.inpainting import gradient_energy, inpainting, signal_to_noise


def test_decibels_count_the_chosen_pixels_only():
    real, made = torch.zeros(1, 2, 2, 2), torch.full((1, 2, 2, 2), 0.1)
    made[..., 1, :] = 0.9
    where = torch.tensor([[[True, True], [False, False]]])
    assert signal_to_noise(made, real, where).item() == pytest.approx(20.0)


def test_gradients_are_counted_between_chosen_neighbours():
    image = torch.tensor([[[[0.0, 1.0, 5.0], [2.0, 3.0, 7.0]]]])
    where = torch.tensor([[[True, True, False], [True, True, False]]])
    assert gradient_energy(image, where).item() == pytest.approx((1 + 1 + 4 + 4) / 4)


def test_a_blurred_answer_is_less_sharp_than_the_truth():
    image = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    hidden = torch.zeros(4, 8, 8, dtype=torch.bool)
    hidden[:, 2:6, 2:6] = True
    blurred = torch.nn.functional.avg_pool2d(image, 3, 1, 1)
    found = inpainting([{"image": image}], lambda batch: hidden, lambda batch, where: blurred, lambda x: x)
    assert 0 < found["sharpness"] < 0.5
    assert found["pictures"] == 4
    perfect = inpainting([{"image": image}], lambda batch: hidden, lambda batch, where: image, lambda x: x)
    assert perfect["sharpness"] == pytest.approx(1)
    assert perfect["psnr"] == pytest.approx(120)
    with pytest.raises(ValueError, match="nothing was hidden"):
        inpainting([{"image": image}], lambda batch: hidden & False, lambda batch, where: image, lambda x: x)
