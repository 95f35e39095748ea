"""What the report of a run says, as plain facts: no language, no format, no database.

`Report` is the one source of every edition: HTML and PDF, Chinese and English say the same because they are
made of the same value. Numbers are exact as far as the run recorded them (`Decimal`, whole numbers); what a
run did not record is None and reads as "not recorded", whatever version its record has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from ledger.canonical import JsonValue
from registry.documents.mapping import Ring


class Standing(StrEnum):
    """What a reader has to know about the figure before anything else; printed on every page."""

    SCREENING = "screening"
    """Rasters alone, or another figure that is only to look at."""
    EX_ANTE = "ex_ante"
    """A forecast."""
    TOO_UNCERTAIN = "too_uncertain"
    """Measured by plots, but not well enough for anything to be issued (R-15)."""
    PROVEN = "proven"
    """Measured by plots; no verifier has signed it."""
    VERIFIED = "verified"
    """Over a verifier's signature."""
    SUPERSEDED = "superseded"
    """A later run of the same period takes its place."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Where a fact stands in the log; `leaf_sha256` is the entry's hash in the tree."""

    index: int
    at: datetime
    leaf_sha256: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose forest, under which programme, for which days (`[from_on, to_on)`). An erased name is None."""

    project: str
    project_number: int | None
    project_name: str | None
    project_status: str
    county: str
    owner: str
    validator: str | None
    programme: str
    programme_name_zh: str | None
    programme_name_en: str | None
    period: str
    period_status: str
    from_on: date
    to_on: date
    pools: tuple[str, ...]
    crediting_from: date
    crediting_to: date

    @property
    def last_on(self) -> date:
        return self.to_on - timedelta(days=1)

    @property
    def days(self) -> int:
        return (self.to_on - self.from_on).days


@dataclass(frozen=True, slots=True)
class LandParcel:
    """A parcel of the run. `rings` is None where the reader may not see the outline, or it was erased; then
    `masked` says which. `exact` is whether the outline is the one of record.
    """

    number: int
    code: str
    village: str | None
    stand_type: str
    area_cm2: int
    credited_cm2: int
    eligible_cm2: int
    estimate_kg: int
    valid_area_share: Decimal | None
    masked: bool
    exact: bool
    rings: tuple[Ring, ...] | None


@dataclass(frozen=True, slots=True)
class PlotPlace:
    """A plot on the run's land, in degrees of EPSG:4490."""

    plot: str
    stratum: str
    lon_deg: float
    lat_deg: float


@dataclass(frozen=True, slots=True)
class RasterUsed:
    """A raster of the run: what its row or record says of it. `error_model` maps names to texts."""

    name: str
    sha256: str
    product: str
    taken_on: str
    kind: str | None
    unit: str | None
    band: int | None
    statement: int | None
    error_model: Mapping[str, str] | None
    licence: str | None
    attribution: str | None
    crs: str | None
    resolution: str | None
    file_name: str | None


@dataclass(frozen=True, slots=True)
class DesignUsed:
    """The design that the run's record names: where its seed comes from (`log`: the checkpoint of `size`
    entries of `origin`, whose root is `seed`; `given`: somebody's text), how many places it has, and where
    the file leaves it. All but the digest are None where the design is no longer at hand.
    """

    sha256: str
    kind: str | None = None
    seed: str | None = None
    origin: str | None = None
    size: int | None = None
    places: int | None = None
    findings: "tuple[Finding, ...] | None" = None


@dataclass(frozen=True, slots=True)
class PlotsUsed:
    """The plot file of the run; `in_file` is None where its row is gone, `design` where the record has
    none.
    """

    sha256: str
    measurement: str
    file_name: str | None
    in_file: int | None
    used: int | None
    outside: tuple[str, ...]
    places: tuple[PlotPlace, ...] | None
    design: DesignUsed | None = None


@dataclass(frozen=True, slots=True)
class LandCoverUsed:
    """A land cover of the run and the classes that count as forest; None where the product is not known."""

    name: str
    product: str
    classes: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class StratumFact:
    """A stratum: eligible hectares, plots, mean and sample deviation between plots, tC/ha."""

    code: str
    area_ha: Decimal
    n: int
    mean: Decimal
    sd: Decimal

    @property
    def se(self) -> Decimal:
        return self.sd / Decimal(self.n).sqrt()


@dataclass(frozen=True, slots=True)
class StockDensity:
    """What stands on a stratum's land, by plots or by rasters, tC/ha, beside the range of such stands (table
    3.4; None where nothing is printed). `start` and `end` are `plausible`, `below`, `above` or `unknown`.
    """

    code: str
    by: str
    start_tc_ha: Decimal
    end_tc_ha: Decimal
    low_tc_ha: Decimal | None
    high_tc_ha: Decimal | None
    start: str
    end: str
    source: str


