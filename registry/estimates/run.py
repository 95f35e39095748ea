"""The estimate: inputs and files in, a record out. Nothing here knows a database, a clock or a signature.

1. The rasters say which ground is eligible, and what changed above it (`screening`: never issued).
2. The plots on that ground say how much the forest grew, by stand type (E-U1); that makes the run fit for
   verification.
3. E-C1, line by line: uncertainty, baseline, project emissions, leakage; what is withheld against reversal
   comes out of the units at issuance or is deducted here, as the programme says.
4. The kilograms are shared out over the parcels by stratum mean times eligible area, and add up exactly.

Plots are not extrapolated: growth between the last measurement and the end of the period is not claimed.
Where the measurements lie further apart than the period is long, the change is scaled down to the period.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyproj
import shapely

from geo.crs import Polygonal
from geo.raster import RasterSource
from ledger.canonical import JsonValue, encode
from registry.apportion import largest_remainder
from registry.estimates.chain import Change, chained, lines, ppm, rate_kg_ha_year
from registry.estimates.ground import Ground, change_at_plots, measure, opened, place
from registry.estimates.inputs import ParcelInput, RunInputs, check_raster_dates, forest_classes
from registry.estimates.methods import (
    ChangeEstimator,
    Mark,
    MethodVersion,
    PlotRecord,
    RowUse,
    calibrate,
    check_dates,
    estimate_change,
    method_version,
    volume_carbon_tc_ha,
)
from registry.estimates.methods.constants import C_TO_CO2
from registry.estimates.plain import plain
from registry.estimates.rasters import READERS, checked
from registry.estimates.rules import TIER_SCREENING, TIER_VERIFIED
from registry.estimates.run_record import RECORD_VERSION, RunRecord
from registry.programmes.rules import MILLION

_WEIGHT_PER_TC: Final = 10**6


def compute(inputs: RunInputs, outlines: Sequence[Polygonal], files: Mapping[str, Path]) -> RunRecord:
    """Compute a run.

    `outlines` are the canonical outlines of `inputs.parcels`, in their order; `files` has the path of each
    raster by its name, and of the plots as `plots`. The bytes of every file are held against their digest
    first. Raises `StoredFileChanged`, the refusals of `geo`, `EstimateRefused` and `MethodRefusal`.
    """
    method = method_version(inputs.method)
    check_raster_dates(inputs)
    for name, sha256 in inputs.file_digests.items():
        checked(files.get(name), sha256)
    with opened(files) as rasters:
        ground = measure(inputs.parcels, outlines, rasters, forest_classes(inputs), method.parameters)
        change = (
            _screened(ground)
            if inputs.plots is None
            else _proven(inputs, method, ground, outlines, files, rasters)
        )
    chain = chained(inputs, method, change)
    rate = rate_kg_ha_year(inputs.terms, chain, ground.eligible_cm2, inputs.days)
    kilograms = largest_remainder(chain.issuable.verified_kg, change.weights)
    document: dict[str, JsonValue] = {
        "version": RECORD_VERSION,
        "inputs": inputs.to_json(),
        "inputs_sha256": inputs.digest(),
        "results": {
            "tier": change.tier,
            "status": chain.status,
            "estimate_kg": chain.issuable.verified_kg,
            "loss_kg": chain.issuable.loss_kg,
            "uncertainty_ppm": ppm(change.uncertainty_pct),
            "rate_kg_ha_year": rate,
            "second_verifier": rate > inputs.terms.plausible_kg_ha_year,
            "eligible_cm2": ground.eligible_cm2,
            "parcels": _parcels(inputs, method, ground, kilograms),
        },
        "chain": lines(inputs, change, chain),
        "evidence": change.evidence,
        "screening": {
            **_object(plain(ground.change)),
            "valid_area_share": plain(ground.valid_area_share),
            "sums_in": "tC; E-R2 over carbon, because each stand type has its own factors",
        },
        "rows_to_attest": [_object(plain(row)) for row in _rows(inputs, method)],
        "software": software(),
    }
    return RunRecord(encode(document).decode())


def software() -> dict[str, JsonValue]:
    """Versions of the libraries that geometry and sums go through; named when a result differs."""
    return {
        "geos": shapely.geos_version_string,
        "numpy": np.__version__,
        "proj": pyproj.proj_version_str,
    }


# ---- the change --------------------------------------------------------------------------------------------


def _screened(ground: Ground) -> Change:
    """Rasters alone: a number to look at."""
    weights = tuple(_weight(parcel.delta_t) for parcel in ground.parcels)
    return Change(
        TIER_SCREENING, ground.change.delta_tco2e, ground.change.uncertainty_pct, weights, {"plots": None}
    )


def _proven(
    inputs: RunInputs,
    method: MethodVersion,
    ground: Ground,
    outlines: Sequence[Polygonal],
    files: Mapping[str, Path],
    rasters: Mapping[str, RasterSource],
) -> Change:
    """The change that the plots on the project's land prove, helped by rasters where the method says so."""
    assert inputs.plots is not None
    plots = place(READERS[inputs.plots.measurement](files["plots"].read_bytes()), inputs.parcels, outlines)
    tolerance = method.parameters.whole_setting("max_plot_date_offset_days")
    check_dates(plots.inside, inputs.from_date, inputs.to_date, tolerance_days=tolerance)
    estimate = estimate_change(
        plots.inside, ground.strata_ha, biomass=method.biomass, parameters=method.parameters
    )
    helped = method.estimator is not ChangeEstimator.STRATIFIED
    at_plots = change_at_plots(plots.inside, rasters) if helped else {}
    calibrated = calibrate(
        estimate,
        at_plots,
        ground.strata_delta_t_ha,
        method.estimator,
        reliability=method.parameters.setting("reliability"),
    )
    scale, span = _span(inputs, plots.inside)
    means = {stratum.name: stratum.mean for stratum in estimate.strata}
    weights = tuple(
        _weight(means[parcel.stand_type] * parcel.eligible_ha) if parcel.eligible_cm2 else 0
        for parcel in ground.parcels
    )
    if not any(weights):
        weights = tuple(parcel.eligible_cm2 for parcel in ground.parcels)
    evidence: dict[str, JsonValue] = {
        "plots_used": len(plots.inside),
        "plots_outside": list(plots.outside),
        "strata": plain(estimate.strata),
        "change": plain(calibrated),
        "time": span,
    }
    delta = calibrated.change.delta_tco2e * scale
    return Change(TIER_VERIFIED, delta, calibrated.change.uncertainty_pct, weights, evidence)


