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


JUNK = [None, True, -1, 0, 1 << 40, 0.5, "x", [], [1], [[2], {}], ["a", "b"], {}, {"a": 1}]


@pytest.mark.parametrize(
    "config", [OURS, THEIRS, {"architecture": "vit", "model_args": {"patch_size": 4, "img_size": 8}}]
)
def test_no_nonsense_in_a_configuration_is_believed_or_breaks_the_reader(config):
    def spoiled(content):
        for key, value in content.items():
            yield from ({**content, key: junk} for junk in JUNK)
            if isinstance(value, dict):
                yield from ({**content, key: inner} for inner in spoiled(value))

    for variant in spoiled(config):
        says = stated(variant)
        assert says.grid is None or says.grid[0] * says.grid[1] <= 1 << 18
        assert says.ratio is None or 0 < says.ratio < 1
        assert says.normalise in (None, True, False)


def test_a_stray_configuration_beside_another_file_is_not_taken(written, tmp_path):
    written("config.json", '{"hidden_size": 16}')
    assert read_configuration(tmp_path / "weights.safetensors", {}) == {}
    assert read_configuration(tmp_path / "model.safetensors", {}) == {"hidden_size": 16}
    assert read_configuration(tmp_path, {"unmask": '{"a": 1}'}) == {"hidden_size": 16, "unmask": {"a": 1}}
    with pytest.raises(ValueError, match="unreadable metadata"):
        read_configuration(tmp_path, {"unmask": "{"})
