"""A shared story: three villages, an operator and a registry, from parcels to a verified period,
through the real acts.

`Story(people)` builds as far as a test asks: `story.project()`, `story.verified(...)`, `story.issued(...)`.
The land is squares of about 300 m near 118.9 E 28.95 N; the quantities are what the verifier signs.
"""

import itertools
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from shapely import box

from geo.crs import area_m2
from geo.polygon import canonical, to_wkb
from ledger import tables
from ledger.canonical import JsonValue, encode
from registry.accounts.service import RecordDeposit
from registry.clock import SimulatedClock
from registry.estimates.inputs import RASTERS, RunInputs
from registry.estimates.methods import DEFAULT_METHOD
from registry.estimates.models import PlotFile, PreparedRun, Raster, RasterStatement
from registry.estimates.rasters.rules import ErrorModel
from registry.estimates.rules import TIER_VERIFIED
from registry.estimates.run_record import RECORD_VERSION
from registry.estimates.service import EstimatePeriod, RunRasters, load_case
from registry.installation import Installation
from registry.issuance.service import ApproveIssuance, ProposeIssuance
from registry.machine import Mandate, Role
from registry.market.sales import Buy, OpenListing
from registry.office import Command, Outcome
from registry.parcels.models import ParcelDraft
from registry.parcels.service import AcceptParcel, FindEligible, SubmitParcel
from registry.programmes.service import programme_file
from registry.projects.service import NamePeriod, NameProject, OpenPeriod, SubmitProject
from registry.settings import Home
from registry.verification.service import AcceptPeriod, VerifyPeriod
from tests.postgres import Cluster
from tests.registry.people import People

START = datetime(2025, 3, 3, 1, 0, tzinfo=UTC)
TEMPLATE = "migrated"
DIGEST = "ab" * 32
SIDE_DEGREES = 0.003
ROLES = {
    "operator": Role.OPERATOR,
    "registry": Role.REGISTRY_ADMIN,
    "reviewer": Role.VERIFIER,
    "verifier": Role.VERIFIER,
    "issuer": Role.ISSUER,
    "bank": Role.BANK,
    "firm": Role.ENTERPRISE,
    "rival": Role.ENTERPRISE,
    "third": Role.ENTERPRISE,
}


EVERYBODY = ("operator", "registry", "reviewer", "verifier", "issuer", "bank", "firm", "rival", "third")


