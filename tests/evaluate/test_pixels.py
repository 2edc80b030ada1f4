import torch

from unmask.evaluate.pixels import RawPixels


def test_a_small_picture_is_its_own_features():
    image = torch.randn(2, 3, 16, 16)
    assert torch.equal(RawPixels().features({"image": image}).pooled, image.flatten(1))


def test_a_large_picture_is_averaged_to_the_number_allowed():
    image = torch.randn(2, 3, 64, 96)
    pooled = RawPixels(numbers=300).features({"image": image}).pooled
    assert pooled.shape == (2, 3 * 8 * 12)
    assert torch.allclose(pooled.reshape(2, 3, 8, 12), image.reshape(2, 3, 8, 8, 12, 8).mean((3, 5)), atol=1e-6)


def test_constant_pictures_stay_constant():
    pooled = RawPixels(numbers=50).features({"image": torch.full((1, 1, 31, 17), 4.0)}).pooled
    assert torch.allclose(pooled, torch.tensor(4.0))
    assert pooled.shape[1] <= 50
