"""Services of the estimates room: compute a run, record it, read it.

Computing takes seconds and reads rasters, so it happens before the act: `prepare_run` computes and keeps
the record under the digest of its inputs. The act collects the inputs again under the write lock and takes
the record of exactly that digest; if a claim, a parcel or a programme has changed in between, there is
none, and nothing is logged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from geo.coverage_store import CoverageStore
from geo.crs import Polygonal
from geo.polygon import canonical, digest
from geo.work import Progress, Workers
from ledger.canonical import JsonValue
from ledger.effects import Effect, Transition
from registry.accounts.service import NotFound
from registry.acts import Desk
from registry.database import Database
from registry.estimates.inputs import (
    ParcelInput,
    RunInputs,
    TermsInput,
    method_inputs,
)
from registry.estimates.kept_shares import kept_shares
from registry.estimates.methods import method_version
from registry.estimates.models import EstimateRun, PreparedRun, RunParcel
from registry.estimates.rasters.copies import sound
from registry.estimates.rules import (
    RUN,
    NoEligibleLand,
    RecordErased,
    RunNotPrepared,
)
from registry.estimates.run import compute
from registry.estimates.run_files import copies_of, paths_of, plots_input, raster_inputs
from registry.estimates.run_record import RunRecord
from registry.estimates.saturation import saturation_before
from registry.office import Act, Answer, Command
from registry.parcels.ground import load_ground
from registry.parcels.models import ParcelVersion
from registry.parcels.service import load_version
from registry.programmes.service import load_programme, terms_of
from registry.projects.models import MonitoringPeriod, Project
from registry.projects.rules import PERIOD
from registry.projects.service import load_period, load_project, project_claims, project_parcels
from registry.settings import Home

SHA256: Final = r"^[0-9a-f]{64}$"
MAX_KG: Final = 10**12


DEVIATIONS: Final = (
    "standard deviations; may be missing where the density's error model says them or names them"
)


class RunRasters(Command):
    """Digests of registered rasters: densities with their deviations at both dates, land covers (or shares
    of forest on the same grid) at both dates.
    """

    agb_start: str = Field(pattern=SHA256)
    agb_start_sd: str | None = Field(None, pattern=SHA256, description=DEVIATIONS)
    agb_end: str = Field(pattern=SHA256)
    agb_end_sd: str | None = Field(None, pattern=SHA256, description=DEVIATIONS)
    land_cover_start: str = Field(pattern=SHA256)
    land_cover_end: str = Field(pattern=SHA256)


class EstimatePeriod(Command):
    """Without plots the result is a screening number, which cannot be verified."""

    period: str
    rasters: RunRasters
    plots: str | None = Field(None, pattern=SHA256)
    project_emissions_kg: int = Field(
        0, ge=0, le=MAX_KG, description="kg CO2e, by fire or fertiliser in the period"
    )
    leakage_kg: int = Field(0, ge=0, le=MAX_KG, description="kg CO2e, by work that moved elsewhere")


@dataclass(frozen=True, slots=True)
class Case:
    """A period as it stands, ready to be computed: its inputs, and the outlines of its parcels in their
    order.
    """

    inputs: RunInputs
    outlines: tuple[Polygonal, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `prepare_run` answers; nothing of it is logged yet."""

    record: RunRecord

    @property
    def inputs_sha256(self) -> str:
        return self.record.inputs.digest()

    @property
    def tier(self) -> str:
        return self.record.tier

    @property
    def estimate_kg(self) -> int:
        return self.record.estimate_kg

    @property
    def uncertainty_ppm(self) -> int | None:
        return self.record.uncertainty_ppm