@dataclass(frozen=True, slots=True)
class PlotChangeFact:
    """E-U1 as the run recorded it, and what calibration added. tC/ha, ha, tCO2e, per cent."""

    estimator: str
    area_ha: Decimal
    df: int
    t_value: Decimal
    mean_tc_ha: Decimal
    se_tc_ha: Decimal
    uncertainty_pct: Decimal | None
    delta_tco2e: Decimal
    coefficient: Decimal | None
    raster_mean_t_ha: Decimal | None
    raster_mean_at_plots_t_ha: Decimal | None


@dataclass(frozen=True, slots=True)
class PlotChanged:
    """What one plot measured: its change, tC/ha, and that of the raster there, t/ha."""

    plot: str
    stratum: str
    delta_tc_ha: Decimal
    raster_delta_t_ha: Decimal | None


@dataclass(frozen=True, slots=True)
class SaturationFact:
    """E-F7 of bamboo: stocks in tC/ha, since the project's start; the rest in tCO2e."""

    start_tc_ha: Decimal
    stable_tc_ha: Decimal
    raw_tco2e: Decimal
    cap_tco2e: Decimal
    credited_before_tco2e: Decimal
    creditable_tco2e: Decimal


@dataclass(frozen=True, slots=True)
class TimeFact:
    """The plots' days beside the period's; `scale` is the factor that was applied."""

    period_days: int
    shortest_days: int
    longest_days: int
    scale: Decimal


@dataclass(frozen=True, slots=True)
class RasterOpinion:
    """E-R2 drawn many times: errors that all cells share, and each parcel's own. Quantiles in tCO2e by level,
    `told` the record's own words.
    """

    draws: int
    parts: int
    seed_sha256: str | None
    rho_space: Decimal
    agrees: bool
    uncertainty_pct: Decimal | None
    change_tco2e: Mapping[str, Decimal]
    checks: tuple["OpinionCheck", ...]
    told: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class ScreeningFact:
    """E-R2: the change by rasters alone; `se_tc` is its standard error in tonnes of carbon."""

    delta_tco2e: Decimal
    uncertainty_pct: Decimal | None
    valid_area_share: Decimal | None
    se_tc: Decimal | None = None
    opinion: RasterOpinion | None = None