def _weight(carbon: float) -> int:
    """A parcel's part as a whole number; parcels of strata that lost carbon get nothing."""
    return max(round(carbon * _WEIGHT_PER_TC), 0)


def _span(inputs: RunInputs, plots: Sequence[PlotRecord]) -> tuple[float, dict[str, JsonValue]]:
    """The factor from the plots' time to the period's, never above 1, and how the record explains it."""
    spans = [(plot.measured2_on - plot.measured1_on).days for plot in plots]
    longest = max(spans)
    scale = min(1.0, inputs.days / longest)
    return scale, {
        "period_days": inputs.days,
        "plot_days_shortest": min(spans),
        "plot_days_longest": longest,
        "plots_span_ppm": round(math.fsum(spans) / len(spans) / inputs.days * MILLION),
        "scale": repr(scale),
        "rule": "not extrapolated: growth outside the plots' dates is not claimed; longer spans scale down",
    }


# ---- the record --------------------------------------------------------------------------------------------


def _parcels(
    inputs: RunInputs, method: MethodVersion, ground: Ground, kilograms: Sequence[int]
) -> list[JsonValue]:
    """What the run says of each parcel: its ground, the stock by raster at both dates and by the table, its
    kilograms.
    """
    return [
        {
            "number": parcel.number,
            "estimate_kg": kg,
            "eligible_cm2": parcel.eligible_cm2,
            "valid_area_share": plain(min(parcel.start.valid_area_share, parcel.end.valid_area_share)),
            "agb_start_t": plain(parcel.start.agb_total_t),
            "agb_end_t": plain(parcel.end.agb_total_t),
            "stock_start_tco2e": plain(parcel.start.stock_tco2e),
            "stock_end_tco2e": plain(parcel.end.stock_tco2e),
            "tabulated_stock_tco2e": plain(_tabulated_tco2e(given, parcel.eligible_ha, method)),
        }
        for given, parcel, kg in zip(inputs.parcels, ground.parcels, kilograms, strict=True)
    ]


def _tabulated_tco2e(parcel: ParcelInput, hectares: float, method: MethodVersion) -> float | None:
    """Stand type times tabulated volume (E-F1); for comparison only."""
    if parcel.volume_m3_ha is None:
        return None
    factors = method.parameters.stand_types.row(parcel.stand_type).factors
    return volume_carbon_tc_ha(float(parcel.volume_m3_ha), factors) * hectares * C_TO_CO2


def _rows(inputs: RunInputs, method: MethodVersion) -> list[RowUse]:
    """Rows that the run used and that are not sure: of the method's tables, and of the programme (D2)."""
    rows = list(method.rows_to_attest(parcel.stand_type for parcel in inputs.parcels))
    table = f"programme:{inputs.terms.programme}"
    rows += [RowUse(table, name, Mark.ASSUMED, "terms of the programme") for name in inputs.terms.assumed]
    return rows


def _object(value: JsonValue) -> dict[str, JsonValue]:
    assert isinstance(value, dict)
    return value
