"""Systems are found by file name, and their states computed from evidence."""

import json

import pytest

from unmask.app.catalogue import builder, card, claims_held, create, find, methods, recipe, slugs, source_hash, states
from unmask.families import MaskedAutoencoder
from unmask.methods.mae import MAE

PASSED, FAILED, NONE = {"passed": 2, "failed": 0}, {"passed": 2, "failed": 1}, {"passed": 0, "failed": 0}


def write(folder, slug="mae", source=None, works=PASSED, faithful=PASSED, claims=None):
    tests = {slug: {"source": source or source_hash(slug), "works": works, "faithful": faithful}}
    (folder / "tests.json").write_text(json.dumps(tests))
    if claims is not None:
        (folder / f"{slug}.json").write_text(json.dumps({"claims": [{"holds": holds} for holds in claims]}))


def test_a_system_is_its_file():
    assert {"mae", "self_guided_mae"} <= set(slugs())
    assert builder("mae") is MAE
    assert find("mae").__name__ == "unmask.methods.mae"
    assert card("mae").title == "MAE"
    assert recipe("mae").batch == 4096


def test_every_system_has_a_number_of_its_own_that_its_form_for_videos_shares():
    forms = {"hpm_bootstrap_video": "hpm_bootstrap"}
    numbers = [card(slug).id for slug in slugs() if slug not in forms]
    assert len(set(numbers)) == len(numbers)
    assert all(card(form).id == card(slug).id for form, slug in forms.items())


@pytest.mark.parametrize(
    ("name", "hint"), [("mea", "did you mean mae"), ("selfguided_mae", "did you mean self_guided_mae"), ("x", "lists")]
)
def test_an_unknown_system_is_refused_with_the_nearest(name, hint):
    with pytest.raises(ValueError, match=f"method '{name}' is unknown; .*{hint}"):
        find(name)


def test_a_system_is_made_from_plain_settings():
    method = create("mae", model="16x2x2", image_size=16, patch_size=4, ratio="0.5")
    assert isinstance(method, MaskedAutoencoder)
    assert method.sampler.ratio == 0.5


def test_without_evidence_nothing_holds(tmp_path):
    assert states("mae", tmp_path) == {"works": False, "faithful": False, "proven": False}


def test_states_follow_tests_and_claims(tmp_path):
    write(tmp_path, claims=[True, True])
    assert states("mae", tmp_path) == {"works": True, "faithful": True, "proven": True}
    write(tmp_path, works=FAILED, faithful=NONE, claims=[True, False])
    assert states("mae", tmp_path) == {"works": False, "faithful": False, "proven": False}


def test_a_proof_that_shows_some_claims_is_told_from_none(tmp_path):
    assert claims_held("mae", tmp_path) == "-"
    write(tmp_path, claims=[True, False, True])
    assert claims_held("mae", tmp_path) == "2/3"


def test_a_changed_system_has_to_be_tested_again(tmp_path):
    write(tmp_path, source="0" * 16)
    assert not states("mae", tmp_path)["works"]


def test_a_proof_without_claims_proves_nothing(tmp_path):
    write(tmp_path, claims=[])
    assert not states("mae", tmp_path)["proven"]


def test_one_system_is_shown_with_everything_that_can_be_set(tmp_path):
    found = methods("self_guided_mae")
    assert found["arguments"]["start_fraction"] == {"default": 0.125, "of": "Start"}
    assert "New here" in found["about"]
    assert set(found["evidence"]) == {"tests", "proof"}
    json.dumps(found)
