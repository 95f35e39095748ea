"""What `/ogc` offers, as an OpenAPI 3.0 document: the class `oas30` of OGC API Features asks for that
version, and the description of the whole API is of a newer one.
"""

from collections.abc import Iterable
from typing import Any, Final, Protocol

from registry.transparency.features import DEFAULT_LIMIT, MOST

_GEOJSON: Final = "application/geo+json"
_NUMBERS: Final = {"type": "array", "minItems": 4, "maxItems": 6, "items": {"type": "number"}}


class Described(Protocol):
    """A collection, as far as it is described."""

    @property
    def name(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def properties(self) -> tuple[str, ...]: ...


def describe(base: str, collections: Iterable[Described]) -> dict[str, Any]:
    """The document for the service at the address `base`."""
    paths: dict[str, Any] = {
        "/": _resource("getLandingPage", "The landing page"),
        "/conformance": _resource("getConformanceDeclaration", "What of the standard is kept"),
        "/collections": _resource("getCollections", "The collections"),
    }
    for one in collections:
        paths[f"/collections/{one.name}"] = _resource(f"describe.{one.name}", one.about)
        paths[f"/collections/{one.name}/items"] = _items(one)
        paths[f"/collections/{one.name}/items/{{featureId}}"] = _item(one)
    return {
        "openapi": "3.0.3",
        "info": {"title": "Public land of the register", "version": "1.0.0"},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {"parameters": _parameters()},
    }


def _resource(operation: str, summary: str) -> dict[str, Any]:
    content = {
        "application/json": {"schema": {"type": "object"}},
        "text/html": {"schema": {"type": "string"}},
    }
    return {"get": _operation(operation, summary, [_ref("f"), _ref("lang")], content)}


def _items(one: Described) -> dict[str, Any]:
    content = {
        _GEOJSON: {
            "schema": {
                "type": "object",
                "required": ["type", "features"],
                "properties": {
                    "type": {"type": "string", "enum": ["FeatureCollection"]},
                    "features": {"type": "array", "items": _feature()},
                    "numberReturned": {"type": "integer", "minimum": 0},
                    "numberMatched": {"type": "integer", "minimum": 0},
                },
            }
        },
        "text/html": {"schema": {"type": "string"}},
    }
    shared = [_ref(name) for name in ("bbox", "datetime", "limit", "cursor", "f", "lang")]
    own = [_parameter(name, {"type": "string"}) for name in one.properties]
    return {"get": _operation(f"{one.name}.getFeatures", one.about, shared + own, content)}


def _item(one: Described) -> dict[str, Any]:
    content = {_GEOJSON: {"schema": _feature()}, "text/html": {"schema": {"type": "string"}}}
    path = {"name": "featureId", "in": "path", "required": True, "schema": {"type": "string"}}
    parameters = [path, _ref("f"), _ref("lang")]
    return {"get": _operation(f"{one.name}.getFeature", one.about, parameters, content)}


def _feature() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", "geometry", "properties"],
        "properties": {
            "type": {"type": "string", "enum": ["Feature"]},
            "id": {"type": "string"},
            "geometry": {"type": "object", "nullable": True},
            "properties": {"type": "object", "nullable": True},
        },
    }


def _operation(name: str, summary: str, parameters: list[Any], content: dict[str, Any]) -> dict[str, Any]:
    refused = {"application/problem+json": {"schema": {"type": "object"}}}
    return {
        "operationId": name,
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "found", "content": content},
            "400": {"description": "a parameter is unknown or malformed", "content": refused},
            "404": {"description": "there is none", "content": refused},
            "500": {"description": "a fault of the server", "content": refused},
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/parameters/{name}"}


def _parameter(name: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A query parameter. `form` without explode is how a list is spelled with commas."""
    return {"name": name, "in": "query", "required": False, "schema": schema, "style": "form", **more}


def _parameters() -> dict[str, Any]:
    limit = {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT}
    return {
        "bbox": _parameter("bbox", _NUMBERS, explode=False),
        "datetime": _parameter("datetime", {"type": "string"}),
        "limit": _parameter("limit", limit, explode=False),
        "cursor": _parameter("cursor", {"type": "string"}),
        "f": _parameter("f", {"type": "string", "enum": ["json", "html"]}),
        "lang": _parameter("lang", {"type": "string", "enum": ["zh", "en"]}),
    }
