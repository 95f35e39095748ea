"""A programme is data, published once by two persons, and every figure stands in the log."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from ledger.effects import Limit
from ledger.envelope import decode_leaf
from ledger.log import ledger_source
from registry.accounts.service import NotFound
from registry.estimates.methods import DEFAULT_METHOD, METHODS
from registry.machine import NotAuthorised, Role, TransitionRefused
from registry.programmes import rules
from registry.programmes.methods import MethodNotOffered, MethodSuperseded
from registry.programmes.service import (
    PublishProgramme,
    WithdrawProgramme,
    load_programme,
    programme_file,
    published_programme,
    terms_of,
)
from registry.transparency.audit import audit
from tests.registry.people import People

ZJ_PH = programme_file()


def publish(people: People, command: PublishProgramme = ZJ_PH) -> str:
    first = people.member(Role.REGISTRY_ADMIN, "registry")
    outcome = people.together(first, people.colleague(first), "programme.publish", command)
    return str(outcome.answer["programme"])


def test_the_figures_are_served_as_the_data_file_says_and_stand_in_the_log(people: People) -> None:
    programme = publish(people)
    assert programme == "ZJ-PH.1"
    with people.installation.database.read() as session:
        row = load_programme(session, programme)
        assert terms_of(row) == ZJ_PH.terms
        assert (row.name_zh, row.name_en) == (ZJ_PH.name_zh, ZJ_PH.name_en)
    tiles = people.installation.tiles
    newest = list(tiles.read_entries(0, tiles.published_size()))[-1]
    assert b'"buffer_ppm":100000' in decode_leaf(newest)[1].payload
    assert audit(people.installation.home).findings == []


def test_the_programmes_methods_are_ones_that_estimates_knows() -> None:
    assert set(ZJ_PH.terms.methods) <= set(METHODS)


@pytest.mark.parametrize(
    ("method", "refusal"),
    [
        ("zj-ph-forest-management-ratio/1", MethodSuperseded),
        ("zj-ph-forest-management-regression/1", MethodSuperseded),
        ("zj-ph-forest-managment/1", MethodNotOffered),
    ],
)
def test_a_programme_names_no_method_that_was_superseded_or_that_nobody_knows(
    people: People, method: str, refusal: type[Exception]
) -> None:
    terms = replace(ZJ_PH.terms, methods=(DEFAULT_METHOD, method))
    with pytest.raises(refusal):
        publish(people, ZJ_PH.model_copy(update={"terms": terms}))
    with people.installation.database.read() as session, pytest.raises(NotFound):
        load_programme(session, "ZJ-PH.1")


def test_a_programme_of_its_own_takes_bamboo_or_a_successor_in(people: People) -> None:
    methods = ("zj-ph-bamboo-management/1", "zj-ph-forest-management-ratio/2")
    terms = replace(ZJ_PH.terms, methods=methods)
    programme = publish(people, ZJ_PH.model_copy(update={"version": 2, "terms": terms}))
    with people.installation.database.read() as session:
        assert terms_of(load_programme(session, programme)).methods == methods


def test_publishing_opens_the_programmes_accounts(people: People) -> None:
    programme = publish(people)
    with people.installation.database.read() as session:
        source = ledger_source(session)
        accounts = {
            rules.issuance_account(programme): (Limit.NONE, True),
            rules.retired_account(programme): (Limit.SINK, True),
            rules.cancelled_account(programme): (Limit.SINK, True),
            rules.clearing_account(programme): (Limit.FLOOR, True),
            rules.residue_source(programme): (Limit.NONE, False),
        }
        for name, (limit, numbered) in accounts.items():
            account = source.account(name)
            assert account is not None, name
            assert (account.limit, account.numbered) == (limit, numbered), name


def test_one_person_or_a_person_of_another_role_cannot_publish(people: People) -> None:
    office = people.installation.office
    admin, operator = people.member(Role.REGISTRY_ADMIN, "registry"), people.member(Role.OPERATOR, "operator")
    waiting = office.execute(admin, "programme.publish", ZJ_PH, "00000000-0000-4000-8000-000000000001")
    assert waiting.status == "awaiting"
    with pytest.raises(NotAuthorised):
        office.confirm(people.member(Role.REGISTRY_ADMIN, "another registry"), waiting.request_id)
    with pytest.raises(NotAuthorised):
        people.do(operator, "programme.publish", ZJ_PH)


def test_a_version_is_published_once_and_a_new_one_stands_beside_it(people: People) -> None:
    publish(people)
    with pytest.raises(TransitionRefused):
        publish(people)
    assert publish(people, ZJ_PH.model_copy(update={"version": 2})) == "ZJ-PH.2"


def test_nothing_begins_under_a_withdrawn_programme(people: People) -> None:
    programme = publish(people)
    admin = people.member(Role.REGISTRY_ADMIN, "registry")
    people.together(
        admin, people.colleague(admin), "programme.withdraw", WithdrawProgramme(programme=programme)
    )
    with (
        people.installation.database.read() as session,
        pytest.raises(rules.ProgrammeNotPublished),
    ):
        published_programme(session, programme)


def test_an_unknown_programme_is_not_found(people: People) -> None:
    with people.installation.database.read() as session, pytest.raises(NotFound):
        load_programme(session, "ZJ-PH.7")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"crediting_years_min": 21}, "crediting_years_min"),
        ({"period_years_max": 21}, "period_years_max"),
        ({"plausible_kg_ha_year": 40_000}, "plausible"),
        ({"pools": ("forest-biomass", "forest-biomass")}, "twice"),
        ({"risk_mode": "deduct", "withheld_ppm": 100_000}, "deduct has no buffer"),
        ({"risk_mode": "deduct", "buffer_ppm": 0}, "deduct withholds"),
        ({"withheld_ppm": 1}, "buffer withholds nothing"),
        ({"methods": (DEFAULT_METHOD, DEFAULT_METHOD)}, "method"),
        ({"assumed": ("rainfall",)}, "assumed"),
    ],
)
def test_terms_that_contradict_each_other_are_refused(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(rules.TermsContradict, match=named):
        rules.check_terms(replace(ZJ_PH.terms, **changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"unit_kg": 1000.0},
        {"unit_kg": 0},
        {"buffer_ppm": 1_000_001},
        {"surprise": 1},
        {"unit_kind": "XX"},
        {"pools": []},
        {"methods": []},
        {"serial_registry": "QZ1"},
        {"serial_registry": "QZPX1"},
        {"serial_registry": "QZP2"},
    ],
)
def test_terms_of_another_shape_are_refused(changed: dict[str, Any]) -> None:
    document = ZJ_PH.model_dump(mode="json")
    document["terms"] |= changed
    with pytest.raises(ValidationError):
        PublishProgramme.model_validate_json(json.dumps(document))