@dataclass(slots=True)
class Story:
    """Everybody of the story, and what has happened so far."""

    people: People
    villages: tuple[str, ...] = ("upper", "lower", "middle")
    actors: dict[str, Mandate] = field(default_factory=dict)
    programme: str = ""
    parcels: list[str] = field(default_factory=list)
    project_id: str = ""
    period: str = ""
    issuance: str = ""

    @property
    def installation(self) -> Installation:
        return self.people.installation

    # -- everybody

    def __getitem__(self, name: str) -> Mandate:
        """A member's first person; `"firm 2"` is the firm's second. Whoever is asked for first joins then."""
        if name not in self.actors:
            if name.endswith(" 2"):
                self.actors[name] = self.people.colleague(self[name.removesuffix(" 2")])
            else:
                self.actors[name] = self.people.member(ROLES.get(name, Role.COLLECTIVE), name)
        return self.actors[name]

    def do(self, actor: str, act: str, command: Command, request: str | None = None) -> Outcome:
        return self.people.do(self[actor], act, command, request)

    def both(
        self, first: str, second: str, act: str, command: Command, request: str | None = None
    ) -> Outcome:
        return self.people.together(self[first], self[second], act, command, request)

    def pay_in(self, actor: str, fen: int) -> None:
        """Money of an organisation, as its bank reports it."""
        organisation = self[actor].organisation
        reference = uuid.uuid4().hex[:12]
        self.do(
            "bank",
            "deposit.record",
            RecordDeposit(organisation=organisation, amount_fen=fen, reference=reference),
        )

    def advance(self, **delta: float) -> datetime:
        """Move the simulated clock forward."""
        clock = self.installation.clock
        assert isinstance(clock, SimulatedClock)
        clock.advance(clock.now() + timedelta(**delta))
        return clock.now()

    # -- land

    def project(self) -> str:
        """One parcel for each village, in an active project of the operator."""
        if self.project_id:
            return self.project_id
        publish = programme_file()
        self.programme = str(
            self.both("registry", "registry 2", "programme.publish", publish).answer["programme"]
        )
        self.parcels = [self._parcel(n, village) for n, village in enumerate(self.villages)]
        submit = SubmitProject(
            programme=self.programme,
            county="330802",
            name="三村碳汇项目",
            parcels=self.parcels,
            crediting_from="2023-01-01",
            crediting_to="2043-01-01",
            method=DEFAULT_METHOD,
        )
        self.project_id = str(self.do("operator", "project.submit", submit).answer["project"])
        named = NameProject(project=self.project_id)
        self.do("registry", "project.publish", named)
        self.advance(days=40)
        self.do("reviewer", "project.validate", named)
        self.both("registry", "registry 2", "project.register", named)
        return self.project_id

    def _parcel(self, n: int, village: str) -> str:
        draft = self._draft(n, village)
        submit = SubmitParcel(
            draft=draft,
            evidence_sha256=DIGEST,
            resolution_sha256=DIGEST,
            operator=self["operator"].organisation,
        )
        self.both(village, f"{village} 2", "parcel.submit", submit)
        self.do("reviewer", "parcel.accept", AcceptParcel(parcel=draft))
        self.both(
            "reviewer",
            "registry",
            "parcel.find_eligible",
            FindEligible(parcel=draft, programme=self.programme),
        )
        return draft

    def _draft(self, n: int, village: str) -> str:
        west, south = 118.9 + 2 * n * SIDE_DEGREES, 28.95
        ground = canonical(box(west, south, west + SIDE_DEGREES, south + SIDE_DEGREES))
        area_cm2 = int(area_m2(ground) * 10_000)
        draft = str(uuid.uuid4())
        with self.installation.database.write() as session:
            session.add(
                ParcelDraft(
                    id=draft,
                    organisation_id=self[village].organisation,
                    import_id=str(uuid.uuid4()),
                    row_number=n + 1,
                    wkb=to_wkb(ground),
                    area_cm2=area_cm2,
                    county="330802",
                    code=f"{n + 1}",
                    village=f"{village}村",
                    stand_type="cunninghamia",
                    tenure={
                        "until": "2060-12-31",
                        "declared_cm2": area_cm2,
                        "certificate": f"certificate {n}",
                    },
                    attributes={"compartment": "12", "subcompartment": str(n + 1)},
                    source_sha256=DIGEST,
                    submitted=False,
                    created_at=self.installation.clock.now(),
                )
            )
        return draft

    # -- quantities

    def estimated(
        self, kg: dict[int, int], from_on: date = date(2023, 1, 1), to_on: date = date(2024, 1, 1)
    ) -> str:
        """A period with an estimate of so many kilograms for each parcel number."""
        opened = OpenPeriod(project=self.project(), from_on=from_on.isoformat(), to_on=to_on.isoformat())
        self.period = str(self.do("operator", "period.open", opened).answer["period"])
        self.estimate(kg)
        return self.period

    def estimate(self, kg: dict[int, int]) -> None:
        """Record a run of the open period. Its figures are the story's, so no raster is read: the run
        waits prepared.
        """
        digests = {name: f"{n:02x}" * 32 for n, name in enumerate(RASTERS, start=1)}
        command = EstimatePeriod(period=self.period, rasters=RunRasters(**digests), plots=DIGEST)
        with self.installation.database.write() as session:
            for name, kind in RASTERS.items():
                session.merge(_raster(digests[name]))
                session.flush()
                if session.get(RasterStatement, (digests[name], 1)) is None:
                    session.add(_statement(digests[name], kind))
            session.merge(PlotFile(sha256=DIGEST, measurement="volume", plots=30, file_name="plots.csv"))
            session.flush()
            inputs = load_case(session, command).inputs
            session.add(PreparedRun(inputs_sha256=inputs.digest(), record=_record(inputs, kg)))
        self.do("operator", "period.estimate", command)

    def verify(self, verified_kg: int | None = None) -> None:
        """The verifier signs the estimate, or its own quantity."""
        named = NamePeriod(period=self.period)
        self.do("operator", "period.submit", named)
        self.do("verifier", "period.accept", AcceptPeriod(period=self.period))
        signed = VerifyPeriod(
            period=self.period,
            verified_kg=verified_kg,
            reason_code="own_finding",
            findings="Plots measured again.",
        )
        self.do("verifier", "period.verify", signed)

    def verified(self, kg: dict[int, int], **dates: date) -> str:
        """A period whose verifier signed so many kilograms for each parcel number."""
        self.estimated(kg, **dates)
        self.verify()
        return self.period

    def proposed(self, kg: dict[int, int], **dates: date) -> str:
        self.verified(kg, **dates)
        return self.propose()

    def propose(self) -> str:
        outcome = self.do("operator", "issuance.propose", ProposeIssuance(period=self.period))
        self.issuance = str(outcome.answer["issuance"])
        return self.issuance

    def approve(self, request: str | None = None) -> Outcome:
        """Operator and issuer sign the issuance."""
        return self.both(
            "operator", "issuer", "issuance.approve", ApproveIssuance(issuance=self.issuance), request
        )

    def issued(self, kg: dict[int, int], **dates: date) -> Outcome:
        self.proposed(kg, **dates)
        return self.approve()

    # -- what the books say

    def balance(self, account: str) -> int:
        return self._account(account)["credits_posted"] - self._account(account)["debits_posted"]

    def available(self, account: str) -> int:
        return self.balance(account) - self._account(account)["debits_pending"]

    def cash(self, actor: str) -> int:
        return self.available(f"cash:{self[actor].organisation}")

    def units(self, actor: str) -> int:
        """Units that an organisation holds free."""
        return self.available(f"units:{self[actor].organisation}:{self.programme}")

    def _account(self, account: str) -> dict[str, int]:
        columns = tables.account.c
        counters = (columns.credits_posted, columns.debits_posted, columns.debits_pending)
        with self.installation.database.read() as session:
            row = session.execute(sa.select(*counters).where(columns.account == account)).one_or_none()
        return dict.fromkeys((c.name for c in counters), 0) if row is None else dict(row._mapping)


