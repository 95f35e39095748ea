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

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version as package_version
from pathlib import Path

import numpy as np
import pyproj
import shapely

from geo.coverage import Coverage, cover_parcels
from geo.crs import Polygonal
from geo.raster import Grid, gdal_version
from geo.work import Progress
from ledger.canonical import JsonValue, encode
from registry.apportion import largest_remainder
from registry.estimates.chain import Chain, Change, chained, lines, ppm, rate_kg_ha_year
from registry.estimates.ground import Cover, Ground, measure, opened
from registry.estimates.input_files import checked
from registry.estimates.inputs import ParcelInput, RunInputs, check_raster_dates
from registry.estimates.methods import Mark, MethodVersion, RowUse, method_version, volume_carbon_tc_ha
from registry.estimates.methods.constants import C_TO_CO2
from registry.estimates.parameter_rows import rows_used
from registry.estimates.plain import plain
from registry.estimates.proof import Work, findings, opinion, prove, proven, raster_second_opinion, screened
from registry.estimates.run_record import RECORD_VERSION, RunRecord


class Steps:
    """Tells how far a run has come: files checked, ground measured, change found, record written."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total
        self._tell()

    def next(self) -> None:
        self._done += 1
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress("estimate", self._done, self._total)


def fresh_cover(outlines: Sequence[Polygonal], keys: Sequence[str], grid: Grid) -> Coverage:
    """Shares made anew and kept nowhere."""
    return cover_parcels(outlines, grid)


def compute(
    inputs: RunInputs,
    outlines: Sequence[Polygonal],
    files: Mapping[str, Path],
    cover: Cover = fresh_cover,
    progress: Progress | None = None,
    copies: Mapping[str, Path] | None = None,
) -> RunRecord:
    """Compute a run.

    `outlines` are the canonical outlines of `inputs.parcels`, in their order; `files` has the path of each
    raster by its name, and of the plots as `plots`. The bytes of every file are held against their digest
    first. `cover` is where shares of pixels are kept; without one they are made and thrown away. `copies` are
    read in place of the rasters of their names: proven to hold the same values (`rasters.copies`). Raises
    `StoredFileChanged`, the refusals of `geo`, `EstimateRefused` and `MethodRefusal`.
    """
    told = Steps(progress, 4)
    method = method_version(inputs.method)
    check_raster_dates(inputs)
    for name, sha256 in inputs.file_digests.items():
        checked(files.get(name), sha256)
    told.next()
    plots = None if inputs.plots is None else files["plots"].read_bytes()
    with opened({**files, **(copies or {})}) as rasters:
        work = Work(inputs, method, outlines, plots, rasters)
        ground = measure(inputs, outlines, rasters, method.parameters, cover)
        told.next()
        proof = None if plots is None else prove(work, ground)
    change = screened(ground) if proof is None else proven(work, ground, proof)
    chain = chained(inputs, method, change)
    told.next()
    if proof is not None and inputs.record_version > 1:
        change.evidence["second_opinion"] = opinion(work, ground, proof, chain)
        change.evidence["findings"] = findings(work, ground, proof)
    record = _record(work, ground, change, chain)
    told.next()
    return record


def _record(work: Work, ground: Ground, change: Change, chain: Chain) -> RunRecord:
    inputs, method = work.inputs, work.method
    rate = rate_kg_ha_year(inputs.terms, chain, ground.eligible_cm2, inputs.days)
    kilograms = largest_remainder(chain.issuable.verified_kg, change.weights)
    document: dict[str, JsonValue] = {
        "version": inputs.record_version,
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
        "screening": _screening(work, ground),
        "rows_to_attest": [_object(plain(row)) for row in _rows(inputs, method)],
        "software": software(inputs.record_version),
    }
    if inputs.record_version > 1:
        document |= _method_facts(inputs, method)
    return RunRecord(encode(document).decode())


def _screening(work: Work, ground: Ground) -> dict[str, JsonValue]:
    """What the rasters alone say; since version 2 with the drawn errors beside the formula's."""
    told: dict[str, JsonValue] = {
        **_object(plain(ground.change)),
        "valid_area_share": plain(ground.valid_area_share),
        "sums_in": "tC; E-R2 over carbon, because each stand type has its own factors",
    }
    if work.inputs.record_version > 1:
        told["second_opinion"] = raster_second_opinion(work, ground)
    return told


def software(record_version: int = RECORD_VERSION) -> dict[str, JsonValue]:
    """Versions of the libraries that geometry and sums go through; named when a result differs."""
    found: dict[str, JsonValue] = {
        "geos": shapely.geos_version_string,
        "numpy": np.__version__,
        "proj": pyproj.proj_version_str,
    }
    return found if record_version == 1 else found | _more_software()


def _more_software() -> dict[str, JsonValue]:
    return {
        "gdal": gdal_version(),
        "python": platform.python_version(),
        "shapely": shapely.__version__,
        "tanhui": package_version("tanhui"),
    }


def _method_facts(inputs: RunInputs, method: MethodVersion) -> dict[str, JsonValue]:
    """What `method_sha256` is the digest of, and the rows of the tables that the run computed with."""
    used = rows_used(method, {parcel.stand_type for parcel in inputs.parcels})
    return {
        "inputs_parts_sha256": dict(inputs.part_digests()),
        "method": plain(method.record()),
        "parameters": plain(used),
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
    if parcel.volume_m3_ha is None or parcel.stand_type not in method.parameters.stand_types.rows:
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
