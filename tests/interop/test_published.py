"""Checkpoints in: everything fits and gives the same numbers, or is refused with both values."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from unmask.interop import timm, transformers
from unmask.interop import torch as plain
from unmask.interop.folder import weights
from unmask.interop.published import build, load_into, read_published

WAYS = {
    "timm": (timm.export, {}),
    "transformers": (transformers.export, {}),
    "transformers encoder": (transformers.export, {"encoder_only": True}),
    "torch": (plain.export, {}),
    "torch encoder": (plain.export, {"encoder_only": True}),
    "released names": (plain.export, {"names": "facebookresearch/mae"}),
}


@pytest.fixture(params=WAYS)
def way(request):
    export, arguments = WAYS[request.param]
    return request.param, lambda method, folder, card=None: export(method, folder, card, **arguments)


def features(method, image):
    with torch.no_grad():
        return method.features({"image": image})


@pytest.mark.parametrize("positions", ["sincos", "learned"])
def test_what_was_exported_loads_back_with_the_same_features(tmp_path, new_method, pictures_of, way, positions):
    method, other = new_method(positions=positions), new_method(seed=9, positions=positions)
    image = pictures_of(method)
    way[1](method, tmp_path / "out")
    assert not torch.allclose(features(other, image).tokens, features(method, image).tokens, atol=0.1)
    loaded = load_into(other, tmp_path / "out")
    assert torch.equal(features(other, image).tokens, features(method, image).tokens)
    assert not loaded.unexpected
    with_decoder = way[0] in ("transformers", "torch", "released names")
    assert bool(loaded.missing) is not with_decoder
    assert ("the decoder is new" in loaded.to_text()) is not with_decoder
    same = [torch.equal(value, weights(method)[name]) for name, value in weights(other).items() if "decoder" in name]
    assert all(same) is with_decoder


def test_a_new_method_is_built_from_what_the_file_says(tmp_path, new_method, pictures_of, way, card):
    method = new_method(layer_scale=0.5, normalise=False)
    image = pictures_of(method)
    way[1](method, tmp_path / "out", card)
    built, _ = build(tmp_path / "out")
    # 1e-5: a LayerScale that was multiplied into the weights rounds once more
    assert torch.allclose(features(built.eval(), image).tokens, features(method, image).tokens, atol=1e-5)
    if "encoder" not in way[0] and way[0] != "timm":
        assert built.sampler.ratio == 0.5
        assert built.target.normalise is False


@pytest.mark.parametrize(
    "arguments",
    [
        {"image_size": (8, 12), "channels": 13},
        {"class_token": False, "image_size": (12, 8)},
        {"positions": "learned", "image_size": (8, 32), "patch_size": 2},
    ],
)
def test_unusual_encoders_survive_timm_and_torch(tmp_path, new_method, pictures_of, arguments):
    method = new_method(**arguments)
    image = pictures_of(method)
    for name, export in (("timm", timm.export), ("torch", plain.export)):
        export(method, tmp_path / name)
        built, _ = build(tmp_path / name)
        assert torch.equal(features(built.eval(), image).tokens, features(method, image).tokens)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 24}, r"grid 4x4 in the file, 6x6 here.*resize=True"),
        ({"channels": 13}, "channels 3 in the file, 13 here"),
        ({"patch_size": 2, "image_size": 8}, "patch size 4 in the file, 2 here"),
        ({"class_token": False}, "class token yes in the file, no here"),
        ({"layer_scale": 0.1}, "layer scale no in the file, yes here"),
        ({"model": "16x3x2"}, "depth 2 in the file, 3 here"),
        ({"model": "32x2x2"}, "width 16 in the file, 32 here"),
    ],
)
def test_another_size_is_refused_with_both_values_and_changes_nothing(tmp_path, way, new_method, arguments, message):
    way[1](new_method(), tmp_path / "out")
    other = new_method(seed=3, **arguments)
    before = {name: value.clone() for name, value in weights(other).items()}
    with pytest.raises(ValueError, match=message):
        load_into(other, tmp_path / "out")
    assert all(torch.equal(value, before[name]) for name, value in weights(other).items())


def test_other_heads_are_noticed_although_the_tensors_fit(tmp_path, new_method):
    plain.export(new_method(), tmp_path / "out")
    with pytest.raises(ValueError, match="heads 2 in the file, 4 here"):
        load_into(new_method(model="16x2x4"), tmp_path / "out")


@pytest.mark.parametrize("positions", ["sincos", "learned"])
def test_another_grid_is_accepted_on_request(tmp_path, new_method, way, positions):
    method, other = new_method(positions=positions), new_method(seed=3, positions=positions, image_size=(24, 8))
    way[1](method, tmp_path / "out")
    load_into(other, tmp_path / "out", resize=True)
    image = torch.randn(2, 3, 24, 8, generator=torch.Generator().manual_seed(0))
    # 1e-5: the network interpolates its learned positions itself where the picture has another grid
    assert torch.allclose(features(other, image).tokens, features(method, image).tokens, atol=1e-5)


def test_learned_positions_do_not_silently_become_fixed_ones(tmp_path, new_method):
    timm.export(new_method(positions="learned"), tmp_path / "out")
    with pytest.raises(ValueError, match="positions='learned'"):
        load_into(new_method(), tmp_path / "out")


def test_fixed_positions_can_start_learned_ones(tmp_path, new_method, pictures_of, way):
    method, other = new_method(), new_method(seed=3, positions="learned")
    way[1](method, tmp_path / "out")
    load_into(other, tmp_path / "out")
    image = pictures_of(method)
    assert torch.allclose(features(other, image).tokens, features(method, image).tokens, atol=1e-6)


def test_the_encoder_alone_is_taken_on_request(tmp_path, new_method):
    method, other = new_method(), new_method(seed=3)
    before = {name: value.clone() for name, value in weights(other).items()}
    plain.export(method, tmp_path / "out")
    loaded = load_into(other, tmp_path / "out", encoder_only=True)
    assert not any(name.startswith("decoder") for name in loaded.taken)
    for name, value in weights(other).items():
        assert torch.equal(value, before[name] if name.startswith("decoder") else weights(method)[name])


def test_channels_are_brought_into_order_by_name(tmp_path, new_method, pictures_of, card):
    method, other = new_method(), new_method(seed=3)
    timm.export(method, tmp_path / "out", card)
    loaded = load_into(other, tmp_path / "out", channels=("blue", "red", "green"))
    image = pictures_of(method)
    # 1e-5: the same products are summed in another order
    assert torch.allclose(features(other, image[:, [2, 0, 1]]).tokens, features(method, image).tokens, atol=1e-5)
    assert "order blue, red, green" in loaded.to_text()
    with pytest.raises(ValueError, match="red, green, blue; here are nir, red, green"):
        load_into(other, tmp_path / "out", channels=("nir", "red", "green"))


def rewrite(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def test_half_precision_and_wrappers_prefixes_are_understood(tmp_path, new_method):
    method, other = new_method(), new_method(seed=3)
    plain.export(method, tmp_path / "out", names="facebookresearch/mae")
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    half = {f"_orig_mod.module.{name}": value.bfloat16() for name, value in tensors.items()}
    save_file(half, tmp_path / "half.safetensors")
    load_into(other, tmp_path / "half.safetensors")
    for name, value in weights(other).items():
        assert torch.equal(value, weights(method)[name].bfloat16().float())


def test_heads_of_a_classifier_are_left_out_and_named(tmp_path, new_method):
    timm.export(new_method(), tmp_path / "out")
    rewrite(tmp_path / "out", lambda tensors: tensors.update({"head.weight": torch.zeros(5, 16)}))
    assert load_into(new_method(), tmp_path / "out").unexpected == ("head.weight",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update({"reg_token": torch.zeros(1, 4, 16)}), "does not have, such as reg_token"),
        (
            lambda t: t.pop("blocks.1.norm2.bias"),
            "lacks 1 tensors of the encoder, such as encoder.trunk.blocks.1.norm2",
        ),
        (lambda t: t.update({"blocks.0.mlp.fc1.bias": torch.zeros(63)}), r"of shape \(63,\); here it is \(64,\)"),
        (lambda t: t.pop("norm.weight"), "lacks 'norm.weight'"),
    ],
)
def test_files_that_would_change_the_function_are_refused(tmp_path, new_method, change, message):
    timm.export(new_method(), tmp_path / "out")
    rewrite(tmp_path / "out", change)
    with pytest.raises(ValueError, match=message):
        load_into(new_method(), tmp_path / "out")


def test_files_of_other_networks_are_refused_by_name(tmp_path):
    save_file({"conv1.weight": torch.zeros(3)}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=r"no known kind.*conv1.weight.*facebookresearch/mae"):
        read_published(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", ["encoder.pt2", "model.onnx"])
def test_programs_are_never_loaded(written, new_method, name):
    with pytest.raises(ValueError, match="never loaded"):
        load_into(new_method(), written(name, b"x"))


def test_reading_gives_kind_tensors_and_configuration(tmp_path, new_method, card):
    transformers.export(new_method(), tmp_path / "out", card)
    kind, tensors, config = read_published(tmp_path / "out")
    assert kind == "transformers"
    assert tensors["vit.embeddings.cls_token"].shape == (1, 1, 16)
    assert config["hidden_size"] == 16
    assert config["unmask"]["normalisation"]["channels"] == ["red", "green", "blue"]
