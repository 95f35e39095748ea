"""What a reader is asked for, and what it hands back."""

from dataclasses import dataclass

from geo.errors import GeometryEmpty, GeometryNotPolygonal, GeometryUnreadable, GeoRefusal

Attribute = str | int | float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One feature: attributes, and its geometry as WKB or the reason why there is none.

    `drawn` is what the file holds (WKB) where the polygon was made from something else: the walked track.
    """

    attributes: dict[str, Attribute]
    wkb: bytes | None
    problem: GeoRefusal | None = None
    drawn: bytes | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """A file as read.

    `crs` is None if the file states none, and `crs_member` is where it would have stood. `kind` is the format
    by content; `hints` are words in the file that speak of its datum.
    """

    rows: list[Row]
    crs: str | None
    layer: str
    encoding: str
    encoding_source: str
    kind: str
    crs_member: str = ""
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """What to read and within which limits."""

    path: str
    kind: str  # as `kinds.kind_of` tells
    folder: str
    layer: str | None
    encoding: str | None
    max_features: int
    max_unpacked_bytes: int
    seconds: int
    memory_mib: int
    crs_declared: bool


def row_of(attributes: dict[str, Attribute], wkb: bytes | None, drawn: bytes | None = None) -> Row:
    """Read the geometry here, where a crash costs nothing, and hand on what was understood.

    Heights and measures are left out: land is an outline on the ellipsoid.
    """
    import shapely

    if wkb is None:
        return Row(attributes, None, GeometryEmpty(), drawn)
    try:
        geometry = shapely.from_wkb(wkb)
        return Row(attributes, shapely.to_wkb(geometry, output_dimension=2, byte_order=1), None, drawn)
    except NotImplementedError:  # what shapely says of circular arcs
        return Row(attributes, None, GeometryNotPolygonal(found="curve"), drawn)
    except (shapely.errors.GEOSException, ValueError, TypeError) as error:
        return Row(attributes, None, GeometryUnreadable(reason=str(error)[:120]), drawn)
