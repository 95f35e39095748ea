"""Invented land for the tests' stories: drafts, review and projects, each step through the real office."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from shapely import Polygon

from geo.crs import LocalFrame, Polygonal, area_m2
from geo.polygon import canonical
from geo.vector import FeatureRow, ParcelFile, write_geojson
from registry.estimates.methods import DEFAULT_METHOD
from registry.files import FileStore
from registry.machine import Mandate, Role
from registry.office import Outcome
from registry.parcels.examining import Declaration, Upload, examine_rows
from registry.parcels.imports import import_file, judge, take_in
from registry.parcels.mapping import load_mapping
from registry.parcels.report import ImportReport
from registry.parcels.rules import OverlapReason
from registry.parcels.service import AcceptParcel, FindEligible, SubmitParcel
from registry.programmes.service import programme_file
from registry.projects.service import NameProject, OpenPeriod, SubmitProject
from tests.registry.people import People

ORIGIN = LocalFrame(118.80, 29.00)
MU_PER_M2 = 3 / 2000
CREDITING = ("2020-01-01", "2040-01-01")
NOTICE = timedelta(days=40)


def ground(x_m: float, y_m: float, width_m: float = 100.0, height_m: float = 100.0) -> Polygonal:
    """A rectangle some metres east and north of a place in Quzhou."""
    east, north = ORIGIN.metres_per_degree()
    ring = [(x_m, y_m), (x_m + width_m, y_m), (x_m + width_m, y_m + height_m), (x_m, y_m + height_m)]
    return canonical(Polygon([(ORIGIN.lon_deg + x / east, ORIGIN.lat_deg + y / north) for x, y in ring]))


def row(number: int, outline: Polygonal, **changed: Any) -> tuple[Polygonal, dict[str, Any]]:
    """A line of the bureau's table that fits its outline."""
    return outline, {
        "县代码": "330802",
        "村": "甲村",
        "林班": "01",
        "小班": f"{number:03d}",
        "优势树种": "杉木",
        "起源": "人工",
        "龄组": "中龄林",
        "郁闭度": 0.7,
        "蓄积": 80.5,
        "面积亩": round(area_m2(outline) * MU_PER_M2, 4),
        "权属": "集体",
        "林权证号": f"示例林证字第{number:03d}号",
        "期限至": "2060-12-31",
    } | changed


@dataclass(frozen=True, slots=True)
class Pair:
    """Two persons of one organisation."""

    first: Mandate
    second: Mandate

    @property
    def organisation(self) -> str:
        return self.first.organisation


