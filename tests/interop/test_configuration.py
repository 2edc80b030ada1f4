"""Configurations of four libraries state the same few facts."""

import pytest

from unmask.interop.configuration import read_configuration, stated

OURS = {
    "unmask": {
        "architecture": {"grid": [2, 3], "patch_size": 4, "heads": 2, "decoder_heads": 1},
        "masking": {"ratio": 0.6, "normalised_targets": False},
        "normalisation": {"channels": ["a", "b"]},
    }
}
THEIRS = {
    "hidden_size": 16,
    "image_size": [8, 12],
    "patch_size": 4,
    "num_attention_heads": 2,
    "decoder_num_attention_heads": 1,
    "mask_ratio": 0.6,
    "norm_pix_loss": False,
}


def test_ours_and_transformers_agree():
    assert stated(OURS)._replace(channels=None) == stated(THEIRS)
    assert stated(OURS).channels == ("a", "b")
    assert stated(THEIRS | {"image_size": 8}).grid == (2, 2)


def test_timm_s_arguments_override_its_name():
    config = {"architecture": "vit_base_patch16_224", "pretrained_cfg": {"input_size": [3, 224, 224]}}
    assert stated(config).grid == (14, 14)
    assert stated(config | {"model_args": {"patch_size": 8, "img_size": 64, "num_heads": 4}})[:3] == ((8, 8), 8, 4)
    assert stated({"architecture": "vit_base_patch32_384"}).grid == (12, 12)


def test_mae_s_training_arguments_are_understood():
    arguments = {"model": "mae_vit_huge_patch14", "input_size": 224, "mask_ratio": 0.75, "norm_pix_loss": True}
    says = stated({"arguments": arguments})
    assert (says.grid, says.ratio, says.normalise) == ((16, 16), 0.75, True)


@pytest.mark.parametrize(
    "config", [{}, {"hidden_size": 16}, {"unmask": {}}, {"hidden_size": 1, "image_size": "x", "patch_size": -4}]
)
def test_what_is_not_stated_is_none(config):
    assert stated(config).grid is None
    assert stated(config).heads is None


def test_a_stray_configuration_beside_another_file_is_not_taken(written, tmp_path):
    written("config.json", '{"hidden_size": 16}')
    assert read_configuration(tmp_path / "weights.safetensors", {}) == {}
    assert read_configuration(tmp_path / "model.safetensors", {}) == {"hidden_size": 16}
    assert read_configuration(tmp_path, {"unmask": '{"a": 1}'}) == {"hidden_size": 16, "unmask": {"a": 1}}
    with pytest.raises(ValueError, match="unreadable metadata"):
        read_configuration(tmp_path, {"unmask": "{"})
