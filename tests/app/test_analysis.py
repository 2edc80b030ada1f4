"""The analysis of a whole method: every metric at every layer, plots, notes."""

import json
import math

import pytest
import torch

from unmask.app.analysis import analyse, crossing_step, measure, summary
from unmask.app.analysis_pictures import match_labels, picture_clusters, stretched
from unmask.app.analysis_plots import exploitation
from unmask.core import Mask, Method
from unmask.methods.mae import MAE
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT

PLOTS = ("relations", "clusters", "gap", "divergence", "exploitation", "attention", "fourier", "variances")


def method(seed: int = 0, **arguments):
    torch.manual_seed(seed)
    encoder = ViT("16x2x2", image_size=(16, 24), patch_size=4, **arguments)
    return MAE(encoder, TokenDecoder(encoder, width=16, depth=3, heads=2))


def pictures(count: int = 5, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    return [{"image": torch.randn(count, 3, 16, 24, generator=torch.Generator().manual_seed(seed))}]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Three checkpoints, the last being the method itself."""
    out = tmp_path_factory.mktemp("course")
    last = method(2).train()

    def never():
        raise AssertionError("the last checkpoint is the method itself")

    findings = analyse(last, pictures(), [(0, lambda: method(0)), (10, lambda: method(1)), (20, never)], out)
    return last, findings, out


def test_every_metric_has_one_finite_number_per_layer(course):
    _, findings, _ = course
    for name, depth in (("encoder", 2), ("decoder", 3)):
        for key, values in findings[name].items():
            if key not in ("spread", "amplitude", "distance_heads"):
                assert len(values) == depth, key
                assert all(v is not None and math.isfinite(v) for v in values), key
    assert [point["step"] for point in findings["training"]] == [0, 10, 20]


def test_the_report_is_what_was_returned_and_all_plots_are_there(course):
    _, findings, out = course
    assert json.loads((out / "analysis.json").read_text()) == findings
    assert set(findings["plots"]) == set(PLOTS)
    for name in findings["plots"].values():
        assert (out / name).read_bytes().startswith(b"\x89PNG"), name


def test_the_divergence_is_zero_at_the_last_checkpoint_and_positive_before(course):
    _, findings, _ = course
    for name in ("encoder", "decoder"):
        assert findings["training"][-1][name]["divergence_to_final"] == [0.0] * len(findings[name]["distance"])
        assert min(findings["training"][0][name]["divergence_to_final"]) > 0


def test_own_and_final_cut_are_the_same_for_the_final_network(course):
    _, findings, _ = course
    assert findings["encoder"]["gap_similarity"] == findings["encoder"]["gap_similarity_final_cut"]
    assert (
        findings["training"][0]["encoder"]["gap_similarity"]
        != (findings["training"][0]["encoder"]["gap_similarity_final_cut"])
    )


def test_shares_of_exploitation_add_to_one_at_every_layer(course):
    _, findings, _ = course
    keys = ("from_visible", "from_hidden", "from_prefix")
    for shares in zip(*(findings["decoder"][key] for key in keys), strict=True):
        assert sum(shares) == pytest.approx(1, abs=1e-6)  # float32 rounding


def test_the_method_is_left_in_training_mode_without_gradients(course):
    last, _, _ = course
    assert last.training
    assert all(p.grad is None for p in last.parameters())


def test_numbers_do_not_depend_on_how_pictures_are_batched():
    whole = measure(method(), pictures(20), images=18)
    image = pictures(20)[0]["image"]
    parts = measure(method(), [{"image": image[:7]}, {"image": image[7:]}], images=18)
    assert whole["images"] == parts["images"] == 18
    for name in ("encoder", "decoder"):
        assert parts[name]["distance"] == pytest.approx(whole[name]["distance"], rel=1e-5)
        assert parts[name]["feature_variance"] == pytest.approx(whole[name]["feature_variance"], rel=1e-5)
    assert parts["decoder"]["from_hidden"] == pytest.approx(whole["decoder"]["from_hidden"], rel=1e-5)


def test_one_checkpoint_is_said_to_be_a_single_point():
    findings = measure(method(), pictures(), images=3)
    assert "single point" in findings["notes"][0]
    assert len(findings["training"]) == 1
    assert "single point" in summary(findings)


def test_a_network_without_class_token_is_analysed_on_its_places():
    findings = measure(method(class_token=False), pictures())
    assert findings["decoder"]["from_prefix"] == [0.0] * 3


def test_a_method_without_decoder_gets_the_encoder_alone_and_a_note(tmp_path):
    class Bare(Method):
        def __init__(self):
            super().__init__()
            self.encoder = method().encoder

    findings = analyse(Bare(), pictures(), out=tmp_path)
    assert findings["decoder"] is None
    assert "exploitation" not in findings["plots"]
    assert any("no decoder" in note for note in findings["notes"])


def test_a_method_without_tokens_is_refused():
    with pytest.raises(TypeError, match="tokens"):
        measure(Method(), pictures())


def test_no_pictures_are_refused():
    with pytest.raises(ValueError, match="no pictures"):
        measure(method(), [])


def test_patches_that_are_all_padding_are_refused():
    batch = pictures()[0] | {"image_valid": torch.arange(24).expand(5, 16, 24) < 16}
    with pytest.raises(ValueError, match="padding"):
        measure(method(), [batch])


def test_mask_tokens_overtake_only_after_visible_places_have_led():
    def point(step, hidden):
        return {"step": step, "decoder": {"from_hidden": [0.0, hidden], "from_visible": [1.0, 1 - hidden]}}

    assert crossing_step([point(0, 0.75), point(10, 0.6)]) is None  # ahead from the start: nothing was overtaken
    assert crossing_step([point(0, 0.75), point(10, 0.4), point(20, 0.3)]) is None
    assert crossing_step([point(0, 0.75), point(10, 0.4), point(20, 0.6), point(30, 0.4)]) == 20


def test_clusters_of_planted_tokens_are_found_and_numbered_by_size():
    labels = torch.tensor([2, 2, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2])
    noise = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
    found = picture_clusters((torch.eye(6)[labels] + 0.02 * noise).unsqueeze(0))[0]
    assert torch.equal(found, labels)


def test_matched_labels_keep_the_clusters_and_take_the_numbers_of_the_reference():
    reference = torch.tensor([0, 0, 0, 1, 1, 2])
    labels = torch.tensor([1, 1, 1, 0, 0, 0])
    assert torch.equal(match_labels(labels, reference), torch.tensor([0, 0, 0, 1, 1, 1]))


@pytest.mark.parametrize(("channels", "shown"), [(1, 1), (2, 1), (3, 3), (5, 3)])
def test_pictures_without_a_card_fill_their_range(channels, shown):
    image = torch.randn(2, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    drawn = stretched(image)(image)
    assert drawn.shape == (2, 3, 4, 4)
    assert (drawn.min().item(), drawn.max().item()) == pytest.approx((0, 1), abs=1e-6)  # float32 rounding
    low = image[:, :shown].min()
    torch.testing.assert_close(drawn[:, 0], (image[:, 0] - low) / (image[:, :shown].max() - low), atol=1e-6, rtol=0)


def test_a_mask_that_hides_nothing_leaves_the_decoder_without_mask_tokens():
    trained, batch = method().eval(), pictures()[0]
    with torch.no_grad():
        before = trained.predict(batch, Mask.nothing(5, 24))
        trained.decoder.mask_token.add_(1.0)
        assert torch.equal(trained.predict(batch, Mask.nothing(5, 24)), before)


def test_the_crossing_is_marked_in_the_plot_of_exploitation(course):
    _, findings, _ = course
    without, marked = (exploitation(findings | {"crossing": step}).axes[0] for step in (None, 10))
    assert not without.texts
    assert marked.texts[0].get_text() == "mask tokens overtake"
