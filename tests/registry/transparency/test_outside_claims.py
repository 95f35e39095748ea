"""Who declared a claim in another registry, judged from the entries alone."""

from typing import Any

import pytest

from tests.registry.transparency.telling import Telling, failed


def declared(by: str = "operator", **changed: Any) -> set[str]:
    """The checks that a declaration fails."""
    facts: dict[str, Any] = {
        "registry": "vcs",
        "foreign_id": "VCS-1",
        "pools": ["forest-biomass"],
        "from_on": "2018-01-01",
        "to_on": "2038-01-01",
        "organisation": by,
        "parcel": "parcel 1",
        "version": 1,
        "area_cm2": 10**9,
        "evidence_sha256": "d" * 64,
    }
    return failed(Telling().see("outside_claim", "declare", "claim there", facts | changed, by=by))


@pytest.mark.parametrize("by", ["operator", "upper"])
def test_owner_and_operator_declare_it_of_their_parcel(by: str) -> None:
    assert declared(by) == set()


def test_nobody_declares_it_of_anothers_parcel() -> None:
    assert declared("lower") == {"I9"}


def test_nobody_but_the_registry_draws_ground() -> None:
    assert declared(parcel=None, version=None) == {"I9"}


def test_nobody_declares_it_for_another_organisation() -> None:
    assert declared(organisation="upper") == {"I9"}


def test_a_declaration_without_its_facts_is_told_of() -> None:
    telling = Telling()
    assert {"I9", "L3"} <= failed(telling.see("outside_claim", "declare", "claim there", {}))