def _raster(sha256: str) -> Raster:
    return Raster(sha256=sha256, file_name=f"{sha256}.tif", size_bytes=1, grid={})


def _statement(sha256: str, kind: str) -> RasterStatement:
    return RasterStatement(
        sha256=sha256,
        version=1,
        kind=kind,
        unit="t/ha",
        band=1,
        product="story",
        taken_on="2023-01-01",
        error_model=ErrorModel().to_json(),
    )


def _record(inputs: RunInputs, kg: dict[int, int]) -> str:
    results: dict[str, JsonValue] = {
        "tier": TIER_VERIFIED,
        "estimate_kg": sum(kg.values()),
        "loss_kg": 0,
        "uncertainty_ppm": 100_000,
        "rate_kg_ha_year": 5_000,
        "second_verifier": False,
        "parcels": [{"number": number, "estimate_kg": part} for number, part in kg.items()],
    }
    document: JsonValue = {
        "version": RECORD_VERSION,
        "inputs": inputs.to_json(),
        "results": results,
        "rows_to_attest": [],
    }
    return encode(document).decode()


# ---- the fixture -------------------------------------------------------------------------------------------

KG = {1: 40_205, 2: 30_118, 3: 17_089}
"""The story's quantities: 87 units, 9 of them to the buffer, 412 kg of residue."""