def prepare_run(
    database: Database,
    home: Home,
    organisation: str | None,
    command: EstimatePeriod,
    *,
    keep: bool = True,
    progress: Progress | None = None,
    workers: Workers | int = 1,
) -> Prepared:
    """Compute the run that `command` asks for and keep its record. No transaction is open while it computes.

    `organisation` must own the project (`NotFound`); None is the operator of this machine. Shares of cells
    come from the home's store; those that it lacks are made by `workers`. Raises what `load_case` and
    `compute` raise; then nothing was kept.
    """
    with database.read() as session:
        if organisation is not None:
            _owned_period(session, organisation, command.period)
        case = load_case(session, command)
        kept = session.get(PreparedRun, case.inputs.digest())
        record = None if kept is None else RunRecord(kept.record)
        copies = copies_of(session, home, case.inputs)
    if record is None:
        cover = partial(kept_shares, CoverageStore(home.coverage), workers=workers, progress=progress)
        files = paths_of(home, case.inputs)
        record = compute(case.inputs, case.outlines, files, cover, progress, sound(copies))
        if keep:
            with database.write() as session:
                session.merge(PreparedRun(inputs_sha256=case.inputs.digest(), record=record.text))
    return Prepared(record)


def estimate_period(desk: Desk, command: EstimatePeriod) -> Answer:
    """Record the prepared run; an earlier one of the period is superseded in the same entry."""
    period = _owned_period(desk.session, desk.actor.organisation, command.period)
    rule = PERIOD.step(period.status, "estimate", period.id)
    inputs = load_case(desk.session, command).inputs
    record = prepared_record(desk.session, inputs)
    effects: list[Effect] = [Transition(PERIOD.name, period.id, "estimate", period.status, rule.after)]
    if period.run_id is not None:
        effects.append(Transition(RUN.name, period.run_id, "supersede", "recorded", "superseded"))
    opened = desk.commitment("record", EstimateRun, record=record.text)
    desk.act(
        RUN,
        "record",
        desk.request_id,
        facts=_facts(period, inputs, record),
        commitments={"record": opened},
        effects=effects,
    )
    opened.reveal(load_run(desk.session, desk.request_id))
    return {
        "run": desk.request_id,
        "tier": record.tier,
        "estimate_kg": record.estimate_kg,
        "uncertainty_ppm": record.uncertainty_ppm,
    }


ACTS = (Act("period.estimate", EstimatePeriod, estimate_period),)


# ---- deciding ----------------------------------------------------------------------------------------------


def load_case(session: Session, command: EstimatePeriod) -> Case:
    """The inputs of a run as they stand.

    Parcels are those whose claims cover the whole period in each of its pools, with the smallest ground
    that a pool's claim is credited with. Raises `NotFound`, `RasterKindWrong`, `UnknownMethod`,
    `GroundErased`, `NoEligibleLand`.
    """
    period = load_period(session, command.period)
    project = load_project(session, period.project_id)
    credited = credited_grounds(session, project, period)
    parcels: list[ParcelInput] = []
    outlines: list[Polygonal] = []
    for listed in project_parcels(session, project.id):
        if listed.parcel_id not in credited:
            continue
        version = load_version(session, listed.parcel_id, listed.parcel_version)
        outline = canonical(load_ground(version))
        parcels.append(_parcel_input(listed.number, version, outline, credited[listed.parcel_id]))
        outlines.append(outline)
    if not parcels:
        raise NoEligibleLand()
    programme = load_programme(session, project.programme_id)
    inputs = RunInputs(
        project=project.id,
        period=period.id,
        from_on=period.from_on,
        to_on=period.to_on,
        pools=period.pools,
        **method_inputs(project.method),
        terms=TermsInput.of(programme.id, terms_of(programme)),
        rasters=raster_inputs(session, command.rasters.model_dump()),
        plots=plots_input(session, command.plots),
        project_emissions_kg=command.project_emissions_kg,
        leakage_kg=command.leakage_kg,
        parcels=tuple(parcels),
        saturation=saturation_before(session, project, period),
    )
    return Case(inputs, tuple(outlines))


def credited_grounds(session: Session, project: Project, period: MonitoringPeriod) -> dict[str, int]:
    """Credited cm2 by parcel, of the parcels whose claims cover the period in every pool of the period."""
    pools = set(period.pools.split(","))
    found: dict[str, dict[str, int]] = {}
    for claim in project_claims(session, project.id):
        if claim.pool in pools and claim.from_on <= period.from_on and period.to_on <= claim.to_on:
            found.setdefault(claim.parcel_id, {})[claim.pool] = claim.credited_cm2
    return {parcel: min(areas.values()) for parcel, areas in found.items() if set(areas) == pools}


