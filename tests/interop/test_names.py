"""Names: both directions agree, and layouts change the numbers' places, never the function."""

import pytest
import torch
import torch.nn.functional as F

from unmask.interop.architecture import architecture_of
from unmask.interop.folder import weights
from unmask.interop.names import (
    MAE,
    NAMINGS,
    TIMM,
    TRANSFORMERS,
    as_convolution,
    as_linear,
    clean_names,
    naming_of,
    to_ours,
    to_theirs,
)
from unmask.parts.ops.patches import patchify


@pytest.mark.parametrize("channels", [1, 3, 13])
def test_the_patch_embedding_is_the_same_function_as_a_convolution(channels):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(5, 4 * 4 * channels, generator=generator)
    image = torch.randn(2, channels, 8, 12, generator=generator)
    convolved = F.conv2d(image, as_convolution(weight, 4), stride=4).flatten(2).transpose(1, 2)
    assert torch.allclose(convolved, patchify(image, 4) @ weight.T, atol=1e-4)  # sums of up to 208 products
    assert torch.equal(as_linear(as_convolution(weight, 4)), weight)


@pytest.mark.parametrize("naming", NAMINGS, ids=lambda naming: naming.kind)
def test_there_and_back_gives_the_same_weights(naming, new_method):
    method = new_method()
    ours = weights(method, encoder_only=naming is TIMM)
    theirs = to_theirs(ours, naming, architecture_of(method, encoder_only=naming is TIMM))
    assert theirs.keys() & ours.keys() <= {"decoder.mask_token"}
    assert naming_of(theirs) is naming
    back, unexpected = to_ours(theirs, naming)
    assert not unexpected
    assert back.keys() - ours.keys() <= {"encoder.positions.table", "decoder.positions.table"}
    assert all(torch.equal(back[name], value) for name, value in ours.items())


def test_query_key_and_value_are_the_thirds_of_one_matrix(new_method):
    method = new_method()
    ours = weights(method)
    theirs = to_theirs(ours, TRANSFORMERS, architecture_of(method))
    whole = ours["encoder.trunk.blocks.1.attention.qkv.weight"]
    for part, third in zip(("query", "key", "value"), whole.chunk(3), strict=True):
        assert torch.equal(theirs[f"vit.encoder.layer.1.attention.attention.{part}.weight"], third)


def test_the_position_of_a_class_token_is_added_to_the_token(new_method):
    method = new_method(positions="learned")
    theirs = to_theirs(weights(method, True), TIMM, architecture_of(method, True))
    assert theirs["pos_embed"].shape == (1, 17, 16)
    theirs["pos_embed"][0, 0] = 3.0
    ours, _ = to_ours(theirs, TIMM)
    assert torch.equal(ours["encoder.class_token"], method.encoder.class_token + 3.0)
    assert torch.equal(ours["encoder.positions.table"], method.encoder.positions.table)


def test_positions_without_a_row_for_the_class_token_are_taken_whole(new_method):
    method = new_method(positions="learned", image_size=(8, 12))
    theirs = to_theirs(weights(method, True), TIMM, architecture_of(method, True))
    theirs["pos_embed"] = theirs["pos_embed"][:, 1:]
    ours, _ = to_ours(theirs, TIMM, places=6)
    assert torch.equal(ours["encoder.positions.table"], method.encoder.positions.table)


def test_layer_scale_is_multiplied_in_where_it_has_no_place(new_method):
    method = new_method(layer_scale=0.5)
    ours = weights(method, True)
    theirs = to_theirs(ours, TRANSFORMERS, architecture_of(method, True))
    expected = (
        ours["encoder.trunk.blocks.0.attention.out.weight"] * ours["encoder.trunk.blocks.0.scale1.factor"][:, None]
    )
    assert torch.equal(theirs["vit.encoder.layer.0.attention.output.dense.weight"], expected)
    kept = to_theirs(ours, TIMM, architecture_of(method, True))
    assert torch.equal(kept["blocks.0.ls2.gamma"], ours["encoder.trunk.blocks.0.scale2.factor"])


def test_prefixes_of_wrappers_are_taken_off():
    tensor = torch.zeros(1)
    names = {"_orig_mod.module.blocks.0.norm1.weight", "module._orig_mod.cls_token", "decoder._orig_mod.embed.bias"}
    cleaned = clean_names(dict.fromkeys(names, tensor))
    assert set(cleaned) == {"blocks.0.norm1.weight", "cls_token", "decoder.embed.bias"}
    with pytest.raises(ValueError, match="same name"):
        clean_names({"module.norm.bias": tensor, "norm.bias": tensor})


def test_names_inside_a_name_are_not_mistaken():
    _, unexpected = to_ours(
        {
            "patch_embed.proj.weight": torch.zeros(4, 3, 2, 2),
            "norm.weight": torch.zeros(4),
            "pos_embed": torch.zeros(1, 5, 4),
            "teacher.norm.weight": torch.zeros(4),
            "blocks.0.norm1.weight.more": torch.zeros(4),
        },
        TIMM,
    )
    assert unexpected == ["teacher.norm.weight", "blocks.0.norm1.weight.more"]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"norm.weight": (4,), "pos_embed": (1, 5, 4)}, "lacks 'patch_embed.proj.weight'"),
        ({"patch_embed.proj.weight": (4, 3, 2, 2), "pos_embed": (1, 5, 4)}, "lacks 'norm.weight'"),
        ({"patch_embed.proj.weight": (4, 3, 2, 3), "norm.weight": (4,), "pos_embed": (1, 5, 4)}, "channels side side"),
        ({"patch_embed.proj.weight": (4, 3, 2, 2), "norm.weight": (4,), "pos_embed": (5, 4)}, r"\[1 places width\]"),
    ],
)
def test_files_without_a_whole_encoder_are_refused(tensors, message):
    with pytest.raises(ValueError, match=message):
        to_ours({name: torch.zeros(shape) for name, shape in tensors.items()}, TIMM)


@pytest.mark.parametrize("naming", [MAE, TRANSFORMERS], ids=lambda naming: naming.kind)
def test_what_a_library_cannot_hold_is_refused(naming, new_method):
    without = new_method(class_token=False)
    with pytest.raises(ValueError, match="needs a class token"):
        to_theirs(weights(without), naming, architecture_of(without))
    wide = new_method(image_size=(8, 16))
    with pytest.raises(ValueError, match="this one is 2x4"):
        to_theirs(weights(wide), naming, architecture_of(wide))
