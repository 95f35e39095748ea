"""Stocks of many parcels from one raster of density: E-R1 with its error, for looking at, never for issuing.

Parcels come in pieces of a constant number, in their order; of each piece the shares of cells come from a
store (`geo.coverage_store`), sums of density and of its errors block by block (`geo.zonal`,
`geo.zonal_errors`). What a parcel gets depends on nothing but its outline and the rasters, so neither the
number of workers, nor the machines they are on, nor the other parcels change a digit. Memory holds one piece
at a time.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geo.coverage import Coverage
from geo.coverage_store import CoverageStore
from geo.crs import Polygonal
from geo.polygon import from_wkb
from geo.raster import Grid, RasterSource
from geo.work import Progress, Workers
from geo.zonal import Layer, Mask, zonal_sums_of
from geo.zonal_errors import ErrorLayer, error_sums
from registry.estimates.methods import ParameterSet, StandType
from registry.estimates.methods.constants import C_TO_CO2
from registry.estimates.rules import TIER_SCREENING, ScreeningWithoutParcels
from registry.programmes.rules import MILLION

PIECE: Final = 100_000
"""Parcels measured together: some hundred MiB at cells of 10 m. Each piece reads the blocks that it touches,
so few large ones are better than many. No result depends on it.
"""
M2_PER_HA: Final = 10_000
_INSIDE: Final = 1 - 1e-7

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A parcel to be screened: canonical outline in EPSG:4490 as WKB; `stand_type` is a code of the tables,
    or None where nobody knows it.
    """

    parcel: str
    name: str
    county: str
    stand_type: str | None
    wkb: bytes


@dataclass(frozen=True, slots=True)
class Density:
    """A raster of dry matter above ground, t/ha, with what is known of its error and of forest on its grid.

    `deviations` is a raster of standard deviations; where there is none, `relative_ppm` or `absolute_kg_ha`
    say the error of a pixel, and where nothing does there is no error to tell. `covers` are land covers with
    their forest classes (None: shares).
    """

    source: RasterSource
    band: int = 1
    deviations: RasterSource | None = None
    deviations_band: int = 1
    relative_ppm: int | None = None
    absolute_kg_ha: int | None = None
    rho_space: float | None = None
    covers: tuple[Mask, ...] = ()

    @property
    def has_error(self) -> bool:
        return self.deviations is not None or self.relative_ppm is not None or self.absolute_kg_ha is not None


@dataclass(frozen=True, slots=True)
class StockRow:
    """One parcel. Areas in hectares, dry matter in t, carbon in tC, stock and its standard error in tCO2e.

    `status`: ok, insufficient_coverage (less than the least share of eligible ground has values),
    outside_raster, no_forest, stand_type_unknown. `uncertainty_pct` is z * SE / stock * 100 (E-R2 for one
    date). Figures that nobody can know are None.
    """

    parcel: str
    name: str
    county: str
    stand_type: str | None
    tier: str
    status: str
    area_ha: float
    eligible_ha: float
    measured_ha: float
    valid_area_share: float
    agb_t: float
    agb_mean_t_ha: float | None
    carbon_tc: float | None
    stock_tco2e: float | None
    stock_se_tco2e: float | None
    uncertainty_pct: float | None

    def values(self) -> dict[str, Any]:
        """By column, in their order."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS: Final = tuple(field.name for field in fields(StockRow))


@dataclass(frozen=True, slots=True)
class Measured:
    """What a piece's arrays are: m2 and t for each parcel; `error_t` is None without an error model."""

    area_m2: Floats
    eligible_m2: Floats
    measured_m2: Floats
    agb_t: Floats
    error_t: Floats | None
    inside_share: Floats


def screen(
    candidates: Iterable[Candidate],
    density: Density,
    parameters: ParameterSet,
    store: CoverageStore,
    *,
    total: int,
    workers: Workers | int = 1,
    progress: Progress | None = None,
) -> Iterator[tuple[StockRow, bytes]]:
    """Every parcel's stock with its outline, in the order of the candidates (`ScreeningWithoutParcels`).

    `total` is for telling the progress. Raises RasterGridMismatch, RasterUnreadable.
    """
    done = 0
    rows = iter(candidates)
    while piece := list(islice(rows, PIECE)):
        if progress is not None:
            progress("parcels", done, max(total, done))
        found = measure(piece, density, parameters, store, workers, progress)
        for candidate, row in zip(piece, stock_rows(piece, found, parameters), strict=True):
            yield row, candidate.wkb
        done += len(piece)
    if progress is not None:
        progress("parcels", done, max(total, done))
    if not done:
        raise ScreeningWithoutParcels()


def measure(
    piece: Sequence[Candidate],
    density: Density,
    parameters: ParameterSet,
    store: CoverageStore,
    workers: Workers | int = 1,
    progress: Progress | None = None,
) -> Measured:
    """One piece of parcels under the rasters; the progress is told of its steps as well."""
    coverage = shares_of(piece, density.source.grid, store, workers, progress)
    layer = Layer(density.source, density.band, density.covers)
    (stock,) = zonal_sums_of(coverage, [layer], workers=workers, progress=progress)
    rho = parameters.setting("rho_space") if density.rho_space is None else density.rho_space
    error_t: Floats | None = None
    if density.has_error:
        errors = error_sums(coverage, _error_layer(density), workers=workers, progress=progress)
        error_t = errors.standard_error(rho) / M2_PER_HA
    return Measured(
        area_m2=coverage.ground_m2,
        eligible_m2=stock.area_m2,
        measured_m2=np.minimum(stock.measured_m2, stock.area_m2),
        agb_t=stock.total / M2_PER_HA,
        error_t=error_t,
        inside_share=coverage.inside_share,
    )


