"""From the database and the home to a `Report`: which run is meant, what it says, who may see which outline.

What became of a run (the verifier's statement, the issuance) is known to later rooms; they answer through
`Outcomes`.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from geo.crs import parts_of
from geo.errors import GeoRefusal
from geo.polygon import from_wkb
from ledger import tables
from ledger.envelope import decode_leaf
from registry.accounts.models import Organisation
from registry.accounts.service import NotFound
from registry.clock import from_milliseconds
from registry.documents.mapping import Ring
from registry.documents.statement import outline_ring
from registry.estimates.input_files import FOREST_CLASSES, READERS, file_sha256, plots_path
from registry.estimates.methods.errors import MethodRefusal
from registry.estimates.methods.plots import PlotRecord
from registry.estimates.models import EstimateRun, PlotFile, RasterStatement
from registry.estimates.plots.layout import check_layout, layout_of
from registry.estimates.reports.facts import (
    DesignUsed,
    Finding,
    LandCoverUsed,
    LandParcel,
    LogEntry,
    Outcome,
    PlotPlace,
    PlotsUsed,
    RasterUsed,
    Report,
    Subject,
    plain_decimal,
)
from registry.estimates.reports.method import read_method
from registry.estimates.reports.reading import (
    Part,
    read_attested,
    read_chain,
    read_change,
    read_findings,
    read_plot_changes,
    read_saturation,
    read_screening,
    read_second_opinion,
    read_strata,
    read_terms,
    read_time,
)
from registry.estimates.reports.stocks import read_stocks
from registry.estimates.rules import EstimateRefused, RecordErased
from registry.estimates.service import load_run, period_runs
from registry.parcels.models import Parcel, ParcelVersion
from registry.parcels.public import masked_among, public_outline
from registry.programmes.service import load_programme
from registry.projects.models import MonitoringPeriod, Project
from registry.projects.rules import DEAD_PERIODS
from registry.projects.service import find_project, load_period, load_project, project_periods
from registry.settings import Home


class NothingToReport(EstimateRefused):
    """A report is made of a run, and there is none."""

    code: ClassVar[str] = "nothing_to_report"
    template: ClassVar[str] = "The project {project} has no estimate to report yet."


class Outcomes(Protocol):
    """What later rooms know of a run."""

    def of_run(self, session: Session, run: EstimateRun) -> Outcome | None:
        """The verifier's statement on the run and what was issued for it; None before there is one."""
        ...


@dataclass(frozen=True, slots=True)
class Sight:
    """Which outlines of record a reader sees: all (`everything`), those of one organisation and entrusted to
    it, or none. `public` makes an edition to be handed on.
    """

    everything: bool = False
    organisation: str | None = None
    public: bool = False


@dataclass(frozen=True, slots=True)
class Installed:
    """What a report says of the installation that makes it."""

    home: Home
    simulated: bool


# ---- which run ---------------------------------------------------------------------------------------------


def reported_run(session: Session, name: str, period: str | None = None) -> EstimateRun:
    """The run that is meant by its id, or by its project's id or number: then the run that holds for the
    project's newest estimated period, or for `period`.

    Raises `NotFound`, `NothingToReport`.
    """
    run = session.get(EstimateRun, name)
    if run is not None:
        return run
    return run_of_project(session, find_project(session, name), period)


def run_of_project(session: Session, project: Project, period: str | None = None) -> EstimateRun:
    """The run that holds for a period of the project, the newest estimated one if none is named."""
    periods = [one for one in project_periods(session, project.id) if period is None or one.id == period]
    if period is not None and not periods:
        raise NotFound(kind="monitoring period", id=period)
    living = [one for one in periods if one.run_id is not None and one.status not in DEAD_PERIODS]
    estimated = living or [one for one in periods if one.run_id is not None]
    if not estimated:
        raise NothingToReport(project=project.id)
    return load_run(session, str(max(estimated, key=lambda one: (one.to_on, one.entry_index)).run_id))


# ---- the report --------------------------------------------------------------------------------------------


