"""Sizes: read alike from a method and from a file's tensors, and compared in words."""

import dataclasses

import pytest
import torch

from unmask.interop.architecture import architecture_from, architecture_of, decoder_of, encoder_of
from unmask.interop.folder import weights


@pytest.mark.parametrize(
    "arguments", [{}, {"channels": 5, "patch_size": 2}, {"class_token": False, "layer_scale": 0.1}]
)
def test_a_file_s_tensors_imply_the_sizes_of_the_method(arguments, new_method):
    method = new_method(**arguments)
    expected = architecture_of(method)
    found = architecture_from(
        weights(method),
        method.encoder.patch_size,
        method.encoder.grid,
        heads=2,
        decoder_heads=2,
        learned_positions=False,
    )
    assert found == expected


def test_differences_name_both_values(new_method):
    here = architecture_of(new_method(channels=13))
    file = dataclasses.replace(architecture_of(new_method(image_size=(8, 16))), class_token=False, heads=None)
    assert file.differences(here, ignore=["outputs"]) == [
        "channels 3 in the file, 13 here",
        "grid 2x4 in the file, 4x4 here",
        "places 8 in the file, 16 here",
        "class token no in the file, yes here",
    ]


def test_a_grid_that_contradicts_the_positions_is_refused(new_method):
    tensors = weights(new_method(positions="learned"))
    with pytest.raises(ValueError, match="grid of 3x5, but there are positions for 16 places"):
        architecture_from(tensors, 4, (3, 5))


def test_wrappers_are_looked_through(new_method):
    method = new_method()
    encoder, decoder = method.encoder, method.decoder
    method.encoder, method.decoder = torch.compile(encoder), torch.compile(decoder)
    assert encoder_of(torch.compile(method)) is encoder
    assert decoder_of(method) is decoder
    assert encoder_of(encoder) is encoder
    assert decoder_of(encoder) is None
