"""To ONNX: onnxruntime alone gives our features for any number of pictures."""

import json

import numpy as np
import pytest

READER = """
import json, sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(f"{sys.argv[1]}/out/model.onnx", providers=["CPUExecutionProvider"])
known = np.load(f"{sys.argv[1]}/known.npz")
errors = []
for samples in (1, 2, 5):
    tokens, pooled = session.run(None, {"image": known["image"][:samples]})
    errors += [float(abs(got - known[name][:samples]).max()) for name, got in (("tokens", tokens), ("pooled", pooled))]
about = json.loads(session.get_modelmeta().custom_metadata_map["unmask"])
present = [name for name in ("torch", "unmask") if name in sys.modules]
print(json.dumps({"errors": errors, "present": present, "about": about}))
"""


@pytest.mark.slow
def test_onnxruntime_alone_gives_our_features(tmp_path, new_method, pictures_of, elsewhere, exporting):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    arguments = {"image_size": [8, 12], "channels": 5, "layer_scale": 0.5}
    exporting("onnx", tmp_path / "out", {"information": {"step": 3}}, arguments)
    method = new_method(**arguments | {"image_size": (8, 12)})
    image = pictures_of(method, 5)
    features = method.features({"image": image})
    known = {"image": image, "tokens": features.tokens.detach(), "pooled": features.pooled.detach()}
    np.savez(tmp_path / "known.npz", **{name: value.numpy() for name, value in known.items()})
    found = elsewhere(READER, tmp_path)
    assert not found["present"]
    assert max(found["errors"]) < 1e-5
    assert found["about"]["step"] == 3
    assert found["about"]["architecture"]["channels"] == 5
    assert json.loads((tmp_path / "out" / "config.json").read_text())["largest_relative_error"] < 1e-5