def load_report(
    session: Session, installed: Installed, run: EstimateRun, sight: Sight, outcomes: Outcomes
) -> Report:
    """All that a report says of a run, for a reader. Raises `RecordErased`, `RecordMalformed`."""
    if run.record is None:
        raise RecordErased(run=run.id)
    record = Part.of_text(run.record)
    inputs, results = record.part("inputs"), record.part("results")
    period = load_period(session, run.period_id)
    project = load_project(session, period.project_id)
    outcome = outcomes.of_run(session, run)
    parcels = _parcels(session, record, sight)
    stated = _stated_index(run, period, project, outcome)
    rasters = tuple(_raster(session, one) for one in inputs.parts("rasters"))
    return Report(
        run=run.id,
        status=run.status,
        superseded_by=_successor(session, run, period),
        tier=results.text("tier"),
        result=results.text("status"),
        record_version=record.whole("version"),
        entry=_entry(session, _recorded_index(session, run)),
        stated_at=_entry(session, stated).at,
        stated_index=stated,
        inputs_sha256=run.inputs_sha256,
        record_sha256=hashlib.sha256(run.record.encode()).hexdigest(),
        subject=_subject(session, project, period),
        estimate_kg=results.whole("estimate_kg"),
        loss_kg=results.whole("loss_kg"),
        uncertainty_ppm=results.whole_or_none("uncertainty_ppm"),
        rate_kg_ha_year=results.whole("rate_kg_ha_year"),
        second_verifier=run.second_verifier,
        project_emissions_kg=inputs.whole("project_emissions_kg"),
        leakage_kg=inputs.whole("leakage_kg"),
        parcels=parcels,
        rasters=rasters,
        land_covers=tuple(
            LandCoverUsed(one.text("name"), one.text("product"), _forest_classes(one))
            for one in inputs.parts("rasters")
            if one.text("name").startswith("land_cover")
        ),
        plots=_plots(session, installed.home, record, sight),
        strata=read_strata(record),
        stocks=read_stocks(record),
        change=read_change(record),
        plot_changes=read_plot_changes(record),
        time=read_time(record),
        saturation=read_saturation(record),
        second_opinion=read_second_opinion(record),
        screening=read_screening(record),
        chain=read_chain(record),
        terms=read_terms(inputs),
        method=read_method(record, {one.stand_type for one in parcels}),
        attested=read_attested(record),
        attestation_sha256=run.attestation_sha256,
        outcome=outcome,
        findings=read_findings(record),
        software=record.part("software").said(),
        log_origin=session.execute(sa.select(tables.head.c.origin)).scalar_one(),
        log_vkey=installed.home.vkey.read_text(encoding="ascii").split()[-1],
        simulated=installed.simulated,
        public=sight.public,
    )


def _successor(session: Session, run: EstimateRun, period: MonitoringPeriod) -> str | None:
    if run.status == "recorded":
        return None
    later = [one.id for one in period_runs(session, run.period_id) if one.status == "recorded"]
    return later[-1] if later else period.run_id


def _stated_index(
    run: EstimateRun, period: MonitoringPeriod, project: Project, outcome: Outcome | None
) -> int:
    told = (outcome.entry, outcome.issued_entry or 0) if outcome is not None else ()
    return max(run.entry_index, period.entry_index, project.entry_index, *told)


def _recorded_index(session: Session, run: EstimateRun) -> int:
    """The entry that recorded the run; superseding it is another. Its id is the run's."""
    found = session.execute(sa.select(tables.log.c.idx).where(tables.log.c.entry_id == run.id)).scalar()
    return run.entry_index if found is None else int(found)


def _entry(session: Session, index: int) -> LogEntry:
    row = session.execute(
        sa.select(tables.log.c.leaf, tables.log.c.leaf_hash).where(tables.log.c.idx == index)
    ).one()
    at: datetime = from_milliseconds(decode_leaf(row.leaf)[0])
    return LogEntry(index, at, bytes(row.leaf_hash).hex())


