"""To transformers: both folders open there, alone, and give our features, predictions and loss."""

import numpy as np
import pytest
from safetensors.torch import save_file

from unmask.core import Context
from unmask.interop import transformers as to_transformers
from unmask.parts.masks.random import random_mask

WHOLE = {"plain": {}, "plain_pixels": {"normalise": False}, "scaled_5_channels": {"layer_scale": 0.5, "channels": 5}}
ALONE = {"plain": {}, "wide_learned": {"image_size": (8, 12), "positions": "learned"}}

READER = """
import json, sys
from pathlib import Path
import torch, transformers
from safetensors.torch import load_file
errors = {}
def far(a, b):
    return float((a - b).abs().max())
with torch.no_grad():
    for folder in sorted(Path(sys.argv[1], "whole").iterdir()):
        known = load_file(folder / "known.safetensors")
        model = transformers.ViTMAEForPreTraining.from_pretrained(folder / "model").eval()
        said = model(known["image"], noise=known["noise"])
        errors[f"{folder.name} loss"] = far(said.loss, known["loss"])
        errors[f"{folder.name} prediction"] = far(said.logits, known["prediction"])
        errors[f"{folder.name} mask"] = far(said.mask, known["hidden"])
        encoder = transformers.ViTMAEModel.from_pretrained(folder / "model", mask_ratio=0.0).eval()
        places = torch.arange(known["noise"].shape[1]).expand_as(known["noise"])
        tokens = encoder(known["image"], noise=places).last_hidden_state[:, 1:]
        errors[f"{folder.name} tokens"] = far(tokens, known["tokens"])
    for folder in sorted(Path(sys.argv[1], "alone").iterdir()):
        known = load_file(folder / "known.safetensors")
        model = transformers.ViTModel.from_pretrained(folder / "model", add_pooling_layer=False).eval()
        errors[f"{folder.name} alone"] = far(model(known["image"]).last_hidden_state[:, 1:], known["tokens"])
processor = transformers.AutoImageProcessor.from_pretrained(Path(sys.argv[1], "whole", "plain", "model"))
import numpy as np
prepared = processor(np.load(Path(sys.argv[1], "raw.npy")), return_tensors="pt").pixel_values[0]
print(json.dumps({"errors": errors, "unmask": "unmask" in sys.modules, "prepared": prepared.tolist()}))
"""


@pytest.mark.slow
def test_transformers_alone_opens_exports_and_gives_our_numbers(tmp_path, new_method, pictures_of, elsewhere, card):
    pytest.importorskip("transformers")
    for kind, cases in (("whole", WHOLE), ("alone", ALONE)):
        for name, arguments in cases.items():
            method = new_method(**arguments)
            batch = {"image": pictures_of(method)}
            folder = tmp_path / kind / name
            fitting = card if method.encoder.channels == 3 else None
            to_transformers.export(method, folder / "model", fitting, encoder_only=kind == "alone")
            known = batch | {"tokens": method.features(batch).tokens.detach().contiguous()}
            if kind == "whole":
                noise = batch["image"].flatten(1)[:, :16].contiguous()
                mask = random_mask(noise, 0.5)
                known |= {
                    "noise": noise,
                    "loss": method.losses(batch, Context(), mask)["reconstruction"].detach(),
                    "prediction": method.predict(batch, mask).detach().contiguous(),
                    "hidden": mask.hidden.float(),
                }
            save_file(known, folder / "known.safetensors")
    raw = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "raw.npy", raw)
    found = elsewhere(READER, tmp_path)
    assert not found["unmask"]
    assert len(found["errors"]) == 4 * len(WHOLE) + len(ALONE)
    for name, error in found["errors"].items():
        assert error < 1e-5, name
    ours = card.standardise(raw).numpy()
    # 1e-3: the last channel is divided by 1/255, so float32's share of a value up to 255 is what remains
    assert np.allclose(found["prepared"], ours, rtol=1e-5, atol=1e-3)


def test_a_method_without_decoder_is_exported_alone_or_refused(tmp_path, new_method):
    encoder = new_method().encoder
    with pytest.raises(ValueError, match="encoder only"):
        to_transformers.export(encoder, tmp_path / "out")
    to_transformers.export(encoder, tmp_path / "out", encoder_only=True)


def test_what_transformers_cannot_hold_is_refused_and_nothing_written(tmp_path, new_method):
    with pytest.raises(ValueError, match="class token"):
        to_transformers.export(new_method(class_token=False), tmp_path / "out")
    with pytest.raises(ValueError, match="square"):
        to_transformers.export(new_method(image_size=(8, 16)), tmp_path / "out")
    assert not list(tmp_path.iterdir())