def prepared_record(session: Session, inputs: RunInputs) -> RunRecord:
    """The record computed for exactly these inputs (`RunNotPrepared`)."""
    kept = session.get(PreparedRun, inputs.digest())
    if kept is None:
        raise RunNotPrepared(inputs_sha256=inputs.digest())
    return RunRecord(kept.record)


def _owned_period(session: Session, organisation: str, period: str) -> MonitoringPeriod:
    """A period of a project that the organisation owns; another's is as good as missing."""
    row = load_period(session, period)
    if load_project(session, row.project_id).owner_id != organisation:
        raise NotFound(kind="monitoring period", id=period)
    return row


def _parcel_input(number: int, version: ParcelVersion, outline: Polygonal, credited_cm2: int) -> ParcelInput:
    volume = (version.attributes or {}).get("volume_m3_ha")
    return ParcelInput(
        number=number,
        parcel=version.parcel_id,
        version=version.version,
        geometry_sha256=digest(outline),
        area_cm2=version.area_cm2,
        credited_cm2=credited_cm2,
        stand_type=version.stand_type,
        volume_m3_ha=None if volume in (None, "") else str(volume),
    )


def _facts(period: MonitoringPeriod, inputs: RunInputs, record: RunRecord) -> dict[str, JsonValue]:
    rasters: Mapping[str, str] = {raster.name: raster.sha256 for raster in inputs.rasters}
    return {
        "period": period.id,
        "method": inputs.method,
        "method_sha256": inputs.method_sha256,
        "parameters_sha256": method_version(inputs.method).parameters.digest(),
        "inputs_sha256": inputs.digest(),
        "rasters": dict(rasters),
        "plots_sha256": None if inputs.plots is None else inputs.plots.sha256,
        "tier": record.tier,
        "estimate_kg": record.estimate_kg,
        "loss_kg": record.loss_kg,
        "uncertainty_ppm": record.uncertainty_ppm,
        "rate_kg_ha_year": record.rate_kg_ha_year,
        "second_verifier": record.second_verifier,
        "rows_to_attest": list(record.rows_to_attest),
        "attestation_sha256": record.attestation_sha256,
        "parcels": [[number, kg] for number, kg in record.parcels],
    }


# ---- reading -----------------------------------------------------------------------------------------------


def load_run(session: Session, run: str) -> EstimateRun:
    row = session.get(EstimateRun, run)
    if row is None:
        raise NotFound(kind="run", id=run)
    return row


def run_parcels(session: Session, run: str) -> list[RunParcel]:
    """A run's shares by parcel number."""
    return list(
        session.scalars(sa.select(RunParcel).where(RunParcel.run_id == run).order_by(RunParcel.number))
    )


def period_runs(session: Session, period: str) -> list[EstimateRun]:
    """All runs of a period, the newest last."""
    wanted = sa.select(EstimateRun).where(EstimateRun.period_id == period)
    return list(session.scalars(wanted.order_by(EstimateRun.entry_index)))


def load_record(run: EstimateRun) -> RunRecord:
    """The run's record (`RecordErased`)."""
    if run.record is None:
        raise RecordErased(run=run.id)
    return RunRecord(run.record)


def rows_assumed(run: EstimateRun) -> list[str]:
    """The parameter rows of a run that are assumptions, `table.code`; all that are not sure where its record
    was erased and nobody can tell any more.
    """
    if run.record is None:
        return list(run.rows_to_attest)
    return load_record(run).rows_assumed


def record_outlines(session: Session, record: RunRecord) -> dict[str, Polygonal]:
    """The outlines that a record names, by digest, as far as they are still kept."""
    found: dict[str, Polygonal] = {}
    for parcel in record.inputs.parcels:
        version = session.get(ParcelVersion, (parcel.parcel, parcel.version))
        if version is not None and version.wkb is not None:
            found[parcel.geometry_sha256] = canonical(load_ground(version))
    return found
