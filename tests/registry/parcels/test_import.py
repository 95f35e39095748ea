"""A parcel file becomes drafts as a whole, or every wrong row is named and nothing is taken."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fixtures import quzhou_bad
from fixtures.quzhou import QuzhouInput
from geo.errors import PrjMissing
from registry.machine import NotAuthorised, Role
from registry.parcels.imports import discard_import
from registry.parcels.models import ParcelDraft
from registry.parcels.report import ImportReport
from registry.parcels.rules import ImportRefused, OwnerUnstated
from tests.registry.land import Land, Pair, ground, row


def drafts(land: Land) -> list[ParcelDraft]:
    with land.people.installation.database.read() as session:
        kept = list(session.scalars(sa.select(ParcelDraft).order_by(ParcelDraft.row_number)))
        session.expunge_all()
        return kept


def codes(report: ImportReport) -> list[tuple[int, str]]:
    return [(problem.row, problem.code) for problem in report.problems]


@pytest.fixture
def operator(land: Land) -> Pair:
    return land.pair(Role.OPERATOR, "两山公司")


@pytest.fixture
def owners(land: Land, quzhou: QuzhouInput) -> dict[str, str]:
    people = land.people
    return {
        v.name: people.organisation(Role.COLLECTIVE, v.collective, v.county_code) for v in quzhou.villages
    }


def test_the_bureaus_zipped_table_becomes_a_draft_for_each_row(
    land: Land, quzhou: QuzhouInput, operator: Pair, owners: dict[str, str]
) -> None:
    report = land.bring(operator.first, quzhou.parcels_zip, owners=owners).require()

    assert (report.rows, len(report.drafts), report.taken) == (172, 172, True)
    assert (report.crs, report.encoding) == ("EPSG:4549", "gb18030")
    kept = drafts(land)
    assert [draft.id for draft in kept] == report.drafts
    assert kept[0].code == "330802-甲村-01-001"
    assert kept[0].attributes["key"] == "330802-甲村-01-001"
    assert {draft.organisation_id for draft in kept} == set(owners.values())
    assert sum(draft.area_cm2 for draft in kept) == report.area_cm2
    assert 29_000 < float(report.to_json()["area_mu"]) < 31_000


def test_the_same_file_from_the_same_organisation_is_taken_once(
    land: Land, quzhou: QuzhouInput, operator: Pair, owners: dict[str, str]
) -> None:
    first = land.bring(operator.first, quzhou.parcels_zip, owners=owners)
    again = land.bring(operator.second, quzhou.parcels_zip, owners=owners)

    assert again.repeated
    assert not first.repeated
    assert (again.drafts, again.import_id) == (first.drafts, first.import_id)
    assert len(drafts(land)) == 172


def test_another_organisations_import_of_the_same_file_is_another_import(land: Land) -> None:
    path = land.file([row(1, ground(0, 0))])
    other = land.pair(Role.COLLECTIVE, "乙村")
    assert land.bring(land.village.first, path).drafts != land.bring(other.first, path).drafts


def test_a_dry_run_says_the_same_and_writes_nothing(land: Land) -> None:
    path = land.file([row(1, ground(0, 0)), row(2, ground(100, 0))])
    dry = land.bring(land.village.first, path, dry_run=True)
    assert (dry.rows, dry.problems, dry.taken, dry.drafts) == (2, [], False, [])
    assert drafts(land) == []
    assert land.bring(land.village.first, path).area_cm2 == dry.area_cm2


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (quzhou_bad.with_bow_tie, [(173, "geometry_invalid")]),
        (quzhou_bad.with_duplicate_row, [(173, "row_repeated"), (173, "rows_overlap")]),
        (quzhou_bad.with_short_tenure, [(1, "tenure_over")]),
    ],
)
def test_one_bad_row_keeps_the_whole_file_out(
    land: Land,
    quzhou: QuzhouInput,
    operator: Pair,
    owners: dict[str, str],
    tmp_path: Path,
    spoil: Any,
    expected: Any,
) -> None:
    report = land.bring(operator.first, spoil(quzhou, tmp_path / "bad").path, owners=owners)

    assert codes(report) == expected
    assert not report.taken
    assert drafts(land) == []
    with pytest.raises(ImportRefused) as refusal:
        report.require()
    assert refusal.value.facts["count"] == len(expected)


def test_a_moved_parcel_is_named_with_everyone_it_lies_on(
    land: Land, quzhou: QuzhouInput, operator: Pair, owners: dict[str, str], tmp_path: Path
) -> None:
    spoilt = quzhou_bad.with_overlap(quzhou, tmp_path / "bad")
    report = land.bring(operator.first, spoilt.path, owners=owners)
    moved, *covered = spoilt.keys

    assert {problem.code for problem in report.problems} == {"rows_overlap"}
    assert len(report.problems) == len(covered)
    assert set(covered) <= {moved} | {p.facts["other_key"] for p in report.problems} | set(covered)
    assert all(problem.facts["overlap_m2"] > 1000 for problem in report.problems)
    assert drafts(land) == []


def test_a_file_without_its_system_is_refused_as_a_file(
    land: Land, quzhou: QuzhouInput, operator: Pair, owners: dict[str, str], tmp_path: Path
) -> None:
    path = quzhou_bad.without_prj(quzhou, tmp_path / "bad").path
    with pytest.raises(PrjMissing):
        land.bring(operator.first, path, owners=owners)
    assert land.bring(operator.first, path, owners=owners, crs="EPSG:4549").taken


def test_every_bad_row_is_listed_in_both_languages(land: Land) -> None:
    path = land.file(
        [
            row(1, ground(0, 0), 县代码="33", 优势树种="银杏"),
            row(2, ground(200, 0)),
            row(3, ground(400, 0, 10, 10)),
            row(4, ground(600, 0), 期限至="1999-12-31"),
            row(2, ground(800, 0)),
            row(6, ground(250, 0)),
        ]
    )
    report = land.bring(land.village.first, path)

    assert codes(report) == [
        (1, "not_a_county"),
        (1, "word_unknown"),
        (3, "parcel_too_small"),
        (4, "tenure_over"),
        (5, "row_repeated"),
        (6, "rows_overlap"),
    ]
    listed = report.to_json()["problems"]
    assert listed[0]["field"] == "县代码"
    assert listed[0]["value"] == "33"
    assert "县级代码" in listed[0]["zh"]
    assert "county code" in listed[0]["en"]
    assert all(problem["zh"] != problem["en"] for problem in listed)
    assert listed[-1]["facts"]["other"] == 2
    assert listed[-1]["facts"]["candidate_share"] == pytest.approx(0.5, abs=1e-3)
    assert drafts(land) == []


def test_a_table_without_a_needed_column_names_the_column(land: Land) -> None:
    outline, attributes = row(1, ground(0, 0))
    del attributes["期限至"]
    report = land.bring(land.village.first, land.file([(outline, attributes)]))
    assert codes(report) == [(0, "column_missing")]
    assert report.problems[0].facts["headings"].startswith("期限至")


def test_an_empty_file_is_refused(land: Land) -> None:
    assert codes(land.bring(land.village.first, land.file([]))) == [(0, "no_rows")]


def test_a_sliver_between_rows_and_a_wrong_certificate_area_are_warnings(land: Land) -> None:
    path = land.file([row(1, ground(0, 0)), row(2, ground(99.7, 0)), row(3, ground(500, 0), 面积亩=12.0)])
    report = land.bring(land.village.first, path).require()
    assert [(w.row, w.code) for w in report.warnings] == [
        (2, "rows_share_sliver"),
        (3, "area_differs_from_certificate"),
    ]


def test_ground_of_a_registered_parcel_is_a_warning_at_import(land: Land) -> None:
    held = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    other = land.pair(Role.COLLECTIVE, "乙村")
    report = land.bring(other.first, land.file([row(1, ground(50, 0)), row(2, ground(1000, 0))])).require()
    (warning,) = report.warnings
    assert (warning.row, warning.code) == (1, "lies_on_parcel")
    assert (warning.facts["parcel"], warning.facts["kind"]) == (held, "refused")
    assert warning.facts["candidate_share"] == pytest.approx(0.5, abs=1e-3)
    assert "亩" in warning.to_json()["zh"]


def test_an_operator_says_whose_land_it_brings(land: Land, operator: Pair) -> None:
    path = land.file([row(1, ground(0, 0)), row(2, ground(200, 0), 村="乙村")])
    with pytest.raises(OwnerUnstated):
        land.bring(operator.first, path)
    with pytest.raises(OwnerUnstated):
        land.bring(operator.first, path, owners={"甲村": operator.organisation})
    report = land.bring(operator.first, path, owners={"甲村": land.village.organisation})
    assert codes(report) == [(2, "village_without_owner")]


def test_others_do_not_import_land(land: Land) -> None:
    path = land.file([row(1, ground(0, 0))])
    with pytest.raises(NotAuthorised):
        land.bring(land.verifier, path)


def test_drafts_can_be_dropped_by_whoever_brought_them_until_they_are_submitted(land: Land) -> None:
    report = land.bring(land.village.first, land.file([row(1, ground(0, 0)), row(2, ground(200, 0))]))
    land.submit(land.village, report.drafts[0])
    other = land.pair(Role.COLLECTIVE, "乙村")
    with land.people.installation.database.write() as session:
        assert discard_import(session, other.first, report.import_id) == 0
        assert discard_import(session, land.village.first, report.import_id) == 1
    assert [draft.id for draft in drafts(land)] == report.drafts[:1]
