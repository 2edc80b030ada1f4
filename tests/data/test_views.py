import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from unmask.core import check_batch
from unmask.data.card import DataCard, inspect
from unmask.data.decode import Decoder
from unmask.data.picture import GREY, RGB, Picture, Unreadable, finite
from unmask.data.views import EvaluationView, TrainingView, centre_box, random_box, resize


def card_of(picture: Picture) -> DataCard:
    flat = picture.values.reshape(-1, len(picture.channels)).astype(np.float64)
    numbers = [tuple(x.tolist()) for x in (flat.min(0), flat.max(0), flat.mean(0), flat.std(0))]
    size = picture.values.shape[:2]
    return DataCard("a", "", 1, (), {}, picture.channels, str(picture.values.dtype), *numbers, (size, size, size))


def photo(height: int = 48, width: int = 64) -> Picture:
    rows, columns = np.mgrid[:height, :width]
    smooth = np.stack([rows * 3, columns * 3, 128 + 100 * np.sin(rows / 5) * np.cos(columns / 7)], axis=-1)
    return Picture(smooth.clip(0, 255).astype(np.uint8), RGB)


def view(view, picture: Picture, seed: int = 0) -> dict[str, torch.Tensor]:
    return view(picture, card_of(picture), torch.Generator().manual_seed(seed))


def test_a_view_depends_on_the_generator_alone():
    one, again, other = (view(TrainingView(32), photo(), seed)["image"] for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_crops_are_distributed_as_in_torchvision():
    generator = torch.Generator().manual_seed(0)
    ours = torch.tensor(
        [random_box(90, 160, (0.2, 1.0), 1.0, torch.rand(40, generator=generator)) for _ in range(20_000)]
    ).double()
    torch.manual_seed(0)
    image = torch.empty(3, 90, 160)
    theirs = torch.tensor(
        [RandomResizedCrop.get_params(image, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(20_000)]
    ).double()
    for box in (ours, theirs):
        box[:, 0] += box[:, 2] / 2  # the centre, which both ends of the range determine
        box[:, 1] += box[:, 3] / 2
    # 20,000 draws: standard error of a mean 0.007 of the spread; both sides vary, five of them are 0.05
    assert ((ours.mean(0) - theirs.mean(0)).abs() < 0.05 * theirs.std(0)).all()
    assert torch.allclose(ours.std(0), theirs.std(0), rtol=0.05)
    quantiles = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95], dtype=torch.float64)
    assert torch.allclose(ours.quantile(quantiles, dim=0), theirs.quantile(quantiles, dim=0), atol=3.0)  # pixels


def test_a_crop_that_never_fits_is_the_centre():
    never = torch.zeros(40)
    assert random_box(1, 4000, (0.2, 1.0), 1.0, never) == (0, 1999, 1, 1)
    assert random_box(4000, 3, (0.2, 1.0), 1.0, never) == (1998, 0, 4, 3)


def test_the_mirror_comes_half_of_the_time():
    whole = TrainingView(16, whole=True)
    flipped = [view(whole, photo(), seed)["crop"][4].item() for seed in range(400)]
    assert 0.42 < np.mean(flipped) < 0.58  # three standard errors
    assert all(view(TrainingView(16, flip=False, whole=True), photo(), seed)["crop"][4] == 0 for seed in range(20))


def test_the_place_of_the_crop_is_told_in_fractions_of_the_whole():
    picture = photo(96, 128)
    found = view(TrainingView(32, whole=True, flip=True), picture, 1)
    top, left, height, width, mirrored = found["crop"].tolist()
    rows = slice(round(top * 96), round((top + height) * 96))
    columns = slice(round(left * 128), round((left + width) * 128))
    cut = torch.from_numpy(picture.values[rows, columns].copy()).permute(2, 0, 1)
    expected = card_of(picture).scaled(resize(cut, (32, 32)))
    assert torch.equal(found["image"], expected.flip(-1) if mirrored else expected)
    assert found["whole"].shape == (3, 32, 32)
    check_batch({key: value[None] for key, value in found.items()})


def test_resizing_equals_pillow_on_eight_bits():
    for size in ((20, 27), (100, 90)):
        ours = resize(torch.from_numpy(photo().values).permute(2, 0, 1), size).permute(1, 2, 0).numpy()
        pillow = np.asarray(Image.fromarray(photo().values).resize(size[::-1], Image.Resampling.BICUBIC))
        assert np.abs(ours.astype(int) - pillow).max() <= 1  # rounding of fixed-point weights


def test_sixteen_bits_and_floats_are_resized_without_rounding():
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64, 1)
    small = view(EvaluationViewOnly(32), Picture(ramp, GREY))["image"]
    assert len(small.unique()) > 900


class EvaluationViewOnly(EvaluationView):
    """The evaluation view with the arguments of the training view."""

    def __call__(self, picture, card, generator=None):
        return super().__call__(picture, card)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (3, 5), (17, 31), (33, 32)])
@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_every_size_gives_a_full_finite_view(shape, fit):
    picture = Picture(np.random.default_rng(0).integers(0, 256, (*shape, 1), dtype=np.uint8), GREY)
    for made in (TrainingView(32, fit=fit, whole=True), EvaluationViewOnly(32, fit=fit)):
        found = view(made, picture)
        assert found["image"].shape == (1, 32, 32)
        assert all(torch.isfinite(value).all() for value in found.values())


def test_a_small_side_is_refused_by_policy():
    with pytest.raises(Unreadable, match="1x4000 pixels; the shorter side must have at least 8"):
        view(TrainingView(32, smallest=8), Picture(np.zeros((1, 4000, 1), np.uint8), GREY))


