"""KML 2.2 (OGC 12-007r2): each placemark is a row, in WGS 84 degrees, longitude first, as KML always is."""

import math
import re
from typing import Final

import numpy as np

from geo.errors import (
    GeometryEmpty,
    GeometryNotPolygonal,
    GeometryUnreadable,
    GeoRefusal,
    NotKml,
    TooManyFeatures,
)
from geo.reading.hints import datum_hints
from geo.reading.markup import Element, Found, Markup, local, walk
from geo.reading.packing import Points, multipolygon_wkb, polygon_wkb
from geo.reading.rows import Attribute, Read, Row, Task, row_of

_WANTED: Final = frozenset({"Placemark", "Schema", "NetworkLink"})
_LAND: Final = frozenset({"Polygon", "MultiGeometry"})
_OTHER: Final = frozenset({"LineString", "LinearRing", "Model", "Track", "MultiTrack", "MultiPolygon"})
_WHOLE: Final = frozenset({"int", "uint", "short", "ushort"})
_DECIMAL: Final = frozenset({"float", "double"})
_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}")

Schemas = dict[str, dict[str, str]]
"""Type of each field, by schema."""


def read_kml(markup: Markup, task: Task) -> Read:
    """Read the placemarks of a document. Raises MarkupRefused, NotKml, TooManyFeatures."""
    rows: list[Row] = []
    labels: set[str] = set()
    schemas: Schemas = {}
    for found in walk(markup, _WANTED):
        if found.element.name == "NetworkLink":
            raise NotKml(reason="network_link", detail="it points to another file, which is not followed")
        if found.element.name == "Schema":
            _learn(found.element, schemas)
            continue
        if len(rows) == task.max_features:
            raise TooManyFeatures(count=len(rows) + 1, limit=task.max_features)
        labels.update(found.labels)
        rows.append(_placemark(found, schemas))
    hints = datum_hints(labels)
    return Read(rows, "OGC:CRS84", "kml", markup.encoding, markup.encoding_source, "kml", hints=hints)


def _placemark(found: Found, schemas: Schemas) -> Row:
    attributes = _attributes(found, schemas)
    try:
        return row_of(attributes, _outline(found.element))
    except GeoRefusal as problem:
        return Row(attributes, None, problem)


# --- attributes ---------------------------------------------------------------------------------------------


def _attributes(found: Found, schemas: Schemas) -> dict[str, Attribute]:
    """Extended data by their names; then name, description and the folders around, where those names are
    free.
    """
    attributes: dict[str, Attribute] = {}
    for extended in found.element.all("ExtendedData"):
        _extended(extended, schemas, attributes)
    own = {
        "name": found.element.said("name"),
        "description": found.element.said("description"),
        "folder": "/".join(label for label in found.labels if label) or None,
    }
    for name, value in own.items():
        attributes[name if name not in attributes else f"placemark_{name}"] = value
    return attributes


def _extended(extended: Element, schemas: Schemas, attributes: dict[str, Attribute]) -> None:
    for child in extended.children:
        if child.name == "Data":
            attributes[child.attributes.get("name", "Data")] = child.said("value")
        elif child.name == "SchemaData":
            types = schemas.get(child.attributes.get("schemaUrl", "").rpartition("#")[2], {})
            for one in child.all("SimpleData"):
                name = one.attributes.get("name", "SimpleData")
                attributes[name] = _typed(one.text, types.get(name, "string"))
        else:
            attributes[child.name] = child.text or None


def _learn(schema: Element, schemas: Schemas) -> None:
    fields = [field.attributes for field in schema.all("SimpleField")]
    types = {field.get("name", ""): local(field.get("type", "")) for field in fields}
    for key in (schema.attributes.get("id"), schema.attributes.get("name")):
        if key:
            schemas.setdefault(key, types)


def _typed(text: str, kind: str) -> Attribute:
    """A value as its schema says, else the text as it stands."""
    if kind in _WHOLE and _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    if kind in _DECIMAL:
        try:
            number = float(text)
        except ValueError:
            return text or None
        return number if math.isfinite(number) else None
    if kind == "bool" and text.lower() in ("1", "true", "0", "false"):
        return int(text.lower() in ("1", "true"))
    return text or None


# --- outlines -----------------------------------------------------------------------------------------------


def _outline(placemark: Element) -> bytes:
    """The polygons of a placemark. A point beside them is its label on the map; lines are not land."""
    polygons: list[bytes] = []
    others: set[str] = set()
    _collect(placemark, polygons, others)
    if others - ({"Point"} if polygons else set()):
        raise GeometryNotPolygonal(found=", ".join(sorted(others)))
    if not polygons:
        raise GeometryEmpty
    return polygons[0] if len(polygons) == 1 else multipolygon_wkb(polygons)


def _collect(around: Element, polygons: list[bytes], others: set[str]) -> None:
    """Depth is bounded by the reader of the XML."""
    for child in around.children:
        if child.name == "Polygon":
            polygons.append(_polygon(child))
        elif child.name == "MultiGeometry":
            _collect(child, polygons, others)
        elif child.name == "Point" or child.name in _OTHER:
            others.add(child.name)


def _polygon(polygon: Element) -> bytes:
    outer = [r for b in polygon.all("outerBoundaryIs") for r in b.all("LinearRing")]
    inner = [r for b in polygon.all("innerBoundaryIs") for r in b.all("LinearRing")]
    if len(outer) != 1:
        raise GeometryUnreadable(reason=f"a polygon with {len(outer)} outer boundaries")
    return polygon_wkb(_coordinates(ring) for ring in (*outer, *inner))


def _coordinates(ring: Element) -> Points:
    """`lon,lat[,alt]` with white space between; the height is left out."""
    text = ring.said("coordinates") or ""
    tuples = text.split()
    widths = {one.count(",") for one in tuples}
    if "_" in text or not widths <= {1, 2}:
        raise GeometryUnreadable(reason="coordinates that are not lon,lat[,alt] with spaces between")
    try:
        if len(widths) == 1:
            flat = np.array(text.replace(",", " ").split(), dtype=np.float64)
            return flat.reshape(len(tuples), -1)[:, :2]
        return np.array([one.split(",")[:2] for one in tuples], dtype=np.float64).reshape(-1, 2)
    except (ValueError, OverflowError) as error:
        raise GeometryUnreadable(reason=f"coordinates that are not numbers: {text[:40]}") from error