def _subject(session: Session, project: Project, period: MonitoringPeriod) -> Subject:
    programme = load_programme(session, project.programme_id)
    return Subject(
        project=project.id,
        project_number=project.number,
        project_name=project.name,
        project_status=project.status,
        county=project.county,
        owner=organisation_name(session, project.owner_id),
        validator=None if project.validator_id is None else organisation_name(session, project.validator_id),
        programme=programme.id,
        programme_name_zh=programme.name_zh,
        programme_name_en=programme.name_en,
        period=period.id,
        period_status=period.status,
        from_on=date.fromisoformat(period.from_on),
        to_on=date.fromisoformat(period.to_on),
        pools=tuple(period.pools.split(",")),
        crediting_from=date.fromisoformat(project.crediting_from),
        crediting_to=date.fromisoformat(project.crediting_to),
    )


def organisation_name(session: Session, organisation: str) -> str:
    """The name of an organisation; its id where the name was erased."""
    row = session.get(Organisation, organisation)
    return organisation if row is None or row.name is None else row.name


# ---- land --------------------------------------------------------------------------------------------------


def _parcels(session: Session, record: Part, sight: Sight) -> tuple[LandParcel, ...]:
    results = {one.whole("number"): one for one in record.part("results").parts("parcels")}
    given = record.part("inputs").parts("parcels")
    if sorted(results) != sorted(one.whole("number") for one in given):
        raise record.fault("results.parcels")
    versions = {
        one.whole("number"): session.get(ParcelVersion, (one.text("parcel"), one.whole("version")))
        for one in given
    }
    masked = masked_among(session, [version for version in versions.values() if version is not None])
    return tuple(
        _parcel(session, one, results[one.whole("number")], versions[one.whole("number")], masked, sight)
        for one in given
    )


def _parcel(
    session: Session,
    given: Part,
    result: Part,
    version: ParcelVersion | None,
    masked: Collection[str],
    sight: Sight,
) -> LandParcel:
    parcel = session.get(Parcel, given.text("parcel"))
    hides, exact = given.text("parcel") in masked, _sees(parcel, sight)
    rings = None if version is None else _rings(version, exact, hides)
    return LandParcel(
        number=given.whole("number"),
        code=given.text("parcel") if parcel is None else parcel.code,
        village=None if version is None or (hides and not exact) else version.village,
        stand_type=given.text("stand_type"),
        area_cm2=given.whole("area_cm2"),
        credited_cm2=given.whole("credited_cm2"),
        eligible_cm2=result.whole("eligible_cm2"),
        estimate_kg=result.whole("estimate_kg"),
        valid_area_share=result.decimal_or_none("valid_area_share"),
        masked=hides and not exact,
        exact=exact,
        rings=rings,
    )


def _sees(parcel: Parcel | None, sight: Sight) -> bool:
    """Whether the outline of record is for this reader."""
    if sight.public or parcel is None:
        return False
    mine = sight.organisation is not None and sight.organisation in (
        parcel.organisation_id,
        parcel.operator_id,
    )
    return sight.everything or mine


def _rings(version: ParcelVersion, exact: bool, masked: bool) -> tuple[Ring, ...] | None:
    if version.wkb is None or (masked and not exact):
        return None
    outline = from_wkb(version.wkb) if exact else public_outline(version, masked=False)
    if outline is None:
        return None
    return tuple(
        outline_ring([(position[0], position[1]) for position in ring.coords[:-1]])
        for part in parts_of(outline)
        for ring in (part.exterior, *part.interiors)
    )


# ---- files -------------------------------------------------------------------------------------------------


def _raster(session: Session, given: Part) -> RasterUsed:
    """What the record says of a raster, and what its statement adds: the one of the run, else the newest."""
    version = given.whole_or_none("statement")
    said = _statement(session, given.text("sha256"), version)
    grid = given.part("grid").value or (said.file.grid if said is not None else {})
    model = given.value.get("error_model") or (None if said is None else said.error_model)
    return RasterUsed(
        name=given.text("name"),
        sha256=given.text("sha256"),
        product=given.text("product"),
        taken_on=given.text("taken_on"),
        kind=given.text_or_none("kind") or (None if said is None else said.kind),
        unit=given.text_or_none("unit") or (None if said is None else said.unit),
        band=given.whole_or_none("band") or (None if said is None else said.band),
        statement=version,
        error_model={str(name): str(value) for name, value in model.items() if value is not None}
        if isinstance(model, dict)
        else None,
        licence=given.text_or_none("licence") or (None if said is None else said.licence),
        attribution=None if said is None else said.attribution or said.source,
        crs=None if grid.get("crs") is None else str(grid["crs"]),
        resolution=_resolution(grid),
        file_name=None if said is None else said.file.file_name,
    )


