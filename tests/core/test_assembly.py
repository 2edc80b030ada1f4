"""Settings become the arguments of a method and its parts: found by signature, checked, converted."""

import pytest
import torch

from unmask.core import Mask
from unmask.core.assembly import (
    Argument,
    arguments,
    arguments_of_part,
    assemble,
    parse,
    part_class,
    parts_of,
    read_settings,
)
from unmask.methods.mae import MAE
from unmask.methods.self_guided_mae import SelfGuidedMAE
from unmask.parts.masks.guided import GuidedMask
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT

SMALL = {"model": "16x2x2", "image_size": 16, "patch_size": 4, "decoder_width": 16, "decoder_depth": 1}


def test_arguments_of_encoder_and_mask_need_no_prefix_and_those_of_other_parts_have_it():
    found = arguments(SelfGuidedMAE)
    assert found["patch_size"].owner == "ViT"
    assert found["decoder_width"].owner == "TokenDecoder"
    assert found["layer"].owner == "GuidedMask"
    assert found["start_fraction"].owner == "Start"
    assert found["cut_side"].owner == "NormalisedCut"
    assert found["normalise"].owner == "SelfGuidedMAE"
    assert not {"encoder", "decoder", "mask", "encoder_patch_size", "decoder_encoder"} & set(found)


def test_defaults_are_those_of_the_signatures():
    found = arguments(MAE)
    assert (found["ratio"].default, found["image_size"].default, found["model"].default) == (0.75, 224, "vit_base")


def test_a_part_that_asks_for_the_encoder_gets_the_one_that_the_method_has():
    method = assemble(MAE, SMALL)
    assert isinstance(method.encoder, ViT)
    assert isinstance(method.decoder, TokenDecoder)
    tokens = torch.zeros(1, 17, 16)
    assert method.decoder(tokens, Mask.nothing(1, 16), (4, 4)).shape == (1, 16, 48)


def test_settings_reach_parts_of_parts():
    method = assemble(SelfGuidedMAE, {**SMALL, "start_fraction": 0.3, "ratio": 0.5, "refresh": "image"})
    assert isinstance(method.sampler, GuidedMask)
    assert (method.sampler.start.fraction, method.sampler.ratio, method.sampler.refresh) == (0.3, 0.5, "image")


def test_parts_that_nothing_is_said_of_keep_their_defaults():
    assert assemble(SelfGuidedMAE, SMALL).sampler.start.fraction == GuidedMask().start.fraction


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pacth_size", "did you mean patch_size"),
        ("decoder_widht", "did you mean decoder_width"),
        ("start_fractoin", "did you mean start_fraction"),
        ("encoder", "did you mean"),
        ("zzz", "known: "),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, words):
    with pytest.raises(ValueError, match=f"argument '{name}' is unknown; {words}"):
        assemble(SelfGuidedMAE, {name: 1})


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("8", int, 8),
        ("8", float, 8),
        ("0.5", float, 0.5),
        ("1e-3", float, 1e-3),
        (".5", float | None, 0.5),
        ("none", float | None, None),
        ("true", bool, True),
        ("False", bool, False),
        ("64,96", int | tuple[int, int], (64, 96)),
        ("64x96", int | tuple[int, int], (64, 96)),
        ("-2", int, -2),
        ("8", str, "8"),
        ("true", str, "true"),
        ("128x6x4", str, "128x6x4"),
        ("image", str, "image"),
    ],
)
def test_text_is_read_as_the_type_of_the_argument(text, kind, value):
    found = parse(text, Argument("x", kind, None, "f"))
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("8.5", int),
        ("big", int),
        ("1", bool),
        ("none", int),
        (8.5, int),
        (True, int),
        (1, bool),
        (None, int),
        ("a,b", tuple[int, int]),
        ((1.5, 2), int | tuple[int, int]),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(value, kind):
    with pytest.raises(ValueError, match="x="):
        parse(value, Argument("x", kind, 3, "f"))


def test_values_as_json_gives_them_back_are_accepted():
    assert read_settings(MAE, {"image_size": [16, 24], "ratio": 1}) == {"image_size": (16, 24), "ratio": 1}


def test_only_classes_of_the_library_are_parts():
    assert part_class(TokenDecoder | None) is TokenDecoder
    assert part_class(int | tuple[int, int]) is None
    assert part_class(str) is None


def test_a_part_is_known_by_its_name_and_its_settings():
    assert parts_of(MAE) == {"encoder": ViT, "decoder": TokenDecoder}
    assert "decoder_depth" in arguments_of_part(MAE, "decoder")
    assert "patch_size" in arguments_of_part(MAE, "encoder")
    assert not set(arguments_of_part(MAE, "decoder")) & set(arguments_of_part(MAE, "encoder"))
