"""What a reader is asked for, and what it hands back."""

from dataclasses import dataclass

from geo.errors import GeometryEmpty, GeometryUnreadable, GeoRefusal

Attribute = str | int | float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One feature: attributes, and its geometry as WKB or the reason why there is none."""

    attributes: dict[str, Attribute]
    wkb: bytes | None
    problem: GeoRefusal | None = None


@dataclass(frozen=True, slots=True)
class Read:
    rows: list[Row]
    crs: str | None
    layer: str
    encoding: str
    encoding_source: str


@dataclass(frozen=True, slots=True)
class Task:
    """What to read and within which limits."""

    path: str
    kind: str  # zip, gpkg, geojson
    folder: str
    layer: str | None
    encoding: str | None
    max_features: int
    max_unpacked_bytes: int
    seconds: int
    memory_mib: int
    crs_declared: bool


def row_of(attributes: dict[str, Attribute], wkb: bytes | None) -> Row:
    """Read the geometry here, where a crash costs nothing, and hand on what was understood."""
    import shapely

    if wkb is None:
        return Row(attributes, None, GeometryEmpty())
    try:
        geometry = shapely.from_wkb(wkb)
        return Row(attributes, shapely.to_wkb(geometry, output_dimension=2, byte_order=1))
    except (shapely.errors.GEOSException, ValueError, TypeError) as error:
        return Row(attributes, None, GeometryUnreadable(reason=str(error)[:120]))