def _statement(session: Session, sha256: str, version: int | None) -> RasterStatement | None:
    wanted = sa.select(RasterStatement).where(RasterStatement.sha256 == sha256)
    if version is not None:
        wanted = wanted.where(RasterStatement.version == version)
    return session.scalars(wanted.order_by(RasterStatement.version.desc()).limit(1)).first()


def _resolution(grid: Mapping[str, Any]) -> str | None:
    size = [grid.get(name) for name in ("dx", "dy")]
    if None in size:
        return None
    return " × ".join(plain_decimal(Decimal(str(one))) for one in size)


def _forest_classes(given: Part) -> tuple[int, ...] | None:
    """The classes that the record says; a record of version 1 takes those of the product."""
    listed = given.value.get("forest_classes")
    if isinstance(listed, list):
        return tuple(int(str(one)) for one in listed)
    return FOREST_CLASSES.get(given.text("product"))


def _plots(session: Session, home: Home, record: Part, sight: Sight) -> PlotsUsed | None:
    given, evidence = record.part("inputs").part("plots"), record.part("evidence")
    if not given.value:
        return None
    row = session.get(PlotFile, given.text("sha256"))
    outside = evidence.texts("plots_outside")
    plots = _plots_read(home, given)
    return PlotsUsed(
        sha256=given.text("sha256"),
        measurement=given.text("measurement"),
        file_name=None if row is None else row.file_name,
        in_file=None if row is None else row.plots,
        used=evidence.whole_or_none("plots_used"),
        outside=outside,
        places=None if sight.public else _places(plots, record),
        design=_design(given.text_or_none("design_sha256"), row, plots),
    )


def _plots_read(home: Home, given: Part) -> Sequence[PlotRecord] | None:
    """The plots of the run's file; None when it is no longer what it was."""
    path, reader = plots_path(home, given.text("sha256")), READERS.get(given.text("measurement"))
    if reader is None or file_sha256(path) != given.text("sha256"):
        return None
    try:
        return reader(Path(path).read_bytes())
    except (MethodRefusal, GeoRefusal, OSError):
        return None


def _design(
    sha256: str | None, row: PlotFile | None, plots: Sequence[PlotRecord] | None
) -> DesignUsed | None:
    """The design that the record names, as it was brought with the file and held against its digest."""
    if sha256 is None:
        return None
    if row is None or row.design_sha256 != sha256:
        return DesignUsed(sha256)
    layout = layout_of(row.design)
    seed = layout.seed
    return DesignUsed(
        sha256=sha256,
        kind=str(seed["kind"]),
        seed=str(seed["root"] if seed["kind"] == "log" else seed["seed"]),
        origin=None if seed.get("origin") is None else str(seed["origin"]),
        size=seed["size"] if type(seed.get("size")) is int else None,
        places=len(layout.places),
        findings=None
        if plots is None
        else tuple(
            Finding(one.code, one.level, one.plot, one.value, one.limit, one.answer)
            for one in check_layout(plots, layout)
        ),
    )


def _places(plots: Sequence[PlotRecord] | None, record: Part) -> tuple[PlotPlace, ...] | None:
    """Where the plots on the run's land stand."""
    if plots is None:
        return None
    outside = set(record.part("evidence").texts("plots_outside"))
    return tuple(
        PlotPlace(plot.plot_id, plot.stratum, plot.lon_deg, plot.lat_deg)
        for plot in plots
        if plot.plot_id not in outside and plot.lon_deg is not None and plot.lat_deg is not None
    )