@dataclass
class Land:
    """Villages, a programme, reviewers and the registry, and what they do with land."""

    people: People
    folder: Path
    files: int = field(default=0)

    def pair(self, kind: Role, name: str) -> Pair:
        first = self.people.member(kind, name)
        return Pair(first, self.people.colleague(first))

    @cached_property
    def registry(self) -> Pair:
        return self.pair(Role.REGISTRY_ADMIN, "登记处")

    @cached_property
    def verifier(self) -> Mandate:
        return self.people.member(Role.VERIFIER, "审核机构")

    @cached_property
    def validator(self) -> Mandate:
        return self.people.member(Role.VERIFIER, "审定机构")

    @cached_property
    def village(self) -> Pair:
        return self.pair(Role.COLLECTIVE, "甲村")

    @cached_property
    def programme(self) -> str:
        return self.publish_programme("ZJ-PH")

    def publish_programme(self, code: str, version: int = 1) -> str:
        command = programme_file().model_copy(update={"code": code, "version": version})
        outcome = self.people.together(
            self.registry.first, self.registry.second, "programme.publish", command
        )
        return str(outcome.answer["programme"])

    def file(self, rows: Sequence[tuple[Polygonal, dict[str, Any]]]) -> Path:
        self.files += 1
        path = self.folder / f"parcels{self.files}.geojson"
        path.write_text(write_geojson(rows), encoding="utf-8")
        return path

    def bring(self, importer: Mandate, path: Path, **options: Any) -> ImportReport:
        """Import a file; options of the declaration and of `import_file`."""
        installation = self.people.installation
        own = {name: options.pop(name) for name in ("mapping", "dry_run", "progress") if name in options}
        return import_file(
            installation.database,
            FileStore(installation.home.files),
            importer,
            path,
            Declaration(programme=self.programme, **options),
            now=installation.clock.now(),
            **own,
        )

    def drafts(self, village: Pair, *outlines: Polygonal, **changed: Any) -> list[str]:
        """Drafts of fit outlines, as a file's reader hands them on; those of one call must not overlap."""
        self.files += 1
        rows = [row(100 * self.files + n, outline, **changed) for n, outline in enumerate(outlines)]
        read = [FeatureRow(n, outline, fields) for n, (outline, fields) in enumerate(rows, start=1)]
        file = ParcelFile(read, "EPSG:4490", "utf-8", "format", "", "geojson")
        terms = programme_file().terms
        now = self.people.installation.clock.now()
        upload, declared = Upload("", f"{self.files:064x}", 0), Declaration("")
        examined = examine_rows(file, upload, declared, terms, load_mapping(), now.date())
        with self.people.installation.database.write() as session:
            judged = judge(session, village.first, examined, terms)
            return take_in(session, village.first, examined, judged, now).require().drafts

    def submit(self, village: Pair, draft: str, **changed: Any) -> str:
        command = SubmitParcel(draft=draft, evidence_sha256="e" * 64, resolution_sha256="f" * 64, **changed)
        outcome = self.people.together(village.first, village.second, "parcel.submit", command)
        return str(outcome.answer["parcel"])

    def review(self, parcel: str, overlap_reason: OverlapReason | None = None) -> str:
        self.people.do(self.verifier, "parcel.accept", AcceptParcel(parcel=parcel))
        command = FindEligible(parcel=parcel, programme=self.programme, overlap_reason=overlap_reason)
        self.people.together(self.verifier, self.registry.first, "parcel.find_eligible", command)
        return parcel

    def eligible(
        self, village: Pair, *outlines: Polygonal, overlap_reason: OverlapReason | None = None, **changed: Any
    ) -> list[str]:
        """Eligible parcels; `overlap_reason` explains that they lie on others' ground."""
        return [
            self.review(self.submit(village, draft, **changed), overlap_reason)
            for draft in self.drafts(village, *outlines)
        ]

    def submitted(
        self,
        owner: Mandate,
        parcels: Sequence[str],
        programme: str | None = None,
        crediting: tuple[str, str] = CREDITING,
        method: str = DEFAULT_METHOD,
    ) -> str:
        command = SubmitProject(
            programme=programme or self.programme,
            county="330802",
            name="示范项目",
            parcels=list(parcels),
            crediting_from=crediting[0],
            crediting_to=crediting[1],
            method=method,
        )
        return str(self.people.do(owner, "project.submit", command).answer["project"])

    def validated(self, *projects: str) -> None:
        """Publish projects, let the notice pass, and validate them."""
        for project in projects:
            self.people.do(self.registry.first, "project.publish", NameProject(project=project))
        clock = self.people.installation.clock
        clock.advance(clock.now() + NOTICE)  # type: ignore[attr-defined] # a test's clock is simulated
        for project in projects:
            self.people.do(self.validator, "project.validate", NameProject(project=project))

    def register(self, project: str) -> Outcome:
        return self.people.together(
            self.registry.first, self.registry.second, "project.register", NameProject(project=project)
        )

    def registered(
        self,
        owner: Mandate,
        parcels: Sequence[str],
        programme: str | None = None,
        crediting: tuple[str, str] = CREDITING,
    ) -> str:
        """An active project that holds its claims."""
        project = self.submitted(owner, parcels, programme, crediting)
        self.validated(project)
        self.register(project)
        return project

    def open_period(self, owner: Mandate, project: str, from_on: str, to_on: str, **changed: Any) -> str:
        command = OpenPeriod(project=project, from_on=from_on, to_on=to_on, **changed)
        return str(self.people.do(owner, "period.open", command).answer["period"])


def some_id() -> str:
    return str(uuid.uuid4())
