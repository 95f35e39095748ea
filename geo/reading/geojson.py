"""GeoJSON (RFC 7946), read without GDAL."""

import contextlib
import json
import math
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from geo.errors import (
    CoordinatesOutOfRange,
    GeometryEmpty,
    GeometryNotPolygonal,
    GeometryUnreadable,
    GeoRefusal,
    NotGeoJson,
    TooManyFeatures,
)
from geo.reading.hints import datum_hints
from geo.reading.packing import Points, multipolygon_wkb, polygon_wkb
from geo.reading.rows import Attribute, Read, Row, Task, row_of
from geo.reading.text import code_page


def read_geojson(path: Path, task: Task) -> Read:
    """Read a FeatureCollection or Feature (RFC 7946); a `crs` member of the older draft is honoured.

    It is UTF-8 unless another encoding is declared.
    """
    try:
        return _read(path, task)
    except RecursionError as error:
        raise NotGeoJson(reason="nesting", detail="brackets nest too deep") from error


def _read(path: Path, task: Task) -> Read:
    encoding = "utf-8" if task.encoding is None else code_page(task.encoding, "encoding")
    try:
        text = path.read_bytes().decode(encoding).removeprefix("\ufeff")
        document = json.loads(text, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise NotGeoJson(reason="not_utf8", detail=f"byte {error.start} is not {encoding}") from error
    except ValueError as error:
        raise NotGeoJson(reason="not_json", detail=str(error)[:80]) from error
    features = _features(document)
    if len(features) > task.max_features:
        raise TooManyFeatures(count=len(features), limit=task.max_features)
    rows = [_geojson_row(number, feature) for number, feature in enumerate(features, start=1)]
    said = {k: v for k, v in document.items() if k not in ("features", "properties", "geometry")}
    hints = datum_hints(str(value)[:500] for value in said.values())
    source = "format" if task.encoding is None else "declared"
    return Read(rows, _geojson_crs(document), "geojson", encoding, source, "geojson", hints=hints)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _features(document: Any) -> list[Any]:
    kind = document.get("type") if isinstance(document, dict) else None
    if kind == "FeatureCollection" and isinstance(document.get("features"), list):
        return list(document["features"])
    if kind == "Feature":
        return [document]
    raise NotGeoJson(reason="structure", detail="neither a FeatureCollection nor a Feature")


def _geojson_crs(document: dict[str, Any]) -> str:
    crs = document.get("crs")
    if crs is None:
        return "OGC:CRS84"
    try:
        name = str(crs["properties"]["name"])
    except (KeyError, TypeError) as error:
        raise NotGeoJson(reason="structure", detail="the member crs has no name") from error
    return "OGC:CRS84" if name.upper().endswith("CRS84") else name


def _geojson_row(number: int, feature: Any) -> Row:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise NotGeoJson(reason="structure", detail=f"member {number} is not a Feature")
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        raise NotGeoJson(reason="structure", detail=f"the properties of feature {number} are not an object")
    attributes = {str(k): _json_value(v) for k, v in properties.items()}
    if "id" in feature:
        attributes.setdefault("id", _json_value(feature["id"]))
    shape = feature.get("geometry")
    if shape is None:
        return Row(attributes, None, GeometryEmpty())
    try:
        return row_of(attributes, _geojson_wkb(shape))
    except GeoRefusal as problem:
        return Row(attributes, None, problem)


def _json_value(value: Any) -> Attribute:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else str(value)
    if value is None or isinstance(value, str | float):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _geojson_wkb(shape: Any) -> bytes:
    kind = shape.get("type") if isinstance(shape, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise GeometryNotPolygonal(found=str(kind)[:40])
    coordinates = shape.get("coordinates")
    if kind == "Polygon":
        return _polygon(coordinates)
    return multipolygon_wkb([_polygon(part) for part in _list(coordinates)])


def _polygon(rings: Any) -> bytes:
    return polygon_wkb(_ring(ring) for ring in _list(rings))


def _ring(ring: Any) -> Points:
    """Positions (n, 2): a plain array where all of them are alike, else one by one."""
    positions = _list(ring)
    if {type(p) for p in positions} == {list} and {len(p) for p in positions} in ({2}, {3}):
        flat = list(chain.from_iterable(positions))
        if {type(n) for n in flat} <= {int, float}:
            with contextlib.suppress(OverflowError):
                return np.array(flat, dtype=np.float64).reshape(len(positions), -1)[:, :2]
    return np.array([_position(p) for p in positions], dtype=np.float64).reshape(-1, 2)


def _position(value: Any) -> tuple[float, float]:
    numbers = _list(value)
    if len(numbers) < 2 or any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers[:2]):
        raise GeometryUnreadable(reason="a position that is not two numbers")
    try:
        return float(numbers[0]), float(numbers[1])
    except OverflowError as error:
        raise CoordinatesOutOfRange(x=str(numbers[0])[:40], y=str(numbers[1])[:40]) from error


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise GeometryUnreadable(reason="coordinates that are not nested lists")
    return value
