"""Every method names a kind of data that the verbs know."""

import pkgutil

import pytest

import unmask.app.modalities as package
from unmask.app.catalogue import card, complete, slugs
from unmask.app.modality import Modality, modality, modality_of

KINDS = [module.name for module in pkgutil.iter_modules(package.__path__)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_data_offers_all_that_is_asked_of_it(kind):
    assert isinstance(modality(kind), Modality)


def test_every_method_is_of_a_known_kind():
    for slug in slugs():
        assert modality_of(slug) is modality(card(slug).data)


def test_settings_are_completed_by_the_defaults_of_the_method():
    found = complete("mae", {"ratio": 0.5})
    assert found["ratio"] == 0.5
    assert found["decoder_depth"] == 8
