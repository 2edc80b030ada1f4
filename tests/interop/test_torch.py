"""To plain torch: the file is enough to compute our features with nothing but torch."""

import pytest
from safetensors.torch import load_file, save_file

from unmask.interop import torch as to_torch
from unmask.interop.folder import weights

READER = """
import json, sys
import torch, torch.nn.functional as F
from safetensors.torch import load_file
folder = sys.argv[1]
w, known = load_file(f"{folder}/out/model.safetensors"), load_file(f"{folder}/known.safetensors")
sizes = json.load(open(f"{folder}/out/config.json"))["unmask"]["architecture"]
p, d, h = sizes["patch_size"], sizes["width"], sizes["heads"]

def linear(x, name):
    return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

def norm(x, name):
    return F.layer_norm(x, (d,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)

x = F.unfold(known["image"], p, stride=p).transpose(1, 2)
x = x.unflatten(2, (-1, p * p)).transpose(2, 3).flatten(2)
x = linear(x, "encoder.embed") + w["encoder.positions.table"]
x = torch.cat([w["encoder.class_token"].expand(len(x), 1, d), x], 1)
for i in range(sizes["depth"]):
    b = f"encoder.trunk.blocks.{i}"
    q, k, v = linear(norm(x, f"{b}.norm1"), f"{b}.attention.qkv").unflatten(2, (3, h, d // h)).permute(2, 0, 3, 1, 4)
    mixed = (q @ k.transpose(-2, -1) / (d // h) ** 0.5).softmax(-1) @ v
    x = x + linear(mixed.transpose(1, 2).flatten(2), f"{b}.attention.out") * w[f"{b}.scale1.factor"]
    x = x + linear(F.gelu(linear(norm(x, f"{b}.norm2"), f"{b}.mlp.0")), f"{b}.mlp.2") * w[f"{b}.scale2.factor"]
tokens = norm(x, "encoder.trunk.norm")[:, 1:]
errors = [float((tokens - known["tokens"]).abs().max())]
program = torch.export.load(f"{folder}/out/encoder.pt2").module()
for samples in (1, 3):
    got, pooled = program(known["image"][:samples])
    pairs = (("tokens", got), ("pooled", pooled))
    errors += [float((value - known[name][:samples]).abs().max()) for name, value in pairs]
print(json.dumps({"errors": errors, "unmask": "unmask" in sys.modules}))
"""


@pytest.mark.slow
def test_torch_alone_gives_our_features_from_file_and_program(tmp_path, new_method, pictures_of, elsewhere, exporting):
    arguments = {"positions": "learned", "layer_scale": 0.5, "channels": 2}
    exporting("torch", tmp_path / "out", {"program": True}, arguments)
    method = new_method(**arguments)
    image = pictures_of(method)
    features = method.features({"image": image})
    known = {"image": image, "tokens": features.tokens.detach().contiguous(), "pooled": features.pooled.detach()}
    save_file(known, tmp_path / "known.safetensors")
    found = elsewhere(READER, tmp_path)
    assert not found["unmask"]
    assert max(found["errors"]) < 1e-5


@pytest.mark.parametrize("encoder_only", [False, True])
def test_the_decoder_is_there_unless_only_the_encoder_is_wanted(tmp_path, new_method, encoder_only):
    method = new_method()
    to_torch.export(method, tmp_path / "out", encoder_only=encoder_only)
    assert set(load_file(tmp_path / "out" / "model.safetensors")) == set(weights(method, encoder_only))


def test_the_names_of_the_released_code_can_be_asked_for(tmp_path, new_method):
    to_torch.export(new_method(), tmp_path / "out", names="facebookresearch/mae")
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    assert tensors["decoder_pos_embed"].shape == (1, 17, 8)
    assert tensors["patch_embed.proj.weight"].shape == (16, 3, 4, 4)
    with pytest.raises(ValueError, match="names 'mine' are unknown"):
        to_torch.export(new_method(), tmp_path / "other", names="mine")
