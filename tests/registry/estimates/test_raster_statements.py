"""What is said of a raster: what may be said, by whom, and that a correction edits nothing."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from geo.errors import GeoRefusal
from geo.raster_inspect import inspect_here
from registry.accounts.models import MandateRow
from registry.errors import RegistryRefusal
from registry.estimates.models import Raster, RasterStatement
from registry.estimates.rasters.copies import normalise_raster, raster_file, record_copy
from registry.estimates.rasters.rules import (
    ErrorModel,
    LandCoverClassesWrong,
    RasterAttributionMissing,
    RasterClaim,
    RasterErrorModelWrong,
    RasterLicenceUnexplained,
    RasterLicenceUnknown,
    RasterNotDensity,
    RasterNothingCorrected,
    RasterStatementMoved,
    RasterTextWrong,
    RasterUnitContradicted,
    RasterUnitWrong,
    check_claim,
)
from registry.estimates.rasters.store import (
    Correction,
    correct_raster,
    load_raster,
    prepare_correction,
    raster_versions,
    record_raster,
    require_author,
    store_raster,
    unbound,
)
from registry.estimates.rules import RasterOfTheFuture, RegisteredOtherwise, StoredFileChanged
from registry.installation import Installation
from registry.machine import Mandate, NotAuthorised, Role
from tests.geo.bad_rasters import BAD, plain
from tests.registry.forest import write
from tests.registry.people import People

ON, TODAY = date(2020, 1, 1), date(2025, 3, 3)
NOW = datetime(2025, 3, 3, 1, 0, tzinfo=UTC)
AGB = RasterClaim("agb", "invented", ON, unit="t/ha", licence="CC0-1.0")
DIGEST = "ab" * 32
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def register(
    installation: Installation, path: Path, claim: RasterClaim = AGB, by: Mandate | None = None
) -> RasterStatement:
    stored = store_raster(installation.home, path, claim, today=TODAY, inspect=inspect_here)
    with installation.database.write() as session:
        return record_raster(session, stored, by, NOW)


def stored_here(installation: Installation, path: Path) -> None:
    """Without a child process for each; those are seen in `tests.geo.test_raster_inspect`."""
    store_raster(installation.home, path, AGB, today=TODAY, inspect=inspect_here)


def admin(installation: Installation) -> Mandate:
    with installation.database.read() as session:
        row = session.scalars(sa.select(MandateRow).where(MandateRow.role == "registry_admin")).first()
        if row is not None:
            return Mandate(row.id, row.person_id, row.organisation_id, Role.REGISTRY_ADMIN)
    return People(installation).member(Role.REGISTRY_ADMIN, "登记处")


def correction(installation: Installation, sha256: str, **changes: Any) -> Correction:
    with installation.database.read() as session:
        known = unbound(session, load_raster(session, sha256))
    return prepare_correction(installation.home, known, changes, "typed wrongly", today=TODAY)


def corrected(installation: Installation, sha256: str, by: Mandate, **changes: Any) -> RasterStatement:
    ready = correction(installation, sha256, **changes)
    with installation.database.write() as session:
        return correct_raster(session, ready, by, NOW)


def rows(installation: Installation) -> tuple[int, ...]:
    with installation.database.read() as session:
        return tuple(len(session.scalars(sa.select(table)).all()) for table in (Raster, RasterStatement))


# ---- what may be said --------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["t/ha", "Mg/ha", "t ha-1", " Mg  ha^-1 ", "t d.m./ha", "Mg dm per ha"])
def test_tonnes_of_dry_matter_are_spelled_in_many_ways_and_kept_in_one(unit: str) -> None:
    assert check_claim(replace(AGB, unit=unit), TODAY).unit == "t/ha"


@pytest.mark.parametrize("unit", [None, "", "tC/ha", "tCO2e/ha", "kg/m2", "mg/ha", "t", "T/HA", "m3/ha"])
def test_nothing_is_converted(unit: str | None) -> None:
    with pytest.raises(RasterUnitWrong) as refused:
        check_claim(replace(AGB, unit=unit), TODAY)
    assert refused.value.facts["expected"] == "t/ha"


@pytest.mark.parametrize("unit", ["Mg CO2e/px", "t/pixel", "t per pixel", "Mg CO2e per cell"])
def test_an_amount_for_each_pixel_is_no_density(unit: str) -> None:
    with pytest.raises(RasterNotDensity):
        check_claim(replace(AGB, unit=unit), TODAY)


UNPROVEN = ErrorModel("relative_ppm", ppm=1, rho_time_ppm=500_000)
COVER = RasterClaim("land_cover", "CLCD", ON, licence="CC0-1.0")


@pytest.mark.parametrize(
    ("claim", "refusal"),
    [
        (replace(AGB, taken_on=date(2025, 3, 4)), RasterOfTheFuture),
        (replace(AGB, product="two\nlines"), RasterTextWrong),
        (replace(AGB, source=" "), RasterTextWrong),
        (replace(AGB, licence="free"), RasterLicenceUnknown),
        (replace(AGB, licence="CC-BY-4.0"), RasterAttributionMissing),
        (replace(AGB, licence="LicenseRef-agreement"), RasterLicenceUnexplained),
        (replace(AGB, error_model=ErrorModel("relative_ppm")), RasterErrorModelWrong),
        (replace(AGB, error_model=ErrorModel("none", ppm=1)), RasterErrorModelWrong),
        (replace(AGB, error_model=ErrorModel("absolute", kg_ha=0)), RasterErrorModelWrong),
        (replace(AGB, error_model=ErrorModel("per_pixel", sd_sha256="x")), RasterErrorModelWrong),
        (replace(AGB, error_model=ErrorModel("absolute", kg_ha=1, ppm=1)), RasterErrorModelWrong),
        (replace(AGB, error_model=UNPROVEN), RasterErrorModelWrong),
        (replace(AGB, error_model=ErrorModel(rho_space_ppm=0)), RasterErrorModelWrong),
        (replace(AGB, error_model=ErrorModel(rho_space_ppm=1_000_001, source="a")), RasterErrorModelWrong),
        (replace(COVER, error_model=ErrorModel("absolute", kg_ha=1)), RasterErrorModelWrong),
        (replace(COVER, unit="t/ha"), RasterUnitWrong),
        (replace(COVER, forest_classes=(2, 5)), LandCoverClassesWrong),
        (replace(COVER, product="own", forest_classes=(70_000,)), LandCoverClassesWrong),
    ],
    ids=lambda given: getattr(given, "code", ""),
)
def test_what_may_not_be_said_is_refused_by_code(claim: RasterClaim, refusal: type[RegistryRefusal]) -> None:
    with pytest.raises(refusal) as refused:
        check_claim(claim, TODAY)
    assert str(refused.value)


def test_forest_is_what_the_product_calls_so_or_what_is_declared() -> None:
    assert check_claim(COVER, TODAY).forest_classes == (2,)
    worldcover = replace(COVER, product="ESA-WorldCover", forest_classes=(10,))
    assert check_claim(worldcover, TODAY).forest_classes == (10,)
    own = replace(COVER, product="LC100", forest_classes=(126, 111, 111))
    assert check_claim(own, TODAY).forest_classes == (111, 126)


def test_correlations_that_nobody_states_are_marked_as_assumed() -> None:
    stated = ErrorModel("relative_ppm", ppm=250_000, rho_space_ppm=400_000)
    plain = stated.to_json()
    assert plain == {
        "kind": "relative_ppm", "ppm": 250_000, "rho_space_ppm": 400_000, "rho_time_ppm": 0,
        "assumed": ["rho_time_ppm"],
    }  # fmt: skip
    assert ErrorModel.from_json(plain) == stated


# ---- registering -------------------------------------------------------------------------------------------


@ON_SQLITE
def test_all_that_is_said_and_found_is_kept(
    installation: Installation, people: People, tmp_path: Path
) -> None:
    by = people.member(Role.COLLECTIVE, "甲村")
    claim = replace(
        AGB, licence="CC-BY-4.0", attribution="某研究所", source="https://example.org/agb",
        error_model=ErrorModel("relative_ppm", ppm=250_000),
    )  # fmt: skip
    row = register(installation, write(tmp_path / "a.tif", 50.0), claim, by)
    assert (row.version, row.unit, row.band, row.attribution) == (1, "t/ha", 1, "某研究所")
    assert (row.organisation_id, row.person_id, row.stated_at) == (by.organisation, by.person, NOW)
    assert row.facts is not None and row.values_sha256 is not None
    assert row.facts["statistics"]["maximum"] == 50.0
    assert (row.facts["dtype"], row.facts["nodata"]) == ("float32", "-9999.0")


@ON_SQLITE
def test_bad_files_leave_nothing_behind(installation: Installation, tmp_path: Path) -> None:
    for make, code in BAD.items():
        (tmp_path / "x.tif").unlink(missing_ok=True)
        make(tmp_path / "x.tif")
        with pytest.raises(GeoRefusal) as refused:
            stored_here(installation, tmp_path / "x.tif")
        assert (refused.value.code, rows(installation)) == (code, (0, 0))
        assert refused.value.facts.get("name", "x.tif") == "x.tif"
    assert not list(installation.home.rasters.glob("*"))


@ON_SQLITE
def test_emissions_for_each_pixel_do_not_come_in_as_a_density(
    installation: Installation, test_data: Path
) -> None:
    (file,) = test_data.glob("rasters/hispaniola/gfw_forest_carbon_gross_emissions*.tif")
    with pytest.raises(RasterNotDensity):
        register(installation, file, replace(AGB, unit="Mg CO2e/px"))
    with pytest.raises(RasterUnitContradicted):
        register(installation, file)
    assert rows(installation) == (0, 0)


@ON_SQLITE
def test_an_error_model_names_a_raster_of_deviations_on_its_own_grid(
    installation: Installation, tmp_path: Path
) -> None:
    agb = write(tmp_path / "a.tif", 50.0)
    with pytest.raises(RasterErrorModelWrong):
        register(installation, agb, replace(AGB, error_model=ErrorModel("per_pixel", sd_sha256=DIGEST)))
    sd = register(installation, write(tmp_path / "sd.tif", 6.0), replace(AGB, kind="agb_sd"))
    row = register(installation, agb, replace(AGB, error_model=ErrorModel("per_pixel", sd_sha256=sd.sha256)))
    assert row.error_model["sd_sha256"] == sd.sha256
    plain(tmp_path / "elsewhere.tif")
    other = replace(AGB, error_model=ErrorModel("per_pixel", sd_sha256=sd.sha256))
    with pytest.raises(RasterErrorModelWrong) as refused:
        register(installation, tmp_path / "elsewhere.tif", other)
    assert refused.value.facts["reason"] == "grid"


# ---- correcting --------------------------------------------------------------------------------------------


def test_a_correction_is_the_next_version_and_the_first_stays(
    installation: Installation, people: People, tmp_path: Path
) -> None:
    by = people.member(Role.COLLECTIVE, "甲村")
    first = register(installation, write(tmp_path / "a.tif", 50.0), by=by)
    second = corrected(installation, first.sha256, by, taken_on=date(2021, 1, 1), product="invented 2")
    assert (second.version, second.taken_on, second.reason) == (2, "2021-01-01", "typed wrongly")
    third = corrected(installation, first.sha256, admin(installation), licence="ODbL-1.0", attribution="x")
    with installation.database.read() as session:
        versions = raster_versions(session, first.sha256)
        assert load_raster(session, first.sha256).version == 3
        assert load_raster(session, first.sha256, 1).taken_on == "2020-01-01"
        assert [(row.taken_on, row.licence) for row in versions] == [
            ("2020-01-01", "CC0-1.0"), ("2021-01-01", "CC0-1.0"), ("2021-01-01", "ODbL-1.0"),
        ]  # fmt: skip
    assert third.values_sha256 == first.values_sha256


@ON_SQLITE
def test_only_who_brought_it_and_the_registry_correct(
    installation: Installation, people: People, tmp_path: Path
) -> None:
    first = register(installation, write(tmp_path / "a.tif", 50.0), by=people.member(Role.COLLECTIVE, "甲村"))
    other = people.member(Role.COLLECTIVE, "乙村")
    with pytest.raises(NotAuthorised):
        corrected(installation, first.sha256, other, product="theirs")
    with installation.database.read() as session:
        with pytest.raises(NotAuthorised):
            require_author(session, first.sha256, other)
        assert len(raster_versions(session, first.sha256)) == 1


@ON_SQLITE
def test_a_correction_made_for_an_older_version_is_refused(
    installation: Installation, tmp_path: Path
) -> None:
    first = register(installation, write(tmp_path / "a.tif", 50.0))
    late = correction(installation, first.sha256, product="late")
    corrected(installation, first.sha256, admin(installation), product="early")
    with pytest.raises(RasterStatementMoved), installation.database.write() as session:
        correct_raster(session, late, admin(installation), NOW)
    with pytest.raises(RasterNothingCorrected):
        correction(installation, first.sha256, product="early")


@ON_SQLITE
def test_another_kind_is_believed_only_if_the_values_can_be_of_it(
    installation: Installation, tmp_path: Path
) -> None:
    first = register(installation, write(tmp_path / "a.tif", 50.5))
    with pytest.raises(GeoRefusal) as refused:
        correction(installation, first.sha256, kind="land_cover", product="CLCD")
    assert refused.value.code == "raster_values_not_whole"
    assert (
        corrected(installation, first.sha256, admin(installation), kind="agb_sd", unit="t/ha").kind
        == "agb_sd"
    )


@ON_SQLITE
def test_the_same_file_with_other_words_is_told_what_differs(
    installation: Installation, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.tif", 50.0)
    assert register(installation, path).version == register(installation, path).version == 1
    with pytest.raises(RegisteredOtherwise) as refused:
        register(installation, path, replace(AGB, taken_on=date(2019, 1, 1)))
    assert refused.value.facts["registered"] == "taken_on 2020-01-01"


@pytest.mark.parametrize("verb", ["update raster_statement set reason = 'x'", "delete from raster_statement"])
def test_the_database_refuses_to_change_what_was_said(
    installation: Installation, tmp_path: Path, verb: str
) -> None:
    register(installation, write(tmp_path / "a.tif", 50.0))
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), installation.database.write() as session:
        session.execute(sa.text(verb))


# ---- copies ------------------------------------------------------------------------------------------------


def test_a_copy_is_read_in_place_of_its_source_and_is_only_a_cache(
    installation: Installation, tmp_path: Path
) -> None:
    row = register(installation, write(tmp_path / "a.tif", 50.0))
    made = normalise_raster(installation.home, row)
    with installation.database.write() as session:
        record_copy(session, made, NOW)
        record_copy(session, normalise_raster(installation.home, row), NOW)
        found = raster_file(session, installation.home, row.sha256, 1)
    assert (found.sha256, found.band, made.values_sha256) == (made.target_sha256, 1, row.values_sha256)
    found.path.unlink()
    with installation.database.read() as session:
        assert raster_file(session, installation.home, row.sha256, 1).sha256 == row.sha256


@ON_SQLITE
def test_no_copy_is_made_of_a_file_that_changed(installation: Installation, tmp_path: Path) -> None:
    row = register(installation, write(tmp_path / "a.tif", 50.0))
    write(installation.home.rasters / f"{row.sha256}.tif", 51.0)
    with pytest.raises(StoredFileChanged):
        normalise_raster(installation.home, row)
