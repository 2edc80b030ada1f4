"""To timm: the folder opens there, alone, and gives our features."""

import dataclasses
import json

import pytest
from safetensors.torch import save_file

from unmask.interop import timm as to_timm
from unmask.interop.architecture import Architecture, architecture_of
from unmask.parts.nets.vit import transformer_shape

SHAPES = {
    "plain": {},
    "wide_13_channels": {"image_size": (8, 12), "channels": 13},
    "scaled_patch_2": {"layer_scale": 0.5, "patch_size": 2, "image_size": 6},
    "no_class_token": {"class_token": False, "positions": "learned", "channels": 1},
}

READER = """
import json, sys
from pathlib import Path
import timm, torch
from safetensors.torch import load_file
errors = {}
for folder in sorted(Path(sys.argv[1]).iterdir()):
    model = timm.create_model(f"local-dir:{folder}/model", pretrained=True).eval()
    known = load_file(folder / "known.safetensors")
    with torch.no_grad():
        tokens, pooled = model.forward_features(known["image"])[:, model.num_prefix_tokens:], model(known["image"])
    errors[folder.name] = [float((tokens - known["tokens"]).abs().max()), float((pooled - known["pooled"]).abs().max())]
again = timm.create_model(
    "vit_base_patch16_224", checkpoint_path=f"{sys.argv[1]}/plain/model/model.safetensors", img_size=16, patch_size=4,
    embed_dim=16, depth=2, num_heads=2, num_classes=0, global_pool="avg", fc_norm=False).eval()
known = load_file(f"{sys.argv[1]}/plain/known.safetensors")
errors["by checkpoint"] = [float((again(known["image"]) - known["pooled"]).abs().max())]
head = timm.create_model(f"local-dir:{sys.argv[1]}/plain/model", pretrained=True, num_classes=5)
data = timm.data.resolve_model_data_config(head)
print(json.dumps({"errors": errors, "unmask": "unmask" in sys.modules, "head": list(head(known["image"]).shape),
                  "data": [data["input_size"], data["mean"], data["std"]]}))
"""


@pytest.mark.slow
def test_timm_alone_opens_exports_and_gives_our_features(tmp_path, new_method, pictures_of, elsewhere, card):
    pytest.importorskip("timm")
    for name, arguments in SHAPES.items():
        method = new_method(**arguments)
        image = pictures_of(method)
        features = method.features({"image": image})
        to_timm.export(method, tmp_path / name / "model", card if method.encoder.channels == 3 else None)
        known = {"image": image, "tokens": features.tokens.detach().contiguous(), "pooled": features.pooled.detach()}
        save_file(known, tmp_path / name / "known.safetensors")
    found = elsewhere(READER, tmp_path)
    assert not found["unmask"]
    assert set(found["errors"]) == {*SHAPES, "by checkpoint"}
    for name, errors in found["errors"].items():
        assert max(errors) < 1e-5, name  # another attention kernel may sum in another order
    assert found["head"] == [3, 5]
    assert found["data"][0] == [3, 16, 16]
    assert found["data"][1] == pytest.approx([120 / 255, 110 / 255, 100 / 255])
    assert found["data"][2] == pytest.approx([60 / 255, 50 / 255, 1 / 255])


def test_pictures_that_are_not_bytes_keep_their_units(new_method, card):
    deep = dataclasses.replace(card, dtype="uint16", mean=(9000.0, 1.0, 2.0))
    config = to_timm.configuration(architecture_of(new_method(), encoder_only=True), deep)
    assert config["pretrained_cfg"]["mean"] == [9000.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("model", "name"),
    [("vit_tiny", "vit_tiny_patch16_224"), ("vit_huge", "vit_huge_patch14_224"), ("20x1x2", "vit_base_patch16_224")],
)
def test_presets_keep_their_names_in_timm(model, name):
    sizes = Architecture(*transformer_shape(model), 16, 3, (14, 14), 196, True, False, False)
    assert to_timm.entry_point(sizes) == name


def test_the_configuration_is_json(tmp_path, new_method):
    to_timm.export(new_method(), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["model_args"]["num_heads"] == 2
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".safetensors"}
