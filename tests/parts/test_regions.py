"""Regions by Felzenszwalb and Huttenlocher: scikit-image's, and the rule on pictures worked by hand."""

import sys

import numpy as np
import pytest
import torch

from formulas import pictures, recorded
from unmask.parts.ops.regions import graph_regions

# How regions_reference.json was made: scikit-image's felzenszwalb on `picture` of every case.
REFERENCE = recorded(__file__, "regions_reference.json")


def picture(c: int, h: int, w: int) -> torch.Tensor:
    """Blocks of three greys in every channel, under a little noise without ties."""
    i = np.arange(c * h * w, dtype=np.float64)
    noise = np.sin(0.618 * i * i + i + 0.5).reshape(c, h, w)
    y, x = np.mgrid[:h, :w]
    blocks = np.stack([((y // (7 + k)) + (x // (5 + k))) % 3 for k in range(c)]) / 2.0
    return torch.from_numpy(0.8 * blocks + 0.1 * noise + 0.05)


def alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two label maps are one division of the picture, whatever the numbers."""
    pairs = torch.unique(torch.stack([one.flatten(), other.flatten()]), dim=1)
    return pairs.shape[1] == len(one.unique()) == len(other.unique())


@pytest.mark.faithful("r_mae")
@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: "x".join(map(str, case["shape"])))
def test_regions_are_those_of_scikit_image(case):
    found = graph_regions(picture(*case["shape"]), case["scale"], case["smallest"])
    assert len(found.unique()) > 5
    assert alike(found, torch.tensor(case["labels"]))


def test_what_to_install_is_said_where_the_library_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(ImportError, match=r"finding regions needs scikit-image: pip install 'unmask\[regions\]'"):
        graph_regions(pictures(3, 8, 8))


def test_flat_areas_are_regions_and_numbers_begin_at_zero():
    image = torch.zeros(1, 6, 8)
    image[..., 3:] = 1
    labels = graph_regions(image, scale=10, smallest=1, blur=0)
    assert labels.unique().tolist() == [0, 1]
    assert torch.equal(labels, (image[0] == 1).long())


def test_the_threshold_is_scale_by_255_by_pixels():
    """Two pixels join where they differ by less than the scale / 255."""
    image = torch.tensor([[[0.0, 0.1]]])
    assert graph_regions(image, 0.101 * 255, 1, blur=0).tolist() == [[0, 0]]
    assert graph_regions(image, 0.099 * 255, 1, blur=0).tolist() == [[0, 1]]


@pytest.mark.parametrize("smallest", [1, 5, 20])
def test_no_region_is_smaller_than_asked(smallest):
    counts = torch.bincount(graph_regions(pictures(3, 16, 16) / 4, 20, smallest).flatten())
    assert counts.min() >= smallest
    assert (counts.min() < 5) == (smallest == 1)