def shares_of(
    piece: Sequence[Candidate],
    grid: Grid,
    store: CoverageStore,
    workers: Workers | int,
    progress: Progress | None,
) -> Coverage:
    """Shares of cells of parcels, in their order, from the store; missing ones are made and kept there."""
    keys = [hashlib.sha256(candidate.wkb).hexdigest() for candidate in piece]
    return store.coverage(_outlines(piece), keys, grid, workers=workers, progress=progress)


def _outlines(piece: Sequence[Candidate]) -> Callable[[Any], Sequence[Polygonal]]:
    """Only outlines whose shares are not kept are read."""
    return lambda positions: [from_wkb(piece[int(n)].wkb) for n in positions]


def _error_layer(density: Density) -> ErrorLayer:
    """What a pixel's error is, in t/ha: its own, else a share of the value, else the same everywhere."""
    per_value = density.deviations is None and density.relative_ppm is not None
    return ErrorLayer(
        density.source,
        density.band,
        density.covers,
        deviations=density.deviations,
        deviations_band=density.deviations_band,
        relative=(density.relative_ppm or 0) / MILLION if per_value else 0.0,
        absolute=0.0 if per_value else (density.absolute_kg_ha or 0) / 1000,
    )


# ---- rows --------------------------------------------------------------------------------------------------


def stock_rows(piece: Sequence[Candidate], found: Measured, parameters: ParameterSet) -> Iterator[StockRow]:
    """Carbon and CO2 by each parcel's stand type (E-R1)."""
    least, z = parameters.setting("min_valid_area_share"), parameters.setting("z_value")
    types = parameters.stand_types.rows
    for n, candidate in enumerate(piece):
        kind = types.get(candidate.stand_type or "")
        eligible, measured = float(found.eligible_m2[n]), float(found.measured_m2[n])
        valid = measured / eligible if eligible > 0 else 0.0
        agb = float(found.agb_t[n])
        carbon = None if kind is None else agb * _carbon_per_t(kind)
        error = _error_tco2e(found, n, kind)
        stock = None if carbon is None else carbon * C_TO_CO2
        yield StockRow(
            parcel=candidate.parcel,
            name=candidate.name,
            county=candidate.county,
            stand_type=candidate.stand_type,
            tier=TIER_SCREENING,
            status=_status(float(found.inside_share[n]), eligible, valid, least, kind),
            area_ha=float(found.area_m2[n]) / M2_PER_HA,
            eligible_ha=eligible / M2_PER_HA,
            measured_ha=measured / M2_PER_HA,
            valid_area_share=valid,
            agb_t=agb,
            agb_mean_t_ha=agb / (measured / M2_PER_HA) if measured > 0 else None,
            carbon_tc=carbon,
            stock_tco2e=stock,
            stock_se_tco2e=error,
            uncertainty_pct=None if not stock or error is None else z * error / abs(stock) * 100,
        )


def _carbon_per_t(kind: StandType) -> float:
    return (1 + kind.factors.root_shoot) * kind.factors.carbon_fraction


def _error_tco2e(found: Measured, n: int, kind: StandType | None) -> float | None:
    if found.error_t is None or kind is None or math.isnan(found.error_t[n]):
        return None
    return float(found.error_t[n]) * _carbon_per_t(kind) * C_TO_CO2


def _status(inside: float, eligible: float, valid: float, least: float, kind: StandType | None) -> str:
    if inside < _INSIDE:
        return "outside_raster"
    if eligible <= 0:
        return "no_forest"
    if valid < least:
        return "insufficient_coverage"
    return "ok" if kind is not None else "stand_type_unknown"


# ---- what a whole screening says ---------------------------------------------------------------------------


class Tally:
    """Sums and the digest of all rows as they go by; the digest is of their texts, in no file's format."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.parcels = 0
        self.by_status: dict[str, int] = {}
        self._stocks: list[float] = []
        self._hectares: list[float] = []

    def add(self, row: StockRow) -> StockRow:
        spelled = {name: repr(one) if isinstance(one, float) else one for name, one in row.values().items()}
        text = json.dumps(spelled, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        self._digest.update(text.encode() + b"\n")
        self.parcels += 1
        self.by_status[row.status] = self.by_status.get(row.status, 0) + 1
        if row.status == "ok" and row.stock_tco2e is not None:
            self._stocks.append(row.stock_tco2e)
            self._hectares.append(row.eligible_ha)
        return row

    def to_json(self) -> dict[str, Any]:
        """`rows_sha256` names the result; totals are of rows whose status is ok. Errors of different parcels
        go together, so there is no error of the total here.
        """
        return {
            "tier": TIER_SCREENING,
            "parcels": self.parcels,
            "by_status": dict(sorted(self.by_status.items())),
            "stock_tco2e": math.fsum(self._stocks),
            "eligible_ha": math.fsum(self._hectares),
            "rows_sha256": self._digest.hexdigest(),
        }
