"""The land that plots are laid out on and stand on: a project's parcels, or those of a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import shapely
from shapely.geometry import Polygon
from sqlalchemy.orm import Session

from geo.crs import CrsInput, LocalFrame, Polygonal
from geo.polygon import canonical
from geo.vector import land_rows, read_parcels
from registry.estimates.methods.design import DesignStratum
from registry.estimates.methods.errors import UnknownStandType
from registry.estimates.methods.parameters import MOSO_BAMBOO, ParameterSet, default_parameters
from registry.estimates.methods.plot_checks import Finding, radius_m
from registry.estimates.methods.plot_columns import heading_of
from registry.estimates.methods.plots import PlotRecord
from registry.estimates.rules import EstimateRefused
from registry.projects.service import project_grounds

_DISC_VERTICES = 64
_REACH_M = 0.5
"""A circle that reaches less than this over a border is where a receiver's error puts it."""


class LandWithoutStandTypes(EstimateRefused):
    code: ClassVar[str] = "plots_land_without_stand_types"
    template: ClassVar[str] = (
        "Row {row} of the parcel file names no stand type; a column 优势树种 or stand_type is needed."
    )


@dataclass(frozen=True, slots=True)
class ParcelLand:
    """A parcel as plots see it: its name in lists, other names it goes by, stand type, outline
    (EPSG:4490).
    """

    key: str
    names: frozenset[str]
    stand_type: str
    outline: Polygonal


def project_land(session: Session, project: str) -> tuple[ParcelLand, ...]:
    """The parcels of a project by number, as they were submitted (`NotFound`, `GroundErased`)."""
    found: list[ParcelLand] = []
    for ground in project_grounds(session, project):
        attributes = ground.version.attributes or {}
        names = {str(attributes[name]) for name in ("key", "subcompartment") if attributes.get(name)}
        key = str(attributes.get("key") or attributes.get("subcompartment") or ground.number)
        names |= {key, ground.parcel.id, str(ground.number)}
        found.append(ParcelLand(key, frozenset(names), ground.version.stand_type, canonical(ground.geometry)))
    return tuple(found)


def file_land(
    path: Path, *, crs: CrsInput | None = None, parameters: ParameterSet | None = None
) -> tuple[ParcelLand, ...]:
    """The parcels of a file, any that `geo.vector` reads, with a column of stand types.

    Raises what reading it raises, and `LandWithoutStandTypes`.
    """
    tables = parameters or default_parameters()
    found: list[ParcelLand] = []
    for row in land_rows(read_parcels(path, crs=crs)):
        fields: dict[str, str] = {}
        for name, value in row.attributes.items():
            heading = heading_of(name)
            if heading is not None and value not in (None, ""):
                fields.setdefault(heading.field, str(value))
        stand_type = _stand_type(tables, fields.get("stratum"), row.number)
        key = fields.get("parcel_key", str(row.number))
        found.append(ParcelLand(key, frozenset({key, str(row.number)}), stand_type, row.geometry))
    return tuple(found)


def _stand_type(tables: ParameterSet, name: str | None, row: int) -> str:
    if name is None:
        raise LandWithoutStandTypes(row=row)
    if name in (MOSO_BAMBOO, "毛竹", "毛竹林"):
        return MOSO_BAMBOO
    try:
        return tables.stand_type_named(name).code
    except UnknownStandType:
        raise LandWithoutStandTypes(row=row) from None


def strata_of(land: Sequence[ParcelLand]) -> list[DesignStratum]:
    """The strata of a piece of land: its stand types, each with its parcels."""
    strata: dict[str, dict[str, Polygonal]] = {}
    for number, parcel in enumerate(land, 1):
        members = strata.setdefault(parcel.stand_type, {})
        name = parcel.key if parcel.key not in members else f"{parcel.key} ({number})"
        members[name] = parcel.outline
    return [DesignStratum(name, parcels) for name, parcels in sorted(strata.items())]


def check_places(plots: Sequence[PlotRecord], land: Sequence[ParcelLand]) -> list[Finding]:
    """What the ground says of plots: off the project, on another stratum or parcel, over a border."""
    tree = shapely.STRtree([parcel.outline for parcel in land])
    found: list[Finding] = []
    for plot in plots:
        if plot.lon_deg is None or plot.lat_deg is None:
            continue  # `plot_checks` names it
        at = shapely.Point(plot.lon_deg, plot.lat_deg)
        under = [land[int(n)] for n in sorted(tree.query(at, predicate="intersects"))]
        found += _on_parcels(plot, under) if under else [_outside(plot)]
        if under:
            found += _across(plot, land, tree)
    return found


def _outside(plot: PlotRecord) -> Finding:
    place = f"{plot.lon_deg:.6f} E, {plot.lat_deg:.6f} N"
    return Finding("plot_outside_project", "error", plot.plot_id, "lon_deg", place, "")


def _on_parcels(plot: PlotRecord, under: Sequence[ParcelLand]) -> Iterator[Finding]:
    types = sorted({parcel.stand_type for parcel in under})
    if plot.stratum not in types:
        said = ", ".join(types)
        yield Finding("plot_in_other_stratum", "error", plot.plot_id, "stratum", plot.stratum, said)
    if plot.parcel_key is not None and not any(plot.parcel_key in parcel.names for parcel in under):
        said = ", ".join(parcel.key for parcel in under)
        yield Finding("plot_in_other_parcel", "warning", plot.plot_id, "parcel_key", plot.parcel_key, said)


def _across(plot: PlotRecord, land: Sequence[ParcelLand], tree: shapely.STRtree) -> Iterator[Finding]:
    """How far the plot's circle reaches beyond the parcels of its stratum."""
    circle = disc(plot)
    near = [land[int(n)] for n in tree.query(circle, predicate="intersects")]
    ground = shapely.union_all([one.outline for one in near if one.stand_type == plot.stratum])
    beyond = shapely.difference(circle, ground)
    if ground.is_empty or beyond.is_empty:
        return
    scale = np.array(LocalFrame(plot.lon_deg or 0.0, plot.lat_deg or 0.0).metres_per_degree())
    metres = [shapely.transform(shape, lambda xy: xy * scale) for shape in (beyond, ground)]
    reach = _reach(*metres)
    if reach > _REACH_M:
        yield Finding("plot_across_border", "warning", plot.plot_id, "lon_deg", f"{reach:.1f} m", "0 m")


def _reach(beyond: shapely.Geometry, ground: shapely.Geometry) -> float:
    points = shapely.points(shapely.get_coordinates(beyond))
    return float(shapely.distance(points, ground).max())


def disc(plot: PlotRecord) -> Polygon:
    """A plot's circle in EPSG:4490, drawn inside the true one."""
    assert plot.lon_deg is not None
    assert plot.lat_deg is not None
    east, north = LocalFrame(plot.lon_deg, plot.lat_deg).metres_per_degree()
    turns = np.linspace(0, 2 * np.pi, _DISC_VERTICES, endpoint=False)
    radius = radius_m(plot.area_ha)
    x = plot.lon_deg + radius * np.cos(turns) / east
    y = plot.lat_deg + radius * np.sin(turns) / north
    return Polygon(np.column_stack([x, y]))