@dataclass(frozen=True, slots=True)
class OpinionCheck:
    """A figure of the formulas, the same out of the draws, and how far apart they may be."""

    name: str
    formula: Decimal
    drawn: Decimal
    allowed: Decimal

    @property
    def agrees(self) -> bool:
        return abs(self.drawn - self.formula) <= self.allowed


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """The whole chain drawn many times (Monte Carlo). Quantiles by level ("0.05"), in tCO2e.

    `below_credited` is the probability that the true net removal lies below what is credited,
    `refused_share` the share of draws too uncertain to issue anything, `told` the record's own words, of
    which the picture is drawn.
    """

    draws: int
    seed_sha256: str | None
    agrees: bool
    mean_tc_ha: Decimal | None
    se_tc_ha: Decimal | None
    uncertainty_pct: Decimal | None
    change_tco2e: Mapping[str, Decimal]
    net_tco2e: Mapping[str, Decimal]
    refused_share: Decimal | None
    below_credited: Decimal | None
    checks: tuple[OpinionCheck, ...]
    told: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class ChainLine:
    """A line of E-C1 as recorded: tCO2e or whole kilograms, and the rate or share that belongs to it."""

    line: str
    tco2e: Decimal | None = None
    kg: int | None = None
    percent: Decimal | None = None
    rate: Decimal | None = None
    share_ppm: int | None = None
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class TermsFact:
    """The programme's figures that the run applied; `assumed` names those that no published rule sets."""

    risk_mode: str
    buffer_ppm: int
    withheld_ppm: int
    baseline_ppm: int
    plausible_kg_ha_year: int
    refused_kg_ha_year: int
    assumed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableFact:
    """A parameter table as the run names it; `version` is None where this software has another one."""

    name: str
    version: str | None
    sha256: str


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One number of a parameter table that the run used."""

    table: str
    code: str
    name: str
    value: str
    unit: str
    source: str
    mark: str


@dataclass(frozen=True, slots=True)
class DeductionStep:
    """Up to `up_to_pct` (None: without end) the rate is `rate`, or `share_of_u` of the uncertainty."""

    up_to_pct: Decimal | None
    rate: Decimal | None
    share_of_u: Decimal | None


@dataclass(frozen=True, slots=True)
class MethodSheet:
    """The method version of the run. `known`: its record says its rows, or this software has the very same
    method; otherwise `rows` is empty.
    """

    id: str
    sha256: str
    known: bool
    code_version: str | None
    biomass: str | None
    estimator: str | None
    deduction_rule: str | None
    deduction_steps: tuple[DeductionStep, ...]
    tables: tuple[TableFact, ...]
    rows: tuple[ParameterRow, ...]


@dataclass(frozen=True, slots=True)
class AttestedRow:
    """A row used that is not sure, which a verifier has to answer for (D2)."""

    table: str
    code: str
    mark: str
    source: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run: the verifier's statement, and what was issued for it (None: not yet)."""

    statement: str
    entry: int
    verifier: str
    second_verifier: str | None
    verified_kg: int
    deduction_kg: int
    findings: str | None
    attested_sha256: str | None
    unit_kg: int
    issued_entry: int | None = None
    units: int | None = None
    buffer_units: int | None = None
    residue_before_kg: int | None = None
    residue_after_kg: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd about the plots that a run went on in spite of; an outlier may have its owner's
    answer.
    """

    code: str
    level: str
    plot: str | None
    value: str
    limit: str
    answer: str | None


@dataclass(frozen=True, slots=True)
class Check:
    """A sum that the report did again: `holds` when `found` is `expected`."""

    name: str
    expected: str
    found: str

    @property
    def holds(self) -> bool:
        return self.expected == self.found


@dataclass(frozen=True)
class Report:
    """All that a report says of one run."""

    run: str
    status: str
    superseded_by: str | None
    tier: str
    result: str
    record_version: int
    entry: LogEntry
    stated_at: datetime
    stated_index: int
    """The newest entry that the report speaks of: nothing in it is younger."""
    inputs_sha256: str
    record_sha256: str
    subject: Subject
    estimate_kg: int
    loss_kg: int
    uncertainty_ppm: int | None
    rate_kg_ha_year: int
    second_verifier: bool
    project_emissions_kg: int
    leakage_kg: int
    parcels: tuple[LandParcel, ...]
    rasters: tuple[RasterUsed, ...]
    land_covers: tuple[LandCoverUsed, ...]
    plots: PlotsUsed | None
    strata: tuple[StratumFact, ...]
    stocks: tuple[StockDensity, ...]
    change: PlotChangeFact | None
    plot_changes: tuple[PlotChanged, ...] | None
    time: TimeFact | None
    saturation: SaturationFact | None
    second_opinion: SecondOpinion | None
    screening: ScreeningFact | None
    chain: tuple[ChainLine, ...]
    terms: TermsFact
    method: MethodSheet
    attested: tuple[AttestedRow, ...]
    attestation_sha256: str
    outcome: Outcome | None
    findings: tuple[Finding, ...] | None
    software: Mapping[str, str]
    log_origin: str
    log_vkey: str
    simulated: bool
    public: bool
    """An edition to be handed on: nothing in it that only some may see."""

    @property
    def standing(self) -> Standing:
        if self.status != "recorded":
            return Standing.SUPERSEDED
        if self.tier == "ex_ante":
            return Standing.EX_ANTE
        if self.tier != "verified":
            return Standing.SCREENING
        if self.result != "ok":
            return Standing.TOO_UNCERTAIN
        return Standing.PROVEN if self.outcome is None else Standing.VERIFIED

    def line(self, name: str) -> ChainLine:
        """A line of the chain by its name; an empty one where the record has none."""
        return next((one for one in self.chain if one.line == name), ChainLine(name))

    @property
    def area_cm2(self) -> int:
        return sum(parcel.area_cm2 for parcel in self.parcels)

    @property
    def eligible_cm2(self) -> int:
        return sum(parcel.eligible_cm2 for parcel in self.parcels)

    @property
    def by_stand_type(self) -> dict[str, tuple[LandParcel, ...]]:
        """The parcels by stand type, the types by their code."""
        types = sorted({parcel.stand_type for parcel in self.parcels})
        return {code: tuple(parcel for parcel in self.parcels if parcel.stand_type == code) for code in types}

    @property
    def least_valid_share(self) -> Decimal | None:
        known = [one.valid_area_share for one in self.parcels if one.valid_area_share is not None]
        return min(known) if known else None

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """The sums of the record, done again by this report alone."""
        return tuple(_checks(self))


def _checks(report: Report) -> Sequence[Check]:
    shared = sum(parcel.estimate_kg for parcel in report.parcels)
    made = [Check("shares", str(report.estimate_kg), str(shared))]
    adjusted = report.line("project_adjusted").tco2e
    parts = [report.line(name).tco2e for name in ("baseline", "project_emissions", "leakage")]
    net = report.line("net_reduction").tco2e
    known = [part for part in parts if part is not None]
    if adjusted is not None and net is not None and len(known) == len(parts):
        again = adjusted - sum(known, Decimal(0))
        made.append(Check("net", plain_decimal(net), plain_decimal(again)))
    issuable = report.line("issuable").kg
    if issuable is not None:
        made.append(Check("issuable", str(report.estimate_kg), str(issuable)))
    if report.strata and report.change is not None:
        area = sum((one.area_ha for one in report.strata), Decimal(0))
        made.append(Check("strata_area", plain_decimal(report.change.area_ha), plain_decimal(area)))
    return made


def plain_decimal(value: Decimal) -> str:
    """The decimal as its digits: no exponent, no trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