def test_padding_is_zero_invalid_and_at_the_bottom_and_right():
    picture = photo(20, 30)
    for made in (TrainingView(32, fit="pad", flip=False), EvaluationViewOnly(32, fit="pad")):
        found = view(made, picture)
        assert torch.equal(found["image"][:, :20, :30], card_of(picture).standardise(picture.values))
        assert found["image_valid"].sum() == 20 * 30
        assert found["image_valid"][:20, :30].all()
        assert (found["image"][:, ~found["image_valid"]] == 0).all()


def test_padding_stays_at_the_right_of_a_mirrored_picture():
    found = next(
        f for seed in range(20) if (f := view(TrainingView(32, fit="pad", whole=True), photo(20, 30), seed))["crop"][4]
    )
    standard = card_of(photo(20, 30)).standardise(photo(20, 30).values)
    assert torch.equal(found["image"][:, :20, :30], standard.flip(-1))
    assert not found["image_valid"][:, 30:].any()
    assert found["crop"].tolist() == pytest.approx([0, 0, 32 / 20, 32 / 30, 1])


def test_large_pictures_are_shrunk_with_their_aspect_before_padding():
    found = view(TrainingView(32, fit="pad"), photo(48, 64))
    assert found["image_valid"].sum() == 24 * 32


def test_missing_pixels_are_invalid_zero_and_follow_the_crop():
    values = np.random.default_rng(0).random((32, 32, 1)).astype(np.float32)
    values[4:8, 10:20] = np.nan
    picture = finite(values, GREY)
    found = view(TrainingView(32, crop=None, flip=False), picture)
    assert torch.equal(found["image_valid"], torch.from_numpy(~picture.missing))
    assert (found["image"][0][~found["image_valid"]] == 0).all()
    cropped = [view(TrainingView(32, crop=(0.9, 1.0)), picture, seed) for seed in range(10)]
    for found in cropped:
        assert 20 < (~found["image_valid"]).sum() < 70  # 40 of 1,024 pixels, enlarged
        assert (found["image"][0][~found["image_valid"]] == 0).all()


def test_the_value_under_a_missing_pixel_does_not_matter():
    first = np.random.default_rng(0).random((32, 32, 1)).astype(np.float32)
    second = first.copy()
    first[5, 6], second[5, 6] = np.nan, np.inf
    card = card_of(Picture(np.nan_to_num(first), GREY))
    views = [EvaluationView(16)(finite(values, GREY), card) for values in (first, second)]
    assert torch.equal(views[0]["image"], views[1]["image"])


def test_the_evaluation_view_takes_the_centre_of_the_short_side():
    picture = photo(48, 64)
    found = view(EvaluationViewOnly(24), picture)["image"]
    cut = torch.from_numpy(picture.values[:, 8:56].copy()).permute(2, 0, 1)
    assert torch.equal(found, card_of(picture).scaled(resize(cut, (24, 24))))


def test_masks_follow_the_geometry_of_their_picture():
    target = np.arange(48 * 64).reshape(48, 64)
    picture = Picture(np.repeat(target[..., None], 1, axis=2).astype(np.float32), GREY)
    card = card_of(picture)
    found = EvaluationView(48)(picture, card, target)
    assert torch.equal(found["segmentation"], torch.from_numpy(target[:, 8:56]))
    padded = EvaluationView(80, fit="pad")(picture, card, target)
    assert (padded["segmentation"] == -1).sum() == 80 * 80 - 48 * 64
    with pytest.raises(Unreadable, match="its mask 48x63"):
        EvaluationView(48)(picture, card, target[:, 1:])


def test_views_can_be_oblong():
    assert view(TrainingView((16, 40)), photo())["image"].shape == (3, 16, 40)
    assert centre_box(100, 100, 40 / 16) == (30, 0, 40, 100)


def test_another_kind_of_picture_than_the_card_is_refused():
    card = card_of(photo())
    for values, channels in ((np.zeros((8, 8, 1), np.uint8), GREY), (np.zeros((8, 8, 3), np.uint16), RGB)):
        with pytest.raises(Unreadable, match="the data set is red green blue, uint8"):
            TrainingView(8)(Picture(values, channels), card, torch.Generator())


def test_wrong_arguments_are_told():
    for arguments in ({"fit": "squeeze"}, {"crop": (0.5, 0.2)}, {"crop": (0.0, 1.0)}, {"image_size": 0}):
        with pytest.raises(ValueError, match=str(next(iter(arguments.values())))[:4].strip("(")):
            TrainingView(**{"image_size": 32, **arguments})


def test_a_card_made_by_inspection_fits_the_views(make, tmp_path):
    from unmask.data.sources import open_source

    source = open_source(make.write_folder(tmp_path, ["1.png", "2.png"]))
    card = inspect(source)
    assert TrainingView(8)(source.read(0), card, torch.Generator())["image"].dtype == torch.float32


def test_a_jpeg_that_is_still_encoded_gives_the_same_crop_as_its_picture(make):
    data = make.encode(photo(320, 400).values, "JPEG", quality=95)
    whole = Decoder()(data)
    for seed in range(8):
        exact = view(TrainingView(40), whole, seed)["image"]
        found = TrainingView(40)(Decoder().begin(data, (40, 40)), card_of(whole), torch.Generator().manual_seed(seed))
        error = (found["image"] - exact).pow(2).mean() * np.square(card_of(whole).std).mean()
        assert 10 * np.log10(255**2 / error) > 35


def test_a_drawn_view_of_eight_bits_is_still_eight_bits():
    card = card_of(photo())
    drawn = TrainingView(32).draw(photo(), card, torch.Generator().manual_seed(0))["image"]
    assert drawn.dtype == torch.uint8
    assert torch.equal(card.scaled(drawn), view(TrainingView(32), photo())["image"])
