"""Releases of authors: read in their own names, they give the numbers that the released code gave.

released_shapes.json was made by asking the released networks, unchanged and of small sizes, for their `state_dict`.
"""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from formulas import formula_image, formula_noise, formula_weights, recorded
from unmask.app.training import begin_with
from unmask.core import Context
from unmask.interop.released import load_released
from unmask.methods.cross_mae import CrossMAE
from unmask.methods.dmjd import DMJD
from unmask.methods.hpm import HPM
from unmask.methods.mae import MAE
from unmask.methods.mfm import MFM
from unmask.parts.masks.corruption import Corruption
from unmask.parts.masks.partial import partial_mask
from unmask.parts.nets.backbone import Backbone
from unmask.parts.nets.cross_decoder import CrossDecoder
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.patches import unpatchify
from unmask.parts.ops.positions import sincos_grid

SHAPES = recorded(__file__, "released_shapes.json")


def tensors_of(name: str, grid: tuple[int, int], learned: bool = False) -> dict[str, torch.Tensor]:
    """The formulas' numbers, and fixed positions, under the names of a release."""
    shapes = SHAPES[name]["shapes"]
    trained = {n: shape for n, shape in shapes.items() if learned or not n.endswith("pos_embed")}
    found = formula_weights(trained)
    for n in shapes.keys() - trained.keys():
        table = sincos_grid(grid, shapes[n][2])
        found[n] = torch.cat([table.new_zeros(1, shapes[n][2]), table])[None]
    return found


def written(path, tensors):
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    return path


def hpm(size: int = 24) -> HPM:
    encoder = ViT("16x2x2", size, 4)
    return HPM(encoder, TokenDecoder(encoder, 8, 2, 2))


@pytest.mark.faithful("hpm")
def test_hpm_s_release_predicts_the_losses_that_it_predicted(tmp_path):
    method, case = hpm(), recorded(__file__, "../methods/hpm_reference.json")["cases"][0]
    loaded = load_released(method, written(tmp_path / "a.safetensors", tensors_of("hpm", (6, 6))))
    assert loaded.kind == "Haochen-Wang409/HPM"
    found = method.predicted_losses({"image": formula_image(2, 24)})  # by the slow copy
    torch.testing.assert_close(found, torch.tensor(case["predicted_losses"]), atol=1e-5, rtol=1e-5)
    assert "the slow copy begins equal to the network" in loaded.to_text()


@pytest.mark.faithful("cross_mae")
@pytest.mark.parametrize("self_attention", [False, True])
def test_cross_mae_s_release_has_the_loss_that_it_had(tmp_path, self_attention):
    cases = recorded(__file__, "../methods/cross_mae_reference.json")["cases"]
    case = next(c for c in cases if c["weight_fm"] and c["self_attn"] == self_attention and c["predicted"] == 0.25)
    encoder = ViT("32x3x4", 32, 8)
    method = CrossMAE(encoder, CrossDecoder(encoder, 16, 2, 2, self_attention=self_attention)).eval()
    name = "cross_mae, self-attention" if self_attention else "cross_mae"
    load_released(method, written(tmp_path / "a.safetensors", tensors_of(name, (4, 4))))
    mask = partial_mask(formula_noise(3, 16), case["ratio"], case["predicted"])
    loss = method.losses({"image": formula_image(3, 32)}, Context(), mask)["reconstruction"]
    assert loss.item() == pytest.approx(case["loss"], rel=0, abs=1e-5)


@pytest.mark.faithful("mfm")
def test_mfm_s_release_restores_pictures_as_its_convolution_and_shuffle_do(tmp_path):
    method = MFM(Backbone("32x2x4", 32, 8, positions="learned"), Corruption(radius=3)).eval()
    theirs = tensors_of("mfm", (4, 4), learned=True)
    assert set(theirs) == set(recorded(__file__, "../methods/mfm_reference.json")["cases"][0]["shapes"])
    load_released(method, written(tmp_path / "a.safetensors", theirs))
    tokens = torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(0))
    grid = tokens.transpose(1, 2).unflatten(2, (4, 4))
    wanted = F.pixel_shuffle(F.conv2d(grid, theirs["decoder.0.weight"], theirs["decoder.0.bias"]), 8)
    torch.testing.assert_close(unpatchify(method.head(tokens), (4, 4), 8), wanted, atol=1e-5, rtol=1e-5)
    bias = method.encoder.trunk.blocks[1].attention.qkv.bias
    assert torch.equal(bias[:32], theirs["encoder.blocks.1.attn.q_bias"])
    assert torch.equal(bias[32:64], torch.zeros(32))
    assert torch.equal(method.encoder.positions.table, theirs["encoder.pos_embed"][0, 1:])
    token = theirs["encoder.cls_token"] + theirs["encoder.pos_embed"][:, :1]
    assert torch.equal(method.encoder.class_token, token)


def test_training_begins_with_a_release(tmp_path):
    path = written(tmp_path / "a.safetensors", tensors_of("hpm", (6, 6)))
    assert "tensors taken from a checkpoint of Haochen-Wang409/HPM" in begin_with(hpm(), path)


def test_other_methods_and_files_are_left_to_the_usual_names(tmp_path):
    path = written(tmp_path / "a.safetensors", tensors_of("hpm", (6, 6)))
    assert load_released(MAE(ViT("16x2x2", 24, 4)), path) is None
    assert load_released(hpm(), written(tmp_path / "b.safetensors", {"x": torch.zeros(1)})) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decoder_pred.bias": None}, "lacks 1 tensors of this model, such as decoder.head.bias"),
        ({"strange": torch.zeros(2)}, "holds 1 tensors that this model does not have, such as strange"),
        ({"decoder_pred.bias": torch.zeros(3)}, r"decoder\.head\.bias of shape \(3,\); here it is \(48,\)"),
        ({"pos_embed": torch.zeros(1, 17, 16)}, r"has positions \(17, 16\) in its encoder|has positions \(16, 16\)"),
        ({"pos_embed": torch.zeros(1, 37, 16)}, "not sines and cosines"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path, change, words):
    tensors = {n: v for n, v in {**tensors_of("hpm", (6, 6)), **change}.items() if v is not None}
    method = hpm()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    with pytest.raises(ValueError, match=words):
        load_released(method, written(tmp_path / "a.safetensors", tensors))
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_the_release_of_dmjd_is_of_another_encoder(tmp_path):
    path = written(tmp_path / "a.safetensors", {"patch_embed1.proj.weight": torch.zeros(8, 3, 4, 4)})
    encoder = ViT("16x1x2", 16, 4)
    with pytest.raises(ValueError, match="an encoder of three stages, two convolutional; only a vision transformer"):
        load_released(DMJD(encoder, TokenDecoder(encoder, 8, 1, 2)), path)
