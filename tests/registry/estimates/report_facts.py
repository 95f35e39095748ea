"""A report of invented, fixed facts: nothing in it is drawn, measured or of today."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from registry.documents.mapping import Ring
from registry.estimates.methods.library import data_table
from registry.estimates.reports.facts import (
    AttestedRow,
    ChainLine,
    DeductionStep,
    DesignUsed,
    Finding,
    LandCoverUsed,
    LandParcel,
    LogEntry,
    MethodSheet,
    OpinionCheck,
    Outcome,
    ParameterRow,
    PlotChanged,
    PlotChangeFact,
    PlotPlace,
    PlotsUsed,
    RasterOpinion,
    RasterUsed,
    Report,
    ScreeningFact,
    SecondOpinion,
    StockDensity,
    StratumFact,
    Subject,
    TableFact,
    TermsFact,
    TimeFact,
)

SOURCE_3_4 = data_table("reference_densities").table.row("chinese_fir").source
AT = datetime(2026, 3, 2, 3, 4, 5, tzinfo=UTC)
STANDS = ("chinese_fir", "masson_pine", "hard_broadleaf")
ESTIMATE_KG = 2_366_800
RASTER_NAMES = (
    "agb_start", "agb_start_sd", "agb_end", "agb_end_sd", "land_cover_start", "land_cover_end",
)  # fmt: skip


def ring(number: int) -> Ring:
    """A round outline of some hectares, its place by its number."""
    east, north = 118.80 + number % 14 * 0.004, 28.93 + number // 14 * 0.0035
    turns = [2 * math.pi * corner / 12 for corner in range(12)]
    return tuple(
        (round((east + 0.0018 * math.cos(turn)) * 10**7), round((north + 0.0015 * math.sin(turn)) * 10**7))
        for turn in turns
    )


def parcels(count: int) -> tuple[LandParcel, ...]:
    """So many parcels; their shares add up to the estimate."""
    share, rest = divmod(ESTIMATE_KG, count)
    return tuple(
        LandParcel(
            number=n + 1,
            code=f"330802-{n + 1:04d}",
            village=f"V-{n % 3}",
            stand_type=STANDS[n % 3],
            area_cm2=1_100_000_000 + 37 * n,
            credited_cm2=1_100_000_000 + 37 * n,
            eligible_cm2=1_090_000_000 + 11 * n,
            estimate_kg=share + (n < rest),
            valid_area_share=Decimal("0.998"),
            masked=False,
            exact=True,
            rings=(ring(n),),
        )
        for n in range(count)
    )


def opinion() -> SecondOpinion:
    told: dict[str, Any] = {
        "histogram_counts": [1, 4, 9, 4, 1],
        "histogram_tco2e": {"from": "3000", "to": "3900"},
        "change_quantiles_tco2e": {"0.05": "3200", "0.5": "3438", "0.95": "3700"},
    }
    quantiles = {level: Decimal(value) for level, value in told["change_quantiles_tco2e"].items()}
    checks = (OpinionCheck("mean_tc_ha", Decimal("6.6481"), Decimal("6.6483"), Decimal("0.007")),)
    return SecondOpinion(
        draws=10_000,
        seed_sha256="5e" * 32,
        agrees=True,
        mean_tc_ha=Decimal("6.6483"),
        se_tc_ha=Decimal("0.1783"),
        uncertainty_pct=Decimal("8.1219"),
        change_tco2e=quantiles,
        net_tco2e={},
        refused_share=Decimal(0),
        below_credited=Decimal("0.5"),
        checks=checks,
        told=told,
    )


def raster_opinion() -> RasterOpinion:
    told: dict[str, Any] = {
        "histogram_counts": [2, 5, 9, 5, 2],
        "histogram_tco2e": {"from": "-7000", "to": "13600"},
        "change_quantiles_tco2e": {"0.05": "-2286", "0.5": "3301", "0.95": "8887"},
    }
    quantiles = {level: Decimal(value) for level, value in told["change_quantiles_tco2e"].items()}
    checks = (OpinionCheck("se_tc", Decimal("926.13"), Decimal("931.2"), Decimal("26.2")),)
    return RasterOpinion(
        draws=10_000,
        parts=3,
        seed_sha256="5e" * 32,
        rho_space=Decimal("0.3"),
        agrees=True,
        uncertainty_pct=Decimal("168.9"),
        change_tco2e=quantiles,
        checks=checks,
        told=told,
    )


def laid_out() -> DesignUsed:
    missing = Finding("plot_of_design_missing", "warning", "P-13", "chinese_fir", "", None)
    return DesignUsed("d5" * 32, "log", "5d" * 32, "log.example", 41, 13, (missing,))


def made_report(count: int = 3, **changed: Any) -> Report:
    """A verified run of so many parcels."""
    report = Report(
        run="00000000-0000-4000-8000-00000000000a",
        status="recorded",
        superseded_by=None,
        tier="verified",
        result="ok",
        record_version=2,
        entry=LogEntry(17, AT, "ab" * 32),
        stated_at=AT,
        stated_index=21,
        inputs_sha256="cd" * 32,
        record_sha256="ef" * 32,
        subject=subject(),
        estimate_kg=ESTIMATE_KG,
        loss_kg=0,
        uncertainty_ppm=83_421,
        rate_kg_ha_year=3_412,
        second_verifier=False,
        project_emissions_kg=12_000,
        leakage_kg=0,
        parcels=parcels(count),
        rasters=rasters(),
        land_covers=(LandCoverUsed("land_cover_start", "CLCD", (2,)),),
        plots=PlotsUsed(
            "12" * 32, "volume", "plots.csv", 12, 9, ("P-10", "P-11", "P-12"), places(), laid_out()
        ),
        strata=tuple(
            StratumFact(code, Decimal("109.0000"), 3, Decimal("6.5"), Decimal("1.25")) for code in STANDS
        ),
        change=PlotChangeFact(
            "stratified",
            Decimal("327.0000"),
            6,
            Decimal("1.943180"),
            Decimal("6.5"),
            Decimal("0.4166"),
            Decimal("8.3421"),
            Decimal("3438.2857142857"),
            None,
            None,
            None,
        ),
        plot_changes=tuple(
            PlotChanged(f"P-{n + 1}", STANDS[n % 3], Decimal("5.2") + n, None) for n in range(9)
        ),
        time=TimeFact(1827, 1796, 1800, Decimal("1.0")),
        saturation=None,
        second_opinion=opinion(),
        stocks=(
            StockDensity(
                "chinese_fir",
                "plots",
                Decimal("21.4"),
                Decimal("28.05"),
                Decimal("4.935"),
                Decimal("70.18"),
                "plausible",
                "plausible",
                SOURCE_3_4,
            ),
            StockDensity(
                "masson_pine",
                "rasters",
                Decimal("2.31"),
                Decimal("9.05"),
                Decimal("5.6"),
                Decimal("84.1"),
                "below",
                "plausible",
                SOURCE_3_4,
            ),
        ),
        screening=ScreeningFact(
            Decimal("3300.5"), Decimal("169.25"), Decimal("0.9991"), Decimal("926.13"), raster_opinion()
        ),
        chain=chain(),
        terms=TermsFact("buffer", 100_000, 0, 300_000, 12_000, 30_000, ("baseline_ppm", "buffer_ppm")),
        method=method(),
        attested=(
            AttestedRow("stand_types", "chinese_fir", "P", "E-F1"),
            AttestedRow("programme:ZJ-PH.1", "baseline_ppm", "A", "terms of the programme"),
        ),
        attestation_sha256="34" * 32,
        outcome=Outcome(
            statement="00000000-0000-4000-8000-00000000000b",
            entry=20,
            verifier="V-Org",
            second_verifier=None,
            verified_kg=2_300_000,
            deduction_kg=66_800,
            findings="F-1",
            attested_sha256="34" * 32,
            unit_kg=1000,
            issued_entry=21,
            units=2300,
            buffer_units=230,
            residue_before_kg=0,
            residue_after_kg=0,
        ),
        findings=(Finding("plot_stands_out", "outlier", "P-9", "13.2", "|z| <= 3.5", None),),
        software={"geos": "3.14.1", "numpy": "2.4.6"},
        log_origin="registry.example/log",
        log_vkey="registry.example/log+0011aabb+AAAA",
        simulated=True,
        public=False,
    )
    return replace(report, **changed)


def unpictured(count: int = 3, **changed: Any) -> Report:
    """The same without what pictures are drawn of, which takes its time."""
    return made_report(count, **{"strata": (), "second_opinion": None, "plot_changes": None} | changed)


def subject() -> Subject:
    return Subject(
        project="00000000-0000-4000-8000-00000000000c",
        project_number=7,
        project_name="P-7",
        project_status="active",
        county="330802",
        owner="O-1",
        validator="V-2",
        programme="ZJ-PH.1",
        programme_name_zh="方案一",
        programme_name_en="Programme one",
        period="00000000-0000-4000-8000-00000000000d",
        period_status="issued",
        from_on=date(2020, 1, 1),
        to_on=date(2025, 1, 1),
        pools=("forest-biomass",),
        crediting_from=date(2020, 1, 1),
        crediting_to=date(2040, 1, 1),
    )


def rasters() -> tuple[RasterUsed, ...]:
    return tuple(
        RasterUsed(
            name=name,
            sha256=f"{n:02d}" * 32,
            product="R-1",
            taken_on="2020-01-01",
            kind="agb",
            unit="t/ha",
            band=1,
            statement=1,
            error_model={"kind": "relative_ppm", "ppm": "120000", "rho_space_ppm": "300000"},
            licence=None if n else "CC0-1.0",
            attribution=None,
            crs="EPSG:4549",
            resolution="30 × 30",
            file_name=f"{name}.tif",
        )
        for n, name in enumerate(RASTER_NAMES)
    )


def places() -> tuple[PlotPlace, ...]:
    return tuple(PlotPlace(f"P-{n + 1}", STANDS[n % 3], 118.8 + n % 3 * 0.004, 28.93) for n in range(9))


def chain() -> tuple[ChainLine, ...]:
    return (
        ChainLine("project_change", Decimal("3438.2857142857")),
        ChainLine("uncertainty", percent=Decimal("8.3421"), rate=Decimal(0)),
        ChainLine("project_adjusted", Decimal("3438.2857142857")),
        ChainLine("baseline", Decimal("1059.48571428571"), share_ppm=300_000),
        ChainLine("project_emissions", Decimal(12)),
        ChainLine("leakage", Decimal(0)),
        ChainLine("net_reduction", Decimal("2366.79999999999")),
        ChainLine("non_permanence", Decimal("236.679999999999"), share_ppm=100_000, mode="buffer"),
        ChainLine("issuable", kg=ESTIMATE_KG),
    )


def method() -> MethodSheet:
    factors = (("wood_density", "0.307", "t/m³"), ("bef", "1.634", "1"), ("root_shoot", "0.246", "1"))
    source = "China national GHG inventory 2005, annex of AR-CM-001-V01 (recollected)"
    return MethodSheet(
        id="zj-ph-forest-management/1",
        sha256="56" * 32,
        known=True,
        code_version="1",
        biomass="E-F1",
        estimator="stratified",
        deduction_rule="ar_cm",
        deduction_steps=(
            DeductionStep(Decimal(10), Decimal(0), None),
            DeductionStep(Decimal(20), Decimal("0.06"), None),
        ),
        tables=(TableFact("stand_types", "1", "78" * 32),),
        rows=(
            *(
                ParameterRow("stand_types", code, name, value, unit, source, "P")
                for code in STANDS
                for name, value, unit in factors
            ),
            ParameterRow("estimation_rules", "rho_space", "", "0.30", "correlation", "E-R2", "A"),
            ParameterRow("estimation_rules", "z_value", "", "1.645", "standard deviations", "E-R2", "S"),
        ),
    )