def _activate(story: Story) -> None:
    for name in (*EVERYBODY, "registry 2", "operator 2", "firm 2"):
        story[name]
    story.project()


def _issue(story: Story) -> None:
    story.issued(KG)


def _sell(story: Story) -> None:
    """The firm buys units 39 to 78: homes are parcels 2 and 3."""
    opened = OpenListing(project=story.project_id, units=40, price_fen=6000)
    listing = str(story.do("operator", "listing.open", opened).answer["listing"])
    story.pay_in("firm", 40 * 6000)
    story.do("firm", "trade.buy", Buy(listing=listing, units=40))


CHAPTERS: Mapping[str, Callable[[Story], None]] = {"active": _activate, "issued": _issue, "sold": _sell}
"""Each begins where the one before it ended. A chapter is told once for each database, tests read copies."""

_told: dict[tuple[str, str], tuple[Path, Story]] = {}
_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def story(request: pytest.FixtureRequest, tmp_path: Path, dialect: str) -> Iterator[Story]:
    """An active project of three villages and everybody who deals with it."""
    yield from _read(request, tmp_path, dialect, "active")


@pytest.fixture
def issued(request: pytest.FixtureRequest, tmp_path: Path, dialect: str) -> Iterator[Story]:
    """The same with 87 units issued."""
    yield from _read(request, tmp_path, dialect, "issued")


@pytest.fixture
def sold(request: pytest.FixtureRequest, tmp_path: Path, dialect: str) -> Iterator[Story]:
    """The same with 40 of them sold to the firm."""
    yield from _read(request, tmp_path, dialect, "sold")


def _read(request: pytest.FixtureRequest, folder: Path, dialect: str, chapter: str) -> Iterator[Story]:
    """A copy of a chapter, open for one test."""
    path, told = _tell(request, dialect, chapter)
    name = f"story{next(_numbers)}"
    copy = _copy(request, path, folder / "home", dialect, f"story_{chapter}", name)
    installation = Installation.open(copy)
    yield _continued(told, installation)
    installation.close()
    if dialect == "postgresql":
        _drop_database(request, name)


def _tell(request: pytest.FixtureRequest, dialect: str, chapter: str) -> tuple[Path, Story]:
    if (dialect, chapter) in _told:
        return _told[dialect, chapter]
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    path = factory.mktemp(f"story-{dialect}-{chapter}") / "home"
    names = list(CHAPTERS)
    if chapter == names[0]:
        url = _copy_database(request, TEMPLATE, f"story_{chapter}") if dialect == "postgresql" else None
        told = Story(People(Installation.create(Home.at(path, url), "tanhui.test/log", simulated_at=START)))
    else:
        before = names[names.index(chapter) - 1]
        earlier, so_far = _tell(request, dialect, before)
        home = _copy(request, earlier, path, dialect, f"story_{before}", f"story_{chapter}")
        told = _continued(so_far, Installation.open(home))
    CHAPTERS[chapter](told)
    told.installation.close()
    _told[dialect, chapter] = path, told
    return path, told


def _continued(told: Story, installation: Installation) -> Story:
    return replace(told, people=People(installation), actors=dict(told.actors), parcels=list(told.parcels))


def _copy(
    request: pytest.FixtureRequest, path: Path, to: Path, dialect: str, database: str, name: str
) -> Home:
    shutil.copytree(path, to)
    return Home.at(to, _copy_database(request, database, name) if dialect == "postgresql" else None)


def _copy_database(request: pytest.FixtureRequest, template: str, name: str) -> str:
    cluster: Cluster = request.getfixturevalue("postgres_template")
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")  # of an earlier portion
        connection.execute(f"create database {name} template {template}")
    return cluster.url(name)


def _drop_database(request: pytest.FixtureRequest, name: str) -> None:
    cluster: Cluster = request.getfixturevalue("postgres_template")
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")
