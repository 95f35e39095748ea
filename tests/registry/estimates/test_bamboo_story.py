"""Moso bamboo from a bureau's table to units: a programme of its own, plots of culms, two periods, and the
level at which a stand is full (E-F7).
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.estimates.input_files import register_plots
from registry.estimates.methods import method_version
from registry.estimates.methods.constants import C_TO_CO2
from registry.estimates.models import EstimateRun
from registry.estimates.run_record import RunRecord
from registry.estimates.service import EstimatePeriod, RunRasters, prepare_run
from registry.installation import Installation
from registry.issuance.service import ApproveIssuance, ProposeIssuance
from registry.machine import Role
from registry.programmes.service import programme_file
from registry.projects.models import MonitoringPeriod
from registry.projects.service import NamePeriod
from registry.settings import Home
from registry.transparency.audit import audit
from registry.verification.service import AcceptPeriod
from tests.registry.forest import FOREST, GRID, NOW, OUTLINES, WATER, Forest, write, write_classes
from tests.registry.land import Land
from tests.registry.people import People

BAMBOO = "zj-ph-bamboo-management/1"
HALVES = (("2020-01-01", "2022-07-01"), ("2022-07-01", "2025-01-01"))
VISITS = ("2020-01-10", "2022-06-10", "2024-12-10")
DATES = (date(2020, 1, 1), date(2022, 6, 30), date(2024, 12, 31))
CULMS = (150, 162, 300)
"""Of 10 cm on a plot of 0.06 ha at the three visits: growing, then far above the level."""


class Grove(Forest):
    """A project of bamboo: the forest's land and rasters, another programme, method and plots."""

    def found(self) -> None:
        """Programme, three parcels and an active project."""
        land = self.land
        own = programme_file()
        terms = replace(own.terms, methods=(BAMBOO,))
        command = own.model_copy(update={"code": "ZJ-BAMBOO", "terms": terms})
        published = land.people.together(
            land.registry.first, land.registry.second, "programme.publish", command
        )
        land.__dict__["programme"] = str(published.answer["programme"])
        drafts = land.drafts(land.village, *OUTLINES, 优势树种="毛竹", 蓄积=None)
        parcels = [land.review(land.submit(land.village, draft)) for draft in drafts]
        self.project = land.submitted(self.owner, parcels, method=BAMBOO)
        land.validated(self.project)
        land.register(self.project)

    def rasters_of(self, half: int) -> RunRasters:
        """Of both ends; every date's files differ, as files of a product do."""
        made: dict[str, str] = {}
        for name, visit in (("start", half), ("end", half + 1)):
            at, on = self.folder / f"{DATES[visit]}", DATES[visit]
            cover = np.full((GRID.height, GRID.width), FOREST, np.uint8)
            cover[0, visit] = WATER
            density = write(at.with_suffix(".agb.tif"), 50.0 + 8 * visit)
            deviation = write(at.with_suffix(".sd.tif"), 6.0 + visit / 4)
            made[f"agb_{name}"] = self.register_raster(density, "agb", on)
            made[f"agb_{name}_sd"] = self.register_raster(deviation, "agb_sd", on)
            classes = write_classes(at.with_suffix(".cover.tif"), cover)
            made[f"land_cover_{name}"] = self.register_raster(classes, "land_cover", on)
        return RunRasters(**made)

    def plots_of(self, half: int) -> str:
        """Six plots at both ends of a half, as a crew keeps them: a line for each class of culms."""
        lines = ["plot_id,stratum,lon,lat,area_ha,measured_on,dbh_cm,du,culms"]
        for n in range(6):
            west, south, east, north = OUTLINES[n % 3].bounds
            x, y = west + (east - west) * (0.3 + 0.4 * (n >= 3)), (south + north) / 2
            lines += [
                f"P{n},moso_bamboo,{x},{y},0.06,{VISITS[visit]},10,2,{CULMS[visit] + n % 2}"
                for visit in (half, half + 1)
            ]
        path = self.folder / f"culms-{half}.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        installation = self.land.people.installation
        with installation.database.write() as session:
            return register_plots(session, installation.home, path, measurement="culms").sha256

    def measured(self, half: int) -> RunRecord:
        """A period opened, estimated by the owner, and verified."""
        people = self.land.people
        self.period = self.land.open_period(self.owner, self.project, *HALVES[half])
        command = EstimatePeriod(period=self.period, rasters=self.rasters_of(half), plots=self.plots_of(half))
        prepare_run(people.installation.database, people.installation.home, self.owner.organisation, command)
        run = str(people.do(self.owner, "period.estimate", command).answer["run"])
        people.do(self.owner, "period.submit", NamePeriod(period=self.period))
        people.do(self.land.verifier, "period.accept", AcceptPeriod(period=self.period))
        self.verify()
        with people.installation.database.read() as session:
            return RunRecord(str(session.get_one(EstimateRun, run).record))

    def issued(self) -> int:
        """Units of the verified period, the buffer's among them."""
        people, registry = self.land.people, self.land.registry.first
        proposed = people.do(registry, "issuance.propose", ProposeIssuance(period=self.period))
        approve = ApproveIssuance(issuance=str(proposed.answer["issuance"]))
        issuer = people.member(Role.ISSUER, f"签发机构{self.period[:8]}")
        outcome = people.together(registry, issuer, "issuance.approve", approve)
        with people.installation.database.read() as session:
            assert session.get_one(MonitoringPeriod, self.period).status == "issued"
        return int(str(outcome.answer["units"]))


@pytest.fixture
def grove(tmp_path: Path) -> Iterator[Grove]:
    home = Home.at(tmp_path / "home", None)
    installation = Installation.create(home, "tanhui.test/log", simulated_at=NOW)
    yield Grove(Land(People(installation), tmp_path), tmp_path, method=BAMBOO)
    installation.close()


def saturation(record: RunRecord) -> dict[str, float]:
    document: Any = record.document
    return {name: float(value) for name, value in document["evidence"]["saturation"].items()}


@pytest.mark.slow
def test_bamboo_is_issued_what_it_grew_and_no_more_than_until_it_is_full(grove: Grove) -> None:
    grove.found()
    first = grove.measured(0)
    grown = saturation(first)
    assert grown["creditable_tco2e"] == grown["raw_tco2e"] < grown["cap_tco2e"]
    units = grove.issued()
    assert units == first.estimate_kg // 1000 > 0

    second = grove.measured(1)
    full = saturation(second)
    assert full["start_tc_ha"] == grown["start_tc_ha"]
    assert full["credited_before_tco2e"] == grown["creditable_tco2e"]
    assert full["raw_tco2e"] > full["cap_tco2e"]
    assert full["creditable_tco2e"] == pytest.approx(full["cap_tco2e"] - grown["creditable_tco2e"])
    results: Any = second.results
    stable = method_version(BAMBOO).parameters.bamboo_setting("c_stable_tc_ha")
    room_t = (stable - grown["start_tc_ha"]) * results["eligible_cm2"] / 1e8 * C_TO_CO2
    units += grove.issued()
    assert 0 < units < room_t
    assert audit(grove.land.people.installation.home).findings == []
